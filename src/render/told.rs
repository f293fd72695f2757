//! What the coordinator tells without being asked, as it is sent. What subscribers hear is described by the types of `crate::api`
//! that it is read into.

use std::collections::BTreeMap;

use everlog_replay::record::Shown;
use everlog_replay::{PipelineId, TaskId, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// A task for an agent, and what it needs for it.
#[derive(Serialize, JsonSchema)]
pub(crate) struct TaskAssigned<'a> {
    /// The task.
    #[schemars(with = "String")]
    pub(super) task_id: Shown<TaskId>,
    /// Its pipeline; empty for none.
    pub(super) pipeline_id: String,
    /// Its name.
    pub(super) name: &'a str,
    /// Which attempt this is; a later one makes it void.
    pub(super) attempt: u32,
    /// What the task's author wrote; `{"$ref": "task:<id>/config"}` where that is too long for a frame.
    #[schemars(with = "Map<String, Value>")]
    pub(super) config: Box<RawValue>,
    /// The results of the tasks that it depends on, by their names; `{"$ref": "task:<id>/result"}` where one is too long.
    #[schemars(with = "Map<String, Value>")]
    pub(super) inputs: BTreeMap<String, Box<RawValue>>,
    /// Until when the agent has to show a sign of life.
    #[schemars(with = "jiff::Timestamp")]
    pub(super) lease_expires_at: Shown<Timestamp>,
    /// Who is to do it.
    pub(super) agent_id: &'a str,
}

/// An attempt that an agent is to give up.
#[derive(Serialize, JsonSchema)]
pub(crate) struct TaskCancelled<'a> {
    /// The task.
    #[schemars(with = "String")]
    pub(super) task_id: Shown<TaskId>,
    /// Who works on it.
    pub(super) agent_id: &'a str,
    /// The attempt.
    pub(super) attempt: u32,
    /// Why, for a person.
    pub(super) reason: &'a str,
}

/// A step of a pipeline.
#[derive(Serialize)]
pub(crate) struct PipelineStep<'a> {
    /// The pipeline.
    pub(super) pipeline_id: Shown<PipelineId>,
    /// Its name; empty where it is no longer known.
    pub(super) name: &'a str,
}

/// A task whose status has changed, or that is new.
#[derive(Serialize)]
pub(crate) struct TaskChanged<'a> {
    /// The task.
    pub(super) task_id: Shown<TaskId>,
    /// Its pipeline; empty for none.
    pub(super) pipeline_id: String,
    /// Its name.
    pub(super) name: &'a str,
    /// How far it is now.
    pub(super) status: &'a str,
    /// The number of the newest attempt; 0 before the first.
    pub(super) attempt: u32,
    /// Who has it now.
    pub(super) agent_id: Option<&'a str>,
    /// Why it failed or was cancelled, for a person.
    pub(super) error: Option<&'a str>,
    /// What it returned; missing where it has not completed, or that is longer than 512 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) result: Option<Box<RawValue>>,
}

/// How far an attempt is, as its agent said.
#[derive(Serialize)]
pub(crate) struct TaskProgress<'a> {
    /// The task.
    pub(super) task_id: Shown<TaskId>,
    /// Its pipeline; empty for none.
    pub(super) pipeline_id: String,
    /// Who works on it.
    pub(super) agent_id: &'a str,
    /// From 0 to 1.
    pub(super) progress: f64,
    /// What the agent said beside it.
    pub(super) details: Box<RawValue>,
    /// When that was.
    pub(super) timestamp: Shown<Timestamp>,
}

/// A sign that the coordinator is there.
#[derive(Serialize)]
pub(crate) struct Heartbeat {
    /// When it was.
    pub(crate) timestamp: Shown<Timestamp>,
    /// How it is.
    pub(crate) server_status: &'static str,
}
