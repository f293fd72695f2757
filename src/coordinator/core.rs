//! A coordinator that is recovered and has begun, in parts that wait to be driven: by threads in production, by one thread that
//! draws its order from a seed in a simulation.

use super::commit::Committer;
use super::snapshots::{self, Follower};
use super::{Writer, recovery};
use crate::clock::Clock;
use crate::exchange::{Directory, INBOX_MAX, Inbound};
use crate::failure::Failure;
use crate::health::Pulse;
use crate::history::{LogHistory, StateSnapshots};
use crate::identity::NewId;
use crate::shared::Shared;
use crossbeam_channel::{Receiver, bounded};
use everlog_replay::spec::Settings;
use everlog_replay::{Command, Seq, Timestamp};
use everlog_storage::{Opened, Store};
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use tokio::sync::watch;

/// The parts, each for one driver.
pub(crate) struct Core {
    pub(crate) shared: Arc<Shared>,
    pub(crate) writer: Writer,
    /// The inbox of the writer.
    pub(crate) messages: Receiver<Inbound>,
    pub(crate) committer: Committer,
    pub(crate) follower: Follower,
    pub(crate) store: Store,
    pub(crate) snapshots: StateSnapshots,
}

impl Core {
    /// Recovers the state from what was opened, and puts the start on record. `clock` is given the time of the newest event; a
    /// snapshot is due every `snapshot_every` events.
    ///
    /// # Errors
    /// When the log does not fold, or can not be written.
    pub(crate) fn start(
        opened: Opened,
        settings: Settings,
        snapshot_every: Seq,
        clock: impl FnOnce(Timestamp) -> Arc<dyn Clock>,
        new_id: NewId,
    ) -> Result<Self, Failure> {
        let Opened { mut log, store, snapshots, report } = opened;
        tracing::info!(%report, "opened");
        let reader = log.reader();
        let snapshots = StateSnapshots::new(snapshots, reader.clone());
        let state = recovery::recover(&reader, &snapshots)?;
        let (inbox, messages) = bounded(INBOX_MAX);
        let (durable, durable_seen) = watch::channel(state.seq);
        let shared = Arc::new(Shared {
            clock: clock(state.at),
            new_id,
            state: RwLock::new(state),
            durable: durable_seen,
            directory: Directory::default(),
            inbox,
            inbox_bytes: AtomicUsize::new(0),
            pulse: Pulse::default(),
            progress: Mutex::default(),
            agent_metrics: Mutex::default(),
            undurable: Mutex::default(),
            history: Arc::new(LogHistory::new(store.clone())),
        });
        let mut writer = Writer::new(Arc::clone(&shared));
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let first = writer.command(&Command::StartCoordinator { version, settings })?;
        log.append_from_reserve(&first.frame)?;
        durable.send_replace(first.frame.last());
        shared.pulse.turned(Some(first.frame.last()), shared.clock.mono_ms());
        let (follow, durable_frames) = snapshots::channel();
        let from = Arc::clone(&shared);
        let follower = Follower::new(from, reader, store.clone(), snapshots.clone(), durable_frames, snapshot_every);
        let committer = Committer::new(log, Arc::clone(&shared), durable, follow);
        Ok(Self { shared, writer, messages, committer, follower, store, snapshots })
    }
}
