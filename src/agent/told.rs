//! What agents tell their coordinator, as it is sent.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::api::AgentResources;

/// One attempt at one task.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[schemars(rename = "Attempt")]
pub(crate) struct AttemptKey {
    /// The task.
    pub(super) task_id: String,
    /// Its number, from 1.
    pub(super) attempt: u64,
}

/// Who an agent is and what it takes.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Registration {
    /// Its id; a new one if it has none.
    #[schemars(default, length(max = 512))]
    pub(super) id: Option<String>,
    /// The name that people see.
    #[schemars(length(min = 1, max = 512))]
    pub(super) name: String,
    /// Its type; `generic` unless it is special.
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    /// What it can do.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub(super) capabilities: Vec<String>,
    /// What it has; what is not named is not limited.
    #[serde(default)]
    #[schemars(with = "AgentResources")]
    pub(super) resources: Map<String, Value>,
    /// How many tasks it takes at a time; 1 if it does not say.
    #[schemars(range(min = 1, max = 65_536))]
    pub(super) slots: Option<usize>,
    /// Whether it can take tasks at once. If not, the first one leaves at least 50 ms after the answer.
    #[serde(default)]
    pub(super) ready: bool,
    /// The attempts that it still works on; what it held and does not name is given out anew.
    #[serde(default)]
    pub(super) running: Vec<AttemptKey>,
    /// The longest frame that it takes, in bytes; 1 MiB if it does not say.
    pub(super) max_frame_bytes: Option<usize>,
    /// Its process, which counts against the coordinator's limits if it is on the same machine.
    pub(super) pid: Option<u32>,
}

/// How far an attempt is.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Progress {
    /// The task.
    pub(super) task_id: String,
    /// Who works on it.
    pub(super) agent_id: String,
    /// From 0 to 1.
    #[schemars(range(min = 0, max = 1))]
    pub(super) progress: f64,
    /// More about it.
    #[serde(default)]
    pub(super) details: Value,
    /// When that was.
    #[serde(default)]
    pub(super) timestamp: String,
}

/// How an attempt ended.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Completion {
    /// The task.
    pub(super) task_id: String,
    /// Who worked on it.
    pub(super) agent_id: String,
    /// Which attempt; the one that the agent holds if it does not say.
    pub(super) attempt: Option<u64>,
    /// Whether it succeeded.
    #[serde(default = "yes")]
    pub(super) success: bool,
    /// What it produced; after a failure, what helps to understand it.
    #[serde(default)]
    pub(super) result: Value,
    /// Why it failed: a text, or an object with a `message`.
    #[schemars(with = "Option<Value>")]
    pub(super) error: Option<String>,
    /// What else is worth keeping of a success; goes to the log alone.
    #[serde(default)]
    pub(super) output: Value,
    /// When that was.
    #[serde(default)]
    pub(super) timestamp: String,
}

fn yes() -> bool {
    true
}

/// How an agent does.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AgentMetrics {
    /// The agent.
    pub(super) agent_id: String,
    /// Figures of any kind.
    #[schemars(with = "Map<String, Value>")]
    pub(super) metrics: VitalSigns,
    /// When that was.
    #[serde(default)]
    pub(super) timestamp: String,
}

/// The figures that this library's agents tell of themselves.
#[derive(Debug, Serialize)]
pub(crate) struct VitalSigns {
    /// The handler's; it comes first, so that it can not tell the others wrongly.
    #[serde(flatten)]
    pub(super) own: Map<String, Value>,
    pub(super) tasks_running: usize,
    pub(super) tasks_completed: u64,
    pub(super) tasks_failed: u64,
}
