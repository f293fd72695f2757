//! The follower's half of a restart: snapshots, each a copy of the live state that shares what has not changed since. The writer
//! waits for the copy alone, and a second state, folded from the log beside the first, would take as much memory again.

use super::scrub::{SCRUB_EVERY, Scrub};
use crate::exchange::{Inbound, Message};
use crate::history::StateSnapshots;
use crate::shared::Shared;
use crossbeam_channel::{Receiver, Sender, bounded, select, tick};
use everlog_replay::{ErrorId, Seq, State};
use everlog_storage::{LogReader, Store};
use std::sync::Arc;

/// Tells the follower how far the log is durable. Never waits: only the newest position matters.
pub(super) struct Follow(Sender<Seq>);

/// Takes snapshots behind the writer, and looks after what is old.
pub(crate) struct Follower {
    shared: Arc<Shared>,
    log: LogReader,
    store: Store,
    snapshots: StateSnapshots,
    durable: Receiver<Seq>,
    /// Events from one snapshot to the next.
    every: Seq,
    newest: Seq,
    /// What the next snapshot holds, until its newest event is durable.
    frozen: Option<State>,
    scrub: Scrub,
}

pub(super) fn channel() -> (Follow, Receiver<Seq>) {
    let (sender, receiver) = bounded(1);
    (Follow(sender), receiver)
}

impl Follow {
    pub(super) fn durable(&self, seq: Seq) {
        if self.0.try_send(seq).is_err() {
            // Full: the follower will look anyway. Gone: there will be no snapshot, which only makes the next start longer.
        }
    }
}

impl Follower {
    pub(super) fn new(
        shared: Arc<Shared>,
        log: LogReader,
        store: Store,
        snapshots: StateSnapshots,
        durable: Receiver<Seq>,
        every: Seq,
    ) -> Self {
        let newest = snapshots.last();
        Self { shared, log, store, snapshots, durable, every, newest, frozen: None, scrub: Scrub::default() }
    }

    /// Until the committer ends.
    pub(super) fn run(mut self) {
        let pieces = tick(SCRUB_EVERY);
        loop {
            self.tell_findings();
            select! {
                recv(self.durable) -> durable => match durable {
                    Ok(durable) => self.look(durable),
                    Err(_) => return,
                },
                recv(pieces) -> _ => self.scrub(),
            }
        }
    }

    /// Takes a snapshot where one is due. The state may be ahead of what is durable: then it is written when it no longer is.
    pub(crate) fn look(&mut self, durable: Seq) {
        if self.frozen.is_none() && durable >= self.newest + self.every {
            self.frozen = Some(self.shared.state.read().frozen());
        }
        let Some(state) = self.frozen.take_if(|state| state.seq <= durable) else { return };
        if let Err(fault) = self.snapshots.write(&state) {
            // The log is whole; a start without this snapshot only takes longer.
            tracing::warn!(%fault, "no snapshot could be taken; the next one is tried later");
        }
        self.newest = state.seq;
    }

    /// Reads the next piece of the log. Damage goes on record, for whoever looks at the error register and not at standard error.
    pub(crate) fn scrub(&mut self) {
        if let Some(fault) = self.scrub.piece(&self.log) {
            let alert = ErrorId((self.shared.new_id)(self.shared.clock.now()));
            let message = Message::Damage { alert, detail: fault.to_string() };
            // Full: it stands on standard error, and the next round is in some hours.
            drop(self.shared.inbox.try_send(Inbound { connection: 0, bytes: 0, message }));
            tracing::error!(%fault, "the scrub found damage in the log");
        }
    }

    /// Nothing is mended in silence: what the start found is told at once, what is found later within [`SCRUB_EVERY`].
    fn tell_findings(&self) {
        for finding in self.store.take_findings().into_iter().chain(self.snapshots.take_findings()) {
            tracing::warn!(%finding, "something was not as it should be");
        }
    }
}
