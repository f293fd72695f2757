//! Everything that must give the same answer twice.
//!
//! The log is the truth; state is what you get by applying it. One door in ([`Command`]), one decision ([`decide`]), one fold
//! ([`apply`]), one scheduler ([`plan`]). Living, replaying and auditing run the same [`apply`]; they differ only in where the
//! events come from. So nothing in this crate may know a clock, a socket, a disk, a thread or a random source.

pub mod codec;
mod command;
mod envelope;
pub mod event;
mod ids;
pub mod limits;
mod refusal;
pub mod spec;
mod status;
mod text;

pub use command::{Command, Failure, NewTask, Observation};
pub use envelope::{Actor, Envelope, RequestKey, Stamp};
pub use event::Event;
pub use ids::{AgentId, ConnectionNo, ErrorId, PipelineId, Seq, TaskId, Timestamp};
pub use refusal::Refusal;
pub use status::{
    IllegalStep, PipelineStatus, PipelineStep, TaskStatus, TaskStep, next_pipeline_status, next_task_status,
};
pub use text::{Json, Payload};
