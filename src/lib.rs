//! The shell of everlog: time, identities, sockets, disk, process.
//!
//! What must give the same answer twice lives in `everlog-replay`, what keeps bytes in `everlog-storage`; this crate decides
//! nothing that `everlog-replay` could decide.

#![deny(missing_docs)]

mod agent;
pub mod api;
mod backoff;
#[doc(hidden)]
pub mod cli;
mod client;
mod clock;
mod config;
mod coordinator;
mod embedded;
mod exchange;
mod failure;
#[cfg(any(test, feature = "fuzzing"))]
#[path = "../tests/fuzz/targets/mod.rs"]
#[doc(hidden)]
#[expect(clippy::expect_used, clippy::panic, reason = "a fuzz target is a test: it panics to tell")]
pub mod fuzz;
mod health;
mod history;
mod host;
mod identity;
mod machine;
mod pipeline_file;
mod protocol;
mod python_json;
mod render;
mod schema;
mod server;
mod shared;
#[cfg(feature = "simulator")]
#[path = "../tests/sim/mod.rs"]
#[doc(hidden)]
#[expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a simulation is a test: what it does not expect is a finding"
)]
pub mod sim;
mod submission;

pub use agent::{Agent, AgentConfig, AgentError, Assignment, CancelToken, Handler, Outcome, TaskContext};
pub use client::{Client, ClientError, ClientOptions, Endpoint, Notification, Subscription, Update, code};
pub use coordinator::Failed;
pub use embedded::{Coordinator, CoordinatorBuilder, StartError};
pub use host::{Host, Run};
pub use server::DoorError;

/// The programs of the manual, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../docs/embedding.md")]
struct Embedding;
