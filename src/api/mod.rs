//! What a coordinator is asked and what it answers, as types: the same for a remote coordinator and for one in this process.
//!
//! The calls are methods of [`Client`]; this room has their parameters and results. Every method of the protocol is here
//! but what an [`Agent`](crate::Agent) says for itself (registering, leaving, progress, completing, its own figures); what is
//! not can be had with [`Client::call`]. [`Notification::event`](crate::Notification::event) is the other direction. Ids are the coordinator's texts. Records are read leniently: fields that this version does not know
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
//! let failed = TaskFilter::default().status(TaskStatus::Failed);
//! println!("{} tasks have failed so far", client.tasks(&failed).await?.total);
//! # Ok(())
//! # }
//! ```

mod agents;
mod answers;
mod errors;
mod events;
mod memory;
pub(crate) mod methods;
mod models;
mod page;
pub(crate) mod params;
mod pipelines;
mod setters;
mod settings;
mod spec;
mod tasks;
#[cfg(test)]
mod tests;
mod words;

use schemars::{JsonSchema, Schema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use agents::{AgentFilter, AgentInfo, AgentResources, AgentStatus, CurrentTask};
pub use errors::{ErrorFilter, ErrorRecord, ErrorReport, Recovery};
pub use events::{Event, Heartbeat, Hook, PipelineChange, PipelineStep, SystemMetrics, TaskChanged, TaskProgress};
pub use memory::MemoryKeys;
pub use models::{
    FigureSummary, Health, MemoryPoint, MemorySeries, ModelFigures, ModelHealth, ModelMemory, ModelMetrics,
    ModelPerformance, Performance, PerformancePoint, PerformanceSummary, Timeframe,
};
pub use page::Page;
pub use pipelines::{
    PipelineCreated, PipelineFilter, PipelineInfo, PipelineMetrics, PipelineStatus, Retried, RunningTasks,
};
pub use spec::{OnFailure, PipelineSpec, Retry, Strategy, TaskSpec};
pub use tasks::{ErrorInfo, TaskFilter, TaskInfo, TaskResult, TaskStatus};

use crate::client::{Client, ClientError};
use methods::Method;

/// Topics of a subscription, such as `task/*`.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Topics {
    /// The topics.
    pub(crate) topics: Vec<String>,
}

impl Client {
    /// Calls a method and reads its answer.
    async fn ask<P, R>(&self, method: &Method<P, R>, params: &P) -> Result<R, ClientError>
    where
        P: Serialize + JsonSchema,
        R: DeserializeOwned + JsonSchema,
    {
        let (name, params) = method.call(params);
        read(name, self.call(name, params).await?)
    }

    /// Calls a method whose answer says no more than that it is done.
    async fn tell<P, R>(&self, method: &Method<P, R>, params: &P) -> Result<(), ClientError>
    where
        P: Serialize + JsonSchema,
        R: JsonSchema,
    {
        let (name, params) = method.call(params);
        self.call(name, params).await.map(drop)
    }
}

/// Of what many may say, and none says all, every field may be missing.
fn optional(schema: &mut Schema) {
    schema.remove("required");
}

/// What is not set is not sent.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn read<T: DeserializeOwned>(method: &str, answer: Value) -> Result<T, ClientError> {
    serde_json::from_value(answer).map_err(|error| malformed(method, &error))
}

fn malformed(method: &str, error: &serde_json::Error) -> ClientError {
    ClientError::Malformed { method: method.to_owned(), cause: error.to_string() }
}
