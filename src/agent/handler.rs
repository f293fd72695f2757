//! What a user of the library implements: how one task is done.

use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;

use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::cancel::CancelToken;
use super::report::Reporter;
use crate::api::params::ModelReport;
use crate::clock;

/// One attempt at a task, as the coordinator handed it out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
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
#[non_exhaustive]
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
        Self { error: Some(error.into()), ..Self::done(Value::Null) }
    }

    /// Sets [`Outcome::result`]: for a failure, what helps to understand it.
    pub fn result(mut self, result: Value) -> Self {
        self.result = result;
        self
    }

    /// Sets [`Outcome::output`].
    pub fn output(mut self, output: Value) -> Self {
        self.output = output;
        self
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
/// An async function or closure is a handler if what it returns becomes an [`Outcome`]. One that needs what is around it
/// hands a clone to each of its futures: `move |task, context| { let db = db.clone(); async move { … } }`.
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

    /// Figures of your own about the agent, such as a cache's hits; none unless you say. They are asked for every 5 s while the
    /// agent has tasks, so it must not block, and are told beside `tasks_running`, `tasks_completed` and `tasks_failed`
    /// ([`AgentInfo::metrics`](crate::api::AgentInfo::metrics)). After a panic they are left out.
    fn metrics(&self) -> Map<String, Value> {
        Map::new()
    }
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
        let report = ModelReport { model_id, metrics, timestamp: Some(clock::now_text()) };
        self.model_metrics.lock().push(json!(report));
    }

    pub(super) fn new(cancel: CancelToken, reporter: Reporter) -> Self {
        Self { cancel, reporter, model_metrics: Arc::default() }
    }

    /// What was reported so far.
    pub(super) fn take_model_metrics(&self) -> Vec<Value> {
        std::mem::take(&mut self.model_metrics.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::{Agent, AgentConfig};
    use crate::client::testing::Indoors;

    /// Works with `handler`, does one task, and leaves; the report about a model, if there is one, and the completion.
    async fn one_task(handler: impl Handler, config: Value) -> (Option<Value>, Value) {
        let mut coordinator = Indoors::new();
        let leave = CancelToken::new();
        let agent = Agent::new(AgentConfig::new(coordinator.endpoint(), "worker"), handler);
        let agent = tokio::spawn(agent.run(leave.clone()));
        let mut peer = coordinator.accept().await;
        let registration = peer.expect("agent/register").await;
        peer.reply(&registration, json!({"status": "registered"})).await;
        peer.notify("task/assigned", json!({"task_id": "t1", "attempt": 1, "config": config})).await;
        peer.expect("task/progress").await;
        let mut request = peer.receive().await.expect("a request");
        let mut report = None;
        while request["method"] != "task/completed" {
            if request["method"] == "model/metrics" {
                report = Some(request["params"].clone());
                peer.reply(&request, json!({"status": "recorded"})).await;
            }
            request = peer.receive().await.expect("a request");
        }
        peer.reply(&request, json!({"status": "recorded"})).await;
        leave.cancel();
        let goodbye = peer.skip_to("agent/unregister").await;
        peer.reply(&goodbye, json!({"status": "unregistered"})).await;
        assert_eq!(peer.receive().await, None);
        agent.await.expect("joined").expect("left in peace");
        (report, request["params"].clone())
    }

    #[tokio::test]
    async fn an_async_closure_is_a_handler() {
        let doubled = async |task: Assignment, _: TaskContext| -> Result<i64, &str> {
            Ok(2 * task.config["n"].as_i64().ok_or("the task has no `n`")?)
        };
        let (_, completion) = one_task(doubled, json!({"n": 21})).await;
        assert_eq!((&completion["success"], &completion["result"]), (&json!(true), &json!(42)));
        let (_, completion) = one_task(doubled, json!({})).await;
        assert_eq!((&completion["success"], &completion["error"]), (&json!(false), &json!("the task has no `n`")));
        let told = async |_: Assignment, _: TaskContext| json!("any value");
        assert_eq!(one_task(told, json!({})).await.1["result"], "any value");
        let odd =
            async |_: Assignment, _: TaskContext| Ok::<_, String>(std::collections::BTreeMap::from([((1, 2), 3)]));
        let error = one_task(odd, json!({})).await.1["error"].to_string();
        assert!(error.contains("no form in JSON"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_tells_figures_of_its_own_beside_those_of_its_agent() {
        struct Cached;
        impl Handler for Cached {
            async fn run(&self, _: Assignment, context: TaskContext) -> Outcome {
                context.cancel().cancelled().await;
                Outcome::failed("cancelled")
            }

            fn metrics(&self) -> Map<String, Value> {
                Map::from_iter([("hits".to_owned(), json!(7)), ("tasks_running".to_owned(), json!("many"))])
            }
        }
        let mut coordinator = Indoors::new();
        let agent = Agent::new(AgentConfig::new(coordinator.endpoint(), "worker"), Cached);
        let agent = tokio::spawn(agent.run(CancelToken::new()));
        let mut peer = coordinator.accept().await;
        let registration = peer.expect("agent/register").await;
        peer.reply(&registration, json!({"status": "registered"})).await;
        peer.notify("task/assigned", json!({"task_id": "t1", "attempt": 1})).await;
        let told = peer.skip_to("agent/metrics").await;
        let expected = json!({"hits": 7, "tasks_running": 1, "tasks_completed": 0, "tasks_failed": 0});
        assert_eq!(told["params"]["metrics"], expected);
        agent.abort();
    }

    #[tokio::test]
    async fn what_a_handler_reports_of_a_model_is_delivered_even_if_it_panics() {
        let failing = async |_: Assignment, context: TaskContext| -> Outcome {
            context.report_model("m", json!({"accuracy": 0.9}));
            panic!("on purpose")
        };
        let (report, completion) = one_task(failing, json!({})).await;
        let report = report.expect("a report");
        assert_eq!((&report["model_id"], &report["metrics"]), (&json!("m"), &json!({"accuracy": 0.9})));
        assert!(report["timestamp"].is_string());
        assert_eq!(completion["success"], false);
    }
}
