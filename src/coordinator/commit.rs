//! The committer: makes a turn durable, then lets out what rests on it.

use super::snapshots::Follow;
use super::{Delivery, Failed, Turn};
use crate::exchange::{Inbound, Message, Outbox, Outgoing};
use crate::failure::Failure;
use crate::shared::Shared;
use everlog_replay::event::CoordinatorStopped;
use everlog_replay::{Actor, Envelope, ErrorId, Notice, Seq, Timestamp, codec};
use everlog_storage::{CommitLog, Frame};
use std::sync::Arc;
use tokio::sync::watch;

/// How often a full disk is looked at for space, in milliseconds: a person who freed some waits about as long, and a look writes
/// the reserve.
const LOOK_FOR_SPACE_EVERY_MS: i64 = 1_000;

/// How the coordinator ended.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// As asked.
    Drained,
    /// Not as asked.
    Failed(Failed),
}

pub(crate) struct Committer {
    pub(crate) log: CommitLog,
    shared: Arc<Shared>,
    durable: watch::Sender<Seq>,
    ended: watch::Sender<Option<Outcome>>,
    follow: Follow,
    /// The alert that the writer was told when the disk was full, until it was told that there is space again.
    alert: Option<ErrorId>,
    /// When it last looked for space, in monotonic milliseconds.
    looked_ms: i64,
}

impl Committer {
    pub(super) fn new(log: CommitLog, shared: Arc<Shared>, durable: watch::Sender<Seq>, follow: Follow) -> Self {
        Self { log, shared, durable, ended: watch::Sender::new(None), follow, alert: None, looked_ms: 0 }
    }

    /// For whoever else may end the coordinator.
    pub(super) fn ended(&self) -> watch::Sender<Option<Outcome>> {
        self.ended.clone()
    }

    /// How the coordinator ends, once it has.
    pub(super) fn outcome(&self) -> watch::Receiver<Option<Outcome>> {
        self.ended.subscribe()
    }

    /// Commits a turn. After a failure nothing more leaves (law 14): the caller drops the committer.
    ///
    /// # Errors
    /// When the log can not be written, or what was written before can not be read.
    pub(crate) fn take(&mut self, turn: Turn) -> Result<(), Failure> {
        let (first, at) = (turn.frame.first(), turn.frame.at());
        self.commit(turn).inspect_err(|failure| {
            self.record_full_disk(failure, first, at);
            self.fail(failure);
        })
    }

    /// On a full disk, now and then: makes the reserve again as soon as there is space for it, and tells the writer.
    ///
    /// # Errors
    /// When the disk fails otherwise; as in [`Self::take`].
    pub(crate) fn look_for_space(&mut self) -> Result<(), Failure> {
        let now = self.shared.clock.mono_ms();
        if self.log.has_reserve() && self.alert.is_none() || now < self.looked_ms + LOOK_FOR_SPACE_EVERY_MS {
            return Ok(());
        }
        self.looked_ms = now;
        let kept = self.log.keep_reserve().map_err(Failure::from).inspect_err(|failure| self.fail(failure));
        kept.map(|()| self.tell_space())
    }

    fn fail(&self, failure: &Failure) {
        tracing::error!(%failure, "the log can not be written; nothing more is acknowledged");
        self.ended.send_replace(Some(Outcome::Failed(Failed(failure.to_string()))));
    }

    /// Says goodbye to everybody and closes the log.
    pub(crate) fn finish(self) {
        self.shared.directory.broadcast(&Outgoing::Close, |_| true);
        let outcome = match self.log.close() {
            Ok(()) => Outcome::Drained,
            Err(fault) => Outcome::Failed(Failed(fault.to_string())),
        };
        // A failure of the writer stands.
        self.ended.send_if_modified(|ended| ended.is_none() && ended.replace(outcome).is_none());
    }

    /// Tells the writer when the log has begun to live on its reserve, and when it has one again. Tried later when the inbox
    /// has no room.
    fn tell_space(&mut self) {
        let full = !self.log.has_reserve();
        if full == self.alert.is_some() {
            return;
        }
        let alert = self.alert.unwrap_or_else(|| ErrorId((self.shared.new_id)(self.shared.clock.now())));
        let told = Inbound { connection: 0, bytes: 0, message: Message::Space { full, alert } };
        if self.shared.inbox.try_send(told).is_ok() {
            self.alert = full.then_some(alert);
        }
    }

    /// The log says why it ends, out of the reserve that is kept for this.
    fn record_full_disk(&mut self, failure: &Failure, seq: Seq, at: i64) {
        if !matches!(failure, Failure::Storage(fault) if fault.is_full()) {
            return;
        }
        let event = CoordinatorStopped { reason: "the disk is full".to_owned() }.into();
        let envelope = Envelope {
            seq,
            at: Timestamp(at),
            actor: Actor::Coordinator,
            cause: 0,
            run_seq: 0,
            request: None,
            altered: false,
            event,
        };
        let mut frame = Frame::new(seq, at);
        let mut written = Ok(());
        frame.push_with(|out| written = codec::encode(&envelope, out));
        let recorded = written
            .map_err(|error| error.to_string())
            .and_then(|()| self.log.append_from_reserve(&frame).map_err(|fault| fault.to_string()));
        if let Err(error) = recorded {
            tracing::warn!(error, "that the disk is full could not be put on record");
        }
    }

    fn commit(&mut self, turn: Turn) -> Result<(), Failure> {
        if !turn.frame.is_empty() {
            self.log.append_from_reserve(&turn.frame)?;
            self.tell_space();
            let last = turn.frame.last();
            let mut undurable = self.shared.undurable.lock();
            let durable = undurable.partition_point(|(seq, _)| *seq <= last);
            drop(undurable.drain(..durable));
            drop(undurable);
            self.durable.send_replace(last);
            self.follow.durable(last);
        }
        for (connection, deliveries) in turn.deliveries {
            let Some(outbox) = self.shared.directory.get(connection) else { continue };
            let messages = deliveries.into_iter().map(|delivery| self.outgoing(delivery));
            outbox.send(messages.collect::<Result<Vec<Outgoing>, Failure>>()?);
        }
        for message in turn.broadcasts {
            self.shared.directory.broadcast(&message, |outbox| wants(outbox, &message));
        }
        Ok(())
    }

    fn outgoing(&self, delivery: Delivery) -> Result<Outgoing, Failure> {
        match delivery {
            Delivery::Ready(message) => Ok(message),
            Delivery::Repeated { id, reply, events } => {
                let events = self.shared.history.events(events.first, events.last)?;
                Ok(Outgoing::Reply { id, reply, events: events.into() })
            }
        }
    }
}

/// Whether it is worth waking a session for this; what exactly it wants, the session knows.
fn wants(outbox: &Outbox, message: &Outgoing) -> bool {
    let for_watchers = match message {
        Outgoing::Notice(notice) => matches!(**notice, Notice::TaskChanged(_)),
        Outgoing::Sample(_) => true,
        Outgoing::Reply { .. }
        | Outgoing::Registered { .. }
        | Outgoing::Recorded { .. }
        | Outgoing::Refused { .. }
        | Outgoing::Read { .. }
        | Outgoing::Session { .. }
        | Outgoing::Close
        | Outgoing::Lost => false,
    };
    !for_watchers || outbox.watches_tasks()
}
