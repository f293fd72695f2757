//! The coordinator: one writer, one committer, one follower, each a thread of its own.
//!
//! ```text
//! sessions ─▶ inbox ─▶ writer (decide, apply, plan) ─▶ committer (append, sync) ─▶ outboxes ─▶ sessions
//!                                                           └▶ follower (sled, snapshots)
//! ```
//! While the committer syncs one frame the writer decides the next, so the batch grows with the load and one sync serves many;
//! where nothing waits, the writer commits by itself (`drive.rs`).
//! If the disk fails, nothing more is acknowledged and the process ends: restart is replay.

mod commit;
mod core;
mod drive;
mod liveness;
mod messages;
mod observations;
mod recovery;
mod scrub;
mod snapshots;
#[cfg(test)]
mod tests;
mod turn;

pub(crate) use core::Core;
pub(crate) use turn::{Delivery, Turn, Writer};

use crate::clock::{Clock, SystemClock};
use crate::exchange::{Inbound, Message};
use crate::failure::Failure;
use crate::history::{self, StateSnapshots};
use crate::identity;
use crate::shared::Shared;
use commit::Outcome;
use crossbeam_channel::TrySendError;
use drive::Driver;
use everlog_replay::spec::Settings;
use everlog_replay::{ConnectionNo, State, Timestamp};
use everlog_storage::{DataDir, Fault, MemoryDisk, Opened, SNAPSHOT_EVERY};
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use tokio::sync::watch;

/// Longest time without a turn, in milliseconds: silences and ended buckets are noticed within it.
pub(crate) const TICK_MS: u64 = 250;
/// Bytes of the messages of one turn, as their frames came: a turn is one frame of the log, which has a limit of its own.
pub(crate) const TURN_BYTES_MAX: usize = 16 << 20;
/// Messages of one turn: bounds how long readers wait for the state (a few microseconds each).
pub(crate) const TURN_MESSAGES_MAX: usize = 2_048;
/// Where a coordinator keeps its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In this data directory.
    Directory(PathBuf),
    /// In memory: it ends with the process.
    Memory,
}

impl Place {
    /// The data directory, if there is one.
    pub(crate) fn directory(&self) -> Option<&PathBuf> {
        match self {
            Self::Directory(path) => Some(path),
            Self::Memory => None,
        }
    }

    fn open(&self) -> Result<Opened, Fault> {
        let options = everlog_storage::Options {
            index: history::index,
            index_version: history::INDEX_VERSION,
            ..Default::default()
        };
        match self {
            Self::Directory(path) => DataDir::open(path, options),
            Self::Memory => {
                let options = everlog_storage::Options { background: false, ..options };
                DataDir::open_on(Arc::new(MemoryDisk::without_power_cuts()), options)
            }
        }
    }
}

/// How a coordinator is opened.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Configuration for decisions.
    pub settings: Settings,
    /// Where the log is.
    pub place: Place,
}

/// Why a coordinator ended before it was asked to, in a sentence. Everything that it acknowledged is in its log: open it again.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct Failed(pub(crate) String);

/// A running coordinator: the threads, and what they share.
pub(crate) struct Engine {
    shared: Arc<Shared>,
    connections: AtomicU64,
    outcome: watch::Receiver<Option<Outcome>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    parts: Mutex<Option<Parts>>,
}

/// What is closed at the end.
pub(crate) struct Parts {
    pub(crate) store: everlog_storage::Store,
    /// `None` where there is no next start.
    pub(crate) snapshots: Option<StateSnapshots>,
}

impl Parts {
    /// After the log: a snapshot, and the store. The store is closed whatever becomes of the snapshot.
    ///
    /// # Errors
    /// When the snapshot can not be written, though there is space.
    pub(crate) fn close(self, state: &State) -> Result<(), Failure> {
        let written = self.snapshots.map_or(Ok(()), |all| all.write(state));
        self.store.close();
        for finding in self.store.take_findings() {
            tracing::warn!(%finding, "the store was closed");
        }
        match written {
            Err(Failure::Storage(fault)) if fault.is_full() => {
                tracing::warn!(%fault, "no snapshot; the next start takes longer")
            }
            written => written?,
        }
        Ok(())
    }
}

impl Engine {
    /// Recovers the state of a data directory and starts. Blocks until the coordinator is ready.
    ///
    /// # Errors
    /// When the directory can not be opened or its log does not fold.
    pub(crate) fn open(options: Options) -> Result<Self, Failure> {
        let opened = options.place.open()?;
        let Core { shared, writer, messages, committer, follower, store, snapshots } =
            Core::start(opened, options.settings, SNAPSHOT_EVERY, system_clock, Box::new(identity::random))?;
        let connections = AtomicU64::new(shared.state.read().connections);
        let outcome = committer.outcome();
        let mut threads = Vec::new();
        // What is in memory has no next start that a snapshot could make quicker.
        let snapshots = (options.place != Place::Memory).then_some(snapshots);
        if snapshots.is_some() {
            threads.push(spawn("everlog-follower", move || follower.run())?);
        }
        let (driver, borrower) = Driver::new(writer, committer, messages);
        threads.push(spawn("everlog-committer", move || borrower.run())?);
        threads.push(spawn("everlog-writer", move || driver.run())?);
        let parts = Mutex::new(Some(Parts { store, snapshots }));
        Ok(Self { shared, connections, outcome, threads: Mutex::new(threads), parts })
    }

    /// What sessions and collectors share with the writer.
    #[must_use]
    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// A number for a new connection.
    #[must_use]
    pub(crate) fn next_connection(&self) -> ConnectionNo {
        self.connections.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Submits a reading of the load of coordinator and local agents; left out when the inbox is full.
    pub(crate) fn observe_load(&self, cpu_hundredths: u32, memory_kib: u64) {
        let message = Message::Load { cpu: cpu_hundredths, memory: memory_kib };
        // The next reading follows in seconds.
        drop(self.shared.inbox.try_send(Inbound { connection: 0, bytes: 0, message }));
    }

    /// Resolves when the coordinator has ended without being asked to.
    pub(crate) async fn failed(&self) -> Failed {
        let mut outcome = self.outcome.clone();
        loop {
            if let Some(Outcome::Failed(failed)) = &*outcome.borrow_and_update() {
                return failed.clone();
            }
            if outcome.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Ends in order: what was received is answered, the log is closed, a snapshot makes the next start quick.
    ///
    /// # Errors
    /// When the coordinator failed before, or the log can not be closed. What was acknowledged is safe in any case.
    pub(crate) async fn drain(self: Arc<Self>, reason: &str) -> Result<(), Failed> {
        let inbound = farewell(reason);
        let work = tokio::task::spawn_blocking(move || {
            // An error means that the writer has ended already.
            drop(self.shared.inbox.send(inbound));
            for thread in self.threads.lock().drain(..) {
                if thread.join().is_err() {
                    return Err(Failed("a thread of the coordinator panicked; restart to recover".to_owned()));
                }
            }
            if let Some(Outcome::Failed(failed)) = &*self.outcome.borrow() {
                return Err(failed.clone());
            }
            let parts = self.parts.lock().take();
            let closed = parts.map_or(Ok(()), |parts| parts.close(&self.shared.state.read()));
            closed.map_err(|failure| Failed(failure.to_string()))
        });
        work.await.unwrap_or_else(|error| Err(Failed(error.to_string())))
    }
}

/// Whoever drops a coordinator without waiting for its end ends it all the same: its threads, and its hold on the directory.
impl Drop for Engine {
    fn drop(&mut self) {
        // Full: a thread of its own may wait for room. Gone: it has ended.
        if let Err(TrySendError::Full(inbound)) = self.shared.inbox.try_send(farewell("it was dropped")) {
            let inbox = self.shared.inbox.clone();
            drop(spawn("everlog-farewell", move || drop(inbox.send(inbound))));
        }
    }
}

fn farewell(reason: &str) -> Inbound {
    Inbound { connection: 0, bytes: 0, message: Message::Drain { reason: reason.to_owned() } }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Failure> {
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    spawned.map_err(|error| Fault::io("start a thread for", name, error).into())
}

fn system_clock(newest: Timestamp) -> Arc<dyn Clock> {
    let (clock, warning) = SystemClock::start(newest);
    if let Some(warning) = warning {
        tracing::warn!(%warning, "the wall clock disagrees with the log");
    }
    Arc::new(clock)
}
