//! What the typed calls send, where it is no type of its own for users.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{ModelFigures, RunningTasks, TaskSpec, Timeframe};

/// No parameters.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Nothing {}

/// One pipeline.
#[derive(Serialize, JsonSchema)]
pub(crate) struct PipelineRef<'a> {
    /// Its id.
    pub(crate) pipeline_id: &'a str,
}

/// The end of a pipeline.
#[derive(Serialize, JsonSchema)]
pub(crate) struct PipelineStop<'a> {
    /// Its id.
    pub(crate) pipeline_id: &'a str,
    /// Why, for the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<&'a str>,
}

/// A pause of a pipeline.
#[derive(Serialize, JsonSchema)]
pub(crate) struct PipelinePause<'a> {
    /// Its id.
    pub(crate) pipeline_id: &'a str,
    /// What becomes of the tasks at work.
    #[serde(default)]
    pub(crate) running: RunningTasks,
}

/// One task.
#[derive(Serialize, JsonSchema)]
pub(crate) struct TaskRef<'a> {
    /// Its id.
    pub(crate) task_id: &'a str,
}

/// A new task, in a pipeline or of its own.
#[derive(Serialize, JsonSchema)]
pub(crate) struct NewTask<'a> {
    /// The pipeline that it joins; null or empty for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pipeline_id: Option<&'a str>,
    #[serde(flatten)]
    pub(crate) task: &'a TaskSpec,
}

/// New tasks, of which all are created or none.
#[derive(Serialize, JsonSchema)]
pub(crate) struct NewTasks<'a> {
    /// The pipeline that they join; null or empty for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pipeline_id: Option<&'a str>,
    /// The tasks, at least one.
    #[schemars(length(min = 1))]
    pub(crate) tasks: &'a [TaskSpec],
}

/// A task for an agent.
#[derive(Serialize, JsonSchema)]
pub(crate) struct TaskAssign<'a> {
    /// The task.
    pub(crate) task_id: &'a str,
    /// Who is to do it.
    pub(crate) agent_id: &'a str,
}

/// The end of a task that has not ended.
#[derive(Serialize, JsonSchema)]
pub(crate) struct TaskCancel<'a> {
    /// Its id.
    pub(crate) task_id: &'a str,
    /// Why; its agent is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<&'a str>,
}

/// One agent.
#[derive(Serialize, JsonSchema)]
pub(crate) struct AgentRef<'a> {
    /// Its id.
    pub(crate) agent_id: &'a str,
}

/// One model.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ModelRef<'a> {
    /// Its id.
    pub(crate) model_id: &'a str,
}

/// What was measured of a model. Figures may also stand beside its id, and count more there.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ModelReport<'a> {
    /// Its id.
    pub(crate) model_id: &'a str,
    /// The figures; further ones are kept in the log.
    #[schemars(with = "ModelFigures")]
    pub(crate) metrics: Value,
    /// When they were measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timestamp: Option<String>,
}

/// One model over some time.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ModelHistory<'a> {
    /// Its id.
    pub(crate) model_id: &'a str,
    /// How far back.
    #[serde(default)]
    pub(crate) timeframe: Timeframe,
}

/// All models over some time.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ModelsHistory {
    /// How far back.
    #[serde(default)]
    pub(crate) timeframe: Timeframe,
}

/// One key of the shared memory.
#[derive(Serialize, JsonSchema)]
pub(crate) struct MemoryKey<'a> {
    /// The key.
    pub(crate) key: &'a str,
}

/// A value for a key.
#[derive(Serialize, JsonSchema)]
pub(crate) struct MemoryValue<'a> {
    /// The key.
    pub(crate) key: &'a str,
    /// The value; null is one.
    pub(crate) value: Value,
}

/// Keys with a common beginning.
#[derive(Serialize, JsonSchema)]
pub(crate) struct MemoryPrefix<'a> {
    /// What they begin with.
    #[serde(default)]
    pub(crate) prefix: &'a str,
    /// How many at most; null for as many as fit a frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit: Option<u64>,
}

/// What is to be done about an error.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ErrorRecover<'a> {
    /// The error.
    pub(crate) error_id: &'a str,
    /// `retry` repeats its task; `ignore` and `resolved` only say that it is dealt with.
    #[serde(default = "retry")]
    pub(crate) recovery_action: &'a str,
}

fn retry() -> &'static str {
    "retry"
}
