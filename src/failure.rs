//! Faults of the coordinator: what ends the process. What the domain refuses is a `Refusal` and told to the client instead.

use everlog_replay::codec::DecodeError;
use everlog_replay::{Illegal, Seq};
use everlog_storage::Fault;
use std::io;
use std::path::PathBuf;

/// Why the coordinator can not go on, or not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The disk or the data directory.
    #[error(transparent)]
    Storage(#[from] Fault),
    /// A record that the log vouches for does not read, or can not have happened.
    #[error("record {seq}: {detail}")]
    Record {
        /// Which record.
        seq: Seq,
        /// What is wrong with it, and the next step.
        detail: String,
    },
    /// Nothing can be copied, so that what would be changed by a look at it can not be looked at.
    #[error("cannot make a directory for copies in {}: {source}; set TMPDIR to one that has room for the data directory's part log/", dir.display())]
    Scratch {
        /// Where it was to be.
        dir: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A contradiction inside the coordinator.
    #[error(transparent)]
    Bug(#[from] Bug),
}

/// A contradiction inside the coordinator: the turn is not written, the process ends, a restart replays what is durable.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Bug {
    /// A decided event does not apply.
    #[error("a decided event does not apply ({0}); this is a bug: restart, and report it with the log")]
    Illegal(#[from] Illegal),
    /// A decided event can not be written.
    #[error("a decided event can not be encoded ({0}); this is a bug: restart, and report it with the log")]
    Codec(#[from] DecodeError),
    /// The scheduler asks for something that it is refused or that changes nothing.
    #[error("the scheduler does not come to rest ({0}); this is a bug: restart, and report it with the log")]
    Restless(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_tells_every_fault_in_its_own_words() {
        let manual = include_str!("../docs/operations.md");
        let data = |name: &str| std::path::Path::new("data").join(name);
        let detail = "a frame's checksum is wrong, and the anchor says that record 3 was acknowledged".to_owned();
        let source = io::Error::other("Input/output error");
        let unreadable = io::Error::other("Input/output error");
        let read_only = io::Error::from_raw_os_error(30);
        let not_a_directory = io::Error::from_raw_os_error(20);
        let faults = [
            Fault::Io { op: "sync", path: data("commit"), source },
            Fault::Unreadable { path: data("commit/00000000000000000001.seg"), source: unreadable },
            Fault::Corrupt { file: data("commit/00000000000000000001.seg"), offset: 4_344, seqs: Some(3..=3), detail },
            Fault::Locked { path: data("lock"), pid: Some(10_706) },
            Fault::FutureFormat { file: data("anchor"), found: 2, known: 1 },
            Fault::Poisoned { cause: "cannot sync data/commit".to_owned() },
            Fault::Full { op: "preallocate", path: data("commit/spare") },
            Fault::ReadOnly { op: "create", path: "data".into(), source: read_only },
            Fault::NoPlace { path: "mine/file/data".into(), source: not_a_directory },
            Fault::NotADataDir { path: "mine".into(), detail: "it has no anchor and holds letter".to_owned() },
            Fault::OutOfOrder { expected: 4, got: 5 },
            Fault::TooLarge { bytes: 70_000_000, limit: 67_108_864 },
        ];
        for sentence in faults.map(|fault| fault.to_string()) {
            assert!(manual.contains(&format!("| {sentence} |")), "docs/operations.md lacks: {sentence}");
        }
    }
}
