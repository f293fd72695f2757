//! Pipelines: created, started, paused, resumed, stopped, deleted.

use super::{Decision, check_name, cut, graph};
use crate::command::NewTask;
use crate::event::{self, CancelReason, Event, PauseRunning, RequeueReason};
use crate::ids::PipelineId;
use crate::limits::PIPELINES_MAX;
use crate::refusal::Refusal;
use crate::spec::{PipelineOptions, PipelineWish, RetryPolicy, Strategy};
use crate::state::{Pipeline, adaptive_mode};
use crate::status::PipelineStatus;
use crate::text::Json;

impl Decision<'_> {
    pub(super) fn create_pipeline(
        &self,
        id: PipelineId,
        name: &str,
        wish: &PipelineWish,
        config: &Json,
        tasks: &[NewTask],
    ) -> Result<Vec<Event>, Refusal> {
        check_name("name", name)?;
        if self.state.pipelines.len() >= PIPELINES_MAX {
            return Err(Refusal::Overloaded(format!(
                "there are {PIPELINES_MAX} pipelines, the limit PIPELINES_MAX; delete some with pipeline/delete"
            )));
        }
        if self.state.pipeline(id).is_ok() {
            return Err(Refusal::InvalidParams(format!("pipeline {id} exists already; use a new id")));
        }
        let options = self.options(wish)?;
        let edges = graph::resolve(tasks, std::iter::empty(), |_| None)?;
        let created = event::PipelineCreated {
            pipeline: id,
            name: name.to_owned(),
            options: options.clone(),
            config: config.clone(),
        };
        let mut events = vec![created.into()];
        if let Some(expected) = wish.tasks_expected.filter(|expected| *expected as usize > tasks.len()) {
            events.push(event::TasksExpected { pipeline: id, tasks: expected }.into());
        }
        self.task_events(Some((id, &options)), tasks, &edges, &mut events)?;
        Ok(events)
    }

    fn options(&self, wish: &PipelineWish) -> Result<PipelineOptions, Refusal> {
        let settings = &self.state.settings;
        let concurrent_max = wish.concurrent_max.unwrap_or(settings.concurrent_max);
        if concurrent_max == 0 {
            return Err(Refusal::InvalidParams(
                "max_concurrent_tasks is 0, so nothing could ever run; give at least 1".to_owned(),
            ));
        }
        let standard = RetryPolicy::standard(settings.retry_attempts);
        Ok(PipelineOptions {
            strategy: wish.strategy.unwrap_or(settings.strategy),
            concurrent_max,
            timeout_ms: wish.timeout_ms.or(settings.timeout_ms).filter(|ms| *ms > 0),
            retry: wish.retry.or(&standard),
            on_failure: wish.on_failure.unwrap_or(crate::spec::OnFailure::Fail),
        })
    }

    pub(super) fn start_pipeline(&self, id: PipelineId) -> Result<Vec<Event>, Refusal> {
        let pipeline = self.state.pipeline(id)?;
        let status = pipeline.status;
        match status {
            PipelineStatus::Idle => {}
            PipelineStatus::Running | PipelineStatus::Paused | PipelineStatus::Stopping => {
                return Err(Refusal::PipelineRunning { pipeline: id, status });
            }
            PipelineStatus::Completed | PipelineStatus::Failed => {
                return Err(Refusal::PipelineEnded { pipeline: id, status });
            }
        }
        let (tasks, expected) = (pipeline.counts.total(), pipeline.tasks_expected);
        if tasks < expected {
            return Err(Refusal::PipelineIncomplete { pipeline: id, tasks, expected });
        }
        let mode = self.first_mode(pipeline.options.strategy, pipeline.ready);
        let mut events = vec![event::PipelineStarted { pipeline: id, mode }.into()];
        // All its tasks may have been cancelled before it ran.
        if pipeline.counts.live() == 0 && pipeline.counts.total() > 0 {
            events.push(event::PipelineCompleted { pipeline: id }.into());
        }
        Ok(events)
    }

    /// How a pipeline with so many ready tasks schedules at first.
    pub(super) fn first_mode(&self, strategy: Strategy, ready: u32) -> Strategy {
        match strategy {
            Strategy::Adaptive => adaptive_mode(Strategy::Parallel, ready, self.state.load.is_over()),
            fixed @ (Strategy::Sequential | Strategy::Parallel | Strategy::PriorityBased | Strategy::ResourceAware) => {
                fixed
            }
        }
    }

    pub(super) fn pause_pipeline(&self, id: PipelineId, running: PauseRunning) -> Result<Vec<Event>, Refusal> {
        let pipeline = self.state.pipeline(id)?;
        if pipeline.status != PipelineStatus::Running {
            return Err(Refusal::PipelineNotRunning { pipeline: id, status: pipeline.status });
        }
        let mut events = vec![event::PipelinePaused { pipeline: id, running }.into()];
        if running == PauseRunning::Cancel {
            for ix in &pipeline.tasks {
                events.extend(self.requeued(&self.state.tasks[*ix], RequeueReason::Paused));
            }
        }
        Ok(events)
    }

    pub(super) fn resume_pipeline(&self, id: PipelineId) -> Result<Vec<Event>, Refusal> {
        let pipeline = self.state.pipeline(id)?;
        match pipeline.status {
            PipelineStatus::Paused => Ok(vec![event::PipelineResumed { pipeline: id }.into()]),
            status @ (PipelineStatus::Idle
            | PipelineStatus::Running
            | PipelineStatus::Stopping
            | PipelineStatus::Completed
            | PipelineStatus::Failed) => Err(Refusal::PipelineNotPaused { pipeline: id, status }),
        }
    }

    pub(super) fn stop_pipeline(&self, id: PipelineId, reason: &str) -> Result<Vec<Event>, Refusal> {
        let pipeline = self.state.pipeline(id)?;
        let mut events = self.cancel_all(pipeline, "the pipeline was stopped");
        let counts = pipeline.counts.all_cancelled();
        events.push(
            event::PipelineStopped { pipeline: id, reason: cut(reason), counts, ended_it: !pipeline.status.is_final() }
                .into(),
        );
        Ok(events)
    }

    pub(super) fn delete_pipeline(&self, id: PipelineId) -> Result<Vec<Event>, Refusal> {
        let pipeline = self.state.pipeline(id)?;
        match pipeline.status {
            PipelineStatus::Idle | PipelineStatus::Completed | PipelineStatus::Failed => {}
            status @ (PipelineStatus::Running | PipelineStatus::Paused | PipelineStatus::Stopping) => {
                return Err(Refusal::PipelineAlive { pipeline: id, status });
            }
        }
        if let Some(by) = self.state.needs_results_of(pipeline) {
            return Err(Refusal::PipelineNeeded { pipeline: id, by: by.id });
        }
        let mut events = self.cancel_all(pipeline, "the pipeline was deleted");
        events.push(event::PipelineDeleted { pipeline: id, name: pipeline.name.to_string() }.into());
        Ok(events)
    }

    fn cancel_all(&self, pipeline: &Pipeline, message: &str) -> Vec<Event> {
        let tasks = pipeline.tasks.iter().map(|ix| &self.state.tasks[*ix]);
        let live = tasks.filter(|task| !task.status.is_final());
        live.map(|task| self.cancelled(task, CancelReason::PipelineStopped, message)).collect()
    }

    pub(super) fn choose_mode(&self, id: PipelineId, mode: Strategy) -> Result<Vec<Event>, Refusal> {
        let pipeline = self.state.pipeline(id)?;
        let over_limit = self.state.load.is_over();
        Ok(vec![event::ModeChosen { pipeline: id, mode, ready: pipeline.ready, over_limit }.into()])
    }
}
