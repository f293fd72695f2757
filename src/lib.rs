//! An embedded, event-sourced coordinator for pipelines and their agents.

pub mod agent;
pub mod client;
mod clock;
pub mod history;
mod python_json;
pub mod server;
