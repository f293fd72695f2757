//! What several verbs ask a coordinator about the tasks of a pipeline.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::client::{Client, ClientError};

/// Tasks asked for at once: well under a frame (protocol §1) with results of the usual size.
const PAGE: usize = 200;

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
    pub(super) fn of(tasks: &[TaskRow]) -> Self {
        let mut counts = Self::default();
        for task in tasks {
            counts.add(&task.status, 1);
        }
        counts
    }

    fn add(&mut self, status: &str, tasks: u64) {
        let count = match status {
            "completed" => &mut self.completed,
            "failed" => &mut self.failed,
            "cancelled" => &mut self.cancelled,
            "running" => &mut self.running,
            // Assigned but not yet begun is, to someone who watches, still waiting.
            _ => &mut self.waiting,
        };
        *count += tasks;
    }

    pub(super) fn ended(&self) -> u64 {
        self.completed + self.failed + self.cancelled
    }

    pub(super) fn total(&self) -> u64 {
        self.ended() + self.waiting + self.running
    }

    pub(super) fn to_json(self) -> Value {
        let Self { waiting, running, completed, failed, cancelled } = self;
        json!({
            "waiting": waiting, "running": running, "completed": completed,
            "failed": failed, "cancelled": cancelled,
        })
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

/// Counts the tasks of a pipeline without listing them.
pub(super) async fn count(client: &Client, pipeline_id: &str) -> Result<Counts, ClientError> {
    let mut counts = Counts::default();
    for status in ["pending", "assigned", "running", "completed", "failed", "cancelled"] {
        let params = json!({"pipeline_id": pipeline_id, "status": status, "limit": 1});
        let answer = client.request("task/list", params).await?;
        counts.add(status, answer["total"].as_u64().unwrap_or(0));
    }
    Ok(counts)
}

/// Lists the tasks of a pipeline that have `status` (or any), up to `at_most`.
pub(super) async fn list(
    client: &Client,
    pipeline_id: &str,
    status: Option<&str>,
    at_most: usize,
) -> Result<Vec<TaskRow>, ClientError> {
    let mut tasks: Vec<TaskRow> = Vec::new();
    while tasks.len() < at_most {
        let limit = PAGE.min(at_most - tasks.len());
        let mut params = json!({"pipeline_id": pipeline_id, "limit": limit, "offset": tasks.len()});
        if let Some(status) = status {
            params["status"] = json!(status);
        }
        let page = page(client.request("task/list", params).await?)?;
        let seen = tasks.len();
        tasks.extend(page);
        if tasks.len() == seen {
            break;
        }
    }
    Ok(tasks)
}

fn page(mut answer: Value) -> Result<Vec<TaskRow>, ClientError> {
    let tasks = answer.get_mut("tasks").map(Value::take).unwrap_or_default();
    serde_json::from_value(tasks)
        .map_err(|error| ClientError::Malformed { method: "task/list".to_owned(), cause: error.to_string() })
}
