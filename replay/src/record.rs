//! Records of the wire (protocol §5): what clients see of a pipeline, a task, an agent, a model.
//!
//! Field names and types are what existing clients build their objects from. Long payloads are still references here; whoever
//! sends a record puts the text in their place.

use crate::event::ModelFigures;
use crate::ids::{AgentId, PipelineId, TaskId, Timestamp};
use crate::state::{Agent, Counts, Model, Pipeline, State, Task, TaskError, TaskErrorKind};
use crate::status::TaskStatus;
use crate::text::Payload;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use std::sync::Arc;

/// Microseconds in a second.
const SECOND_US: f64 = 1e6;

/// Anything printed as its text.
#[derive(Clone, Copy, Debug)]
pub struct Shown<T>(pub T);

impl<T: std::fmt::Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

fn json<S: Serializer>(payload: &Payload, serializer: S) -> Result<S::Ok, S::Error> {
    match payload {
        Payload::Inline(json) => json.serialize(serializer),
        Payload::Logged(place) => Reference { target: format!("event:{}", place.seq) }.serialize(serializer),
    }
}

/// A payload that is too long for a frame: where to get it.
#[derive(Clone, Debug, Serialize)]
pub struct Reference {
    /// `task:<id>/result` and the like.
    #[serde(rename = "$ref")]
    pub target: String,
}

/// `PipelineInfo`.
#[derive(Clone, Debug, Serialize)]
pub struct PipelineInfo {
    /// Its identity.
    pub id: Shown<PipelineId>,
    /// Its name.
    pub name: Arc<str>,
    /// idle, running, paused, stopping, completed or failed.
    pub status: &'static str,
    /// When it was created.
    pub created_at: Shown<Timestamp>,
    /// Its newest event.
    pub updated_at: Shown<Timestamp>,
    /// When it was started.
    pub started_at: Option<Shown<Timestamp>>,
    /// When it ended.
    pub completed_at: Option<Shown<Timestamp>>,
    /// Its strategy.
    pub strategy: &'static str,
    /// How it schedules now.
    pub mode: &'static str,
    /// The configuration as given, without tasks.
    #[serde(serialize_with = "json")]
    pub config: Payload,
    /// Its figures.
    pub metrics: PipelineFigures,
    /// The first failure that counts against it.
    pub error_info: Option<ErrorInfo>,
}

/// The figures of a pipeline.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PipelineFigures {
    /// All tasks.
    pub tasks_total: u64,
    /// Waiting tasks.
    pub tasks_pending: u64,
    /// Waiting tasks that only lack an agent.
    pub tasks_ready: u64,
    /// Tasks with a lease and no sign of work yet.
    pub tasks_assigned: u64,
    /// Tasks at work.
    pub tasks_running: u64,
    /// Tasks with a result.
    pub tasks_completed: u64,
    /// Tasks without an attempt left.
    pub tasks_failed: u64,
    /// Tasks that did not run.
    pub tasks_cancelled: u64,
    /// Mean duration of the completed tasks, in seconds.
    pub average_task_duration: Option<f64>,
    /// Seconds since the start, or from start to end.
    pub duration: Option<f64>,
    /// Whether it was ended by request.
    pub stopped: bool,
}

impl PipelineFigures {
    /// The figures of a pipeline as of now.
    #[must_use]
    pub fn of(pipeline: &Pipeline, now: Timestamp) -> Self {
        let until = pipeline.ended_at.unwrap_or(now);
        let span_us = pipeline.started_at.map(|started| until.micros_since(started));
        let ready = u64::from(pipeline.ready);
        Self::from_counts(&pipeline.counts, ready, pipeline.mean_duration_us(), span_us, pipeline.stopped)
    }

    pub(crate) fn from_counts(
        counts: &Counts,
        ready: u64,
        mean_us: Option<u64>,
        span_us: Option<u64>,
        stopped: bool,
    ) -> Self {
        Self {
            tasks_total: counts.total(),
            tasks_pending: counts.of(TaskStatus::Pending),
            tasks_ready: ready,
            tasks_assigned: counts.of(TaskStatus::Assigned),
            tasks_running: counts.of(TaskStatus::Running),
            tasks_completed: counts.of(TaskStatus::Completed),
            tasks_failed: counts.of(TaskStatus::Failed),
            tasks_cancelled: counts.of(TaskStatus::Cancelled),
            average_task_duration: mean_us.map(seconds),
            duration: span_us.map(seconds),
            stopped,
        }
    }
}

fn seconds(micros: u64) -> f64 {
    micros as f64 / SECOND_US
}

impl PipelineInfo {
    /// The record of a pipeline as of now.
    #[must_use]
    pub fn of(pipeline: &Pipeline, now: Timestamp) -> Self {
        Self {
            id: Shown(pipeline.id),
            name: Arc::clone(&pipeline.name),
            status: pipeline.status.as_str(),
            created_at: Shown(pipeline.created_at),
            updated_at: Shown(pipeline.updated_at),
            started_at: pipeline.started_at.map(Shown),
            completed_at: pipeline.ended_at.map(Shown),
            strategy: pipeline.options.strategy.as_str(),
            mode: pipeline.mode.as_str(),
            config: pipeline.config.clone(),
            metrics: PipelineFigures::of(pipeline, now),
            error_info: pipeline.error.as_deref().map(ErrorInfo::of_pipeline),
        }
    }
}

/// Why a task failed or was cancelled, or why a pipeline failed.
#[derive(Clone, Debug, Serialize)]
pub struct ErrorInfo {
    /// Of a task: reported, timeout, agent_lost, quarantined, cancelled or skipped. Of a pipeline: task_failed.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// For a person.
    pub message: String,
}

impl ErrorInfo {
    /// The failure of a pipeline.
    pub(crate) fn of_pipeline(message: &str) -> Self {
        Self { kind: "task_failed", message: message.to_owned() }
    }
}

impl TaskError {
    /// The error in words.
    #[must_use]
    pub fn told(&self, state: &State) -> String {
        let TaskErrorKind::Skipped { upstream } = self.kind else { return self.message.clone() };
        let name = state.task(upstream).map_or_else(|_| upstream.to_string(), |task| format!("'{}'", task.name));
        format!("task {name}, which it depends on, did not complete")
    }
}

/// `TaskInfo`.
#[derive(Clone, Debug, Serialize)]
pub struct TaskInfo {
    /// Its identity.
    pub id: Shown<TaskId>,
    /// Its pipeline; empty for none.
    pub pipeline_id: String,
    /// Its name.
    pub name: Arc<str>,
    /// pending, assigned, running, completed, failed or cancelled.
    pub status: &'static str,
    /// Who works on it, or ended it.
    pub assigned_agent: Option<Shown<AgentId>>,
    /// When it was created.
    pub created_at: Shown<Timestamp>,
    /// First sign of work.
    pub started_at: Option<Shown<Timestamp>>,
    /// When it ended.
    pub completed_at: Option<Shown<Timestamp>>,
    /// The configuration as given.
    #[serde(serialize_with = "json")]
    pub config: Payload,
    /// The result; null while there is none.
    #[serde(serialize_with = "json")]
    pub result: Payload,
    /// Why it failed or was cancelled; of the newest failure while it is retried.
    pub error_info: Option<ErrorInfo>,
    /// Number of the newest attempt.
    pub attempt: u32,
    /// Attempts that count against the retry policy.
    pub failures: u32,
    /// Its priority.
    pub priority: i32,
    /// What must end first.
    pub depends_on: Vec<Shown<TaskId>>,
    /// How many of these have not ended.
    pub waiting_for: u32,
    /// End of its back-off.
    pub retry_at: Option<Shown<Timestamp>>,
    /// The failed task that it repeats.
    pub retry_of: Option<Shown<TaskId>>,
    /// From 0 to 1, as its agent said last.
    pub progress: Option<f64>,
}

impl TaskInfo {
    /// The record of a task; its progress is the shell's to add.
    #[must_use]
    pub fn of(state: &State, task: &Task) -> Self {
        let setbacks = task.setbacks();
        Self {
            id: Shown(task.id),
            pipeline_id: state.pipeline_of(task).map(|pipeline| pipeline.id.to_string()).unwrap_or_default(),
            name: Arc::clone(&task.name),
            status: task.status.as_str(),
            assigned_agent: task.holder().cloned().map(Shown),
            created_at: Shown(task.created_at),
            started_at: task.started_at.map(Shown),
            completed_at: task.ended_at.map(Shown),
            config: task.config.clone(),
            result: task.result.clone(),
            error_info: setbacks
                .error
                .as_ref()
                .map(|error| ErrorInfo { kind: error.kind.as_str(), message: error.told(state) }),
            attempt: task.attempt,
            failures: setbacks.failures,
            priority: task.spec.priority,
            depends_on: task.edges().depends_on.iter().copied().map(Shown).collect(),
            waiting_for: task.waiting_for,
            retry_at: setbacks.retry_at.map(Shown),
            retry_of: setbacks.retry_of.map(Shown),
            progress: (task.status == TaskStatus::Completed).then_some(1.0),
        }
    }
}

/// `AgentInfo`.
#[derive(Clone, Debug, Serialize)]
pub struct AgentInfo {
    /// Its identity.
    pub id: Shown<AgentId>,
    /// Its name.
    pub name: Arc<str>,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: Arc<str>,
    /// active, disconnected or lost.
    pub status: &'static str,
    /// What it can do.
    pub capabilities: Arc<[String]>,
    /// The oldest task it works on.
    pub current_task: Option<Shown<TaskId>>,
    /// All tasks it works on, oldest first.
    pub current_tasks: Vec<Shown<TaskId>>,
    /// From real outcomes and durations; 1.0 is full.
    pub performance_score: f64,
    /// When it was last heard.
    pub last_active: Option<Shown<Timestamp>>,
    /// Attempts at a time.
    pub slots: u32,
    /// What it declared.
    pub resources: DeclaredInfo,
    /// Attempts that succeeded.
    pub tasks_completed: u64,
    /// Attempts that failed.
    pub tasks_failed: u64,
    /// When it registered last.
    pub registered_at: Shown<Timestamp>,
}

/// What an agent declared.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct DeclaredInfo {
    /// Processor cores.
    pub cpu: Option<f64>,
    /// Memory in MB.
    pub memory_mb: Option<f64>,
    /// Graphics processors.
    pub gpu: Option<f64>,
}

impl AgentInfo {
    /// The record of an agent; when it was last heard is the shell's to add.
    #[must_use]
    pub fn of(state: &State, agent: &Agent) -> Self {
        let running = agent.running.iter().map(|ix| Shown(state.tasks[*ix].id));
        Self {
            id: Shown(agent.id.clone()),
            name: Arc::clone(&agent.name),
            kind: Arc::clone(&agent.kind),
            status: agent.presence.as_str(),
            capabilities: Arc::clone(&agent.capabilities),
            current_task: running.clone().next(),
            current_tasks: running.collect(),
            performance_score: f64::from(agent.score_ppm) / 1e6,
            last_active: None,
            slots: agent.slots,
            resources: DeclaredInfo {
                cpu: agent.resources.cpu.map(|hundredths| f64::from(hundredths) / 10_000.0),
                memory_mb: agent.resources.memory.map(|kib| kib as f64 / 1_024.0),
                gpu: agent.resources.gpu.map(|milli| f64::from(milli) / 1_000.0),
            },
            tasks_completed: agent.completed,
            tasks_failed: agent.failed,
            registered_at: Shown(agent.registered_at),
        }
    }
}

/// `ModelMetrics`: the newest known value of every figure; null where none was reported.
#[derive(Clone, Debug)]
pub struct ModelInfo {
    /// The model.
    pub model: String,
    /// Its figures.
    pub figures: ModelFigures,
    /// The newest report.
    pub at: Option<Timestamp>,
}

impl ModelInfo {
    /// The record of a model.
    #[must_use]
    pub fn of(id: &str, model: &Model) -> Self {
        Self { model: id.to_owned(), figures: model.latest, at: model.reports.back().map(|report| report.at) }
    }
}

impl Serialize for ModelInfo {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("model_id", &self.model)?;
        for name in ModelFigures::NAMES {
            map.serialize_entry(name, &self.figures.get(name))?;
        }
        map.serialize_entry("timestamp", &self.at.map(Shown))?;
        map.end()
    }
}
