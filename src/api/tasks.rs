//! `task/*`.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::methods::*;
use super::params::{NewTask, NewTasks, TaskAssign, TaskCancel, TaskRef};
use super::setters::setters;
use super::words::words;
use super::{Page, Retried, TaskSpec};
use crate::client::{Client, ClientError};

words! {
    /// How far a task is.
    TaskStatus {
        /// It waits: for other tasks, for a pause to end, or for an agent.
        Pending = "pending",
        /// An agent has it and has not yet begun.
        Assigned = "assigned",
        /// An agent works on it.
        Running = "running",
        /// It has a result.
        Completed = "completed",
        /// It failed for good.
        Failed = "failed",
        /// It will not run.
        Cancelled = "cancelled",
    }
}

impl TaskStatus {
    /// Whether nothing can follow.
    pub fn has_ended(&self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

/// Why a task failed or was cancelled, or why a pipeline failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct ErrorInfo {
    /// Of a task: `reported`, `timeout`, `agent_lost`, `quarantined`, `cancelled` or `skipped`. Of a pipeline:
    /// `task_failed`.
    #[serde(rename = "type")]
    pub kind: String,
    /// For a person.
    #[serde(default)]
    pub message: String,
}

/// What is known of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct TaskInfo {
    /// Its id.
    pub id: String,
    /// Its pipeline; empty for none.
    pub pipeline_id: String,
    /// Its name.
    pub name: String,
    /// How far it is.
    pub status: TaskStatus,
    /// The agent that works on it, or ended it.
    #[serde(default)]
    pub assigned_agent: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// The first sign of work.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default)]
    pub completed_at: Option<Timestamp>,
    /// Its settings as given. One that is too long for the list is `{"$ref": …}`; `task/status`, [`Client::task`], has it.
    #[serde(default)]
    #[schemars(with = "Map<String, Value>")]
    pub config: Value,
    /// Its result, null while there is none. One that is too long is `{"$ref": …}`; `task/result`,
    /// [`Client::task_result`], has it.
    #[serde(default)]
    pub result: Value,
    /// Why it failed or was cancelled; of the newest failure while it is tried again.
    #[serde(default)]
    pub error_info: Option<ErrorInfo>,
    /// The number of the newest attempt, from 1; 0 before the first.
    #[serde(default)]
    pub attempt: u64,
    /// Attempts that count against its retries.
    #[serde(default)]
    pub failures: u64,
    /// Its priority.
    #[serde(default)]
    pub priority: i32,
    /// The ids of what must end first.
    #[serde(default)]
    pub depends_on: Vec<String>,
    /// How many of these have not ended.
    #[serde(default)]
    pub waiting_for: u64,
    /// When it is tried again.
    #[serde(default)]
    pub retry_at: Option<Timestamp>,
    /// The failed task that it repeats.
    #[serde(default)]
    pub retry_of: Option<String>,
    /// How far its agent says it is, from 0 to 1.
    #[serde(default)]
    pub progress: Option<f64>,
}

/// What a task came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct TaskResult {
    /// Its id.
    pub task_id: String,
    /// How far it is.
    pub status: TaskStatus,
    /// Its result, null while there is none; `{"$ref": …}` if no frame has room for it, see [`Client::task_result`].
    pub result: Value,
    /// Why it failed or was cancelled.
    #[serde(default)]
    pub error_info: Option<ErrorInfo>,
}

/// Which tasks to list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct TaskFilter {
    /// Those of this pipeline; an unknown one has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipeline_id: Option<String>,
    /// Those that this agent works on or ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// Those with this status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<TaskStatus>,
    /// Those whose name or id this is, or whose id begins or ends with it (4 characters at least).
    #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
    pub matching: Option<String>,
    /// How many at most; `None` for as many as fit a frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// How many to leave out, oldest first.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub offset: u64,
}

setters!(TaskFilter { pipeline_id: impl Into<String>, agent_id: impl Into<String>, status: TaskStatus, matching: impl Into<String>, limit: u64; offset: u64 });

/// Tasks.
impl Client {
    /// Creates a task, in a pipeline or of its own; its id.
    ///
    /// # Errors
    /// As [all calls](crate::api).
    pub async fn create_task(&self, pipeline_id: Option<&str>, spec: &TaskSpec) -> Result<String, ClientError> {
        Ok(self.ask(&TASK_CREATE, &NewTask { pipeline_id, task: spec }).await?.task_id)
    }

    /// Creates tasks, all or none; their ids in the same order, of very many as many as fit a frame.
    ///
    /// # Errors
    /// As [all calls](crate::api).
    pub async fn create_tasks(
        &self,
        pipeline_id: Option<&str>,
        specs: &[TaskSpec],
    ) -> Result<Vec<String>, ClientError> {
        Ok(self.ask(&TASKS_CREATE, &NewTasks { pipeline_id, tasks: specs }).await?.task_ids)
    }

    /// Gives a waiting task to an agent that is free, past the scheduler.
    ///
    /// # Errors
    /// As [all calls](crate::api).
    pub async fn assign_task(&self, task_id: &str, agent_id: &str) -> Result<(), ClientError> {
        self.tell(&TASK_ASSIGN, &TaskAssign { task_id, agent_id }).await
    }

    /// Cancels a task that has not ended. The `reason` is kept.
    ///
    /// # Errors
    /// As [all calls](crate::api).
    pub async fn cancel_task(&self, task_id: &str, reason: Option<&str>) -> Result<(), ClientError> {
        self.tell(&TASK_CANCEL, &TaskCancel { task_id, reason }).await
    }

    /// Repeats a task that failed or was cancelled, with those before it that gave no result and those after it that could
    /// not run. One that waits for its next attempt waits no longer.
    ///
    /// # Errors
    /// As [all calls](crate::api).
    pub async fn retry_task(&self, task_id: &str) -> Result<Retried, ClientError> {
        self.ask(&TASK_RETRY, &TaskRef { task_id }).await
    }

    /// What is known of a task.
    ///
    /// # Errors
    /// As [all calls](crate::api).
    pub async fn task(&self, task_id: &str) -> Result<TaskInfo, ClientError> {
        self.ask(&TASK_STATUS, &TaskRef { task_id }).await
    }

    /// What a task came to.
    ///
    /// Its result is there in full, also where a list or [`Client::task`] has `{"$ref": "task:<id>/result"}` for it. Only one that
    /// fills a frame of 1 MiB but for a kilobyte, or a longer one where the coordinator takes longer frames, is a reference here
    /// as well. Such a result comes to the tasks that depend on this one, as an input: their agents take frames of
    /// [`AgentConfig::frame_bytes_max`](crate::AgentConfig::frame_bytes_max).
    ///
    /// # Errors
    /// As [all calls](crate::api).
    pub async fn task_result(&self, task_id: &str) -> Result<TaskResult, ClientError> {
        self.ask(&TASK_RESULT, &TaskRef { task_id }).await
    }

    /// Lists tasks in the order in which they were created.
    ///
    /// # Errors
    /// As [all calls](crate::api).
    pub async fn tasks(&self, filter: &TaskFilter) -> Result<Page<TaskInfo>, ClientError> {
        Ok(self.ask(&TASK_LIST, filter).await?.0)
    }

    /// All entries of the list, page by page.
    pub(crate) async fn all_tasks(&self, filter: &TaskFilter) -> Result<Vec<TaskInfo>, ClientError> {
        let mut filter = filter.clone();
        let mut all = Vec::new();
        loop {
            let page = self.tasks(&filter).await?;
            // An empty page ends it too: entries may have left the list meanwhile.
            let is_last = page.items.is_empty() || filter.offset + page.items.len() as u64 >= page.total;
            filter.offset += page.items.len() as u64;
            all.extend(page.items);
            if is_last {
                return Ok(all);
            }
        }
    }
}
