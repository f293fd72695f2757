//! What a new pipeline and its tasks are to be.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use super::settings::{PipelineSettings, TaskSettings};
use super::words::words;
use crate::client::{ClientError, code};
use crate::submission::{self, Submission};

words! {
    /// In which order and how widely the tasks of a pipeline run.
    Strategy {
        /// One task at a time, in order of creation.
        Sequential = "sequential",
        /// All at once, up to the limits.
        Parallel = "parallel",
        /// Highest priority first.
        PriorityBased = "priority_based",
        /// As the declared resources allow.
        ResourceAware = "resource_aware",
        /// Chosen by load.
        Adaptive = "adaptive",
    }
}

words! {
    /// What the final failure of a task means for its pipeline.
    OnFailure {
        /// The pipeline fails.
        Fail = "fail",
        /// The pipeline goes on; what depends on the task runs too.
        Continue = "continue",
        /// The pipeline goes on; what depends on the task is skipped.
        SkipDownstream = "skip_downstream",
    }
}

/// A new pipeline: a name, its tasks, and settings that hold for all of them. What is not set is as the coordinator is
/// configured.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct PipelineSpec {
    /// Its name, which need not be the only one.
    #[schemars(length(min = 1, max = 512))]
    pub(crate) name: String,
    /// Its settings.
    #[serde(default)]
    #[schemars(with = "PipelineSettings")]
    pub(crate) config: Map<String, Value>,
    /// Its tasks.
    #[serde(default)]
    pub(crate) tasks: Vec<TaskSpec>,
}

impl PipelineSpec {
    /// A pipeline without tasks.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), config: Map::new(), tasks: Vec::new() }
    }

    /// Adds a task.
    pub fn task(mut self, task: TaskSpec) -> Self {
        self.tasks.push(task);
        self
    }

    /// Adds tasks.
    pub fn tasks(mut self, tasks: impl IntoIterator<Item = TaskSpec>) -> Self {
        self.tasks.extend(tasks);
        self
    }

    /// In which order and how widely the tasks run.
    pub fn strategy(self, strategy: Strategy) -> Self {
        self.set("strategy", strategy)
    }

    /// How many tasks run at once, at most.
    pub fn max_concurrent_tasks(self, tasks: u32) -> Self {
        self.set("max_concurrent_tasks", tasks)
    }

    /// How long an attempt at a task may take; zero for no limit.
    pub fn task_timeout(self, timeout: Duration) -> Self {
        self.set("task_timeout", timeout.as_secs_f64())
    }

    /// How failed tasks are tried again.
    pub fn retry(self, retry: Retry) -> Self {
        self.set("retry", retry)
    }

    /// What the final failure of a task means.
    pub fn on_failure(self, on_failure: OnFailure) -> Self {
        self.set("on_failure", on_failure)
    }

    /// A setting of one's own; it is kept and shown as it is. Null if it has no form in JSON.
    pub fn set(mut self, key: impl Into<String>, value: impl Serialize) -> Self {
        self.config.insert(key.into(), to_json(value));
        self
    }
}

impl PipelineSpec {
    /// What is sent of it, frame by frame.
    pub(super) fn submission(&self) -> Result<Submission, ClientError> {
        let places: BTreeMap<&str, usize> =
            self.tasks.iter().zip(0..).map(|(task, place)| (&*task.name, place)).collect();
        let tasks = self.tasks.iter().map(|task| {
            // What no task here is called may be the id of one that is there already.
            let upstream = task.config.get("depends_on").and_then(Value::as_array).into_iter().flatten();
            let depends_on = upstream.filter_map(|name| places.get(name.as_str()?).copied()).collect();
            let json = to_raw_value(task).unwrap_or_else(|_| RawValue::NULL.to_owned());
            submission::Task { depends_on, json }
        });
        Submission::new(self.name.clone(), self.config.clone(), tasks.collect()).map_err(|circles| {
            let told = circles.iter().map(|circle| circle.told(|place| &self.tasks[place].name));
            let message = format!(
                "the tasks wait for each other in a circle: {}; remove one of these dependencies",
                told.collect::<Vec<_>>().join("; ")
            );
            ClientError::Refused { code: code::INVALID_PARAMS, message, data: Value::Null }
        })
    }
}

/// A new task. What is not set is as its pipeline has it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct TaskSpec {
    /// Its name, by which others of its pipeline wait for it.
    #[schemars(length(min = 1, max = 512))]
    pub(crate) name: String,
    /// Its settings.
    #[serde(default)]
    #[schemars(with = "TaskSettings")]
    pub(crate) config: Map<String, Value>,
}

impl TaskSpec {
    /// A task that needs nothing.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), config: Map::new() }
    }

    /// The program to run and its arguments, for agents that run commands.
    pub fn command<T: Into<String>>(self, command: impl IntoIterator<Item = T>) -> Self {
        self.set_all("command", command)
    }

    /// Adds a variable to the command's environment.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let env = self.config.entry("env").or_insert_with(|| json!({}));
        if !env.is_object() {
            *env = json!({});
        }
        env[name.into()] = Value::String(value.into());
        self
    }

    /// The directory in which the command runs, on the agent's machine.
    pub fn cwd(self, directory: impl Into<String>) -> Self {
        self.set("cwd", directory.into())
    }

    /// What must be completed first: names of tasks of the same pipeline, or ids.
    pub fn depends_on<T: Into<String>>(self, tasks: impl IntoIterator<Item = T>) -> Self {
        self.set_all("depends_on", tasks)
    }

    /// What its agent must be able to do.
    pub fn required_capabilities<T: Into<String>>(self, capabilities: impl IntoIterator<Item = T>) -> Self {
        self.set_all("required_capabilities", capabilities)
    }

    /// Its priority, from -1,000 to 1,000; the highest goes first.
    pub fn priority(self, priority: i32) -> Self {
        self.set("priority", priority)
    }

    /// The processor time that it needs, in percent of one core.
    pub fn cpu_percent(self, percent: f64) -> Self {
        self.set("cpu_requirement", percent)
    }

    /// The memory that it needs, in MB.
    pub fn memory_mb(self, megabytes: f64) -> Self {
        self.set("memory_requirement", megabytes)
    }

    /// How many graphics processors it needs, fractions allowed.
    pub fn gpus(self, count: f64) -> Self {
        self.set("gpu_requirement", count)
    }

    /// How heavy it is beside others, from 0 to 1,000; 1 unless set. A resource-aware pipeline starts the lighter ones first.
    pub fn resource_weight(self, weight: f64) -> Self {
        self.set("resource_weight", weight)
    }

    /// How long it will take, as far as one knows.
    pub fn execution_time(self, estimate: Duration) -> Self {
        self.set("execution_time", estimate.as_secs_f64())
    }

    /// How long an attempt may take; zero for no limit.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.set("timeout", timeout.as_secs_f64())
    }

    /// How it is tried again after a failure.
    pub fn retry(self, retry: Retry) -> Self {
        self.set("retry", retry)
    }

    /// What its final failure means for the pipeline.
    pub fn on_failure(self, on_failure: OnFailure) -> Self {
        self.set("on_failure", on_failure)
    }

    /// A setting of one's own, which its handler finds in the assignment's `config`. Null if it has no form in JSON.
    pub fn set(mut self, key: impl Into<String>, value: impl Serialize) -> Self {
        self.config.insert(key.into(), to_json(value));
        self
    }

    fn set_all<T: Into<String>>(self, key: &str, texts: impl IntoIterator<Item = T>) -> Self {
        let texts: Vec<String> = texts.into_iter().map(Into::into).collect();
        self.set(key, texts)
    }
}

/// How often and how soon a failed task is tried again.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Retry(Map<String, Value>);

impl Retry {
    /// So many further attempts after the first.
    pub fn attempts(attempts: u32) -> Self {
        Self(Map::new()).set("attempts", attempts)
    }

    /// The pause before the first of them.
    pub fn backoff(self, pause: Duration) -> Self {
        self.set("backoff", pause.as_secs_f64())
    }

    /// By how much each pause is longer than the one before.
    pub fn factor(self, factor: f64) -> Self {
        self.set("factor", factor)
    }

    /// The longest pause.
    pub fn max_backoff(self, pause: Duration) -> Self {
        self.set("max_backoff", pause.as_secs_f64())
    }

    /// Failures that are final at once, by their type, such as `timeout`.
    pub fn not_on<T: Into<String>>(self, types: impl IntoIterator<Item = T>) -> Self {
        let types: Vec<String> = types.into_iter().map(Into::into).collect();
        self.set("not_on", types)
    }

    fn set(mut self, key: &str, value: impl Serialize) -> Self {
        self.0.insert(key.to_owned(), to_json(value));
        self
    }
}

/// What has no form in JSON, such as a map whose keys are no texts, is null.
pub(super) fn to_json(value: impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}
