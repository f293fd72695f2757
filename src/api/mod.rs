//! What a coordinator is asked and what it answers, as types: the same for a remote coordinator and for one in this process.
//!
//! The calls are methods of [`Client`]; this room has their parameters and results. Every method of the protocol is here
//! but what an [`Agent`](crate::Agent) says for itself (registering, leaving, completing); what is not can be had with
//! [`Client::call`]. Ids are the coordinator's texts. Records are read leniently: fields that this version does not know
//! are skipped, and words that it does not know are kept as `Other`, so a newer coordinator does not break an older
//! client.
//!
//! All calls fail as [`Client::call`] does, and besides with [`ClientError::Malformed`] when an answer is not what the
//! protocol promises. None panics.
//!
//! ```no_run
//! use everlog::api::{PipelineSpec, TaskFilter, TaskSpec, TaskStatus};
//!
//! # async fn example() -> Result<(), everlog::ClientError> {
//! let client = everlog::Client::connect("ws://localhost:8700").await?;
//! let spec = PipelineSpec::new("nightly")
//!     .task(TaskSpec::new("fetch").command(["curl", "-O", "https://example.org/data.csv"]))
//!     .task(TaskSpec::new("train").command(["python3", "train.py"]).depends_on(["fetch"]));
//! let created = client.create_pipeline(&spec).await?;
//! client.start_pipeline(&created.pipeline_id).await?;
//! let failed = TaskFilter { status: Some(TaskStatus::Failed), ..TaskFilter::default() };
//! println!("{} tasks have failed so far", client.tasks(&failed).await?.total);
//! # Ok(())
//! # }
//! ```

mod agents;
mod errors;
mod memory;
mod models;
mod page;
mod pipelines;
mod spec;
mod tasks;
#[cfg(test)]
mod tests;
mod words;

use serde::de::DeserializeOwned;
use serde_json::Value;

pub use agents::{AgentFilter, AgentInfo, AgentResources, AgentStatus, CurrentTask};
pub use errors::{ErrorFilter, ErrorRecord, ErrorReport, Recovery};
pub use memory::MemoryKeys;
pub use models::{
    FigureSummary, Health, MemoryPoint, MemorySeries, ModelFigures, ModelHealth, ModelMemory, ModelMetrics,
    ModelPerformance, Performance, PerformancePoint, PerformanceSummary, Timeframe,
};
pub use page::Page;
pub use pipelines::{PipelineCreated, PipelineFilter, PipelineInfo, PipelineMetrics, PipelineStatus, RunningTasks};
pub use spec::{OnFailure, PipelineSpec, Retry, Strategy, TaskSpec};
pub use tasks::{ErrorInfo, TaskFilter, TaskInfo, TaskResult, TaskStatus};

use crate::client::{Client, ClientError};

impl Client {
    /// Calls a method whose answer is a `T`.
    async fn ask<T: DeserializeOwned>(&self, method: &str, params: Value) -> Result<T, ClientError> {
        read(method, self.call(method, params).await?)
    }

    /// Calls a method of whose answer one field is wanted.
    async fn ask_for<T: DeserializeOwned>(&self, field: &str, method: &str, params: Value) -> Result<T, ClientError> {
        let mut answer = self.call(method, params).await?;
        read(method, answer.get_mut(field).map(Value::take).unwrap_or_default())
    }
}

fn read<T: DeserializeOwned>(method: &str, answer: Value) -> Result<T, ClientError> {
    serde_json::from_value(answer).map_err(|error| malformed(method, &error))
}

fn malformed(method: &str, error: &serde_json::Error) -> ClientError {
    ClientError::Malformed { method: method.to_owned(), cause: error.to_string() }
}
