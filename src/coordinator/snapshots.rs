//! The follower's half of a restart: snapshots, folded from the previous one plus the log. The writer never stalls for one, and
//! each is a proof that snapshot and tail give the whole (law 7).

use super::recovery;
use crate::failure::Failure;
use crossbeam_channel::{Receiver, Sender, bounded};
use everlog_replay::Seq;
use everlog_storage::{LogReader, Snapshots, Store};

/// Tells the follower how far the log is durable. Never waits: only the newest position matters.
pub(super) struct Follow(Sender<Seq>);

/// Takes snapshots behind the writer.
pub(crate) struct Follower {
    log: LogReader,
    store: Store,
    snapshots: Snapshots,
    durable: Receiver<Seq>,
    /// Events from one snapshot to the next.
    every: Seq,
    newest: Seq,
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
    pub(super) fn new(log: LogReader, store: Store, snapshots: Snapshots, durable: Receiver<Seq>, every: Seq) -> Self {
        let newest = snapshots.list().ok().and_then(|all| all.last().copied()).unwrap_or(0);
        Self { log, store, snapshots, durable, every, newest }
    }

    /// Until the committer ends.
    pub(super) fn run(mut self) {
        while let Ok(durable) = self.durable.recv() {
            self.look(durable);
        }
    }

    /// Takes a snapshot where one is due.
    pub(crate) fn look(&mut self, durable: Seq) {
        self.tell_findings();
        if durable < self.newest + self.every {
            return;
        }
        if let Err(fault) = self.take(durable) {
            // The log is whole; a start without this snapshot only takes longer.
            tracing::warn!(%fault, "no snapshot could be taken; the next one is tried later");
        }
        self.newest = durable;
    }

    /// Nothing is mended in silence.
    fn tell_findings(&self) {
        for finding in self.store.take_findings().into_iter().chain(self.snapshots.take_findings()) {
            tracing::warn!(%finding, "something was not as it should be");
        }
    }

    fn take(&self, seq: Seq) -> Result<(), Failure> {
        let mut state = recovery::newest(&self.snapshots, seq)?;
        recovery::fold(&mut state, &self.log, seq)?;
        Ok(self.snapshots.write(state.seq, |out| state.save(out))?)
    }
}
