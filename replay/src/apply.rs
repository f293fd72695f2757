//! The one fold: how each event changes the state. Live, in a replay and in an audit the same function runs; what it rejects is a
//! bug when live and a finding in an audit.

use crate::envelope::Envelope;
use crate::event::{self, AfterFailure, Event};
use crate::ids::{AgentId, PipelineId, Seq, TaskId, Timestamp};
use crate::limits::LOST_AGENTS_MAX;
use crate::queue::Scope;
use crate::state::{
    Agent, AgentIx, Ended, ErrorEntry, Lease, Load, ModelReport, Pipeline, PipelineIx, Presence, SCORE_FULL, State,
    Task, TaskError, TaskErrorKind, TaskIx,
};
use crate::status::{
    IllegalStep, PipelineStatus, PipelineStep, TaskStatus, TaskStep, next_pipeline_status, next_task_status,
};
use crate::text::Payload;
use std::sync::Arc;

/// An event that can not have happened here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Illegal {
    /// A gap or a repetition.
    #[error("event {found} follows event {after}: the log has a gap or a repetition")]
    Seq {
        /// The newest event before.
        after: Seq,
        /// The event that came.
        found: Seq,
    },
    /// Time ran backwards.
    #[error("event {seq} is older than the event before it")]
    Time {
        /// The event.
        seq: Seq,
    },
    /// The events of a pipeline are not numbered one by one.
    #[error("event {seq} has number {found} within its pipeline; {expected} is next")]
    RunSeq {
        /// The event.
        seq: Seq,
        /// The next number.
        expected: u64,
        /// The number it has.
        found: u64,
    },
    /// It is about something that is not there.
    #[error("event {seq} is about a {what} that is not there: {id}")]
    Unknown {
        /// The event.
        seq: Seq,
        /// Task, pipeline or agent.
        what: &'static str,
        /// Which.
        id: String,
    },
    /// It creates what is there already, or belongs to another attempt.
    #[error("event {seq} contradicts what is there: {detail}")]
    Contradiction {
        /// The event.
        seq: Seq,
        /// What is wrong.
        detail: String,
    },
    /// The life cycle has no such step.
    #[error("event {seq}: {step}")]
    Step {
        /// The event.
        seq: Seq,
        /// The step.
        step: IllegalStep,
    },
}

/// Folds one event into the state.
///
/// # Errors
/// When the event can not follow; the state is then in no defined condition and must be dropped.
pub fn apply(state: &mut State, envelope: &Envelope) -> Result<(), Illegal> {
    let seq = envelope.seq;
    if seq != state.seq + 1 {
        return Err(Illegal::Seq { after: state.seq, found: seq });
    }
    if envelope.at < state.at {
        return Err(Illegal::Time { seq });
    }
    state.seq = seq;
    state.at = envelope.at;
    state.requests.note(envelope);
    Fold { state, seq, at: envelope.at }.fold(envelope)
}

/// One step of the fold: the state, and when it is.
struct Fold<'a> {
    state: &'a mut State,
    seq: Seq,
    at: Timestamp,
}

impl Fold<'_> {
    fn fold(&mut self, envelope: &Envelope) -> Result<(), Illegal> {
        if let Event::PipelineCreated(e) = &envelope.event {
            self.pipeline_created(e)?;
        }
        self.number(envelope)?;
        match &envelope.event {
            Event::CoordinatorStarted(e) => self.coordinator_started(e),
            Event::ConnectionOpened(e) => self.state.connections = self.state.connections.max(e.connection),
            Event::OperationRefused(_) => self.state.refusals.count(envelope.actor, self.at),
            Event::MachineLoadObserved(e) => self.load_observed(e),
            Event::CoordinatorStopped(_)
            | Event::OperationsObserved(_)
            | Event::HookRecorded(_)
            | Event::PipelineCreated(_) => {}
            Event::PipelineStarted(e) => self.pipeline_started(e)?,
            Event::PipelinePaused(e) => drop(self.step_pipeline(e.pipeline, PipelineStep::Pause)?),
            Event::PipelineResumed(e) => drop(self.step_pipeline(e.pipeline, PipelineStep::Resume)?),
            Event::PipelineStopped(e) => self.pipeline_stopped(e)?,
            Event::PipelineCompleted(e) => self.end_pipeline(e.pipeline, PipelineStep::Complete)?,
            Event::PipelineFailed(e) => self.end_pipeline(e.pipeline, PipelineStep::Fail)?,
            Event::PipelineDeleted(e) => self.pipeline_deleted(e)?,
            Event::ModeChosen(e) => {
                let ix = self.pipeline(e.pipeline)?;
                self.state.change_mode(ix, e.mode);
            }
            Event::TaskCreated(e) => self.task_created(e)?,
            Event::TaskAssigned(e) => self.task_assigned(e)?,
            Event::TaskStarted(e) => self.task_started(e)?,
            Event::TaskCompleted(e) => self.task_completed(e)?,
            Event::TaskFailed(e) => self.task_failed(e)?,
            Event::TaskRequeued(e) => drop(self.requeue(e.task, e.attempt)?),
            Event::TaskReleased(e) => self.task_released(e)?,
            Event::TaskCancelled(e) => self.task_cancelled(e)?,
            Event::AgentRegistered(e) => self.agent_registered(e),
            Event::AgentDisconnected(e) => self.agent_presence(&e.agent, Presence::Disconnected)?,
            Event::AgentLost(e) => self.agent_lost(e)?,
            Event::AgentUnregistered(e) => self.agent_unregistered(e)?,
            Event::MemorySet(e) => {
                self.state.memory.insert(e.key.clone(), Payload::keep(&e.value, self.seq));
            }
            Event::MemoryDeleted(e) => drop(self.state.memory.remove(&e.key)),
            Event::ErrorReported(e) => self.error_reported(e),
            Event::ErrorRecovered(e) => {
                if !self.state.errors.recover(e.error, &e.action, self.at) {
                    return Err(self.unknown("error", &e.error));
                }
            }
            Event::ModelReported(e) => {
                let report = ModelReport { at: self.at, figures: *e.figures };
                self.state.models.entry(e.model.clone()).or_default().report(report);
            }
        }
        Ok(())
    }

    // Helpers.

    fn unknown(&self, what: &'static str, id: &impl ToString) -> Illegal {
        Illegal::Unknown { seq: self.seq, what, id: id.to_string() }
    }

    fn contradiction(&self, detail: String) -> Illegal {
        Illegal::Contradiction { seq: self.seq, detail }
    }

    fn task(&self, id: TaskId) -> Result<TaskIx, Illegal> {
        self.state.tasks.find(&id.0).ok_or_else(|| self.unknown("task", &id))
    }

    fn pipeline(&self, id: PipelineId) -> Result<PipelineIx, Illegal> {
        self.state.pipelines.find(&id.0).ok_or_else(|| self.unknown("pipeline", &id))
    }

    fn agent(&self, id: &AgentId) -> Result<AgentIx, Illegal> {
        self.state.agents.find(id.as_str()).ok_or_else(|| self.unknown("agent", id))
    }

    /// The events of a pipeline are numbered one by one, so that its history can be shown to be complete.
    fn number(&mut self, envelope: &Envelope) -> Result<(), Illegal> {
        let run = self.state.run_of(&envelope.event);
        let expected = run.map_or(0, |ix| self.state.pipelines[ix].run_seq + 1);
        if envelope.run_seq != expected {
            return Err(Illegal::RunSeq { seq: self.seq, expected, found: envelope.run_seq });
        }
        if let Some(ix) = run {
            let pipeline = &mut self.state.pipelines[ix];
            pipeline.run_seq = expected;
            pipeline.updated_at = self.at;
        }
        Ok(())
    }

    fn step_task(&mut self, ix: TaskIx, step: TaskStep) -> Result<(), Illegal> {
        let task = &mut self.state.tasks[ix];
        let before = task.status;
        let after = next_task_status(before, step).map_err(|step| Illegal::Step { seq: self.seq, step })?;
        task.status = after;
        self.state.counts.shift(before, after);
        if let Some(pipeline) = task.pipeline {
            self.state.pipelines[pipeline].counts.shift(before, after);
        }
        Ok(())
    }

    fn step_pipeline(&mut self, id: PipelineId, step: PipelineStep) -> Result<PipelineIx, Illegal> {
        let ix = self.pipeline(id)?;
        let pipeline = &mut self.state.pipelines[ix];
        pipeline.status =
            next_pipeline_status(pipeline.status, step).map_err(|step| Illegal::Step { seq: self.seq, step })?;
        self.state.refresh_pipeline(ix);
        Ok(ix)
    }

    // The coordinator.

    /// Nobody is connected to a coordinator that has just started. Every lease gets a fresh term, and time limits are not held
    /// against what could not be reported meanwhile.
    fn coordinator_started(&mut self, e: &event::CoordinatorStarted) {
        self.state.settings = e.settings.clone();
        let term = self.at.plus_ms(e.settings.lease_ms);
        let agents: Vec<AgentIx> = self.state.agents.iter().map(|(ix, _)| ix).collect();
        for ix in agents {
            if self.state.agents[ix].presence == Presence::Active {
                self.state.agents[ix].presence = Presence::Disconnected;
                self.state.refresh_agent(ix);
            }
            for task in self.state.agents[ix].running.clone() {
                self.state.leave_deadlines(task);
                if let Some(lease) = &mut self.state.tasks[task].lease {
                    lease.until = lease.until.max(term);
                    lease.timeout_at = lease.timeout_at.map(|at| at.max(term));
                }
                self.state.enter_deadlines(task);
            }
        }
        self.state.refresh_limits();
    }

    fn load_observed(&mut self, e: &event::MachineLoadObserved) {
        self.state.load = Load { over_cpu: e.over_cpu, over_memory: e.over_memory };
        self.state.refresh_limits();
        let pipelines: Vec<PipelineIx> = self.state.pipelines.iter().map(|(ix, _)| ix).collect();
        for ix in pipelines {
            self.state.refresh_pipeline(ix);
        }
    }

    // Pipelines.

    fn pipeline_created(&mut self, e: &event::PipelineCreated) -> Result<(), Illegal> {
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
            ready: 0,
            busy_us: 0,
            run_seq: 0,
        });
        self.state.refresh_pipeline(ix);
        Ok(())
    }

    fn pipeline_started(&mut self, e: &event::PipelineStarted) -> Result<(), Illegal> {
        let ix = self.pipeline(e.pipeline)?;
        self.state.change_mode(ix, e.mode);
        self.state.pipelines[ix].started_at = Some(self.at);
        self.step_pipeline(e.pipeline, PipelineStep::Start)?;
        Ok(())
    }

    fn pipeline_stopped(&mut self, e: &event::PipelineStopped) -> Result<(), Illegal> {
        let ix = self.pipeline(e.pipeline)?;
        if self.state.pipelines[ix].status.is_final() {
            return Ok(());
        }
        self.state.pipelines[ix].stopped = true;
        self.end_pipeline(e.pipeline, PipelineStep::Stop)
    }

    fn end_pipeline(&mut self, id: PipelineId, step: PipelineStep) -> Result<(), Illegal> {
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

    fn pipeline_deleted(&mut self, e: &event::PipelineDeleted) -> Result<(), Illegal> {
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

    fn drop_pipeline(&mut self, ix: PipelineIx) {
        self.state.queue.drop_scope(Scope::from(Some(ix)));
        self.state.restless.remove(&ix);
        let Some(pipeline) = self.state.pipelines.remove(ix) else { return };
        for task in pipeline.tasks {
            self.state.tasks.remove(task);
        }
    }

    /// What ended long ago leaves the state; its history stays in the log. The newest always stays.
    fn forget_old(&mut self) {
        while self.state.ended_tasks > u64::from(self.state.settings.ended_kept) && self.state.ended.len() > 1 {
            match self.state.ended.pop_front() {
                Some(Ended::Pipeline(id)) => {
                    let Some(ix) = self.state.pipelines.find(&id.0) else { continue };
                    let weight = self.state.pipelines[ix].weight();
                    self.state.ended_tasks = self.state.ended_tasks.saturating_sub(weight);
                    self.drop_pipeline(ix);
                }
                Some(Ended::Task(id)) => {
                    let Some(ix) = self.state.tasks.find(&id.0) else { continue };
                    if self.is_input(ix) {
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

    /// Whether a task that has not ended still needs this one's result.
    fn is_input(&self, ix: TaskIx) -> bool {
        let live = |id: &TaskId| self.state.tasks.by_key(&id.0).is_some_and(|task| !task.status.is_final());
        self.state.tasks[ix].dependents.iter().any(live)
    }

    // Tasks.

    fn task_created(&mut self, e: &event::TaskCreated) -> Result<(), Illegal> {
        if self.state.tasks.find(&e.task.0).is_some() {
            return Err(self.contradiction(format!("task {} exists", e.task)));
        }
        let pipeline = e.pipeline.map(|id| self.pipeline(id)).transpose()?;
        let mut waiting_for = 0;
        for upstream in &e.depends_on {
            let ix = self.task(*upstream)?;
            self.state.tasks[ix].dependents.push(e.task);
            waiting_for += u32::from(!self.state.tasks[ix].status.is_final());
        }
        let ix = self.state.tasks.insert(Task {
            id: e.task,
            name: e.name.as_str().into(),
            pipeline,
            ordinal: self.state.created,
            spec: Arc::clone(&e.spec),
            status: TaskStatus::Pending,
            attempt: 0,
            failures: 0,
            depends_on: e.depends_on.as_slice().into(),
            dependents: Vec::new(),
            waiting_for,
            created_at: self.at,
            ready_since: self.at,
            started_at: None,
            ended_at: None,
            lease: None,
            retry_at: None,
            config: Payload::keep(&e.config, self.seq),
            result: Payload::null(),
            error: None,
            retry_of: e.retry_of,
            class: Default::default(),
        });
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

    fn task_assigned(&mut self, e: &event::TaskAssigned) -> Result<(), Illegal> {
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
        task.lease = Some(Lease { agent, assigned_at: self.at, until: e.lease_until, timeout_at: e.timeout_at });
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

    fn task_started(&mut self, e: &event::TaskStarted) -> Result<(), Illegal> {
        let ix = self.task(e.task)?;
        self.expect_attempt(ix, e.attempt)?;
        self.state.tasks[ix].started_at = Some(self.at);
        self.step_task(ix, TaskStep::Start)
    }

    fn expect_attempt(&self, ix: TaskIx, attempt: u32) -> Result<(), Illegal> {
        let task = &self.state.tasks[ix];
        if task.attempt == attempt && task.lease.is_some() {
            return Ok(());
        }
        Err(self.contradiction(format!("attempt {attempt} of task {} is not the live one", task.id)))
    }

    /// Ends the lease of a task; the agent gets its slot back.
    fn end_lease(&mut self, ix: TaskIx) -> Option<Lease> {
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

    fn task_completed(&mut self, e: &event::TaskCompleted) -> Result<(), Illegal> {
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
        let task = &mut self.state.tasks[ix];
        task.started_at = task.started_at.or(Some(self.at));
        task.result = Payload::keep(&e.result, self.seq);
        task.error = None;
        self.end_lease(ix);
        self.ended(ix);
        Ok(())
    }

    fn task_failed(&mut self, e: &event::TaskFailed) -> Result<(), Illegal> {
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
        task.failures += 1;
        task.result = Payload::keep(&e.result, self.seq);
        let kind = match e.then {
            AfterFailure::Quarantined => TaskErrorKind::Quarantined,
            AfterFailure::Retry { .. } | AfterFailure::Final => TaskErrorKind::Failed(e.failure),
        };
        task.error = Some(Box::new(TaskError { kind, message: e.message.clone() }));
        if let AfterFailure::Retry { not_before } = e.then {
            task.retry_at = Some(not_before);
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
    fn doom(&mut self, ix: TaskIx, message: &str) -> Result<(), Illegal> {
        let task = &self.state.tasks[ix];
        let Some(pipeline) = task.pipeline else { return Ok(()) };
        let (on_failure, name) = (task.spec.on_failure, Arc::clone(&task.name));
        if on_failure == crate::spec::OnFailure::Continue {
            return Ok(());
        }
        let pipeline = &mut self.state.pipelines[pipeline];
        let id = pipeline.id;
        pipeline.error.get_or_insert_with(|| format!("task '{name}' failed: {message}"));
        if on_failure == crate::spec::OnFailure::Fail {
            self.step_pipeline(id, PipelineStep::Doom)?;
        }
        Ok(())
    }

    fn refresh_run(&mut self, ix: TaskIx) {
        if let Some(pipeline) = self.state.tasks[ix].pipeline {
            self.state.refresh_pipeline(pipeline);
        }
    }

    fn requeue(&mut self, id: TaskId, attempt: u32) -> Result<TaskIx, Illegal> {
        let ix = self.task(id)?;
        self.expect_attempt(ix, attempt)?;
        self.step_task(ix, TaskStep::Requeue)?;
        self.end_lease(ix);
        self.state.task_ready(ix, self.at);
        Ok(ix)
    }

    fn task_released(&mut self, e: &event::TaskReleased) -> Result<(), Illegal> {
        let ix = self.task(e.task)?;
        if self.state.tasks[ix].retry_at.is_none() {
            return Err(self.contradiction(format!("task {} is not in a back-off", e.task)));
        }
        self.step_task(ix, TaskStep::Release)?;
        self.state.leave_deadlines(ix);
        self.state.tasks[ix].retry_at = None;
        self.state.task_ready(ix, self.at);
        Ok(())
    }

    fn task_cancelled(&mut self, e: &event::TaskCancelled) -> Result<(), Illegal> {
        let ix = self.task(e.task)?;
        if self.state.tasks[ix].is_ready() {
            self.state.task_unready(ix);
        }
        self.step_task(ix, TaskStep::Cancel)?;
        self.end_lease(ix);
        let kind = TaskErrorKind::of(e.reason);
        let task = &mut self.state.tasks[ix];
        task.retry_at = None;
        task.error = Some(Box::new(TaskError { kind, message: e.message.clone() }));
        self.ended(ix);
        Ok(())
    }

    /// A task has ended: what waited for it alone is ready.
    fn ended(&mut self, ix: TaskIx) {
        self.state.leave_class(ix);
        self.state.tasks[ix].ended_at = Some(self.at);
        for n in 0..self.state.tasks[ix].dependents.len() {
            let dependent = self.state.tasks[ix].dependents[n];
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

    // Agents.

    fn agent_registered(&mut self, e: &event::AgentRegistered) {
        let known = self.state.agents.find(e.agent.as_str());
        let old = known.map(|ix| self.state.agents[ix].clone());
        let agent = Agent {
            id: e.agent.clone(),
            name: e.name.as_str().into(),
            kind: e.kind.as_str().into(),
            capabilities: e.capabilities.as_slice().into(),
            resources: e.resources,
            slots: e.slots,
            presence: Presence::Active,
            connection: e.connection,
            pid: e.pid,
            registered_at: self.at,
            running: old.as_ref().map(|old| old.running.clone()).unwrap_or_default(),
            used: old.as_ref().map(|old| old.used).unwrap_or_default(),
            score_ppm: old.as_ref().map_or(SCORE_FULL, |old| old.score_ppm),
            completed: old.as_ref().map_or(0, |old| old.completed),
            failed: old.as_ref().map_or(0, |old| old.failed),
            busy_us: old.as_ref().map_or(0, |old| old.busy_us),
        };
        self.state.lost.retain(|lost| *lost != e.agent);
        let ix = match known {
            Some(ix) => {
                self.recharge(ix, false);
                self.state.agents[ix] = agent;
                self.recharge(ix, true);
                ix
            }
            None => self.state.agents.insert(agent),
        };
        self.state.seat_agent(ix);
    }

    /// An agent that declares something else than before moves its running work from one account to the other.
    fn recharge(&mut self, ix: AgentIx, starts: bool) {
        for task in self.state.agents[ix].running.clone() {
            let demand = self.state.tasks[task].spec.demand;
            self.state.charge(ix, demand, starts);
        }
    }

    fn agent_presence(&mut self, id: &AgentId, presence: Presence) -> Result<(), Illegal> {
        let ix = self.agent(id)?;
        self.state.agents[ix].presence = presence;
        self.state.refresh_agent(ix);
        Ok(())
    }

    /// An agent goes only after its leases have ended.
    fn expect_idle(&self, id: &AgentId) -> Result<AgentIx, Illegal> {
        let ix = self.agent(id)?;
        if self.state.agents[ix].running.is_empty() {
            return Ok(ix);
        }
        Err(self.contradiction(format!("agent {id} goes before its leases have ended")))
    }

    fn agent_lost(&mut self, e: &event::AgentLost) -> Result<(), Illegal> {
        self.agent_presence(&e.agent, Presence::Lost)?;
        self.state.lost.push_back(e.agent.clone());
        while self.state.lost.len() > LOST_AGENTS_MAX {
            // One that still holds leases stays until they have ended.
            let Some(Ok(ix)) = self.state.lost.front().map(|oldest| self.expect_idle(oldest)) else { break };
            self.state.lost.pop_front();
            self.drop_agent(ix);
        }
        Ok(())
    }

    fn agent_unregistered(&mut self, e: &event::AgentUnregistered) -> Result<(), Illegal> {
        let ix = self.expect_idle(&e.agent)?;
        self.state.lost.retain(|lost| *lost != e.agent);
        self.drop_agent(ix);
        Ok(())
    }

    fn drop_agent(&mut self, ix: AgentIx) {
        self.state.queue.unseat(ix);
        self.state.agents.remove(ix);
    }

    // Registers.

    fn error_reported(&mut self, e: &event::ErrorReported) {
        if self.state.errors.contains(e.error) {
            return;
        }
        self.state.errors.insert(ErrorEntry {
            id: e.error,
            at: self.at,
            component: e.component.clone(),
            error_type: e.error_type.clone(),
            message: e.message.clone(),
            task: e.task,
            details: Payload::keep(&e.details, self.seq),
            recovered: None,
        });
    }
}
