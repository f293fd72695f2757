//! The agent: takes tasks from a coordinator, runs them through a [`Handler`], and reports.
//!
//! It outlives its connections. What it runs and what it has finished but not yet delivered is kept
//! in `work`; a `session` is one registered connection over that work. So a coordinator that was
//! killed and came back is told, on registration, which attempts are still held here, and every
//! completion is repeated until the coordinator has answered it.

#[expect(clippy::module_inception, reason = "the room is named after what lives in it")]
mod agent;
mod cancel;
mod command;
#[cfg(test)]
mod command_tests;
mod config;
mod delivery;
mod exec;
mod handler;
mod inputs;
mod output;
mod outputs;
mod report;
mod session;
#[cfg(test)]
mod tests;
pub(crate) mod told;
mod work;

pub use agent::{Agent, AgentError};
pub use cancel::CancelToken;
pub(crate) use command::CommandHandler;
pub use config::AgentConfig;
pub use handler::{Assignment, Handler, Outcome, TaskContext};
