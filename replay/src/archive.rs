//! What is no longer in the state: the record of a task or a pipeline, from its own events alone.
//!
//! The state forgets what ended long ago; its events stay in the log, and they tell the same story. Statuses move through the
//! same tables as in the state.

use crate::counts::Counts;
use crate::envelope::Envelope;
use crate::event::{AfterFailure, Event};
use crate::ids::{PipelineId, TaskId, Timestamp};
use crate::record::{ErrorInfo, PipelineFigures, PipelineInfo, Shown, TaskInfo};
use crate::state::TaskErrorKind;
use crate::status::{TaskStatus, TaskStep, next_task_status};
use crate::text::{Json, Payload};
use std::collections::BTreeMap;

/// The story of one task.
#[derive(Clone, Debug)]
pub struct TaskStory {
    /// Its record so far.
    pub info: TaskInfo,
    /// Its pipeline.
    pub pipeline: Option<PipelineId>,
    /// How far it is.
    pub status: TaskStatus,
}

impl TaskStory {
    /// The story that begins with this event, if it creates a task.
    #[must_use]
    pub fn begin(envelope: &Envelope) -> Option<Self> {
        let Event::TaskCreated(e) = &envelope.event else { return None };
        let config = match e.retry_of.filter(|_| e.config.is_null()) {
            Some(of) => Payload::Inline(Json::from(format!(r#"{{"$ref":"task:{of}/config"}}"#))),
            None => Payload::keep(&e.config, envelope.seq),
        };
        let info = TaskInfo {
            id: Shown(e.task),
            pipeline_id: e.pipeline.map(|id| id.to_string()).unwrap_or_default(),
            name: e.name.as_str().into(),
            status: TaskStatus::Pending.as_str(),
            assigned_agent: None,
            created_at: Shown(envelope.at),
            started_at: None,
            completed_at: None,
            config,
            result: Payload::null(),
            error_info: None,
            attempt: 0,
            failures: 0,
            priority: e.spec.priority,
            depends_on: e.depends_on.iter().copied().map(Shown).collect(),
            waiting_for: 0,
            retry_at: None,
            retry_of: e.retry_of.map(Shown),
            progress: None,
        };
        Some(Self { info, pipeline: e.pipeline, status: TaskStatus::Pending })
    }

    /// Goes on with an event; those of other tasks change nothing.
    pub fn follow(&mut self, envelope: &Envelope) {
        if envelope.event.subject().task != Some(self.info.id.0) || self.status.is_final() {
            return;
        }
        let Some(step) = self.tell(envelope) else { return };
        if let Ok(status) = next_task_status(self.status, step) {
            self.status = status;
            self.info.status = status.as_str();
        }
        if self.status.is_final() {
            self.info.completed_at = Some(Shown(envelope.at));
            self.info.progress = (self.status == TaskStatus::Completed).then_some(1.0);
        }
    }

    fn tell(&mut self, envelope: &Envelope) -> Option<TaskStep> {
        let (info, at) = (&mut self.info, Shown(envelope.at));
        if let Event::TaskAssigned(e) = &envelope.event {
            info.attempt = e.attempt;
            info.started_at = None;
            info.assigned_agent = Some(Shown(e.agent.clone()));
            return Some(TaskStep::Assign);
        }
        if let Event::TaskStarted(_) = &envelope.event {
            info.started_at = Some(at);
            return Some(TaskStep::Start);
        }
        if let Event::TaskCompleted(e) = &envelope.event {
            info.started_at = info.started_at.or(Some(at));
            info.result = Payload::keep(&e.result, envelope.seq);
            info.error_info = None;
            return Some(TaskStep::Complete);
        }
        if let Event::TaskFailed(e) = &envelope.event {
            info.failures += 1;
            info.result = Payload::keep(&e.result, envelope.seq);
            let (kind, step) = match e.then {
                AfterFailure::Retry { .. } => (TaskErrorKind::Failed(e.failure), TaskStep::Retry),
                AfterFailure::Final => (TaskErrorKind::Failed(e.failure), TaskStep::Fail),
                AfterFailure::Quarantined => (TaskErrorKind::Quarantined, TaskStep::Fail),
            };
            info.error_info = Some(ErrorInfo { kind: kind.as_str(), message: e.message.clone() });
            return Some(step);
        }
        if let Event::TaskCancelled(e) = &envelope.event {
            let kind = TaskErrorKind::of(e.reason);
            let message = match kind {
                TaskErrorKind::Skipped { upstream } => {
                    format!("task {upstream}, which it depends on, did not complete")
                }
                TaskErrorKind::Failed(_) | TaskErrorKind::Quarantined | TaskErrorKind::Cancelled => e.message.clone(),
            };
            info.error_info = Some(ErrorInfo { kind: kind.as_str(), message });
            return Some(TaskStep::Cancel);
        }
        matches!(envelope.event, Event::TaskRequeued(_)).then_some(TaskStep::Requeue)
    }
}

/// The story of one pipeline.
#[derive(Clone, Debug)]
pub struct PipelineStory {
    info: PipelineInfo,
    tasks: BTreeMap<TaskId, TaskStory>,
    started_at: Option<Timestamp>,
    stopped: bool,
    busy_us: u64,
    /// Whether it has ended.
    pub ended: bool,
}

impl PipelineStory {
    /// The story that begins with this event, if it creates a pipeline.
    #[must_use]
    pub fn begin(envelope: &Envelope) -> Option<Self> {
        let Event::PipelineCreated(e) = &envelope.event else { return None };
        let info = PipelineInfo {
            id: Shown(e.pipeline),
            name: e.name.as_str().into(),
            status: "idle",
            created_at: Shown(envelope.at),
            updated_at: Shown(envelope.at),
            started_at: None,
            completed_at: None,
            strategy: e.options.strategy.as_str(),
            mode: e.options.strategy.as_str(),
            config: Payload::keep(&e.config, envelope.seq),
            metrics: PipelineFigures::default(),
            error_info: None,
        };
        let tasks = BTreeMap::new();
        Some(Self { info, tasks, started_at: None, stopped: false, busy_us: 0, ended: false })
    }

    /// Goes on with an event; those of other pipelines change nothing.
    pub fn follow(&mut self, envelope: &Envelope) {
        let subject = envelope.event.subject();
        if let Some(task) = subject.task {
            return self.follow_task(task, envelope);
        }
        if subject.pipeline != Some(self.info.id.0) {
            return;
        }
        self.info.updated_at = Shown(envelope.at);
        if let Event::PipelineStarted(e) = &envelope.event {
            self.started_at = Some(envelope.at);
            self.info.started_at = Some(Shown(envelope.at));
            self.info.mode = e.mode.as_str();
        }
        if let Event::ModeChosen(e) = &envelope.event {
            self.info.mode = e.mode.as_str();
        }
        let failed = matches!(envelope.event, Event::PipelineFailed(_));
        let stopped = matches!(&envelope.event, Event::PipelineStopped(e) if e.ended_it);
        if !self.ended && (failed || stopped || matches!(envelope.event, Event::PipelineCompleted(_))) {
            self.ended = true;
            self.stopped = stopped;
            self.info.status = if failed { "failed" } else { "completed" };
            self.info.completed_at = Some(Shown(envelope.at));
        }
        if let Event::PipelineFailed(e) = &envelope.event {
            self.info.error_info = Some(ErrorInfo::of_pipeline(&e.error));
        }
    }

    fn follow_task(&mut self, id: TaskId, envelope: &Envelope) {
        if let Some(story) = TaskStory::begin(envelope).filter(|story| story.pipeline == Some(self.info.id.0)) {
            self.tasks.insert(id, story);
        } else if let Some(story) = self.tasks.get_mut(&id) {
            story.follow(envelope);
            if let (Event::TaskCompleted(_), Some(Shown(started))) = (&envelope.event, story.info.started_at) {
                self.busy_us += envelope.at.micros_since(started);
            }
        }
    }

    /// The record, with the figures of its tasks.
    #[must_use]
    pub fn finish(mut self) -> PipelineInfo {
        let mut counts = Counts::default();
        for task in self.tasks.values() {
            counts.add(task.status);
        }
        let until = self.info.completed_at.map(|Shown(at)| at);
        let span = self.started_at.zip(until).map(|(from, to)| to.micros_since(from));
        let mean = self.busy_us.checked_div(counts.of(TaskStatus::Completed));
        self.info.metrics = PipelineFigures::from_counts(&counts, 0, mean, span, self.stopped);
        self.info
    }
}
