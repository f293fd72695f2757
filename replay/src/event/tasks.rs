//! What happens to tasks.

use crate::ids::{AgentId, PipelineId, TaskId, Timestamp};
use crate::spec::{Strategy, TaskSpec};
use crate::text::Json;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A task came to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskCreated {
    /// Its identity.
    pub task: TaskId,
    /// The pipeline it belongs to.
    pub pipeline: Option<PipelineId>,
    /// Its name.
    pub name: String,
    /// What the scheduler needs to know.
    pub spec: Arc<TaskSpec>,
    /// The tasks that must end first.
    pub depends_on: Vec<TaskId>,
    /// The configuration as the client gave it; goes to the agent unread. Null in a repetition: that of the repeated task.
    pub config: Json,
    /// The failed or cancelled task that this one repeats.
    pub retry_of: Option<TaskId>,
}

/// Why an agent was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Choice {
    /// A client asked for this agent.
    Requested,
    /// It was the only one free and able.
    OnlyCandidate,
    /// It had the highest performance score.
    HighestScore,
    /// Among equal scores it was the least loaded.
    LeastLoaded,
}

/// An attempt of a task was leased to an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskAssigned {
    /// Which task.
    pub task: TaskId,
    /// Which agent.
    pub agent: AgentId,
    /// Number of the attempt; the first is 1.
    pub attempt: u32,
    /// When the lease ends if the agent is silent from now on.
    pub lease_until: Timestamp,
    /// When the attempt has taken too long.
    pub timeout_at: Option<Timestamp>,
    /// The way of scheduling in force.
    pub mode: Strategy,
    /// Why this agent.
    pub choice: Choice,
    /// The agent's performance score at the time, in thousandths.
    pub score_milli: u32,
    /// Agents that were free and able.
    pub candidates: u32,
}

/// The agent gave the first sign of work on its attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskStarted {
    /// Which.
    pub task: TaskId,
    /// Number of the attempt.
    pub attempt: u32,
}

/// The task succeeded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskCompleted {
    /// Which.
    pub task: TaskId,
    /// The attempt that counts.
    pub attempt: u32,
    /// What the agent returned.
    pub result: Json,
    /// What else it said: exit code, the ends of its output. Kept in the log alone.
    pub output: Option<Json>,
}

/// What ended an attempt that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The agent said so.
    Reported,
    /// It took longer than the task's timeout.
    Timeout,
    /// The agent was not heard for the time of a lease.
    AgentLost,
}

impl FailureKind {
    /// The word used in retry policies and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::Timeout => "timeout",
            Self::AgentLost => "agent_lost",
        }
    }
}

/// What follows a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AfterFailure {
    /// Another attempt, not before this time.
    Retry {
        /// End of the back-off.
        not_before: Timestamp,
    },
    /// No attempt is left, or this failure is not worth one.
    Final,
    /// The task took its agents down too often.
    Quarantined,
}

/// An attempt failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskFailed {
    /// Which task.
    pub task: TaskId,
    /// The agent that held the attempt.
    pub agent: AgentId,
    /// Which attempt.
    pub attempt: u32,
    /// What ended it.
    pub failure: FailureKind,
    /// The error, for a person.
    pub message: String,
    /// What the agent returned beside the error.
    pub result: Json,
    /// What follows.
    pub then: AfterFailure,
}

/// Why a lease ended without counting against the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RequeueReason {
    /// The agent registered again and did not name the attempt.
    NotNamed,
    /// The agent left.
    Unregistered,
    /// The pipeline was paused and its running tasks were to be cancelled.
    Paused,
}

/// An attempt ended through no fault of the task, which waits again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRequeued {
    /// Which task.
    pub task: TaskId,
    /// The agent that held the attempt.
    pub agent: AgentId,
    /// The attempt that ended.
    pub attempt: u32,
    /// Why.
    pub reason: RequeueReason,
}

/// The back-off of a failed task is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskReleased {
    /// Which.
    pub task: TaskId,
}

/// Why a task was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CancelReason {
    /// A client asked for it.
    Requested,
    /// Its pipeline was stopped.
    PipelineStopped,
    /// Its pipeline failed.
    PipelineFailed,
    /// A task that it depends on did not complete.
    Skipped {
        /// That task.
        upstream: TaskId,
    },
}

/// The task ended without a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskCancelled {
    /// Which.
    pub task: TaskId,
    /// The agent that held an attempt and has to let go of it.
    pub agent: Option<AgentId>,
    /// Why.
    pub reason: CancelReason,
    /// The reason for a person.
    pub message: String,
}

/// A client asked for the assignment that stands already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssignmentConfirmed {
    /// Which task.
    pub task: TaskId,
    /// The agent that holds it.
    pub agent: AgentId,
    /// The live attempt.
    pub attempt: u32,
}
