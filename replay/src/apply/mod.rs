//! The one fold: how each event changes the state. Live, in a replay and in an audit the same function runs; what it rejects is a
//! bug when live and a finding in an audit.

mod agents;
mod pipelines;
mod tasks;

use crate::envelope::Envelope;
use crate::event::{self, Event};
use crate::ids::{AgentId, PipelineId, Seq, TaskId, Timestamp};
use crate::spec::Settings;
use crate::state::{AgentIx, ErrorEntry, Load, ModelReport, PipelineIx, Presence, State, TaskIx};
use crate::status::{IllegalStep, PipelineStep, TaskStep, next_pipeline_status, next_task_status};
use crate::text::Payload;

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
            Event::CoordinatorConfigured(e) => self.configured(&e.settings),
            Event::ConnectionOpened(e) => self.state.connections = self.state.connections.max(e.connection),
            Event::OperationRefused(_) => self.state.refusals.count(envelope.actor, self.at),
            Event::MachineLoadObserved(e) => self.load_observed(e),
            Event::CoordinatorStopped(_)
            | Event::OperationsObserved(_)
            | Event::AssignmentConfirmed(_)
            | Event::HookRecorded(_)
            | Event::PipelineCreated(_) => {}
            Event::TasksExpected(e) => self.tasks_expected(e)?,
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
        self.configured(&e.settings);
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
    }

    /// What was settled under the old settings stays; limits and retention are looked at anew.
    fn configured(&mut self, settings: &Settings) {
        self.state.settings = settings.clone();
        self.state.refresh_limits();
        self.forget_old();
    }

    fn load_observed(&mut self, e: &event::MachineLoadObserved) {
        self.state.load = Load { over_cpu: e.over_cpu, over_memory: e.over_memory };
        self.state.refresh_limits();
        let pipelines: Vec<PipelineIx> = self.state.pipelines.iter().map(|(ix, _)| ix).collect();
        for ix in pipelines {
            self.state.refresh_pipeline(ix);
        }
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
