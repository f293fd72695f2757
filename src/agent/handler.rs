//! What a user of the library implements: how one task is done.

use std::future::Future;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::cancel::CancelToken;
use super::report::Reporter;

/// One attempt at a task, as the coordinator handed it out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Assignment {
    /// The task.
    pub task_id: String,
    /// Which attempt this is; a later attempt makes this one void.
    pub attempt: u64,
    /// The task's name, unique in its pipeline.
    #[serde(default)]
    pub name: String,
    /// The pipeline, or nothing (also empty) for a task of its own.
    #[serde(default)]
    pub pipeline_id: Option<String>,
    /// What the task's author wrote.
    #[serde(default)]
    pub config: Value,
    /// The results of the tasks this one depends on, by their names.
    #[serde(default)]
    pub inputs: Map<String, Value>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What the task produced; after a failure, what helps to understand it.
    pub result: Value,
    /// Why it failed, as a sentence; `None` means success.
    pub error: Option<String>,
    /// What else is worth keeping of a success, such as the ends of the output; null for nothing. Goes to the log alone.
    pub output: Value,
    /// Reports about models, each an object with `model_id`; delivered before the completion.
    pub model_metrics: Vec<Value>,
}

impl Outcome {
    /// The task is done.
    pub fn done(result: Value) -> Self {
        Self { result, error: None, output: Value::Null, model_metrics: Vec::new() }
    }

    /// The task failed; `error` says why, as a sentence with a next step.
    pub fn failed(error: impl Into<String>) -> Self {
        Self { result: Value::Null, error: Some(error.into()), output: Value::Null, model_metrics: Vec::new() }
    }
}

/// Does tasks. One value serves all slots of an agent, so it is shared.
pub trait Handler: Send + Sync + 'static {
    /// Does one attempt.
    ///
    /// When the context's token is raised the attempt is void: return soon, whatever is returned is
    /// dropped. A panic counts as a failure of the task, not of the agent.
    fn run(&self, task: Assignment, context: TaskContext) -> impl Future<Output = Outcome> + Send;
}

/// What an attempt may use while it runs.
#[derive(Debug, Clone)]
pub struct TaskContext {
    pub(super) cancel: CancelToken,
    pub(super) reporter: Reporter,
}

impl TaskContext {
    /// Raised when the attempt is void: cancelled, timed out, or its agent leaves.
    pub fn cancel(&self) -> &CancelToken {
        &self.cancel
    }

    /// Tells how far the task is, 0 to 1, with a few words. Never waits; while the coordinator is
    /// away, old news may be dropped.
    pub fn progress(&self, fraction: f64, message: &str) {
        self.reporter.progress(fraction, message);
    }
}
