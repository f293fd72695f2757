//! How tasks change, and with them leases, lanes and the tasks that wait.

use super::{Fold, Illegal};
use crate::event::{self, AfterFailure};
use crate::ids::TaskId;
use crate::spec::OnFailure;
use crate::state::{Ended, Lease, Pipeline, Task, TaskError, TaskErrorKind, TaskIx};
use crate::status::{PipelineStep, TaskStatus, TaskStep};
use crate::text::Payload;
use std::sync::Arc;

impl Fold<'_> {
    pub(super) fn task_created(&mut self, e: &event::TaskCreated) -> Result<(), Illegal> {
        if self.state.tasks.find(&e.task.0).is_some() {
            return Err(self.contradiction(format!("task {} exists", e.task)));
        }
        let pipeline = e.pipeline.map(|id| self.pipeline(id)).transpose()?;
        let mut waiting_for = 0;
        for upstream in &e.depends_on {
            let ix = self.task(*upstream)?;
            self.state.tasks[ix].edges_mut().dependents.push(e.task);
            waiting_for += u32::from(!self.state.tasks[ix].status.is_final());
        }
        let config = match e.retry_of.filter(|_| e.config.is_null()) {
            Some(of) => self.state.tasks[self.task(of)?].config.clone(),
            None => Payload::keep(&e.config, self.seq),
        };
        let (spec, config) = (self.state.alike.spec(&e.spec), self.state.alike.config(config));
        let mut task = Task::new(e.task, &e.name, spec, config, self.at);
        task.pipeline = pipeline;
        task.ordinal = self.state.created;
        task.waiting_for = waiting_for;
        if !e.depends_on.is_empty() {
            task.edges_mut().depends_on = e.depends_on.clone();
        }
        if e.retry_of.is_some() {
            task.setbacks_mut().retry_of = e.retry_of;
        }
        let ix = self.state.tasks.insert(task);
        self.state.created += 1;
        self.state.counts.add(TaskStatus::Pending);
        if let Some(pipeline) = pipeline {
            self.state.pipelines[pipeline].tasks.push(ix);
            self.state.pipelines[pipeline].counts.add(TaskStatus::Pending);
        }
        self.state.enter_class(ix);
        if waiting_for == 0 {
            self.state.task_ready(ix, self.at);
        }
        Ok(())
    }

    pub(super) fn task_assigned(&mut self, e: &event::TaskAssigned) -> Result<(), Illegal> {
        let (ix, agent) = (self.task(e.task)?, self.agent(&e.agent)?);
        let task = &self.state.tasks[ix];
        if e.attempt != task.attempt + 1 || !task.is_ready() {
            return Err(self.contradiction(format!("attempt {} of task {} can not start", e.attempt, e.task)));
        }
        if !self.state.agents[agent].is_free() {
            return Err(self.contradiction(format!("agent {} has no free slot", e.agent)));
        }
        self.state.task_unready(ix);
        self.step_task(ix, TaskStep::Assign)?;
        let task = &mut self.state.tasks[ix];
        task.attempt = e.attempt;
        task.started_at = None;
        task.agent = Some(self.state.agents[agent].id.clone());
        let lease = Lease { agent, assigned_at: self.at, until: e.lease_until, timeout_at: e.timeout_at };
        task.lease = Some(Box::new(lease));
        let (pipeline, demand) = (task.pipeline, task.spec.demand);
        self.state.enter_deadlines(ix);
        let holder = &mut self.state.agents[agent];
        holder.running.push(ix);
        holder.used.add(demand);
        self.state.charge(agent, demand, true);
        self.state.refresh_agent(agent);
        if let Some(pipeline) = pipeline {
            self.state.refresh_pipeline(pipeline);
        }
        Ok(())
    }

    pub(super) fn task_started(&mut self, e: &event::TaskStarted) -> Result<(), Illegal> {
        let ix = self.task(e.task)?;
        self.expect_attempt(ix, e.attempt)?;
        self.state.tasks[ix].started_at = Some(self.at);
        self.step_task(ix, TaskStep::Start)
    }

    pub(super) fn expect_attempt(&self, ix: TaskIx, attempt: u32) -> Result<(), Illegal> {
        let task = &self.state.tasks[ix];
        if task.attempt == attempt && task.lease.is_some() {
            return Ok(());
        }
        Err(self.contradiction(format!("attempt {attempt} of task {} is not the live one", task.id)))
    }

    /// Ends the lease of a task; the agent gets its slot back.
    pub(super) fn end_lease(&mut self, ix: TaskIx) -> Option<Box<Lease>> {
        self.state.leave_deadlines(ix);
        let task = &mut self.state.tasks[ix];
        let lease = task.lease.take()?;
        let demand = task.spec.demand;
        let agent = &mut self.state.agents[lease.agent];
        agent.running.retain(|running| *running != ix);
        agent.used.take(demand);
        self.state.charge(lease.agent, demand, false);
        self.state.refresh_agent(lease.agent);
        Some(lease)
    }

    pub(super) fn task_completed(&mut self, e: &event::TaskCompleted) -> Result<(), Illegal> {
        let ix = self.task(e.task)?;
        self.expect_attempt(ix, e.attempt)?;
        let task = &self.state.tasks[ix];
        // The mean of those before this one.
        let mean_us = self.state.pipeline_of(task).and_then(Pipeline::mean_duration_us);
        self.step_task(ix, TaskStep::Complete)?;
        let task = &self.state.tasks[ix];
        let begun = task.started_at.or(task.lease.as_ref().map(|lease| lease.assigned_at)).unwrap_or(self.at);
        let duration_us = self.at.micros_since(begun);
        let expected_us = task.spec.estimate_ms.map(|ms| ms.saturating_mul(1_000)).or(mean_us);
        if let Some(pipeline) = task.pipeline {
            let busy = &mut self.state.pipelines[pipeline].busy_us;
            *busy = busy.saturating_add(duration_us);
        }
        if let Some(lease) = &self.state.tasks[ix].lease {
            self.state.agents[lease.agent].succeeded(duration_us, expected_us);
        }
        let result = self.state.alike.result(Payload::keep(&e.result, self.seq));
        let task = &mut self.state.tasks[ix];
        task.started_at = task.started_at.or(Some(self.at));
        task.result = result;
        task.forget_error();
        self.end_lease(ix);
        self.ended(ix);
        Ok(())
    }

    pub(super) fn task_failed(&mut self, e: &event::TaskFailed) -> Result<(), Illegal> {
        let ix = self.task(e.task)?;
        self.expect_attempt(ix, e.attempt)?;
        let step = match e.then {
            AfterFailure::Retry { .. } => TaskStep::Retry,
            AfterFailure::Final | AfterFailure::Quarantined => TaskStep::Fail,
        };
        self.step_task(ix, step)?;
        if let Some(lease) = &self.state.tasks[ix].lease {
            self.state.agents[lease.agent].failed();
        }
        self.end_lease(ix);
        let task = &mut self.state.tasks[ix];
        task.result = Payload::keep(&e.result, self.seq);
        let kind = match e.then {
            AfterFailure::Quarantined => TaskErrorKind::Quarantined,
            AfterFailure::Retry { .. } | AfterFailure::Final => TaskErrorKind::Failed(e.failure),
        };
        let setbacks = task.setbacks_mut();
        setbacks.failures += 1;
        setbacks.error = Some(TaskError { kind, message: e.message.clone() });
        if let AfterFailure::Retry { not_before } = e.then {
            setbacks.retry_at = Some(not_before);
            self.state.enter_deadlines(ix);
            self.refresh_run(ix);
        } else {
            task.started_at = task.started_at.or(Some(self.at));
            self.doom(ix, &e.message)?;
            self.ended(ix);
        }
        Ok(())
    }

    /// A final failure counts against the pipeline, as its task says.
    pub(super) fn doom(&mut self, ix: TaskIx, message: &str) -> Result<(), Illegal> {
        let task = &self.state.tasks[ix];
        let Some(pipeline) = task.pipeline else { return Ok(()) };
        let (on_failure, name) = (task.spec.on_failure, Arc::clone(&task.name));
        if on_failure == OnFailure::Continue {
            return Ok(());
        }
        let pipeline = &mut self.state.pipelines[pipeline];
        let id = pipeline.id;
        pipeline.error.get_or_insert_with(|| format!("task '{name}' failed: {message}"));
        if on_failure == OnFailure::Fail {
            self.step_pipeline(id, PipelineStep::Doom)?;
        }
        Ok(())
    }

    pub(super) fn refresh_run(&mut self, ix: TaskIx) {
        if let Some(pipeline) = self.state.tasks[ix].pipeline {
            self.state.refresh_pipeline(pipeline);
        }
    }

    pub(super) fn requeue(&mut self, id: TaskId, attempt: u32) -> Result<TaskIx, Illegal> {
        let ix = self.task(id)?;
        self.expect_attempt(ix, attempt)?;
        self.step_task(ix, TaskStep::Requeue)?;
        self.end_lease(ix);
        // It keeps its place: it did nothing to lose it.
        let since = self.state.tasks[ix].ready_since;
        self.state.task_ready(ix, since);
        Ok(ix)
    }

    pub(super) fn task_released(&mut self, e: &event::TaskReleased) -> Result<(), Illegal> {
        let ix = self.task(e.task)?;
        if self.state.tasks[ix].setbacks().retry_at.is_none() {
            return Err(self.contradiction(format!("task {} is not in a back-off", e.task)));
        }
        self.step_task(ix, TaskStep::Release)?;
        self.state.leave_deadlines(ix);
        self.state.tasks[ix].setbacks_mut().retry_at = None;
        self.state.task_ready(ix, self.at);
        Ok(())
    }

    pub(super) fn task_cancelled(&mut self, e: &event::TaskCancelled) -> Result<(), Illegal> {
        let ix = self.task(e.task)?;
        if self.state.tasks[ix].is_ready() {
            self.state.task_unready(ix);
        }
        self.step_task(ix, TaskStep::Cancel)?;
        self.end_lease(ix);
        let kind = TaskErrorKind::of(e.reason);
        let setbacks = self.state.tasks[ix].setbacks_mut();
        setbacks.retry_at = None;
        setbacks.error = Some(TaskError { kind, message: e.message.clone() });
        self.ended(ix);
        Ok(())
    }

    /// A task has ended: what waited for it alone is ready.
    pub(super) fn ended(&mut self, ix: TaskIx) {
        self.state.leave_class(ix);
        self.state.tasks[ix].ended_at = Some(self.at);
        for n in 0..self.state.tasks[ix].edges().dependents.len() {
            let dependent = self.state.tasks[ix].edges().dependents[n];
            let Some(waiting) = self.state.tasks.find(&dependent.0) else { continue };
            let task = &mut self.state.tasks[waiting];
            task.waiting_for = task.waiting_for.saturating_sub(1);
            if task.is_ready() {
                self.state.task_ready(waiting, self.at);
            }
        }
        self.refresh_run(ix);
        if self.state.tasks[ix].pipeline.is_none() {
            self.state.ended.push_back(Ended::Task(self.state.tasks[ix].id));
            self.state.ended_tasks += 1;
            self.forget_old();
        }
    }
}
