//! Faults of the coordinator: what ends the process. What the domain refuses is a `Refusal` and told to the client instead.

use everlog_replay::codec::DecodeError;
use everlog_replay::{Illegal, Seq};
use everlog_storage::Fault;

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
