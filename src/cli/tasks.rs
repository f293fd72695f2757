//! What several verbs ask a coordinator about the tasks of a pipeline.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::list::Ask;
use super::remote::Remote;
use crate::client::{Client, ClientError};

/// A task as the coordinator tells it: the fields that are shown.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(super) struct TaskRow {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) status: String,
    #[serde(default)]
    pub(super) started_at: Option<String>,
    #[serde(default)]
    pub(super) completed_at: Option<String>,
    #[serde(default)]
    pub(super) config: Value,
    #[serde(default)]
    pub(super) result: Value,
    #[serde(default)]
    pub(super) error_info: Value,
    #[serde(default)]
    pub(super) progress: Option<f64>,
    /// How many of the tasks that it depends on have not ended.
    #[serde(default)]
    pub(super) waiting_for: u64,
}

impl TaskRow {
    pub(super) fn has_ended(&self) -> bool {
        ENDED.contains(&self.status.as_str())
    }

    /// Why it failed or was cancelled, in words.
    pub(super) fn error(&self) -> Option<String> {
        let info = Some(&self.error_info).filter(|info| !info.is_null())?;
        Some(info["message"].as_str().map_or_else(|| info.to_string(), str::to_owned))
    }

    /// How long it took from the first sign of work, in seconds.
    pub(super) fn seconds(&self) -> Option<f64> {
        let moment = |text: &Option<String>| text.as_ref()?.parse::<jiff::Timestamp>().ok();
        let took = moment(&self.completed_at)?.duration_since(moment(&self.started_at)?);
        Some(took.as_secs_f64())
    }
}

/// The statuses that a task keeps (protocol §5).
const ENDED: [&str; 3] = ["completed", "failed", "cancelled"];

/// How many tasks have which status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) waiting: u64,
    pub(super) running: u64,
    pub(super) completed: u64,
    pub(super) failed: u64,
    pub(super) cancelled: u64,
}

impl Counts {
    /// What the record of a pipeline says of its tasks, all at one moment.
    pub(super) fn of(pipeline: &Value) -> Self {
        let count = |name: &str| pipeline["metrics"][name].as_u64().unwrap_or(0);
        Self {
            // Assigned but not yet begun is, to someone who watches, still waiting.
            waiting: count("tasks_pending") + count("tasks_assigned"),
            running: count("tasks_running"),
            completed: count("tasks_completed"),
            failed: count("tasks_failed"),
            cancelled: count("tasks_cancelled"),
        }
    }

    pub(super) fn ended(&self) -> u64 {
        self.completed + self.failed + self.cancelled
    }

    pub(super) fn total(&self) -> u64 {
        self.ended() + self.waiting + self.running
    }

    /// How much of all has ended, from 0 to 1.
    pub(super) fn part(&self) -> f64 {
        self.ended() as f64 / self.total().max(1) as f64
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} completed", self.completed, self.total())?;
        let others = [(self.running, "running"), (self.failed, "failed"), (self.cancelled, "cancelled")];
        for (count, word) in others.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, ", {count} {word}")?;
        }
        Ok(())
    }
}

/// Lists the tasks of a pipeline that have `status` (or any), up to `at_most`.
pub(super) async fn list(
    client: &Client,
    pipeline_id: &str,
    status: Option<&str>,
    at_most: usize,
) -> Result<Vec<TaskRow>, ClientError> {
    let remote = Remote::of(client);
    let filters = json!({"pipeline_id": pipeline_id, "status": status});
    let ask = Ask { limit: Some(at_most), ..Ask::new("task/list", "tasks", filters) };
    let tasks = Value::Array(ask.all(&remote).await?);
    serde_json::from_value(tasks).map_err(|error| remote.malformed(ask.method, &format!("a field of a task: {error}")))
}
