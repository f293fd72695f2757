//! A full check of a data directory that changes nothing in it.
//!
//! An opening verifies the log from the newest snapshot on and trusts a sealed bucket until somebody reads there. This looks at
//! every byte that counts: all frames and their chain of hashes, the anchor, every snapshot, every bucket of the store against
//! the log. sled changes its files when it opens them, so a bucket is checked in a copy.

use std::path::Path;
use std::sync::Arc;

use crate::anchor::{Anchor, Witness};
use crate::data_dir::{LOCK, verify_tail, without_anchor};
use crate::disk::{DirLock, Disk, PatientDisk, RealDisk};
use crate::reader::{LogReader, LogShared};
use crate::report::OpenReport;
use crate::segment::list_segments;
use crate::snapshots::Snapshots;
use crate::store::{BucketCopy, bucket_firsts};
use crate::{Fault, Frame, Options, Seq};

/// A data directory that is being checked; nobody else works on it meanwhile.
#[derive(Debug)]
pub struct Verifier {
    disk: Arc<PatientDisk>,
    shared: Arc<LogShared>,
    /// What the anchor says, or what is wrong with it.
    witness: Result<Witness, Fault>,
    snapshots: Snapshots,
    _lock: Arc<DirLock>,
}

impl Verifier {
    /// Locks the directory at `path` and reads how far its log was acknowledged.
    ///
    /// # Errors
    /// When another process works on it, it is no data directory, or a newer release wrote it.
    pub fn new(path: impl AsRef<Path>) -> Result<Self, Fault> {
        let patient = Arc::new(PatientDisk::new(Arc::new(RealDisk::new(path.as_ref()))));
        let disk: Arc<dyn Disk> = Arc::<PatientDisk>::clone(&patient);
        let witness = Anchor::read(&*disk).and_then(|witness| match witness {
            Some(witness) => Ok(witness),
            None => Err(without_anchor(&*disk)?),
        });
        // Its damage is no reason to leave the log unread.
        let witness = match witness {
            Ok(_) | Err(Fault::Corrupt { .. }) => witness,
            Err(fault) => return Err(fault),
        };
        let lock = Arc::new(disk.lock(LOCK)?);
        let snapshots = Snapshots::new(Arc::clone(&disk), Some(Arc::clone(&lock)));
        let segments = list_segments(&*disk)?;
        let shared = Arc::new(LogShared::new(disk, segments, false));
        Ok(Self { disk: patient, shared, witness, snapshots, _lock: lock })
    }

    /// The files of which something could not be read so far, with the first such byte.
    pub fn unreadable(&self) -> Vec<(String, u64)> {
        self.disk.unreadable()
    }

    /// Number of records that were acknowledged, at least; the error says why the anchor does not tell.
    pub fn anchored(&self) -> Result<Seq, &Fault> {
        self.witness.as_ref().map(|witness| witness.head.seq)
    }

    /// Checks every frame of the commit log, shows it, and compares their end with the anchor, where that can be read.
    ///
    /// # Errors
    /// The first damage, with the records that cannot be read.
    pub fn log(&self, show: impl FnMut(&Frame)) -> Result<OpenReport, Fault> {
        let mut report = OpenReport::default();
        let unknown = Witness::default();
        let witness = self.witness.as_ref().unwrap_or(&unknown);
        let tail = verify_tail(&self.shared, witness, &self.snapshots, 1, &mut report, show)?;
        self.shared.set_durable(report.last);
        report.findings.extend(tail.torn(&*self.shared.disk));
        Ok(report)
    }

    /// Whether one of the anchor's two slots is unreadable, so that the other one stood in for it.
    pub fn anchor_slot_damaged(&self) -> bool {
        self.witness.as_ref().is_ok_and(|witness| witness.slot_damaged)
    }

    /// The snapshots, to be compared with what the log amounts to.
    pub fn snapshots(&self) -> &Snapshots {
        &self.snapshots
    }

    /// First records of the buckets of the store, in order.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn buckets(&self) -> Result<Vec<Seq>, Fault> {
        bucket_firsts(&*self.shared.disk)
    }

    /// Compares a bucket with the log, which has been checked before; the last record in it, or what is wrong. `scratch` is an
    /// empty directory with room for a copy.
    ///
    /// # Errors
    /// When the copy cannot be made.
    pub fn bucket(&self, first: Seq, options: &Options, scratch: &Path) -> Result<Result<Seq, String>, Fault> {
        let log = LogReader { shared: Arc::clone(&self.shared) };
        let copy = BucketCopy::open(&*self.shared.disk, first, scratch)?;
        Ok(copy.and_then(|copy| copy.check(&log, options.index_version)))
    }
}
