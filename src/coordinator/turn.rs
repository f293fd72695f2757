//! A turn of the writer: a batch of messages and the time go in, one frame of records and what rests on it come out.
//!
//! Plain and synchronous, without a thread, a socket or a disk: threads drive it in production, a simulator can drive it in a
//! test. It is the only place where the state changes (law 12).

use super::liveness::Liveness;
use super::observations::Observations;
use crate::exchange::{Inbound, Outgoing};
use crate::failure::Bug;
use crate::protocol::Reply;
use crate::shared::Shared;
use crossbeam_channel::Receiver;
use everlog_replay::codec;
use everlog_replay::event::{self, Event};
use everlog_replay::state::Repeat;
use everlog_replay::{
    Actor, Command, ConnectionNo, Envelope, Notice, Payload, Refusal, Stamp, State, Timestamp, apply, decide, notices,
    plan,
};
use everlog_storage::Frame;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// How long a turn is kept open, in microseconds: all of it has one time, which must not lag behind by more than a person could
/// see. A commit takes a tenth of that.
const OPEN_US: u64 = 2_000;

/// What comes out of a turn. Nothing of it may leave before the frame is durable (law 2).
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// The records.
    pub frame: Frame,
    /// Messages for single connections, in order.
    pub deliveries: BTreeMap<ConnectionNo, Vec<Delivery>>,
    /// Notices for everybody who wants them.
    pub broadcasts: Vec<Outgoing>,
    /// The coordinator ends with this turn.
    pub last: bool,
    /// Messages that it took, and the bytes of their frames.
    messages: usize,
    bytes: usize,
}

/// A message for one connection.
#[derive(Debug)]
pub(crate) enum Delivery {
    /// As it is.
    Ready(Outgoing),
    /// The answer to a repeated request: its events stand in the log.
    Repeated {
        /// The request.
        id: String,
        /// How the answer follows from the events.
        reply: Reply,
        /// Which events.
        events: Repeat,
    },
}

impl Turn {
    /// Its time, which is the same for all of it: that of its first event.
    fn begin(&mut self, state: &State, now: Timestamp) -> Timestamp {
        if self.frame.is_empty() {
            self.frame.clear(state.seq + 1, now.max(state.at).0);
        }
        Timestamp(self.frame.at())
    }

    /// Whether nothing happened.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.frame.is_empty() && self.deliveries.is_empty() && self.broadcasts.is_empty() && !self.last
    }

    fn is_full(&self, most: usize) -> bool {
        self.messages >= most || self.bytes >= super::TURN_BYTES_MAX
    }

    pub(super) fn deliver(&mut self, connection: ConnectionNo, delivery: Delivery) {
        self.deliveries.entry(connection).or_default().push(delivery);
    }

    pub(super) fn send(&mut self, connection: ConnectionNo, message: Outgoing) {
        self.deliver(connection, Delivery::Ready(message));
    }
}

/// The writer's own memory beside the state.
pub(crate) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) observations: Observations,
    pub(super) liveness: Liveness,
    pub(super) notices: Vec<Notice>,
    /// The newest reading of the load.
    pub(super) load: Option<Command>,
    /// The disk is full: the log lives on its reserve.
    pub(crate) full: bool,
}

/// Either the client's fault or ours.
pub(super) enum Stop {
    Refused(Refusal),
    Bug(Bug),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl<T: Into<Bug>> From<T> for Stop {
    fn from(bug: T) -> Self {
        Self::Bug(bug.into())
    }
}

/// One turn at work.
pub(super) struct Work<'a> {
    pub(super) state: &'a mut State,
    pub(super) turn: &'a mut Turn,
    pub(super) now: Timestamp,
    pub(super) mono_ms: i64,
    pub(super) watched: bool,
    /// The message at hand held what is not JSON.
    pub(super) altered: bool,
}

impl Writer {
    /// A writer on a recovered state; every agent gets the time of a lease to come back, from now on.
    #[must_use]
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let liveness = Liveness::of(&shared.state.read(), shared.clock.mono_ms());
        let (observations, notices) = (Observations::default(), Vec::new());
        Self { shared, observations, liveness, notices, load: None, full: false }
    }

    /// Milliseconds until a turn is due although no message comes.
    #[must_use]
    pub(crate) fn idle_ms(&self) -> u64 {
        if self.full {
            return super::TICK_MS;
        }
        let now = self.shared.clock.now();
        let planned = everlog_replay::wake_at(&self.shared.state.read()).map(|at| at.micros_since(now).div_ceil(1_000));
        planned.into_iter().chain([super::TICK_MS]).min().unwrap_or(super::TICK_MS)
    }

    /// Takes `first` and what waits behind it into a turn, up to `most` messages in all.
    ///
    /// # Errors
    /// When the coordinator contradicts itself.
    pub(crate) fn take(
        &mut self,
        turn: &mut Turn,
        first: Option<Inbound>,
        messages: &Receiver<Inbound>,
        most: usize,
    ) -> Result<(), Bug> {
        let before = (turn.bytes, turn.frame.len());
        let mut batch = Vec::new();
        for inbound in first.into_iter().chain(messages.try_iter()) {
            turn.messages += 1;
            turn.bytes += inbound.bytes;
            batch.push(inbound);
            if turn.is_full(most) {
                break;
            }
        }
        self.shared.inbox_bytes.fetch_sub(turn.bytes - before.0, Ordering::AcqRel);
        let (now, mono_ms) = (self.shared.clock.now(), self.shared.clock.mono_ms());
        let done = self.work(turn, batch, messages.is_empty(), now, mono_ms);
        let decided = (turn.frame.len() > before.1).then(|| turn.frame.last());
        self.shared.pulse.turned(decided, self.shared.clock.mono_ms());
        done
    }

    /// Whether more may join a turn that nobody has taken yet.
    pub(crate) fn may_join(&self, turn: &Turn, most: usize) -> bool {
        let is_young = || self.shared.clock.now().micros_since(Timestamp(turn.frame.at())) <= OPEN_US;
        !turn.last && !turn.is_full(most) && (turn.frame.is_empty() || is_young())
    }

    /// Takes a whole batch. `drained`: whether the inbox is empty now, so that silence can be told from a queue (law 9).
    ///
    /// # Errors
    /// When the coordinator contradicts itself.
    fn work(
        &mut self,
        turn: &mut Turn,
        batch: Vec<Inbound>,
        drained: bool,
        now: Timestamp,
        mono_ms: i64,
    ) -> Result<(), Bug> {
        let shared = Arc::clone(&self.shared);
        let state = &mut *shared.state.write();
        let now = turn.begin(state, now);
        let watched = shared.directory.watches_tasks();
        let mut work = Work { state, turn, now, mono_ms, watched, altered: false };
        for inbound in batch {
            self.message(&mut work, inbound)?;
        }
        if self.full {
            self.flush_notices(&mut work);
            return Ok(());
        }
        if drained {
            for (agent, silent_ms) in self.liveness.silent(work.state, &shared.directory, mono_ms) {
                let connection = work.state.agent(&agent).map(|known| known.connection);
                self.internal(&mut work, &Command::LoseAgent { agent, silent_ms })?;
                // Only silent, perhaps: whoever is still there has to register again.
                if let Ok(connection) = connection {
                    work.turn.send(connection, Outgoing::Lost);
                }
            }
        }
        if let Some(observed) = self.observations.finished(now) {
            self.internal(&mut work, &Command::RecordObservations { observed })?;
        }
        self.schedule(&mut work)
    }

    /// What the coordinator itself does, such as starting.
    ///
    /// # Errors
    /// When the coordinator contradicts itself.
    pub(super) fn command(&mut self, command: &Command) -> Result<Turn, Bug> {
        let shared = Arc::clone(&self.shared);
        let (now, mono_ms) = (shared.clock.now(), shared.clock.mono_ms());
        let state = &mut *shared.state.write();
        let mut turn = Turn::default();
        let now = turn.begin(state, now);
        let mut work = Work { state, turn: &mut turn, now, mono_ms, watched: false, altered: false };
        self.internal(&mut work, command)?;
        Ok(turn)
    }

    /// Runs the plan to its fixed point, into the same frame: a completion and the next assignment share one commit.
    fn schedule(&mut self, work: &mut Work<'_>) -> Result<(), Bug> {
        loop {
            let commands = plan(work.state, work.now);
            if commands.is_empty() {
                self.flush_notices(work);
                return Ok(());
            }
            let before = work.state.seq;
            let stamp = Stamp { at: work.now, actor: Actor::Scheduler, cause: before, request: None, altered: false };
            for command in &commands {
                match self.run(work, command, &stamp) {
                    // What an earlier command of the same plan has overtaken.
                    Ok(_) | Err(Stop::Refused(_)) => {}
                    Err(Stop::Bug(bug)) => return Err(bug),
                }
            }
            if work.state.seq == before {
                return Err(Bug::Restless(format!("{:?}", commands.first())));
            }
        }
    }

    pub(super) fn internal(&mut self, work: &mut Work<'_>, command: &Command) -> Result<(), Bug> {
        let stamp = Stamp { at: work.now, actor: Actor::Coordinator, cause: 0, request: None, altered: false };
        match self.run(work, command, &stamp) {
            Ok(_) => Ok(()),
            // Overtaken by an earlier message of the batch, such as an agent that left before its silence was noticed.
            Err(Stop::Refused(refusal)) => {
                tracing::debug!(%refusal, "an internal command came too late");
                Ok(())
            }
            Err(Stop::Bug(bug)) => Err(bug),
        }
    }

    /// Decides a command, applies its events, puts them into the frame, and sends what follows from them.
    pub(super) fn run(&mut self, work: &mut Work<'_>, command: &Command, stamp: &Stamp) -> Result<Vec<Envelope>, Stop> {
        let events = decide(work.state, command, stamp)?;
        let first = work.state.seq + 1;
        let mut envelopes = Vec::with_capacity(events.len());
        for event in events {
            let cause = (!envelopes.is_empty()).then_some(first);
            let envelope = work.state.seal(event, stamp, cause);
            apply(work.state, &envelope)?;
            let mut written = Ok(());
            work.turn.frame.push_with(|out| written = codec::encode(&envelope, out));
            written?;
            notices(work.state, &envelope, work.watched, &mut self.notices);
            self.follow(&envelope);
            envelopes.push(envelope);
        }
        Ok(envelopes)
    }

    /// What is kept beside the state: a long payload until it is durable, the rest until the attempt or the agent that it is
    /// about ends.
    fn follow(&mut self, envelope: &Envelope) {
        let event = &envelope.event;
        if let Some(json) = event.payload()
            && let Payload::Logged(place) = Payload::keep(json, envelope.seq)
        {
            self.shared.undurable.lock().push_back((place.seq, json.clone()));
        }
        if let Some(task) = event.ended_attempt() {
            self.shared.progress.lock().remove(&task);
        } else if let Event::AgentRegistered(e) = event {
            self.liveness.registered(e.agent.clone(), e.connection);
        } else if let Event::AgentUnregistered(event::AgentUnregistered { agent })
        | Event::AgentLost(event::AgentLost { agent, .. }) = event
        {
            self.shared.agent_metrics.lock().remove(agent);
            self.liveness.left(agent);
        }
    }

    /// Sends what followed from the events, after the reply to the command.
    pub(super) fn flush_notices(&mut self, work: &mut Work<'_>) {
        for notice in self.notices.drain(..) {
            match &notice {
                Notice::Assigned(assignment) => {
                    let connection = assignment.connection;
                    work.turn.send(connection, Outgoing::Notice(Arc::new(notice)));
                }
                Notice::Cancel { connection, .. } => {
                    let connection = *connection;
                    work.turn.send(connection, Outgoing::Notice(Arc::new(notice)));
                }
                Notice::Pipeline { .. } | Notice::TaskChanged(_) | Notice::Hook(_) => {
                    work.turn.broadcasts.push(Outgoing::Notice(Arc::new(notice)));
                }
            }
        }
    }
}
