//! The domain's "no": told to the client, with a stable code, one sentence and the next step. Nothing has changed when it is said.

use crate::ids::{AgentId, ErrorId, PipelineId, TaskId};
use crate::status::{PipelineStatus, TaskStatus};

/// Why a command is refused. The text is for the client; the code is for its program (protocol §2).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The frame is not a request.
    #[error("{0}")]
    InvalidRequest(String),
    /// No such method.
    #[error("there is no method '{method}'{}", near.map_or_else(
        || "; docs/protocol.md lists them all".to_owned(),
        |near| format!("; did you mean {near}?")
    ))]
    MethodNotFound {
        /// What was asked for.
        method: String,
        /// The method that looks most like it.
        near: Option<&'static str>,
    },
    /// A parameter is missing, of the wrong type or out of range.
    #[error("{0}")]
    InvalidParams(String),
    /// No such pipeline.
    #[error("there is no pipeline {0}; pipeline/list shows the known ones")]
    PipelineNotFound(String),
    /// It runs already.
    #[error("pipeline {pipeline} is {status} already; pipeline/status shows how far it is")]
    PipelineRunning {
        /// Which.
        pipeline: PipelineId,
        /// What it does.
        status: PipelineStatus,
    },
    /// It does not run.
    #[error("pipeline {pipeline} is {status}, not running; {}", not_running_step(*status))]
    PipelineNotRunning {
        /// Which.
        pipeline: PipelineId,
        /// What it does.
        status: PipelineStatus,
    },
    /// It is not paused.
    #[error("pipeline {pipeline} is {status}, not paused; only a paused pipeline can be resumed")]
    PipelineNotPaused {
        /// Which.
        pipeline: PipelineId,
        /// What it does.
        status: PipelineStatus,
    },
    /// It can not be deleted while it is alive.
    #[error("pipeline {pipeline} is {status} and can not be deleted; stop it first with pipeline/stop")]
    PipelineAlive {
        /// Which.
        pipeline: PipelineId,
        /// What it does.
        status: PipelineStatus,
    },
    /// It can not be deleted while a repetition uses its results.
    #[error("pipeline {pipeline} gives results to task {by}, which has not ended; delete it when that has")]
    PipelineNeeded {
        /// Which.
        pipeline: PipelineId,
        /// The task that needs it.
        by: TaskId,
    },
    /// It has ended, or a failure is about to end it.
    #[error("pipeline {pipeline} is {status} and takes nothing more; create a new one to run it again")]
    PipelineEnded {
        /// Which.
        pipeline: PipelineId,
        /// How.
        status: PipelineStatus,
    },
    /// Not all of its tasks are there yet.
    #[error(
        "pipeline {pipeline} has {tasks} of its {expected} tasks and can not start yet; add the others with task/create, \
         or delete it with pipeline/delete and create it anew"
    )]
    PipelineIncomplete {
        /// Which.
        pipeline: PipelineId,
        /// How many tasks it has.
        tasks: u64,
        /// How many it is to have.
        expected: u64,
    },
    /// No such task.
    #[error("there is no task {0}; task/list shows the known ones")]
    TaskNotFound(String),
    /// An agent has it already.
    #[error("task {task} is assigned to agent {agent} already; cancel it or wait for it to end")]
    TaskAssigned {
        /// Which.
        task: TaskId,
        /// To whom.
        agent: AgentId,
    },
    /// It has ended.
    #[error("task {task} has ended as {status}; its outcome stays as it is")]
    TaskEnded {
        /// Which.
        task: TaskId,
        /// How.
        status: TaskStatus,
    },
    /// The task can not be assigned yet.
    #[error("task {task} can not start yet: {why}")]
    TaskNotReady {
        /// Which.
        task: TaskId,
        /// What it waits for.
        why: String,
    },
    /// No such agent.
    #[error("there is no agent {0}; register it first with agent/register")]
    AgentNotFound(String),
    /// The agent can not take the task.
    #[error("agent {agent} can not take the task: {why}")]
    AgentNotAvailable {
        /// Which.
        agent: AgentId,
        /// Busy, away, or lacking something.
        why: String,
    },
    /// No such model.
    #[error("there is no model '{0}'; report it first with model/metrics")]
    ModelNotFound(String),
    /// The model has no figures for the question.
    #[error("model '{model}' can not answer: {why}")]
    ModelState {
        /// Which.
        model: String,
        /// What is missing.
        why: String,
    },
    /// Not this client's to do.
    #[error("{0}")]
    Forbidden(String),
    /// A limit is reached.
    #[error("{0}")]
    Overloaded(String),
    /// The attempt is not the one that counts.
    #[error("attempt {given} of task {task} is not live (the newest is {live}); drop its result")]
    StaleAttempt {
        /// Which task.
        task: TaskId,
        /// The attempt that was named, or that the agent no longer holds; 0 when it held none.
        given: u32,
        /// The newest attempt.
        live: u32,
    },
    /// The id was used for something else.
    #[error("request id '{0}' was used before with another body; use a new id for a new request")]
    RequestReused(String),
    /// The coordinator is in trouble itself.
    #[error("{0}")]
    Internal(String),
    /// No such entry in the error register.
    #[error("there is no error {0} in the register; error/list shows the known ones")]
    ErrorNotFound(ErrorId),
}

fn not_running_step(status: PipelineStatus) -> &'static str {
    match status {
        PipelineStatus::Idle => "start it with pipeline/start",
        PipelineStatus::Paused => "resume it with pipeline/resume",
        PipelineStatus::Running | PipelineStatus::Stopping => "pipeline/status shows how far it is",
        PipelineStatus::Completed | PipelineStatus::Failed => "create a new one to run it again",
    }
}

impl Refusal {
    /// The stable code (protocol §2).
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::InvalidRequest(_) => -32_600,
            Self::MethodNotFound { .. } => -32_601,
            Self::InvalidParams(_) | Self::ErrorNotFound(_) => -32_602,
            Self::Internal(_) => -32_603,
            Self::PipelineNotFound(_) => -40_001,
            Self::PipelineRunning { .. } => -40_002,
            Self::PipelineNotRunning { .. } => -40_003,
            Self::PipelineNotPaused { .. } => -40_004,
            Self::PipelineAlive { .. } | Self::PipelineNeeded { .. } => -40_005,
            Self::PipelineEnded { .. } => -40_006,
            Self::PipelineIncomplete { .. } => -40_007,
            Self::TaskNotFound(_) => -40_011,
            Self::TaskAssigned { .. } => -40_012,
            Self::TaskEnded { .. } => -40_013,
            Self::AgentNotFound(_) => -40_021,
            Self::AgentNotAvailable { .. } | Self::TaskNotReady { .. } => -40_022,
            Self::ModelNotFound(_) => -40_031,
            Self::ModelState { .. } => -40_032,
            Self::Forbidden(_) => -40_042,
            Self::Overloaded(_) => -40_051,
            Self::StaleAttempt { .. } => -40_061,
            Self::RequestReused(_) => -40_071,
        }
    }

    /// The details for the error's `data`: names and values, as text.
    #[must_use]
    pub fn data(&self) -> Vec<(&'static str, String)> {
        let pipeline = |pipeline: &PipelineId, status: &PipelineStatus, allowed: &str| {
            vec![("pipeline_id", pipeline.to_string()), ("status", status.to_string()), ("allowed", allowed.to_owned())]
        };
        match self {
            Self::PipelineRunning { pipeline: id, status } => pipeline(id, status, "idle"),
            Self::PipelineNotRunning { pipeline: id, status } => pipeline(id, status, "running"),
            Self::PipelineNotPaused { pipeline: id, status } => pipeline(id, status, "paused"),
            Self::PipelineAlive { pipeline: id, status } => pipeline(id, status, "idle, completed, failed"),
            Self::PipelineEnded { pipeline: id, status } => pipeline(id, status, "idle"),
            Self::PipelineNeeded { pipeline, by } => {
                vec![("pipeline_id", pipeline.to_string()), ("task_id", by.to_string())]
            }
            Self::PipelineIncomplete { pipeline, tasks, expected } => vec![
                ("pipeline_id", pipeline.to_string()),
                ("tasks", tasks.to_string()),
                ("tasks_expected", expected.to_string()),
            ],
            Self::PipelineNotFound(id) => vec![("pipeline_id", id.clone())],
            Self::TaskNotFound(id) => vec![("task_id", id.clone())],
            Self::TaskAssigned { task, agent } => vec![("task_id", task.to_string()), ("agent_id", agent.to_string())],
            Self::TaskEnded { task, status } => vec![("task_id", task.to_string()), ("status", status.to_string())],
            Self::TaskNotReady { task, .. } => vec![("task_id", task.to_string())],
            Self::AgentNotFound(id) => vec![("agent_id", id.clone())],
            Self::AgentNotAvailable { agent, .. } => vec![("agent_id", agent.to_string())],
            Self::ModelNotFound(model) | Self::ModelState { model, .. } => vec![("model_id", model.clone())],
            Self::StaleAttempt { task, given, live } => {
                vec![("task_id", task.to_string()), ("attempt", given.to_string()), ("live", live.to_string())]
            }
            Self::RequestReused(id) => vec![("id", id.clone())],
            Self::ErrorNotFound(id) => vec![("error_id", id.to_string())],
            Self::MethodNotFound { method, .. } => vec![("method", method.clone())],
            Self::InvalidRequest(_)
            | Self::InvalidParams(_)
            | Self::Forbidden(_)
            | Self::Overloaded(_)
            | Self::Internal(_) => Vec::new(),
        }
    }
}
