//! An embedded, event-sourced coordinator for pipelines and their agents.

pub mod agent;
pub mod cli;
pub mod client;
mod clock;
pub mod history;
pub mod pipeline_file;
mod python_json;
pub mod server;
