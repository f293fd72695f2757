//! `pipeline/*`.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::methods::*;
use super::params::{PipelinePause, PipelineRef, PipelineStop};
use super::setters::setters;
use super::words::words;
use super::{ErrorInfo, Page, PipelineSpec, Strategy, read};
use crate::client::{Client, ClientError};
use crate::submission;

words! {
    /// How far a pipeline is.
    PipelineStatus {
        /// Created, not started.
        Idle = "idle",
        /// About to run.
        Starting = "starting",
        /// Its tasks are scheduled.
        Running = "running",
        /// Nothing of it starts.
        Paused = "paused",
        /// A failure ended it; what runs may finish.
        Stopping = "stopping",
        /// It ended well, or was stopped.
        Completed = "completed",
        /// It ended with a failure.
        Failed = "failed",
        /// Something else went wrong with it.
        Error = "error",
    }
}

impl PipelineStatus {
    /// Whether nothing can follow but deletion.
    pub fn has_ended(&self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Error)
    }
}

/// What is known of a pipeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct PipelineInfo {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// How far it is.
    pub status: PipelineStatus,
    /// When it was created.
    pub created_at: Timestamp,
    /// When anything of it changed last.
    pub updated_at: Timestamp,
    /// When it was started.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default)]
    pub completed_at: Option<Timestamp>,
    /// The strategy that was asked for.
    #[serde(default)]
    pub strategy: Option<Strategy>,
    /// How it is scheduled now, which an adaptive pipeline changes.
    #[serde(default)]
    pub mode: Option<Strategy>,
    /// Its settings as given, without its tasks. Settings that are too long for the list are `{"$ref": …}`;
    /// `pipeline/status`, [`Client::pipeline`], has them.
    #[serde(default)]
    #[schemars(with = "Map<String, Value>")]
    pub config: Value,
    /// Its figures.
    #[serde(default)]
    pub metrics: PipelineMetrics,
    /// The first failure that counts against it.
    #[serde(default)]
    pub error_info: Option<ErrorInfo>,
}

impl PipelineInfo {
    /// Whether it ended with all that was to be done, and was not stopped before.
    pub fn has_succeeded(&self) -> bool {
        self.status == PipelineStatus::Completed && !self.metrics.stopped
    }
}

/// The figures of a pipeline, all of the same moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[non_exhaustive]
pub struct PipelineMetrics {
    /// All tasks.
    pub tasks_total: u64,
    /// Tasks that wait: for others, for a pause to end, or for an agent.
    pub tasks_pending: u64,
    /// Of these, the ones that only lack an agent.
    pub tasks_ready: u64,
    /// Tasks with an agent that has not yet begun.
    pub tasks_assigned: u64,
    /// Tasks at work.
    pub tasks_running: u64,
    /// Tasks with a result.
    pub tasks_completed: u64,
    /// Tasks that failed for good.
    pub tasks_failed: u64,
    /// Tasks that did not run.
    pub tasks_cancelled: u64,
    /// How long a completed task took on average, in seconds.
    pub average_task_duration: Option<f64>,
    /// Seconds since it was started, or from its start to its end.
    pub duration: Option<f64>,
    /// Whether it was ended by request.
    pub stopped: bool,
}

/// A pipeline that was just created.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct PipelineCreated {
    /// Its id.
    pub pipeline_id: String,
    /// Its name.
    pub name: String,
    #[serde(default)]
    #[schemars(extend("const" = "created"))]
    status: String,
    /// When.
    pub created_at: Timestamp,
    /// The ids of its tasks, in their order; of very many, as many as fit a frame.
    #[serde(default)]
    pub task_ids: Vec<String>,
    /// How many ids found no room; `task/list` has them.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub task_ids_omitted: u64,
}

/// Tasks that run again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Retried {
    /// `retried`, or `released` for a task that only waited for its next attempt.
    #[schemars(extend("enum" = ["retried", "released"]))]
    pub status: String,
    /// Their pipeline: a new one where the old one has ended; empty or `None` for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline_id: Option<String>,
    /// Their ids: new ones, unless one was released; of very many, as many as fit a frame.
    pub task_ids: Vec<String>,
    /// How many ids found no room; `task/list` has them.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub task_ids_omitted: u64,
}

/// Which pipelines to list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct PipelineFilter {
    /// Those with this status; `None` for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<PipelineStatus>,
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

setters!(PipelineFilter { status: PipelineStatus, matching: impl Into<String>, limit: u64; offset: u64 });

/// What becomes of the tasks at work when their pipeline is paused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum RunningTasks {
    /// They may finish.
    #[default]
    Finish,
    /// They are cancelled, and begin anew when it goes on.
    Cancel,
}

/// Pipelines.
impl Client {
    /// Creates a pipeline; it does nothing until it is started. One that does not fit a frame is created in several calls: when
    /// one of them fails, what there is of it is deleted again. If this future is dropped halfway, the part stays, idle.
    ///
    /// # Errors
    /// As [all calls](crate::api).
    pub async fn create_pipeline(&self, spec: &PipelineSpec) -> Result<PipelineCreated, ClientError> {
        let submission = spec.submission()?;
        read(PIPELINE_CREATE.name, submission::submit(self, &submission).await?)
    }

    /// Starts a pipeline; when.
    ///
    /// # Errors
    /// As [all calls](crate::api).
    pub async fn start_pipeline(&self, pipeline_id: &str) -> Result<Timestamp, ClientError> {
        Ok(self.ask(&PIPELINE_START, &PipelineRef { pipeline_id }).await?.started_at)
    }

    /// Starts nothing more of a pipeline until it is resumed.
    ///
    /// # Errors
    /// As [all calls](crate::api).
    pub async fn pause_pipeline(&self, pipeline_id: &str, running: RunningTasks) -> Result<(), ClientError> {
        self.tell(&PIPELINE_PAUSE, &PipelinePause { pipeline_id, running }).await
    }

    /// Goes on with a paused pipeline.
    ///
    /// # Errors
    /// As [all calls](crate::api).
    pub async fn resume_pipeline(&self, pipeline_id: &str) -> Result<(), ClientError> {
        self.tell(&PIPELINE_RESUME, &PipelineRef { pipeline_id }).await
    }

    /// Ends a pipeline: what has not ended is cancelled. The `reason` is kept. How far it came.
    ///
    /// # Errors
    /// As [all calls](crate::api).
    pub async fn stop_pipeline(&self, pipeline_id: &str, reason: Option<&str>) -> Result<PipelineMetrics, ClientError> {
        Ok(self.ask(&PIPELINE_STOP, &PipelineStop { pipeline_id, reason }).await?.metrics.into())
    }

    /// Deletes a pipeline that has not been started or has ended. Its history stays in the log.
    ///
    /// # Errors
    /// As [all calls](crate::api).
    pub async fn delete_pipeline(&self, pipeline_id: &str) -> Result<(), ClientError> {
        self.tell(&PIPELINE_DELETE, &PipelineRef { pipeline_id }).await
    }

    /// Repeats what failed or was cancelled, with the results of what did not: in the pipeline if it goes on, else in a new
    /// one, which is started at once.
    ///
    /// # Errors
    /// As [all calls](crate::api).
    pub async fn retry_pipeline(&self, pipeline_id: &str) -> Result<Retried, ClientError> {
        self.ask(&PIPELINE_RETRY, &PipelineRef { pipeline_id }).await
    }

    /// What is known of a pipeline.
    ///
    /// # Errors
    /// As [all calls](crate::api).
    pub async fn pipeline(&self, pipeline_id: &str) -> Result<PipelineInfo, ClientError> {
        self.ask(&PIPELINE_STATUS, &PipelineRef { pipeline_id }).await
    }

    /// Lists pipelines, oldest first.
    ///
    /// # Errors
    /// As [all calls](crate::api).
    pub async fn pipelines(&self, filter: &PipelineFilter) -> Result<Page<PipelineInfo>, ClientError> {
        Ok(self.ask(&PIPELINE_LIST, filter).await?.0)
    }
}
