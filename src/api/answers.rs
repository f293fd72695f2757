//! What is answered to the typed calls, where it is no type of its own for users. Read leniently, as all records.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ModelMetrics, Page, PipelineMetrics};

/// The pipeline runs.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct PipelineStarted {
    #[serde(default)]
    pipeline_id: String,
    #[serde(default)]
    #[schemars(extend("const" = "started"))]
    status: String,
    /// Since when.
    pub(crate) started_at: Timestamp,
}

/// What was done to the pipeline.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct PipelineSteered {
    pipeline_id: String,
    #[schemars(extend("enum" = ["paused", "resumed", "deleted"]))]
    status: String,
}

/// The pipeline has ended.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct PipelineStopped {
    #[serde(default)]
    pipeline_id: String,
    #[serde(default)]
    #[schemars(extend("const" = "stopped"))]
    status: String,
    /// How far it came.
    pub(crate) metrics: FinalMetrics,
}

/// How far a pipeline came.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct FinalMetrics {
    /// Whether this ended it; if not, it had ended before.
    stopped: bool,
    /// All tasks.
    tasks_total: u64,
    /// Tasks with a result.
    tasks_completed: u64,
    /// Tasks that failed for good.
    tasks_failed: u64,
    /// Tasks that did not run.
    tasks_cancelled: u64,
}

impl From<FinalMetrics> for PipelineMetrics {
    fn from(metrics: FinalMetrics) -> Self {
        let FinalMetrics { stopped, tasks_total, tasks_completed, tasks_failed, tasks_cancelled } = metrics;
        Self { stopped, tasks_total, tasks_completed, tasks_failed, tasks_cancelled, ..Self::default() }
    }
}

/// A task that was just created.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct TaskCreated {
    /// Its id.
    pub(crate) task_id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    #[schemars(extend("const" = "created"))]
    status: String,
    /// Its pipeline; empty for none.
    #[serde(default)]
    pipeline_id: String,
}

/// Tasks that were just created.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct TasksCreated {
    #[serde(default)]
    #[schemars(extend("const" = "created"))]
    status: String,
    /// Their ids in the same order; of very many, as many as fit a frame.
    pub(crate) task_ids: Vec<String>,
    /// How many ids found no room; `task/list` has them.
    #[serde(default, skip_serializing_if = "super::is_default")]
    task_ids_omitted: u64,
}

/// The agent has the task.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct TaskGiven {
    task_id: String,
    agent_id: String,
    #[schemars(extend("const" = "assigned"))]
    status: String,
}

/// The task will not run, nor will what depends on it.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct TaskStopped {
    task_id: String,
    #[schemars(extend("const" = "cancelled"))]
    status: String,
}

/// It is on record.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Recorded {
    #[schemars(extend("const" = "recorded"))]
    status: String,
}

/// The agent takes tasks from now on.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct AgentRegistered {
    agent_id: String,
    name: String,
    #[serde(rename = "type")]
    kind: String,
    #[schemars(extend("const" = "registered"))]
    status: String,
}

/// The agent is no longer known; its tasks are in the queue again.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct AgentUnregistered {
    agent_id: String,
    #[schemars(extend("const" = "unregistered"))]
    status: String,
}

/// The figures are on record.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct ModelRecorded {
    model_id: String,
    #[schemars(extend("const" = "recorded"))]
    status: String,
}

/// All models, as many as fit a frame.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct ModelList {
    /// Their newest figures, by id.
    metrics: Vec<ModelMetrics>,
    /// Their ids.
    #[serde(default)]
    models: Vec<String>,
    total: u64,
    limit: u64,
    offset: u64,
}

impl From<ModelList> for Page<ModelMetrics> {
    fn from(list: ModelList) -> Self {
        let ModelList { metrics, models: _, total, limit, offset } = list;
        Self { items: metrics, total, limit, offset }
    }
}

/// An answer for each model.
#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Each{T}")]
pub(crate) struct Models<T> {
    /// By the model's id.
    pub(crate) models: BTreeMap<String, T>,
    #[serde(default)]
    total: u64,
}

/// What there is under a key.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct MemoryEntry {
    #[serde(default)]
    key: String,
    /// The value; null where there is none, and null is one.
    pub(crate) value: Value,
    /// Whether there is one.
    pub(crate) exists: bool,
}

/// The value is there.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct MemoryStored {
    key: String,
    #[schemars(extend("const" = "stored"))]
    status: String,
}

/// The key is not there any more.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct MemoryDeleted {
    #[serde(default)]
    key: String,
    /// Whether it was.
    #[schemars(extend("enum" = ["deleted", "not_found"]))]
    pub(crate) status: String,
}

/// The error is in the register.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct ErrorReported {
    /// Its id there.
    pub(crate) error_id: String,
    #[serde(default)]
    #[schemars(extend("const" = "reported"))]
    status: String,
}
