//! The shell of everlog: time, identities, sockets, disk, process.
//!
//! What must give the same answer twice lives in `everlog-replay`, what keeps bytes in `everlog-storage`; this crate decides
//! nothing that `everlog-replay` could decide.

pub mod agent;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod coordinator;
pub mod exchange;
pub mod failure;
pub mod history;
pub mod machine;
pub mod pipeline_file;
pub mod protocol;
mod python_json;
pub mod render;
pub mod server;
pub mod shared;
