//! What an opening found, as data and as sentences: nothing is mended in silence.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::Seq;

/// Something that was not as it should be and could be dealt with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// A frame that was never acknowledged was cut off the end of the log.
    TornTail {
        /// The segment.
        file: PathBuf,
        /// Where the frame began.
        offset: u64,
        /// How many bytes were cleared.
        bytes: u64,
    },
    /// One slot of the anchor is unreadable; the other one stood in for it.
    AnchorSlotDamaged {
        /// The anchor.
        file: PathBuf,
    },
    /// A snapshot is damaged, or of another log; an older one, or the log, stood in for it.
    SnapshotDamaged {
        /// The snapshot.
        file: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// A bucket of the store was damaged and was set aside; it is rebuilt from the commit log.
    BucketSetAside {
        /// Its new name.
        moved_to: PathBuf,
        /// First record in it.
        first: Seq,
        /// What is wrong with it.
        detail: String,
    },
    /// Records were fed again into the store from the commit log.
    BucketRebuilt {
        /// First record.
        first: Seq,
        /// Last record.
        last: Seq,
    },
    /// The store cannot be fed at the moment; reading goes on from the commit log.
    FeedStalled {
        /// Why.
        detail: String,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TornTail { file, offset, bytes } => write!(
                out,
                "{}: cut {bytes} bytes at byte {offset}, the rest of a batch that was never acknowledged",
                file.display()
            ),
            Self::AnchorSlotDamaged { file } => {
                write!(out, "{}: one of its two slots was unreadable and is written anew", file.display())
            }
            Self::SnapshotDamaged { file, detail } => {
                write!(out, "{}: {detail}; it is skipped and may be deleted", file.display())
            }
            Self::BucketSetAside { moved_to, first, detail } => write!(
                out,
                "the store's bucket from record {first} was damaged ({detail}); it was set aside as {} and is rebuilt from the commit log",
                moved_to.display()
            ),
            Self::BucketRebuilt { first, last } => {
                write!(out, "the store was fed records {first} to {last} again from the commit log")
            }
            Self::FeedStalled { detail } => {
                write!(out, "the store is not fed at the moment ({detail}); reading goes on from the commit log")
            }
        }
    }
}

/// What an opening found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OpenReport {
    /// The directory was empty and now holds a new log.
    pub created: bool,
    /// First record that the opening verified; everything before rests on the newest snapshot.
    pub verified_from: Seq,
    /// Last record of the log, 0 for none.
    pub last: Seq,
    /// What was not as it should be.
    pub findings: Vec<Finding>,
}

impl fmt::Display for OpenReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.created, self.last) {
            (true, _) => write!(out, "a new log"),
            (false, 0) => write!(out, "a log without records"),
            (false, last) => write!(out, "a log of {last} records, verified from record {}", self.verified_from),
        }?;
        self.findings.iter().try_for_each(|finding| write!(out, "; {finding}"))
    }
}

/// A list of findings that several parts add to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Findings(Arc<Mutex<Vec<Finding>>>);

impl Findings {
    pub(crate) fn add(&self, finding: Finding) {
        self.0.lock().push(finding);
    }

    pub(crate) fn take(&self) -> Vec<Finding> {
        std::mem::take(&mut *self.0.lock())
    }
}
