//! Faults: what goes wrong with a disk or a data directory, each as a sentence with the next step.
//!
//! A fault is never the client's doing: whoever receives one from the commit log ends the process, and a restart
//! replays. (A refusal, which is told to a client, is the other kind of "no" and lives in `everlog-replay`.)

use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use crate::Seq;

/// What can go wrong between a frame and the disk.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The operating system refused an operation.
    #[error(
        "cannot {op} {path}: {source}; look at the disk and the kernel's log, then start again (nothing acknowledged is lost)"
    )]
    Io {
        /// What was being done, as an infinitive.
        op: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The disk gives a sector up.
    #[error(
        "cannot read {path}: {source}; `everlog verify --data DIR` says what is hit, and `everlog repair --data DIR` what the other copies still hold"
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Bytes that were once right are not right any more. Nothing on disk was changed.
    #[error(
        "{file} is damaged at byte {offset}{}: {detail}; nothing was changed; `everlog repair --data DIR` shows what the other copies still hold, or restore a backup",
        missing(seqs.as_ref())
    )]
    Corrupt {
        /// The damaged (or missing) file.
        file: PathBuf,
        /// Where in it, in bytes.
        offset: u64,
        /// The records that cannot be read any more, where that is known.
        seqs: Option<RangeInclusive<Seq>>,
        /// What was found there.
        detail: String,
    },
    /// Another process works on this directory.
    #[error(
        "{path} is in use by {}; stop it, or choose another data directory",
        holder(*pid)
    )]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// Who holds it, where the lock file says so.
        pid: Option<u32>,
    },
    /// Written by a newer release.
    #[error(
        "{file} has format {found}, and this release reads formats up to {known}; use the release that wrote it, or a newer one"
    )]
    FutureFormat {
        /// The file.
        file: PathBuf,
        /// The format number in it.
        found: u32,
        /// The newest format this release knows.
        known: u32,
    },
    /// An earlier write or sync failed: what the disk holds is unknown until the log is opened again.
    #[error(
        "the log takes no more records because an earlier operation failed ({cause}); start again, and the log is read back from the disk"
    )]
    Poisoned {
        /// The first failure.
        cause: String,
    },
    /// No space left. Nothing acknowledged is lost, and what was asked for was not written.
    #[error("the disk is full: cannot {op} {path}; free some space and try again (nothing acknowledged is lost)")]
    Full {
        /// What was being done, as an infinitive.
        op: &'static str,
        /// On which file or directory.
        path: PathBuf,
    },
    /// The directory cannot be written.
    #[error(
        "cannot {op} {path}: {source}; make the directory writable for this user, or choose another data directory"
    )]
    ReadOnly {
        /// What was being done, as an infinitive.
        op: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The path of the directory leads nowhere: through something that is no directory, or to it.
    #[error("there can be no data directory at {path}: {source}; correct the path, or choose another one")]
    NoPlace {
        /// The directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The directory holds something else.
    #[error("{path} is not a data directory of everlog ({detail}); choose an empty or a new directory")]
    NotADataDir {
        /// The directory.
        path: PathBuf,
        /// What was found there.
        detail: String,
    },
    /// A frame that does not follow the last one: a bug in the caller, caught before it reaches the disk.
    #[error(
        "a frame starting at record {got} was offered where record {expected} comes next; this is a bug, please report it"
    )]
    OutOfOrder {
        /// The next sequence number of the log.
        expected: Seq,
        /// The one offered.
        got: Seq,
    },
    /// A frame beyond what a reader would accept: a bug in the caller, caught before it reaches the disk.
    #[error("a frame of {bytes} bytes was offered and the limit is {limit}; commit in smaller batches")]
    TooLarge {
        /// Length of the frame's records, in bytes.
        bytes: usize,
        /// The limit, in bytes.
        limit: usize,
    },
}

/// What the system says of a sector that cannot be read.
pub(crate) const EIO: i32 = 5;
/// Operations that read: an opening may be for writing too.
const READING: [&str; 2] = ["read", "list"];

impl Fault {
    /// Sorts an error of the operating system into the fault that has the right next step.
    pub fn io(op: &'static str, path: impl AsRef<Path>, source: io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        let misplaced =
            |detail: &str| Self::Corrupt { file: path.clone(), offset: 0, seqs: None, detail: detail.into() };
        #[expect(clippy::wildcard_enum_match_arm, reason = "io::ErrorKind is foreign and open-ended")]
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { op, path },
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => Self::ReadOnly { op, path, source },
            io::ErrorKind::NotADirectory => misplaced("something else stands where a directory should be"),
            io::ErrorKind::IsADirectory => misplaced("a directory stands where a file should be"),
            _ if source.raw_os_error() == Some(EIO) && READING.contains(&op) => Self::Unreadable { path, source },
            _ => Self::Io { op, path, source },
        }
    }

    /// Whether space, once freed, is all that is missing.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }
}

fn missing(seqs: Option<&RangeInclusive<Seq>>) -> String {
    match seqs {
        Some(seqs) if seqs.start() == seqs.end() => format!(" (record {})", seqs.start()),
        Some(seqs) if *seqs.end() == Seq::MAX => format!(" (records from {})", seqs.start()),
        Some(seqs) => format!(" (records {} to {})", seqs.start(), seqs.end()),
        None => String::new(),
    }
}

fn holder(pid: Option<u32>) -> String {
    match pid {
        Some(pid) => format!("process {pid}"),
        None => "another process".to_owned(),
    }
}
