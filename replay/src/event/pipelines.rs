//! What happens to pipelines.

use crate::counts::Counts;
use crate::ids::PipelineId;
use crate::spec::{PipelineOptions, Strategy};
use crate::text::Json;
use serde::{Deserialize, Serialize};

/// A pipeline came to be, idle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineCreated {
    /// Its identity.
    pub pipeline: PipelineId,
    /// Its name; need not be unique.
    pub name: String,
    /// What holds for all its tasks.
    pub options: PipelineOptions,
    /// The configuration as the client gave it, without its tasks.
    pub config: Json,
}

/// The pipeline comes in several calls, and is whole with so many tasks: until then it can not start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TasksExpected {
    /// Which.
    pub pipeline: PipelineId,
    /// How many tasks it is to have.
    pub tasks: u32,
}

/// A pipeline began to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineStarted {
    /// Which.
    pub pipeline: PipelineId,
    /// How it schedules at first (an adaptive one chooses anew later).
    pub mode: Strategy,
}

/// What a pause does to the tasks that run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PauseRunning {
    /// They finish.
    Finish,
    /// Their attempts are cancelled; they start anew after the resume.
    Cancel,
}

/// Nothing of the pipeline starts from here on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelinePaused {
    /// Which.
    pub pipeline: PipelineId,
    /// What becomes of the running tasks.
    pub running: PauseRunning,
}

/// The pipeline goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineResumed {
    /// Which.
    pub pipeline: PipelineId,
}

/// The pipeline was ended by request; its live tasks were cancelled before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineStopped {
    /// Which.
    pub pipeline: PipelineId,
    /// Why, as the client said it.
    pub reason: String,
    /// Its tasks by status, the cancelled ones included.
    pub counts: Counts,
    /// Whether it was this that ended it; stopping what has ended changes nothing.
    pub ended_it: bool,
}

/// Every task of the pipeline has ended, and no failure counts against it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineCompleted {
    /// Which.
    pub pipeline: PipelineId,
}

/// Every task of the pipeline has ended, and a failure counts against it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineFailed {
    /// Which.
    pub pipeline: PipelineId,
    /// The first failure that counted.
    pub error: String,
}

/// The pipeline left the views. Its history stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineDeleted {
    /// Which.
    pub pipeline: PipelineId,
    /// Its name.
    pub name: String,
}

/// An adaptive pipeline changed the way it schedules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModeChosen {
    /// Which.
    pub pipeline: PipelineId,
    /// The way from here on.
    pub mode: Strategy,
    /// Ready tasks at the time.
    pub ready: u32,
    /// Whether the machine was over a limit.
    pub over_limit: bool,
}
