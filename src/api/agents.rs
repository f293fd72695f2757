//! `agent/*`, as others see agents.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::methods::{AGENT_LIST, AGENT_STATUS};
use super::params::AgentRef;
use super::setters::setters;
use super::words::words;
use super::{Page, TaskStatus};
use crate::client::{Client, ClientError};

words! {
    /// Whether an agent is there.
    AgentStatus {
        /// It is connected.
        Active = "active",
        /// Its connection is gone, and its tasks still wait for it.
        Disconnected = "disconnected",
        /// It has been silent for too long; its tasks went to others.
        Lost = "lost",
    }
}

/// What is known of an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct AgentInfo {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it is there.
    pub status: AgentStatus,
    /// What it can do.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// The id of the oldest task that it works on.
    #[serde(default)]
    pub current_task: Option<String>,
    /// The ids of all tasks that it works on, oldest first.
    #[serde(default)]
    pub current_tasks: Vec<String>,
    /// From its outcomes and durations; 1.0 is full.
    pub performance_score: f64,
    /// When it was last heard.
    #[serde(default)]
    pub last_active: Option<Timestamp>,
    /// How many tasks it takes at a time.
    #[serde(default)]
    pub slots: u64,
    /// What it said it has.
    #[serde(default)]
    pub resources: AgentResources,
    /// Attempts that succeeded.
    #[serde(default)]
    pub tasks_completed: u64,
    /// Attempts that failed.
    #[serde(default)]
    pub tasks_failed: u64,
    /// When it registered last.
    #[serde(default)]
    pub registered_at: Option<Timestamp>,
    /// More about the oldest task that it works on; only from `agent/status`, [`Client::agent`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_task_details: Option<CurrentTask>,
    /// What it said of itself last; only from `agent/status`, [`Client::agent`].
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub metrics: Value,
}

/// What an agent said it has; `None` is not limited.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(transform = super::optional)]
#[non_exhaustive]
pub struct AgentResources {
    /// Processor cores.
    #[schemars(range(min = 0))]
    pub cpu: Option<f64>,
    /// Memory in MB.
    #[schemars(range(min = 0))]
    pub memory_mb: Option<f64>,
    /// Graphics processors.
    #[schemars(range(min = 0))]
    pub gpu: Option<f64>,
}

/// The oldest task that an agent works on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct CurrentTask {
    /// Its name.
    pub name: String,
    /// How far it is.
    pub status: TaskStatus,
    /// The first sign of work.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
}

/// Which agents to list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct AgentFilter {
    /// Those of this type.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Those with this status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<AgentStatus>,
    /// Those that can do this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capability: Option<String>,
    /// Those whose name or id this is, or whose id begins or ends with it (4 characters at least).
    #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
    pub matching: Option<String>,
    /// How many at most; `None` for as many as fit a frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// How many to leave out, by id.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub offset: u64,
}

setters!(AgentFilter { kind: impl Into<String>, status: AgentStatus, capability: impl Into<String>, matching: impl Into<String>, limit: u64; offset: u64 });

/// Agents.
impl Client {
    /// What is known of an agent.
    ///
    /// # Errors
    /// As [all calls](crate::api).
    pub async fn agent(&self, agent_id: &str) -> Result<AgentInfo, ClientError> {
        self.ask(&AGENT_STATUS, &AgentRef { agent_id }).await
    }

    /// Lists agents, by id.
    ///
    /// # Errors
    /// As [all calls](crate::api).
    pub async fn agents(&self, filter: &AgentFilter) -> Result<Page<AgentInfo>, ClientError> {
        Ok(self.ask(&AGENT_LIST, filter).await?.0)
    }
}
