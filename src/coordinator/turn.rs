//! A turn of the writer: a batch of messages and the time go in, one frame of records and what rests on it come out.
//!
//! Plain and synchronous, without a thread, a socket or a disk: threads drive it in production, a simulator can drive it in a
//! test. It is the only place where the state changes (law 12).

use super::liveness::Liveness;
use super::observations::Observations;
use crate::exchange::{Inbound, Message, Outgoing, Sample};
use crate::failure::Bug;
use crate::protocol::{Operation, Reply};
use crate::shared::{Progress, Shared};
use everlog_replay::codec;
use everlog_replay::event::{self, Event};
use everlog_replay::state::Repeat;
use everlog_replay::{
    Actor, AgentId, Command, ConnectionNo, Envelope, Json, Notice, Refusal, RequestKey, Seq, Stamp, State, TaskId,
    Timestamp, apply, decide, notices, plan,
};
use everlog_storage::Frame;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What comes out of a turn. Nothing of it may leave before the frame is durable (law 2).
#[derive(Debug)]
pub struct Turn {
    /// The records.
    pub frame: Frame,
    /// Messages for single connections, in order.
    pub deliveries: BTreeMap<ConnectionNo, Vec<Delivery>>,
    /// Notices for everybody who wants them.
    pub broadcasts: Vec<Outgoing>,
    /// The coordinator ends with this turn.
    pub last: bool,
}

/// A message for one connection.
#[derive(Debug)]
pub enum Delivery {
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
    fn new(first: Seq, at: Timestamp) -> Self {
        Self { frame: Frame::new(first, at.0), deliveries: BTreeMap::new(), broadcasts: Vec::new(), last: false }
    }

    /// Whether nothing happened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frame.is_empty() && self.deliveries.is_empty() && self.broadcasts.is_empty() && !self.last
    }

    fn deliver(&mut self, connection: ConnectionNo, delivery: Delivery) {
        self.deliveries.entry(connection).or_default().push(delivery);
    }

    fn send(&mut self, connection: ConnectionNo, message: Outgoing) {
        self.deliver(connection, Delivery::Ready(message));
    }
}

/// The writer's own memory beside the state.
pub struct Writer {
    shared: Arc<Shared>,
    observations: Observations,
    liveness: Liveness,
    notices: Vec<Notice>,
}

/// Either the client's fault or ours.
enum Stop {
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
struct Work<'a> {
    state: &'a mut State,
    turn: &'a mut Turn,
    now: Timestamp,
    mono_ms: i64,
    watched: bool,
    /// The message at hand held what is not JSON.
    altered: bool,
}

impl Writer {
    /// A writer on a recovered state; every agent gets the time of a lease to come back, from `mono_ms` on.
    #[must_use]
    pub fn new(shared: Arc<Shared>, mono_ms: i64) -> Self {
        let liveness = Liveness::of(&shared.state.read(), mono_ms);
        Self { shared, observations: Observations::default(), liveness, notices: Vec::new() }
    }

    /// Milliseconds after `now` at which a turn is due although no message came.
    #[must_use]
    pub fn idle_ms(&self, now: Timestamp) -> u64 {
        let planned = everlog_replay::wake_at(&self.shared.state.read()).map(|at| at.micros_since(now).div_ceil(1_000));
        planned.into_iter().chain([super::TICK_MS]).min().unwrap_or(super::TICK_MS)
    }

    /// Takes a whole batch. `drained`: whether the inbox is empty now, so that silence can be told from a queue (law 9).
    ///
    /// # Errors
    /// When the coordinator contradicts itself.
    pub fn turn(
        &mut self,
        batch: impl IntoIterator<Item = Inbound>,
        drained: bool,
        now: Timestamp,
        mono_ms: i64,
    ) -> Result<Turn, Bug> {
        let shared = Arc::clone(&self.shared);
        let state = &mut *shared.state.write();
        let now = now.max(state.at);
        let mut turn = Turn::new(state.seq + 1, now);
        let watched = shared.directory.watches_tasks();
        let mut work = Work { state, turn: &mut turn, now, mono_ms, watched, altered: false };
        for inbound in batch {
            self.message(&mut work, inbound)?;
        }
        if drained {
            for (agent, silent_ms) in self.liveness.silent(work.state, &shared.directory, mono_ms) {
                self.internal(&mut work, &Command::LoseAgent { agent, silent_ms })?;
            }
        }
        if let Some(observed) = self.observations.finished(now) {
            self.internal(&mut work, &Command::RecordObservations { observed })?;
        }
        self.schedule(&mut work)?;
        Ok(turn)
    }

    /// What the coordinator itself does, such as starting.
    ///
    /// # Errors
    /// When the coordinator contradicts itself.
    pub fn command(&mut self, command: &Command, now: Timestamp, mono_ms: i64) -> Result<Turn, Bug> {
        let shared = Arc::clone(&self.shared);
        let state = &mut *shared.state.write();
        let now = now.max(state.at);
        let mut turn = Turn::new(state.seq + 1, now);
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

    fn internal(&mut self, work: &mut Work<'_>, command: &Command) -> Result<(), Bug> {
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
    fn run(&mut self, work: &mut Work<'_>, command: &Command, stamp: &Stamp) -> Result<Vec<Envelope>, Stop> {
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
            self.forget(&envelope.event);
            envelopes.push(envelope);
        }
        Ok(envelopes)
    }

    /// What is kept beside the state ends with the attempt, or with the agent, that it is about.
    fn forget(&mut self, event: &Event) {
        if let Some(task) = event.ended_attempt() {
            self.shared.progress.lock().remove(&task);
        } else if let Event::AgentUnregistered(event::AgentUnregistered { agent })
        | Event::AgentLost(event::AgentLost { agent, .. }) = event
        {
            self.shared.agent_metrics.lock().remove(agent);
            self.liveness.left(agent);
        }
    }

    /// Sends what followed from the events, after the reply to the command.
    fn flush_notices(&mut self, work: &mut Work<'_>) {
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

    fn message(&mut self, work: &mut Work<'_>, inbound: Inbound) -> Result<(), Bug> {
        let connection = inbound.connection;
        work.altered = false;
        let outcome = match inbound.message {
            Message::Opened { peer } => {
                self.client(work, connection, None, &Command::OpenConnection { peer }).map(drop)
            }
            Message::Request { id, body, method, operation, altered } => {
                work.altered = altered;
                let key = RequestKey { id: id.clone(), body };
                let outcome = self.request(work, connection, key, &method, operation);
                return self.conclude(work, connection, Some(id), &method, outcome);
            }
            Message::Notification { method, operation, altered } => {
                work.altered = altered;
                let outcome = self.notification(work, connection, &method, operation);
                return self.conclude(work, connection, None, &method, outcome);
            }
            Message::Refused { id, method, refusal } => {
                return self.conclude(work, connection, id, &method, Err(Stop::Refused(refusal)));
            }
            Message::Closed => {
                let agents = self.liveness.closed(connection, work.mono_ms);
                self.observations.forget(connection);
                return self.internal(work, &Command::DisconnectAgents { connection, agents });
            }
            Message::Load { cpu, memory } => return self.internal(work, &Command::ObserveLoad { cpu, memory }),
            Message::Drain { reason } => {
                work.turn.last = true;
                if let Some(observed) = self.observations.all() {
                    self.internal(work, &Command::RecordObservations { observed })?;
                }
                return self.internal(work, &Command::StopCoordinator { reason });
            }
        };
        self.conclude(work, connection, None, "", outcome)
    }

    fn client(
        &mut self,
        work: &mut Work<'_>,
        connection: ConnectionNo,
        request: Option<RequestKey>,
        command: &Command,
    ) -> Result<Vec<Envelope>, Stop> {
        let stamp =
            Stamp { at: work.now, actor: Actor::Connection(connection), cause: 0, request, altered: work.altered };
        self.run(work, command, &stamp)
    }

    /// Puts a refusal on record and tells the client, where it asked for an answer.
    fn conclude(
        &mut self,
        work: &mut Work<'_>,
        connection: ConnectionNo,
        id: Option<String>,
        method: &str,
        outcome: Result<(), Stop>,
    ) -> Result<(), Bug> {
        let refusal = match outcome {
            Ok(()) => {
                self.flush_notices(work);
                return Ok(());
            }
            Err(Stop::Bug(bug)) => return Err(bug),
            Err(Stop::Refused(refusal)) => refusal,
        };
        let record =
            Command::RecordRefusal { method: method.to_owned(), code: refusal.code(), message: refusal.to_string() };
        match self.client(work, connection, None, &record) {
            Ok(events) if events.is_empty() => self.observations.refused(connection, method, work.now),
            Ok(_) | Err(Stop::Refused(_)) => {}
            Err(Stop::Bug(bug)) => return Err(bug),
        }
        if let Some(id) = id {
            work.turn.send(connection, Outgoing::Refused { id, refusal });
        }
        Ok(())
    }

    fn request(
        &mut self,
        work: &mut Work<'_>,
        connection: ConnectionNo,
        key: RequestKey,
        method: &str,
        operation: Operation,
    ) -> Result<(), Stop> {
        let id = key.id.clone();
        match operation {
            Operation::Change { command, reply } => self.change(work, connection, key, &command, reply)?,
            Operation::Register { command, ready, frame_bytes_max } => {
                self.change(work, connection, key, &command, Reply::AgentRegistered)?;
                work.turn.send(connection, Outgoing::Registered { ready, frame_bytes_max });
                if let Command::RegisterAgent { agent, .. } = command {
                    self.liveness.registered(agent, connection);
                }
            }
            Operation::Progress { task, agent, progress, details } => {
                self.progress(work, connection, task, &agent, progress, details)?;
                work.turn.send(connection, Outgoing::Recorded { id });
            }
            Operation::AgentMetrics { agent, metrics } => {
                self.agent_metrics(work, connection, &agent, metrics)?;
                work.turn.send(connection, Outgoing::Recorded { id });
            }
            Operation::Read(query) => {
                self.observations.answered(connection, method, work.now);
                work.turn.send(connection, Outgoing::Read { id, query });
            }
            Operation::Session(request) => {
                self.observations.answered(connection, method, work.now);
                work.turn.send(connection, Outgoing::Session { id, request });
            }
            Operation::Observe => self.observations.answered(connection, method, work.now),
        }
        Ok(())
    }

    /// A command that is answered: once, however often it is asked (law 11).
    fn change(
        &mut self,
        work: &mut Work<'_>,
        connection: ConnectionNo,
        key: RequestKey,
        command: &Command,
        reply: Reply,
    ) -> Result<(), Stop> {
        let id = key.id.clone();
        let stamp = Stamp {
            at: work.now,
            actor: Actor::Connection(connection),
            cause: 0,
            request: Some(key),
            altered: work.altered,
        };
        let repeated = work.state.answered(&stamp)?;
        // A registration belongs to its connection: repeated on another one, it is a new one.
        let moved = matches!(command, Command::RegisterAgent { agent, .. }
            if !work.state.agent(agent).is_ok_and(|agent| agent.connection == connection));
        if let (Some(_), true) = (repeated, moved) {
            let events = self.run(work, command, &Stamp { request: None, ..stamp })?.into();
            work.turn.send(connection, Outgoing::Reply { id, reply, events });
            return Ok(());
        }
        if let Some(events) = repeated {
            work.turn.deliver(connection, Delivery::Repeated { id, reply, events });
            return Ok(());
        }
        let events = self.run(work, command, &stamp)?.into();
        work.turn.send(connection, Outgoing::Reply { id, reply, events });
        Ok(())
    }

    fn notification(
        &mut self,
        work: &mut Work<'_>,
        connection: ConnectionNo,
        method: &str,
        operation: Operation,
    ) -> Result<(), Stop> {
        match operation {
            Operation::Change { command, .. } => self.client(work, connection, None, &command).map(drop),
            Operation::Progress { task, agent, progress, details } => {
                self.progress(work, connection, task, &agent, progress, details)
            }
            Operation::AgentMetrics { agent, metrics } => self.agent_metrics(work, connection, &agent, metrics),
            // Only asked for in requests; as a notification it would be answered to nobody.
            Operation::Register { .. } | Operation::Read(_) | Operation::Session(_) | Operation::Observe => {
                self.observations.answered(connection, method, work.now);
                Ok(())
            }
        }
    }

    /// The first sign of work is an event; how far the work is, is not.
    fn progress(
        &mut self,
        work: &mut Work<'_>,
        connection: ConnectionNo,
        task: TaskId,
        agent: &AgentId,
        progress: f64,
        details: Json,
    ) -> Result<(), Stop> {
        self.client(work, connection, None, &Command::StartTask { task, agent: agent.clone() })?;
        self.observations.answered(connection, "task/progress", work.now);
        if work.watched {
            let pipeline = work.state.task(task).ok().and_then(|task| work.state.pipeline_of(task)).map(|p| p.id);
            let params = crate::render::progress(task, pipeline, agent, progress, &details, work.now);
            work.turn.broadcasts.push(Outgoing::Sample(Arc::new(Sample { method: "task/progress", params, pipeline })));
        }
        self.shared.progress.lock().insert(task, Progress { progress, details, at: work.now });
        Ok(())
    }

    fn agent_metrics(
        &mut self,
        work: &mut Work<'_>,
        connection: ConnectionNo,
        agent: &AgentId,
        metrics: Json,
    ) -> Result<(), Stop> {
        if work.state.agent(agent)?.connection != connection {
            return Err(Refusal::Forbidden(format!(
                "agent {agent} is registered through another connection; register it here before speaking for it"
            ))
            .into());
        }
        self.observations.answered(connection, "agent/metrics", work.now);
        self.shared.agent_metrics.lock().insert(agent.clone(), metrics);
        Ok(())
    }
}
