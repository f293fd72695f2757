//! Everything that must give the same answer twice.
//!
//! The log is the truth; state is what you get by applying it. One door in ([`Command`]), one decision ([`decide`]), one fold
//! ([`apply`]), one scheduler ([`plan`]). Living, replaying and auditing run the same [`apply`]; they differ only in where the
//! events come from. So nothing in this crate may know a clock, a socket, a disk, a thread or a random source.

#![deny(missing_docs)]

mod apply;
mod archive;
mod binary;
pub mod codec;
mod command;
mod counts;
mod decide;
mod envelope;
pub mod event;
mod ids;
pub mod leaf;
pub mod limits;
mod notice;
mod plan;
mod queue;
pub mod record;
mod refusal;
mod registry;
mod slab;
pub mod spec;
pub mod state;
mod status;
mod text;

pub use apply::{Illegal, apply};
pub use archive::{PipelineStory, TaskStory};
pub use command::{Command, Failure, NewIds, NewTask, Observation};
pub use decide::decide;
pub use decide::registers::SERVER_METRICS_KEY;
pub use envelope::{Actor, Envelope, RequestKey, Stamp};
pub use event::Event;
pub use ids::{AgentId, ConnectionNo, ErrorId, PipelineId, Seq, TaskId, Timestamp};
pub use notice::{Assignment, Notice, TaskChange, notices};
pub use plan::{plan, wake_at};
pub use refusal::Refusal;
pub use state::State;
pub use status::{
    IllegalStep, PipelineStatus, PipelineStep, TaskStatus, TaskStep, next_pipeline_status, next_task_status,
};
pub use text::{Json, Payload, Place};
