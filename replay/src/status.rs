//! The legal lives of a task and of a pipeline: flat tables of (status, step), whose last arm is a named error.
//!
//! Living, replaying and auditing all walk these tables; there is no other place where a status changes.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How far a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TaskStatus {
    /// It waits: for other tasks, for a back-off, or for an agent.
    Pending,
    /// An agent holds its lease and has not shown a sign of work.
    Assigned,
    /// An agent works on it.
    Running,
    /// It has a result.
    Completed,
    /// It has no attempt left.
    Failed,
    /// It will not run.
    Cancelled,
}

impl TaskStatus {
    /// All of them, for parsers.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Assigned, Self::Running, Self::Completed, Self::Failed, Self::Cancelled];

    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Assigned => "assigned",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing can follow.
    #[must_use]
    pub fn is_final(self) -> bool {
        match self {
            Self::Completed | Self::Failed | Self::Cancelled => true,
            Self::Pending | Self::Assigned | Self::Running => false,
        }
    }

    /// Whether an agent holds a lease.
    #[must_use]
    pub fn is_leased(self) -> bool {
        match self {
            Self::Assigned | Self::Running => true,
            Self::Pending | Self::Completed | Self::Failed | Self::Cancelled => false,
        }
    }
}

impl fmt::Display for TaskStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What can happen to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskStep {
    /// A lease is given.
    Assign,
    /// First sign of work.
    Start,
    /// It succeeds.
    Complete,
    /// The attempt fails and another may follow.
    Retry,
    /// The attempt fails for good.
    Fail,
    /// The lease ends through no fault of the task.
    Requeue,
    /// The back-off is over.
    Release,
    /// It will not run.
    Cancel,
}

/// A step that the life cycle does not know: a bug when live, a finding in an audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("step {step} is not legal for something that is {status}")]
pub struct IllegalStep {
    /// Where it stood.
    pub status: &'static str,
    /// What was to happen.
    pub step: &'static str,
}

/// The life of a task.
///
/// # Errors
/// When the step is not legal in this status.
pub fn next_task_status(status: TaskStatus, step: TaskStep) -> Result<TaskStatus, IllegalStep> {
    use TaskStatus::{Assigned, Cancelled, Completed, Failed, Pending, Running};
    match (status, step) {
        (Pending, TaskStep::Assign) => Ok(Assigned),
        (Pending, TaskStep::Release) => Ok(Pending),
        (Assigned, TaskStep::Start) => Ok(Running),
        (Assigned | Running, TaskStep::Complete) => Ok(Completed),
        (Assigned | Running, TaskStep::Retry | TaskStep::Requeue) => Ok(Pending),
        (Assigned | Running, TaskStep::Fail) => Ok(Failed),
        (Pending | Assigned | Running, TaskStep::Cancel) => Ok(Cancelled),
        (status, step) => Err(IllegalStep { status: status.as_str(), step: step.as_str() }),
    }
}

impl TaskStep {
    fn as_str(self) -> &'static str {
        match self {
            Self::Assign => "assign",
            Self::Start => "start",
            Self::Complete => "complete",
            Self::Retry => "retry",
            Self::Fail => "fail",
            Self::Requeue => "requeue",
            Self::Release => "release",
            Self::Cancel => "cancel",
        }
    }
}

/// How far a pipeline is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PipelineStatus {
    /// Created, not started.
    Idle,
    /// Its tasks are scheduled.
    Running,
    /// Nothing of it starts.
    Paused,
    /// A failure ended it; what runs may finish.
    Stopping,
    /// It ended well, or was stopped.
    Completed,
    /// It ended with a failure.
    Failed,
}

impl PipelineStatus {
    /// All of them, for parsers.
    pub const ALL: [Self; 6] = [Self::Idle, Self::Running, Self::Paused, Self::Stopping, Self::Completed, Self::Failed];

    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopping => "stopping",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }

    /// Whether nothing can follow but deletion.
    #[must_use]
    pub fn is_final(self) -> bool {
        match self {
            Self::Completed | Self::Failed => true,
            Self::Idle | Self::Running | Self::Paused | Self::Stopping => false,
        }
    }
}

impl fmt::Display for PipelineStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What can happen to a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PipelineStep {
    /// It begins to run.
    Start,
    /// Nothing new of it starts.
    Pause,
    /// It goes on.
    Resume,
    /// A failure counts against it.
    Doom,
    /// It is ended by request.
    Stop,
    /// All its tasks have ended.
    Complete,
    /// All its tasks have ended, and a failure counts.
    Fail,
}

/// The life of a pipeline.
///
/// # Errors
/// When the step is not legal in this status.
pub fn next_pipeline_status(status: PipelineStatus, step: PipelineStep) -> Result<PipelineStatus, IllegalStep> {
    use PipelineStatus::{Completed, Failed, Idle, Paused, Running, Stopping};
    match (status, step) {
        (Idle, PipelineStep::Start) | (Paused, PipelineStep::Resume) => Ok(Running),
        (Running, PipelineStep::Pause) => Ok(Paused),
        (Idle | Running | Paused | Stopping, PipelineStep::Doom) => Ok(Stopping),
        (Idle | Running | Paused | Stopping, PipelineStep::Stop) => Ok(Completed),
        (Running | Paused, PipelineStep::Complete) => Ok(Completed),
        // Stopping what has ended is no error for a client and changes nothing.
        (Completed | Failed, PipelineStep::Stop) => Ok(status),
        (Running | Paused | Stopping, PipelineStep::Fail) => Ok(Failed),
        (status, step) => Err(IllegalStep { status: status.as_str(), step: step.as_str() }),
    }
}

impl PipelineStep {
    fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Doom => "doom",
            Self::Stop => "stop",
            Self::Complete => "complete",
            Self::Fail => "fail",
        }
    }
}
