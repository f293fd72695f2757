//! Faults of the coordinator: what ends the process. What the domain refuses is a `Refusal` and told to the client instead.

use crate::coordinator::Bug;
use everlog_replay::Seq;
use everlog_storage::Fault;

/// Why the coordinator can not go on, or not start.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
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
    /// A thread of the coordinator is gone.
    #[error("a thread of the coordinator ended without a word; restart to recover what is durable, and report it")]
    Thread,
}
