//! What a user of the library implements: how one task is done.

use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::cancel::CancelToken;
use super::report::Reporter;
use crate::clock;

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

impl From<Value> for Outcome {
    fn from(result: Value) -> Self {
        Self::done(result)
    }
}

/// `Ok` is done, if its value has a form in JSON; `Err` failed, in the error's own words.
impl<T: Serialize, E: Display> From<Result<T, E>> for Outcome {
    fn from(result: Result<T, E>) -> Self {
        match result.map(|value| serde_json::to_value(value)) {
            Ok(Ok(result)) => Self::done(result),
            Ok(Err(error)) => {
                Self::failed(format!("the result has no form in JSON: {error}; return something simpler"))
            }
            // The alternate form tells the causes too, where an error type has that.
            Err(error) => Self::failed(format!("{error:#}")),
        }
    }
}

/// Does tasks. One value serves all slots of an agent, so it is shared.
///
/// An async closure, or a function, is a handler if what it returns becomes an [`Outcome`]:
///
/// ```no_run
/// use everlog::{Agent, AgentConfig, Assignment, CancelToken, TaskContext};
/// use serde_json::json;
///
/// # async fn example() -> Result<(), everlog::AgentError> {
/// let agent = Agent::new(AgentConfig::new("ws://localhost:8700", "adder"), async |task: Assignment, _: TaskContext| {
///     let numbers = task.config["numbers"].as_array().ok_or("the task has no `numbers`")?;
///     Ok::<_, &str>(numbers.iter().filter_map(|number| number.as_f64()).sum::<f64>())
/// });
/// agent.run(CancelToken::new()).await
/// # }
/// ```
pub trait Handler: Send + Sync + 'static {
    /// Does one attempt.
    ///
    /// When the context's token is raised the attempt is void: return soon, whatever is returned is
    /// dropped. A panic counts as a failure of the task, not of the agent.
    fn run(&self, task: Assignment, context: TaskContext) -> impl Future<Output = Outcome> + Send;
}

impl<F, R> Handler for F
where
    F: Fn(Assignment, TaskContext) -> R + Send + Sync + 'static,
    R: Future<Output: Into<Outcome>> + Send,
{
    async fn run(&self, task: Assignment, context: TaskContext) -> Outcome {
        self(task, context).await.into()
    }
}

/// What an attempt may use while it runs.
#[derive(Debug, Clone)]
pub struct TaskContext {
    cancel: CancelToken,
    reporter: Reporter,
    model_metrics: Arc<Mutex<Vec<Value>>>,
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

    /// Reports figures of a model, such as `{"accuracy": 0.9}` (protocol §5), as of now. They are delivered with the
    /// attempt's completion, whether it succeeds or not, and never lost. What is no object of figures is not taken by the
    /// coordinator, and only logged.
    pub fn report_model(&self, model_id: &str, figures: impl Serialize) {
        let metrics = serde_json::to_value(figures).unwrap_or_default();
        let report = json!({"model_id": model_id, "metrics": metrics, "timestamp": clock::now_text()});
        self.model_metrics.lock().push(report);
    }

    pub(super) fn new(cancel: CancelToken, reporter: Reporter) -> Self {
        Self { cancel, reporter, model_metrics: Arc::default() }
    }

    /// What was reported so far.
    pub(super) fn take_model_metrics(&self) -> Vec<Value> {
        std::mem::take(&mut self.model_metrics.lock())
    }
}
