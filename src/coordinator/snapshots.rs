//! The follower's half of a restart: snapshots, folded from the previous one plus the log. The writer never stalls for one, and
//! each is a proof that snapshot and tail give the whole (law 7).

use super::recovery;
use super::scrub::{SCRUB_EVERY, Scrub};
use crate::exchange::{Inbound, Message};
use crate::failure::Failure;
use crate::shared::Shared;
use crossbeam_channel::{Receiver, Sender, bounded, select, tick};
use everlog_replay::{ErrorId, Seq};
use everlog_storage::{LogReader, SNAPSHOT_EVERY, Snapshots, Store};
use std::sync::Arc;
use uuid::Uuid;

/// Tells the follower how far the log is durable. Never waits: only the newest position matters.
pub(super) struct Follow(Sender<Seq>);

/// Takes snapshots behind the writer, and looks after what is old.
pub(super) struct Follower {
    shared: Arc<Shared>,
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
    pub(super) fn new(
        shared: Arc<Shared>,
        log: LogReader,
        store: Store,
        snapshots: Snapshots,
        durable: Receiver<Seq>,
    ) -> Self {
        Self { shared, log, store, snapshots, durable }
    }

    /// Until the committer ends.
    pub(super) fn run(self) {
        let mut newest = self.snapshots.list().ok().and_then(|all| all.last().copied()).unwrap_or(0);
        let (pieces, mut scrub) = (tick(SCRUB_EVERY), Scrub::default());
        loop {
            select! {
                recv(self.durable) -> durable => match durable {
                    Ok(durable) => self.follow(durable, &mut newest),
                    Err(_) => return,
                },
                recv(pieces) -> _ => self.scrub(&mut scrub),
            }
        }
    }

    fn follow(&self, durable: Seq, newest: &mut Seq) {
        self.tell_findings();
        if durable < *newest + SNAPSHOT_EVERY {
            return;
        }
        if let Err(fault) = self.take(durable) {
            // The log is whole; a start without this snapshot only takes longer.
            tracing::warn!(%fault, "no snapshot could be taken; the next one is tried later");
        }
        *newest = durable;
    }

    /// Damage goes on record, for whoever looks at the error register and not at standard error.
    fn scrub(&self, scrub: &mut Scrub) {
        if let Some(fault) = scrub.piece(&self.log) {
            let message = Message::Damage { alert: ErrorId(Uuid::now_v7()), detail: fault.to_string() };
            // Full: it stands on standard error, and the next round is in some hours.
            drop(self.shared.inbox.try_send(Inbound { connection: 0, bytes: 0, message }));
            tracing::error!(%fault, "the scrub found damage in the log");
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
