//! Bytes in order, provably there.
//!
//! This crate keeps a gapless sequence of opaque records on disk and never knows what one of them means. The
//! [`CommitLog`] decides what is acknowledged; the [`Store`] (sled) is the event log that is read, fed behind it and
//! rebuilt from it whenever needed; [`Snapshots`] are plain files that may be deleted at any time; [`DataDir::open`]
//! puts the three together and refuses what it cannot prove.
//!
//! ```text
//! append ─▶ CommitLog ─▶ commit/*.seg + anchor      (durable, acknowledged)
//!                │ wakes
//!                ▼
//!            follower ─▶ log/<bucket>/ (sled: runs of records, index keys)
//! ```

#![deny(missing_docs)]

mod anchor;
mod commit;
mod data_dir;
mod disk;
mod fault;
mod frame;
mod reader;
mod report;
mod salvage;
mod segment;
mod snapshots;
mod spare;
mod store;
mod verify;
mod wire;

pub use commit::CommitLog;
pub use data_dir::{DataDir, Opened, Options, ReadOnly};
pub use disk::{Access, CrashPlan, DirLock, Disk, DiskFile, FailPlan, MemoryDisk, RealDisk};
pub use fault::Fault;
pub use frame::{Frame, Records};
pub use reader::{FrameReader, LogReader, Verified};
pub use report::{Finding, OpenReport};
pub use salvage::{BucketCheck, Lineage, Origin, Salvage, Stretch, Witnessed};
pub use snapshots::{SNAPSHOT_EVERY, Snapshots};
pub use spare::RESERVE_BYTES;
pub use store::{History, IndexFn, IndexKeys, RecordsWith, Run, RunsWith, Store, is_fenced};
pub use verify::Verifier;
pub use wire::{ChainHash, MAX_FRAME_BYTES};

/// Place of a record in the log. The first is 1, and there are no gaps.
pub type Seq = u64;

/// Frames in order; after an error there is nothing more.
pub type Frames = Box<dyn Iterator<Item = Result<Frame, Fault>> + Send>;

/// The end of a log: its last record, and the hash that commits to everything up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    /// The last durable sequence number, 0 while the log is empty.
    pub seq: Seq,
    /// Chain hash after the frame that ends with `seq`.
    pub chain: ChainHash,
}

/// The few operations a store of frames needs, small enough for other stores than files.
pub trait Log {
    /// Appends one frame and returns when it is durable. After a failed write or sync every later append is
    /// [`Fault::Poisoned`]; [`Fault::Full`] without poison means that nothing was written. An empty frame is nothing.
    fn append(&mut self, frame: &Frame) -> Result<(), Fault>;

    /// The end of what is durable.
    fn head(&self) -> Head;

    /// The last durable sequence number, 0 while the log is empty.
    fn durable(&self) -> Seq {
        self.head().seq
    }

    /// Frames from the one that holds `from` (whole, so it may start earlier) to what is durable now.
    fn read_from(&self, from: Seq) -> Result<Frames, Fault>;
}
