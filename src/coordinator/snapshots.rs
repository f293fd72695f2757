//! The follower's half of a restart: snapshots, folded from the previous one plus the log. The writer never stalls for one, and
//! each is a proof that snapshot and tail give the whole (law 7).

use super::recovery;
use crate::failure::Failure;
use crossbeam_channel::{Receiver, Sender, bounded};
use everlog_replay::Seq;
use everlog_storage::{LogReader, SNAPSHOT_EVERY, Snapshots, Store};

/// Tells the follower how far the log is durable. Never waits: only the newest position matters.
pub(super) struct Follow(Sender<Seq>);

/// Takes snapshots behind the writer.
pub(super) struct Follower {
    log: LogReader,
    store: Store,
    snapshots: Snapshots,
    durable: Receiver<Seq>,
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
    pub(super) fn new(log: LogReader, store: Store, snapshots: Snapshots, durable: Receiver<Seq>) -> Self {
        Self { log, store, snapshots, durable }
    }

    /// Until the committer ends.
    pub(super) fn run(self) {
        let mut newest = self.snapshots.list().ok().and_then(|all| all.last().copied()).unwrap_or(0);
        for durable in &self.durable {
            self.tell_findings();
            if durable < newest + SNAPSHOT_EVERY {
                continue;
            }
            match self.take(durable) {
                Ok(()) => newest = durable,
                // The log is whole; a start without this snapshot only takes longer.
                Err(fault) => {
                    tracing::warn!(%fault, "no snapshot could be taken; the next one is tried later");
                    newest = durable;
                }
            }
        }
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
