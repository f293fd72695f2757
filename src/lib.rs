//! An event-sourced coordinator for pipelines and the agents that work on them, inside your program or beside it.
//!
//! A *coordinator* holds pipelines of tasks and gives each task to an *agent* that can do it; a *host* submits pipelines and takes
//! their results. Every change is an event in the coordinator's log before anybody hears of it: what was acknowledged survives a
//! crash, and agents and clients outlive the coordinator's restarts.
//!
//! ```
//! use everlog::api::{PipelineSpec, TaskSpec};
//! use everlog::{Agent, AgentConfig, Assignment, CancelToken, Coordinator, Host, TaskContext};
//!
//! async fn square(task: Assignment, _: TaskContext) -> Result<i64, &'static str> {
//!     let number = task.config["number"].as_i64().ok_or("the task has no `number`")?;
//!     Ok(number * number)
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let coordinator = Coordinator::in_memory().await?; // or `open(path)`, which remembers
//!     let leave = CancelToken::new();
//!     let agent = Agent::new(AgentConfig::new(&coordinator, "calculator"), square);
//!     let agent = tokio::spawn(agent.run(leave.clone()));
//!
//!     let spec = PipelineSpec::new("squares").task(TaskSpec::new("of seven").set("number", 7));
//!     let run = Host::new(coordinator.client().await?).submit(&spec).await?;
//!     assert!(run.wait().await?.has_succeeded());
//!     assert_eq!(run.result("of seven").await?.result, 49);
//!
//!     leave.cancel(); // the agent delivers what is finished, and says goodbye
//!     agent.await??;
//!     coordinator.close().await?;
//!     Ok(())
//! }
//! ```
//!
//! # Where to begin
//!
//! | to | take |
//! |---|---|
//! | run a coordinator in this process | [`Coordinator`], its settings: [`CoordinatorBuilder`] |
//! | do tasks | an async function or a [`Handler`], and an [`Agent`] that runs it |
//! | submit pipelines and wait for them | [`Host`] and [`Run`], with an [`api::PipelineSpec`] |
//! | ask and steer one by one, listen to what happens | [`Client`], its typed calls in [`api`], [`Client::subscribe`] |
//!
//! A coordinator elsewhere (`everlog serve`) is reached by its URL wherever one of this process is reached by reference: both are an
//! [`Endpoint`], and everything else stays the same.
//!
//! # What holds everywhere
//!
//! Everything runs on Tokio. Futures may be dropped at any time; where that leaves something behind, the method says so. Errors are
//! sentences that end with the next step, and [`ClientError::is_transient`] tells which may pass. Nothing panics. Structs get new
//! fields: they are made by constructors and setters.
//!
//! `docs/embedding.md` is the manual, `examples/` has programs to start from.

// This crate is the shell: time, identities, sockets, disk, process. What must give the same answer twice lives in
// `everlog-replay`, what keeps bytes in `everlog-storage`; nothing is decided here that `everlog-replay` could decide.

#![deny(missing_docs)]

mod agent;
pub mod api;
mod backoff;
mod bench;
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
