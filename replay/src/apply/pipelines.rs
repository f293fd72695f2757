//! How pipelines change, and how what ended long ago leaves the state.

use super::{Fold, Illegal};
use crate::event;
use crate::ids::PipelineId;
use crate::queue::Scope;
use crate::state::{Ended, Pipeline, PipelineIx};
use crate::status::{PipelineStatus, PipelineStep};
use crate::text::Payload;

impl Fold<'_> {
    pub(super) fn pipeline_created(&mut self, e: &event::PipelineCreated) -> Result<(), Illegal> {
        if self.state.pipelines.find(&e.pipeline.0).is_some() {
            return Err(self.contradiction(format!("pipeline {} exists", e.pipeline)));
        }
        let ix = self.state.pipelines.insert(Pipeline {
            id: e.pipeline,
            name: e.name.as_str().into(),
            options: e.options.clone(),
            mode: e.options.strategy,
            status: PipelineStatus::Idle,
            config: Payload::keep(&e.config, self.seq),
            created_at: self.at,
            updated_at: self.at,
            started_at: None,
            ended_at: None,
            stopped: false,
            error: None,
            tasks: Vec::new(),
            counts: Default::default(),
            tasks_expected: 0,
            ready: 0,
            busy_us: 0,
            run_seq: 0,
        });
        self.state.refresh_pipeline(ix);
        Ok(())
    }

    pub(super) fn tasks_expected(&mut self, e: &event::TasksExpected) -> Result<(), Illegal> {
        let ix = self.pipeline(e.pipeline)?;
        self.state.pipelines[ix].tasks_expected = u64::from(e.tasks);
        Ok(())
    }

    pub(super) fn pipeline_started(&mut self, e: &event::PipelineStarted) -> Result<(), Illegal> {
        let ix = self.pipeline(e.pipeline)?;
        self.state.change_mode(ix, e.mode);
        self.state.pipelines[ix].started_at = Some(self.at);
        self.step_pipeline(e.pipeline, PipelineStep::Start)?;
        Ok(())
    }

    pub(super) fn pipeline_stopped(&mut self, e: &event::PipelineStopped) -> Result<(), Illegal> {
        let ix = self.pipeline(e.pipeline)?;
        if self.state.pipelines[ix].status.is_final() {
            return Ok(());
        }
        self.state.pipelines[ix].stopped = true;
        self.end_pipeline(e.pipeline, PipelineStep::Stop)
    }

    pub(super) fn end_pipeline(&mut self, id: PipelineId, step: PipelineStep) -> Result<(), Illegal> {
        let ix = self.step_pipeline(id, step)?;
        let pipeline = &mut self.state.pipelines[ix];
        if pipeline.counts.live() > 0 {
            return Err(self.contradiction(format!("pipeline {id} ends before its tasks")));
        }
        pipeline.ended_at = Some(self.at);
        self.state.ended_tasks += pipeline.weight();
        self.state.ended.push_back(Ended::Pipeline(id));
        self.forget_old();
        Ok(())
    }

    pub(super) fn pipeline_deleted(&mut self, e: &event::PipelineDeleted) -> Result<(), Illegal> {
        let ix = self.pipeline(e.pipeline)?;
        if self.state.pipelines[ix].counts.live() > 0 {
            return Err(self.contradiction(format!("pipeline {} is deleted before its tasks end", e.pipeline)));
        }
        if self.state.pipelines[ix].status.is_final() {
            self.state.ended.retain(|ended| *ended != Ended::Pipeline(e.pipeline));
            let weight = self.state.pipelines[ix].weight();
            self.state.ended_tasks = self.state.ended_tasks.saturating_sub(weight);
        }
        self.drop_pipeline(ix);
        Ok(())
    }

    pub(super) fn drop_pipeline(&mut self, ix: PipelineIx) {
        self.state.queue.drop_scope(Scope::from(Some(ix)));
        self.state.restless.remove(&ix);
        let Some(pipeline) = self.state.pipelines.remove(ix) else { return };
        for task in pipeline.tasks {
            self.state.tasks.remove(task);
        }
    }

    /// What ended long ago leaves the state; its history stays in the log. The newest always stays.
    pub(super) fn forget_old(&mut self) {
        while self.state.ended_tasks > u64::from(self.state.settings.ended_kept) && self.state.ended.len() > 1 {
            match self.state.ended.pop_front() {
                Some(Ended::Pipeline(id)) => {
                    let Some(ix) = self.state.pipelines.find(&id.0) else { continue };
                    if self.state.needs_results_of(&self.state.pipelines[ix]).is_some() {
                        self.state.ended.push_back(Ended::Pipeline(id));
                        return;
                    }
                    let weight = self.state.pipelines[ix].weight();
                    self.state.ended_tasks = self.state.ended_tasks.saturating_sub(weight);
                    self.drop_pipeline(ix);
                }
                Some(Ended::Task(id)) => {
                    let Some(ix) = self.state.tasks.find(&id.0) else { continue };
                    if self.state.needs_result_of(&self.state.tasks[ix]).is_some() {
                        self.state.ended.push_back(Ended::Task(id));
                        return;
                    }
                    self.state.ended_tasks = self.state.ended_tasks.saturating_sub(1);
                    self.state.tasks.remove(ix);
                }
                None => return,
            }
        }
    }
}
