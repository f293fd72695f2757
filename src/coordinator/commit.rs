//! The committer: makes a turn durable, then lets out what rests on it.

use super::snapshots::Follow;
use super::{Delivery, Failed, Turn};
use crate::exchange::{Outbox, Outgoing};
use crate::failure::Failure;
use crate::shared::Shared;
use crossbeam_channel::Receiver;
use everlog_replay::{Notice, Seq};
use everlog_storage::{CommitLog, Log};
use std::sync::Arc;
use tokio::sync::watch;

/// How the coordinator ended.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// As asked.
    Drained,
    /// Not as asked.
    Failed(Failed),
}

pub(super) struct Committer {
    pub(super) log: CommitLog,
    pub(super) shared: Arc<Shared>,
    pub(super) durable: watch::Sender<Seq>,
    pub(super) ended: watch::Sender<Option<Outcome>>,
    pub(super) follow: Follow,
}

impl Committer {
    /// Commits turns until the last one, or until the disk fails: then nothing more leaves (law 14).
    pub(super) fn run(mut self, turns: &Receiver<Turn>) {
        for turn in turns {
            let last = turn.last;
            if let Err(fault) = self.commit(turn) {
                tracing::error!(%fault, "the log can not be written; nothing more is acknowledged");
                self.ended.send_replace(Some(Outcome::Failed(Failed(fault.to_string()))));
                return;
            }
            if last {
                break;
            }
        }
        self.shared.directory.broadcast(&Outgoing::Close, |_| true);
        let outcome = match self.log.close() {
            Ok(()) => Outcome::Drained,
            Err(fault) => Outcome::Failed(Failed(fault.to_string())),
        };
        // A failure of the writer stands.
        self.ended.send_if_modified(|ended| ended.is_none() && ended.replace(outcome).is_none());
    }

    fn commit(&mut self, turn: Turn) -> Result<(), Failure> {
        if !turn.frame.is_empty() {
            self.log.append(&turn.frame)?;
            let last = turn.frame.last();
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
        | Outgoing::Close => false,
    };
    !for_watchers || outbox.watches_tasks()
}
