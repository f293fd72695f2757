//! The one projection: what the log says is so.
//!
//! [`State`] holds the live work, the indexes that scheduler and queries need, and the newest of what has ended. It changes
//! through [`crate::apply`] alone. *Facts* are stored in snapshots and hashed; what is *derived* is built from them.

mod alike;
mod entities;
mod index;
mod registers;
mod requests;

pub use crate::counts::Counts;
pub use crate::registry::{AgentIx, PipelineIx, Registry, TaskIx};
pub use entities::{Agent, Edges, Lease, Pipeline, Presence, Setbacks, Task, TaskError, TaskErrorKind};
pub use registers::{ErrorEntry, Errors, Model, ModelReport};
pub use requests::Repeat;

pub(crate) use entities::SCORE_FULL;
pub(crate) use index::{adaptive_mode, wanted_mode};
pub(crate) use registers::Refusals;
pub(crate) use requests::Requests;

use alike::Alike;

use crate::codec::{self, DecodeError};
use crate::envelope::{Envelope, Stamp};
use crate::event::Event;
use crate::ids::{AgentId, ConnectionNo, PipelineId, Seq, TaskId, Timestamp};
use crate::queue::Queue;
use crate::refusal::Refusal;
use crate::spec::Settings;
use crate::text::Payload;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What the log says is so.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct State {
    /// The newest event.
    pub seq: Seq,
    /// Its time.
    pub at: Timestamp,
    /// Configuration for decisions.
    pub settings: Settings,
    /// The highest connection number on record.
    pub connections: u64,
    /// Pipelines that are not deleted and not yet history.
    pub pipelines: Registry<Pipeline>,
    /// Tasks likewise.
    pub tasks: Registry<Task>,
    /// Agents that have not left.
    pub agents: Registry<Agent>,
    /// The memory of clients.
    pub memory: BTreeMap<String, Payload>,
    /// The error register.
    pub errors: Errors,
    /// Reported models.
    pub models: BTreeMap<String, Model>,
    /// All tasks ever, by status.
    pub counts: Counts,
    /// Load of the machine, as of the last crossing of a limit.
    pub load: Load,
    /// Tasks created so far: the next ordinal.
    pub(crate) created: u64,
    /// What has ended and is still in the views, oldest first.
    pub(crate) ended: VecDeque<Ended>,
    /// Tasks in `ended`; a pipeline without tasks counts as one.
    pub(crate) ended_tasks: u64,
    /// Lost agents, oldest first.
    pub(crate) lost: VecDeque<AgentId>,
    pub(crate) requests: Requests,
    pub(crate) refusals: Refusals,
    /// Derived: who can start now.
    #[serde(skip)]
    pub(crate) queue: Queue,
    /// Derived: ends of time limits and of back-offs.
    #[serde(skip)]
    pub(crate) deadlines: BTreeSet<(Timestamp, TaskIx)>,
    /// Derived: adaptive pipelines that should schedule differently.
    #[serde(skip)]
    pub(crate) restless: BTreeSet<PipelineIx>,
    /// Derived: lost agents whose leases have not ended yet.
    #[serde(skip)]
    pub(crate) bereft: BTreeSet<AgentIx>,
    /// Derived: what the next task may have in common with the last one.
    #[serde(skip)]
    pub(crate) alike: Alike,
}

/// Something that has ended and stays in the views for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ended {
    Task(TaskId),
    Pipeline(PipelineId),
}

/// Load of coordinator and local agents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// Whether the processor time is over its limit.
    pub over_cpu: bool,
    /// Whether the memory is over its limit.
    pub over_memory: bool,
}

impl Load {
    /// Whether anything is over its limit.
    #[must_use]
    pub fn is_over(self) -> bool {
        self.over_cpu || self.over_memory
    }
}

impl State {
    /// The task with this identity.
    ///
    /// # Errors
    /// [`Refusal::TaskNotFound`].
    pub fn task(&self, id: TaskId) -> Result<&Task, Refusal> {
        self.tasks.by_key(&id.0).ok_or_else(|| Refusal::TaskNotFound(id.to_string()))
    }

    /// The pipeline with this identity.
    ///
    /// # Errors
    /// [`Refusal::PipelineNotFound`].
    pub fn pipeline(&self, id: PipelineId) -> Result<&Pipeline, Refusal> {
        self.pipelines.by_key(&id.0).ok_or_else(|| Refusal::PipelineNotFound(id.to_string()))
    }

    /// The agent with this identity.
    ///
    /// # Errors
    /// [`Refusal::AgentNotFound`].
    pub fn agent(&self, id: &AgentId) -> Result<&Agent, Refusal> {
        self.agents.by_key(id.as_str()).ok_or_else(|| Refusal::AgentNotFound(id.to_string()))
    }

    /// The agent with this identity, as far as this connection may speak for it.
    ///
    /// # Errors
    /// [`Refusal::AgentNotFound`], or [`Refusal::Forbidden`] where it is registered through another connection.
    pub fn agent_at(&self, id: &AgentId, connection: ConnectionNo) -> Result<&Agent, Refusal> {
        let known = self.agent(id)?;
        if known.connection == connection {
            return Ok(known);
        }
        Err(Refusal::Forbidden(format!(
            "agent {id} is registered through another connection; register it here before speaking for it"
        )))
    }

    /// The pipeline of a task.
    #[must_use]
    pub fn pipeline_of(&self, task: &Task) -> Option<&Pipeline> {
        task.pipeline.map(|ix| &self.pipelines[ix])
    }

    /// A task that has not ended and still needs the result of this one.
    pub(crate) fn needs_result_of(&self, task: &Task) -> Option<&Task> {
        let known = task.edges().dependents.iter().filter_map(|id| self.tasks.by_key(&id.0));
        known.into_iter().find(|dependent| !dependent.status.is_final())
    }

    /// A task of another pipeline that has not ended and still needs a result of this one, which has: a repetition.
    pub(crate) fn needs_results_of(&self, pipeline: &Pipeline) -> Option<&Task> {
        if !pipeline.status.is_final() {
            return None;
        }
        pipeline.tasks.iter().find_map(|ix| self.needs_result_of(&self.tasks[*ix]))
    }

    /// Whether this request was answered before.
    ///
    /// # Errors
    /// [`Refusal::RequestReused`] when it was, with another body.
    pub fn answered(&self, stamp: &Stamp) -> Result<Option<Repeat>, Refusal> {
        self.requests.find(stamp)
    }

    /// Puts an event in its place: the next seq, the next number of its run.
    #[must_use]
    pub fn seal(&self, event: Event, stamp: &Stamp, first: Option<Seq>) -> Envelope {
        let run_seq = self.run_of(&event).map_or(0, |ix| self.pipelines[ix].run_seq + 1);
        Envelope {
            seq: self.seq + 1,
            at: stamp.at.max(self.at),
            actor: stamp.actor,
            cause: first.unwrap_or(stamp.cause),
            run_seq: if matches!(event, Event::PipelineCreated(_)) { 1 } else { run_seq },
            request: if first.is_none() { stamp.request.clone() } else { None },
            altered: stamp.altered,
            event,
        }
    }

    /// The pipeline whose history an event belongs to.
    pub(crate) fn run_of(&self, event: &Event) -> Option<PipelineIx> {
        let subject = event.subject();
        match (subject.pipeline, subject.task) {
            (Some(pipeline), _) => self.pipelines.find(&pipeline.0),
            (None, Some(task)) => self.tasks.by_key(&task.0)?.pipeline,
            (None, None) => None,
        }
    }

    /// The facts as they are now, for a snapshot: a copy that shares tasks, pipelines and agents with this state until they
    /// change. It can be saved and hashed; the indexes are left out, so nothing can be looked up in it.
    #[must_use]
    pub fn frozen(&self) -> Self {
        Self {
            seq: self.seq,
            at: self.at,
            settings: self.settings.clone(),
            connections: self.connections,
            pipelines: self.pipelines.frozen(),
            tasks: self.tasks.frozen(),
            agents: self.agents.frozen(),
            memory: self.memory.clone(),
            errors: self.errors.clone(),
            models: self.models.clone(),
            counts: self.counts,
            load: self.load,
            created: self.created,
            ended: self.ended.clone(),
            ended_tasks: self.ended_tasks,
            lost: self.lost.clone(),
            requests: self.requests.frozen(),
            refusals: self.refusals.clone(),
            ..Self::default()
        }
    }

    /// The facts as bytes, for a snapshot.
    ///
    /// # Errors
    /// When the encoder fails, which only a broken writer can cause.
    pub fn save(&self, out: &mut dyn std::io::Write) -> std::io::Result<()> {
        codec::write_snapshot(self, out)
    }

    /// The state of a snapshot.
    ///
    /// # Errors
    /// When the bytes are not a snapshot of this release's form; the log can replace it.
    pub fn load(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut state: Self = codec::read_snapshot(bytes)?;
        state.rebuild();
        Ok(state)
    }

    /// SHA-256 over the facts: equal states have equal hashes, however they came to be (law 5).
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        let mut hasher = HashWriter(Sha256::new());
        match self.save(&mut hasher) {
            Ok(()) => hasher.0.finalize().into(),
            Err(_) => unreachable!("a hasher takes every byte"),
        }
    }
}

struct HashWriter(Sha256);

impl std::io::Write for HashWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
