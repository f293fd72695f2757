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
mod health;
mod history;
mod host;
mod machine;
mod pipeline_file;
mod protocol;
mod python_json;
mod render;
mod schema;
mod server;
mod shared;
mod submission;
mod yaml;

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
