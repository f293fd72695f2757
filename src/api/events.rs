//! What a coordinator tells without being asked, as types, and what a client tells through it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::methods::HOOK;
use super::setters::setters;
use super::spec::to_json;
use super::words::words;
use super::{TaskStatus, malformed};
use crate::client::{Client, ClientError, Notification};

/// What a [`Notification`] says, from [`Notification::event`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// `pipeline/…`: what has become of a pipeline.
    Pipeline(PipelineChange, PipelineStep),
    /// `task/changed`: a task has another status, or is new.
    TaskChanged(TaskChanged),
    /// `task/progress`: how far an attempt is.
    TaskProgress(TaskProgress),
    /// `claude-flow/hook`: some client's own event, as it was sent ([`Client::hook`]).
    Hook(Value),
    /// `server/heartbeat`: the coordinator is there.
    Heartbeat(Heartbeat),
    /// `monitoring/system_metrics`: how the coordinator's machine does.
    SystemMetrics(SystemMetrics),
    /// What this version does not know; the notification has all of it.
    Other,
}

impl Notification {
    /// The notification as a type.
    ///
    /// ```no_run
    /// use everlog::{Client, Update, api::Event};
    ///
    /// # async fn example() -> Result<(), everlog::ClientError> {
    /// let mut updates = Client::connect("ws://localhost:8700").await?.subscribe(["task/*"]).await?;
    /// while let Some(update) = updates.next().await {
    ///     let Update::Notification(told) = update else { continue };
    ///     if let Event::TaskChanged(task) = told.event()? {
    ///         println!("{} is {}", task.name, task.status);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Malformed`] when it is not what the protocol promises.
    pub fn event(&self) -> Result<Event, ClientError> {
        Ok(match self.method.as_str() {
            "task/changed" => Event::TaskChanged(self.read()?),
            "task/progress" => Event::TaskProgress(self.read()?),
            "claude-flow/hook" => Event::Hook(self.params.clone()),
            "server/heartbeat" => Event::Heartbeat(self.read()?),
            "monitoring/system_metrics" => Event::SystemMetrics(self.read()?),
            other => match other.strip_prefix("pipeline/") {
                Some(change) => Event::Pipeline(change.to_owned().into(), self.read()?),
                None => Event::Other,
            },
        })
    }

    fn read<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        T::deserialize(&self.params).map_err(|error| malformed(&self.method, &error))
    }
}

words! {
    /// What has become of a pipeline.
    PipelineChange {
        /// It is new.
        Created = "created",
        /// It runs.
        Started = "started",
        /// Nothing of it starts any more.
        Paused = "paused",
        /// It goes on.
        Resumed = "resumed",
        /// It was ended by request.
        Stopped = "stopped",
        /// It has ended well.
        Completed = "completed",
        /// It has ended with a failure.
        Failed = "failed",
        /// It has left the lists.
        Deleted = "deleted",
    }
}

/// A step of a pipeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct PipelineStep {
    /// The pipeline.
    pub pipeline_id: String,
    /// Its name; empty where it is no longer known.
    pub name: String,
}

/// A task whose status has changed, or that is new.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct TaskChanged {
    /// The task.
    pub task_id: String,
    /// Its pipeline; empty for none.
    pub pipeline_id: String,
    /// Its name.
    pub name: String,
    /// How far it is now.
    pub status: TaskStatus,
    /// The number of the newest attempt; 0 before the first.
    pub attempt: u64,
    /// Who has it now.
    pub agent_id: Option<String>,
    /// Why it failed or was cancelled, for a person.
    pub error: Option<String>,
    /// What it returned, if it has completed and that has at most 512 bytes; the rest is told by `task/result`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
}

/// How far an attempt is, as its agent said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct TaskProgress {
    /// The task.
    pub task_id: String,
    /// Its pipeline; empty for none.
    pub pipeline_id: String,
    /// Who works on it.
    pub agent_id: String,
    /// From 0 to 1.
    #[schemars(range(min = 0, max = 1))]
    pub progress: f64,
    /// What the agent said beside it.
    pub details: Value,
    /// When that was.
    pub timestamp: Timestamp,
}

/// A sign that the coordinator is there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Heartbeat {
    /// When it was.
    pub timestamp: Timestamp,
    /// How it is.
    #[schemars(extend("const" = "running"))]
    pub server_status: String,
}

/// The system record (protocol §5).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct SystemMetrics {
    /// Log time.
    pub timestamp: Timestamp,
    /// Processor time of all cores together.
    pub cpu_percent: Option<f64>,
    /// Memory that is in use.
    pub memory_percent: Option<f64>,
    /// The same in MB (of 1024 KiB).
    pub memory_used_mb: Option<f64>,
    /// What programs could still get, in MB.
    pub memory_available_mb: Option<f64>,
    /// used / (used + available) of the file system that holds the data directory.
    pub disk_usage_percent: Option<f64>,
    /// MB a second to other machines.
    pub network_sent_mb: Option<f64>,
    /// MB a second from other machines.
    pub network_recv_mb: Option<f64>,
    /// Over 1, 5 and 15 minutes.
    pub load_average: Option<[f64; 3]>,
    /// Processes.
    pub process_count: Option<usize>,
}

/// An event of a client's own. It is kept whole, and passed on as it came.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Hook {
    /// What it is about, such as `pre-task`.
    #[serde(rename = "type")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The task that it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// The agent that it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// Anything else.
    #[serde(flatten)]
    pub own: Map<String, Value>,
}

setters!(Hook { kind: impl Into<String>, task_id: impl Into<String>, agent_id: impl Into<String> });

impl Hook {
    /// Adds to [`Hook::own`]. Null if the value has no form in JSON.
    pub fn set(mut self, key: impl Into<String>, value: impl Serialize) -> Self {
        self.own.insert(key.into(), to_json(value));
        self
    }
}

/// Events of clients.
impl Client {
    /// Keeps an event of your own in the log, and passes it on to who subscribed to `claude-flow/hook`.
    ///
    /// # Errors
    /// As [all calls](crate::api).
    pub async fn hook(&self, hook: &Hook) -> Result<(), ClientError> {
        self.tell(&HOOK, hook).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(method: &str, params: Value) -> Result<Event, ClientError> {
        Notification { method: method.to_owned(), params }.event()
    }

    #[test]
    fn what_a_newer_coordinator_says_is_no_mistake_and_what_breaks_the_protocol_is() {
        let paused = event("pipeline/paused", json!({"pipeline_id": "1", "name": "p", "new": true})).expect("read");
        let step = PipelineStep { pipeline_id: "1".to_owned(), name: "p".to_owned() };
        assert_eq!(paused, Event::Pipeline(PipelineChange::Paused, step.clone()));
        let newer = event("pipeline/painted", json!(step)).expect("read");
        assert_eq!(newer, Event::Pipeline(PipelineChange::Other("painted".to_owned()), step));
        assert_eq!(event("planet/found", json!({})).expect("read"), Event::Other);
        let beat = event("server/heartbeat", json!({"timestamp": "2026-01-01T00:00:00Z", "server_status": "running"}));
        assert!(matches!(beat, Ok(Event::Heartbeat(beat)) if beat.server_status == "running"));
        let told = event("task/changed", json!({"task_id": 1})).expect_err("no task").to_string();
        assert!(told.contains("`task/changed` does not fit the protocol"), "{told}");
    }
}
