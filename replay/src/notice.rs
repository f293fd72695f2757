//! What clients are told about an event: the one door out, a table from events to notices.
//!
//! A notice is plain data and rendered only for those who want it.

use crate::envelope::Envelope;
use crate::event::{Event, FailureKind};
use crate::ids::{AgentId, ConnectionNo, PipelineId, TaskId, Timestamp};
use crate::state::{State, Task};
use crate::status::TaskStatus;
use crate::text::{Json, Payload};
use std::sync::Arc;

/// Something to tell clients.
#[derive(Clone, Debug)]
pub enum Notice {
    /// `task/assigned`, to the one agent.
    Assigned(Box<Assignment>),
    /// `task/cancelled`, to the one agent: let go of this attempt.
    Cancel {
        /// The connection that the agent speaks through.
        connection: ConnectionNo,
        /// The agent.
        agent: AgentId,
        /// The task.
        task: TaskId,
        /// The attempt.
        attempt: u32,
        /// Why, for a person.
        reason: String,
    },
    /// `pipeline/…`, to all who listen.
    Pipeline {
        /// The method.
        method: &'static str,
        /// The pipeline.
        pipeline: PipelineId,
        /// Its name.
        name: Arc<str>,
    },
    /// `task/changed`, to those who subscribed to tasks or to the pipeline.
    TaskChanged(Box<TaskChange>),
    /// `claude-flow/hook`, passed on to those who subscribed.
    Hook(Json),
}

/// An attempt for an agent.
#[derive(Clone, Debug)]
pub struct Assignment {
    /// The connection that the agent speaks through.
    pub connection: ConnectionNo,
    /// The agent.
    pub agent: AgentId,
    /// The task.
    pub task: TaskId,
    /// Its pipeline.
    pub pipeline: Option<PipelineId>,
    /// Its name.
    pub name: Arc<str>,
    /// Number of the attempt.
    pub attempt: u32,
    /// Its configuration.
    pub config: Payload,
    /// What the tasks before it returned: (id, name, result).
    pub inputs: Vec<(TaskId, Arc<str>, Payload)>,
    /// When the lease ends if the agent is silent.
    pub lease_until: Timestamp,
}

/// A task that changed.
#[derive(Clone, Debug)]
pub struct TaskChange {
    /// The task.
    pub task: TaskId,
    /// Its pipeline.
    pub pipeline: Option<PipelineId>,
    /// Its name.
    pub name: Arc<str>,
    /// How far it is now.
    pub status: TaskStatus,
    /// Its newest attempt.
    pub attempt: u32,
    /// Who works on it.
    pub agent: Option<AgentId>,
    /// Why it failed or was cancelled.
    pub error: Option<String>,
    /// What it returned, if it has completed and that is short.
    pub result: Option<Json>,
}

/// Appends what is to be told about `envelope`, which `state` has just applied. `watched`: whether anybody subscribed to tasks.
pub fn notices(state: &State, envelope: &Envelope, watched: bool, out: &mut Vec<Notice>) {
    let pipeline = |method, id: PipelineId| {
        let known = state.pipeline(id).ok();
        Notice::Pipeline { method, pipeline: id, name: known.map_or_else(|| "".into(), |known| known.name.clone()) }
    };
    match &envelope.event {
        Event::PipelineCreated(e) => out.push(pipeline("pipeline/created", e.pipeline)),
        Event::PipelineStarted(e) => out.push(pipeline("pipeline/started", e.pipeline)),
        Event::PipelineStopped(e) => out.extend(e.ended_it.then(|| pipeline("pipeline/stopped", e.pipeline))),
        Event::PipelinePaused(e) => out.push(pipeline("pipeline/paused", e.pipeline)),
        Event::PipelineResumed(e) => out.push(pipeline("pipeline/resumed", e.pipeline)),
        Event::PipelineCompleted(e) => out.push(pipeline("pipeline/completed", e.pipeline)),
        Event::PipelineFailed(e) => out.push(pipeline("pipeline/failed", e.pipeline)),
        Event::PipelineDeleted(e) => {
            let (method, name) = ("pipeline/deleted", e.name.as_str().into());
            out.push(Notice::Pipeline { method, pipeline: e.pipeline, name });
        }
        Event::TaskAssigned(e) => out.extend(assigned(state, e.task)),
        Event::TaskCancelled(e) => {
            let agent = e.agent.as_ref();
            out.extend(agent.and_then(|agent| cancel(state, agent, e.task, attempt_of(state, e.task), &e.message)));
        }
        Event::TaskRequeued(e) => out.extend(cancel(state, &e.agent, e.task, e.attempt, "the attempt was taken back")),
        Event::TaskFailed(e) if e.failure == FailureKind::Timeout => {
            out.extend(cancel(state, &e.agent, e.task, e.attempt, &e.message));
        }
        Event::AgentRegistered(e) => {
            let stale = e.stale.iter();
            out.extend(stale.filter_map(|(task, attempt)| {
                cancel(state, &e.agent, *task, *attempt, "this attempt is no longer the live one")
            }));
        }
        Event::HookRecorded(e) => out.push(Notice::Hook(e.body.clone())),
        Event::TaskCreated(_)
        | Event::TaskStarted(_)
        | Event::TaskCompleted(_)
        | Event::TaskFailed(_)
        | Event::TaskReleased(_)
        | Event::AssignmentConfirmed(_)
        | Event::CoordinatorStarted(_)
        | Event::CoordinatorConfigured(_)
        | Event::CoordinatorStopped(_)
        | Event::ConnectionOpened(_)
        | Event::OperationsObserved(_)
        | Event::OperationRefused(_)
        | Event::MachineLoadObserved(_)
        | Event::ModeChosen(_)
        | Event::TasksExpected(_)
        | Event::AgentDisconnected(_)
        | Event::AgentLost(_)
        | Event::AgentUnregistered(_)
        | Event::MemorySet(_)
        | Event::MemoryDeleted(_)
        | Event::ErrorReported(_)
        | Event::ErrorRecovered(_)
        | Event::ModelReported(_) => {}
    }
    let changed = envelope.event.subject().task.filter(|_| watched && envelope.event.changes_task());
    out.extend(changed.and_then(|task| state.task(task).ok()).map(|task| change(state, task)));
}

fn attempt_of(state: &State, task: TaskId) -> u32 {
    state.task(task).map_or(0, |task| task.attempt)
}

fn cancel(state: &State, agent: &AgentId, task: TaskId, attempt: u32, reason: &str) -> Option<Notice> {
    let known = state.agent(agent).ok()?;
    let (connection, agent) = (known.connection, agent.clone());
    Some(Notice::Cancel { connection, agent, task, attempt, reason: reason.to_owned() })
}

fn assigned(state: &State, id: TaskId) -> Option<Notice> {
    let task = state.task(id).ok()?;
    let lease = task.lease.as_ref()?;
    let agent = &state.agents[lease.agent];
    let upstream = task.edges().depends_on.iter().filter_map(|id| state.task(*id).ok());
    Some(Notice::Assigned(Box::new(Assignment {
        connection: agent.connection,
        agent: agent.id.clone(),
        task: id,
        pipeline: state.pipeline_of(task).map(|pipeline| pipeline.id),
        name: Arc::clone(&task.name),
        attempt: task.attempt,
        config: task.config.clone(),
        inputs: upstream.map(|task| (task.id, Arc::clone(&task.name), input_of(task))).collect(),
        lease_until: lease.until,
    })))
}

/// What a task gives to those that depend on it: its result, or null where they run although it failed.
fn input_of(task: &Task) -> Payload {
    if task.status == TaskStatus::Completed { task.result.clone() } else { Payload::null() }
}

fn change(state: &State, task: &Task) -> Notice {
    Notice::TaskChanged(Box::new(TaskChange {
        task: task.id,
        pipeline: state.pipeline_of(task).map(|pipeline| pipeline.id),
        name: Arc::clone(&task.name),
        status: task.status,
        attempt: task.attempt,
        agent: task.lease.as_ref().map(|lease| state.agents[lease.agent].id.clone()),
        error: task.setbacks().error.as_ref().map(|error| error.told(state)),
        result: match &task.result {
            Payload::Inline(result) if task.status == TaskStatus::Completed => Some(result.clone()),
            Payload::Inline(_) | Payload::Logged(_) => None,
        },
    }))
}
