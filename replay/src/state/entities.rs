//! The things that have a life: tasks, pipelines, agents.

use crate::counts::Counts;
use crate::event::{CancelReason, FailureKind};
use crate::ids::{AgentId, ConnectionNo, PipelineId, TaskId, Timestamp};
use crate::queue::ClassIx;
use crate::registry::{AgentIx, Entity, PipelineIx, TaskIx};
use crate::spec::{Declared, PipelineOptions, Resources, Strategy, TaskSpec, Usage};
use crate::status::{PipelineStatus, TaskStatus};
use crate::text::Payload;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use uuid::Uuid;

/// A task. There are millions: what most of them do not have takes a word, and what many have in common is kept once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Task {
    /// Its identity.
    pub id: TaskId,
    /// Its name.
    pub name: Arc<str>,
    /// Its pipeline.
    pub pipeline: Option<PipelineIx>,
    /// Place in the order of creation, over all tasks.
    pub ordinal: u64,
    /// What the scheduler knows of it.
    pub spec: Arc<TaskSpec>,
    /// How far it is.
    pub status: TaskStatus,
    /// Number of the newest attempt; 0 before the first.
    pub attempt: u32,
    /// How many of the tasks that it depends on have not ended.
    pub waiting_for: u32,
    /// When it was created.
    pub created_at: Timestamp,
    /// Since when nothing but an agent is missing.
    pub ready_since: Timestamp,
    /// First sign of work of the newest attempt that showed one.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Who works on it.
    pub lease: Option<Box<Lease>>,
    /// Who had the newest attempt.
    pub agent: Option<AgentId>,
    /// The configuration as given.
    pub config: Payload,
    /// The outcome.
    pub result: Payload,
    edges: Option<Box<Edges>>,
    setbacks: Option<Box<Setbacks>>,
    /// Derived: its class in the queue, while it lives.
    #[serde(skip)]
    pub(crate) class: ClassIx,
}

impl Task {
    /// A task as it is created.
    pub(crate) fn new(id: TaskId, name: &str, spec: Arc<TaskSpec>, config: Payload, at: Timestamp) -> Self {
        Self {
            id,
            name: name.into(),
            pipeline: None,
            ordinal: 0,
            spec,
            status: TaskStatus::Pending,
            attempt: 0,
            waiting_for: 0,
            created_at: at,
            ready_since: at,
            started_at: None,
            ended_at: None,
            lease: None,
            agent: None,
            config,
            result: Payload::null(),
            edges: None,
            setbacks: None,
            class: ClassIx::default(),
        }
    }

    /// What it depends on, and what depends on it.
    #[must_use]
    pub fn edges(&self) -> &Edges {
        static NONE: Edges = Edges { depends_on: Vec::new(), dependents: Vec::new() };
        self.edges.as_deref().unwrap_or(&NONE)
    }

    pub(crate) fn edges_mut(&mut self) -> &mut Edges {
        self.edges.get_or_insert_default()
    }

    /// What went wrong with it.
    #[must_use]
    pub fn setbacks(&self) -> &Setbacks {
        static NONE: Setbacks = Setbacks { failures: 0, retry_at: None, error: None, retry_of: None };
        self.setbacks.as_deref().unwrap_or(&NONE)
    }

    pub(crate) fn setbacks_mut(&mut self) -> &mut Setbacks {
        self.setbacks.get_or_insert_default()
    }

    /// It has completed after all.
    pub(crate) fn forget_error(&mut self) {
        if let Some(setbacks) = &mut self.setbacks {
            setbacks.error = None;
        }
    }

    /// Whether nothing but an agent is missing.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.status == TaskStatus::Pending && self.waiting_for == 0 && self.setbacks().retry_at.is_none()
    }

    /// Who works on it, or ended it; nobody while it waits.
    #[must_use]
    pub fn holder(&self) -> Option<&AgentId> {
        self.agent.as_ref().filter(|_| self.status != TaskStatus::Pending)
    }
}

impl Entity for Task {
    type Ix = TaskIx;
    type Key = Uuid;
    fn key(&self) -> &Uuid {
        &self.id.0
    }
}

/// What a task depends on, and what depends on it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Edges {
    /// The tasks that must end first.
    pub depends_on: Vec<TaskId>,
    /// The tasks that wait for this one.
    pub dependents: Vec<TaskId>,
}

/// What went wrong with a task, and what comes of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Setbacks {
    /// Attempts that failed and count against the retry policy.
    pub failures: u32,
    /// End of its back-off.
    pub retry_at: Option<Timestamp>,
    /// Why it failed or was cancelled; of the newest failure while it is retried.
    pub error: Option<TaskError>,
    /// The failed task that it repeats.
    pub retry_of: Option<TaskId>,
}

/// The right of one agent to one attempt.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Lease {
    /// Who holds it.
    pub agent: AgentIx,
    /// Since when.
    pub assigned_at: Timestamp,
    /// Its first term; signs of life renew it without an event.
    pub until: Timestamp,
    /// When the attempt has taken too long.
    pub timeout_at: Option<Timestamp>,
}

/// Why a task failed or was cancelled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskError {
    /// Which sort of end.
    pub kind: TaskErrorKind,
    /// For a person.
    pub message: String,
}

/// Sorts of ends without a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskErrorKind {
    /// An attempt failed.
    Failed(FailureKind),
    /// It took its agents down too often.
    Quarantined,
    /// Somebody cancelled it, or its pipeline ended.
    Cancelled,
    /// Something it depends on did not complete.
    Skipped {
        /// That task.
        upstream: TaskId,
    },
}

impl TaskErrorKind {
    /// The sort of end that a cancellation is.
    pub(crate) fn of(reason: CancelReason) -> Self {
        match reason {
            CancelReason::Skipped { upstream } => Self::Skipped { upstream },
            CancelReason::Requested | CancelReason::PipelineStopped | CancelReason::PipelineFailed => Self::Cancelled,
        }
    }

    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed(kind) => kind.as_str(),
            Self::Quarantined => "quarantined",
            Self::Cancelled => "cancelled",
            Self::Skipped { .. } => "skipped",
        }
    }
}

/// A pipeline.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pipeline {
    /// Its identity.
    pub id: PipelineId,
    /// Its name.
    pub name: Arc<str>,
    /// What holds for all its tasks.
    pub options: PipelineOptions,
    /// How it schedules now; differs from the strategy only where that is adaptive.
    pub mode: Strategy,
    /// How far it is.
    pub status: PipelineStatus,
    /// The configuration as given, without tasks.
    pub config: Payload,
    /// When it was created.
    pub created_at: Timestamp,
    /// Its newest event.
    pub updated_at: Timestamp,
    /// When it was started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Whether it was ended by request.
    pub stopped: bool,
    /// The first failure that counts against it.
    pub error: Option<String>,
    /// Its tasks in order of creation.
    pub tasks: Vec<TaskIx>,
    /// Its tasks by status.
    pub counts: Counts,
    /// How many tasks it must have before it can start; 0 where nothing was said.
    pub tasks_expected: u64,
    /// Ready tasks.
    pub ready: u32,
    /// Durations of its completed tasks, added up, in microseconds.
    pub busy_us: u64,
    /// Number of its newest event.
    pub run_seq: u64,
}

impl Pipeline {
    /// What it counts among the ended: its tasks, but at least one, so that empty ones are forgotten as well.
    pub(crate) fn weight(&self) -> u64 {
        (self.tasks.len() as u64).max(1)
    }

    /// The number of tasks that it runs at a time, where that many run already.
    pub(crate) fn is_full(&self) -> Option<u64> {
        let concurrent_max = u64::from(self.options.concurrent_max);
        let most = if self.mode == Strategy::Sequential { concurrent_max.min(1) } else { concurrent_max };
        (self.counts.leased() >= most).then_some(most)
    }

    /// Mean duration of its completed tasks in microseconds; `None` before the first.
    #[must_use]
    pub fn mean_duration_us(&self) -> Option<u64> {
        self.busy_us.checked_div(self.counts.of(TaskStatus::Completed))
    }
}

impl Entity for Pipeline {
    type Ix = PipelineIx;
    type Key = Uuid;
    fn key(&self) -> &Uuid {
        &self.id.0
    }
}

/// Whether an agent can be talked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Presence {
    /// It is connected.
    Active,
    /// Its connection ended; its leases run.
    Disconnected,
    /// It was silent for the term of a lease.
    Lost,
}

impl Presence {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disconnected => "disconnected",
            Self::Lost => "lost",
        }
    }
}

/// An agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Agent {
    /// Its identity.
    pub id: AgentId,
    /// Its name.
    pub name: Arc<str>,
    /// Its type.
    pub kind: Arc<str>,
    /// What it can do; sorted.
    pub capabilities: Arc<[String]>,
    /// What it has.
    pub resources: Declared,
    /// Attempts at a time.
    pub slots: u32,
    /// Whether it can be talked to.
    pub presence: Presence,
    /// The connection it speaks through.
    pub connection: ConnectionNo,
    /// Its process on this machine.
    pub pid: Option<u32>,
    /// When it registered last.
    pub registered_at: Timestamp,
    /// What it works on, oldest first.
    pub running: Vec<TaskIx>,
    /// What these use together.
    pub used: Usage,
    /// From real outcomes and durations, in millionths; a new agent has 1,000,000.
    pub score_ppm: u32,
    /// Attempts that succeeded.
    pub completed: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Durations of the successful attempts, added up, in microseconds.
    pub busy_us: u64,
}

/// Weight of one outcome in the performance score: 1/8, so that some twenty outcomes make a new reputation.
const SCORE_SHARE: i64 = 8;
/// The score of an agent that always succeeds in the expected time, in millionths.
pub(crate) const SCORE_FULL: u32 = 1_000_000;
/// Share of the score that rests on success alone; the rest rests on speed. In millionths.
const SCORE_FOR_SUCCESS: u64 = 700_000;

impl Agent {
    /// Whether it has a slot left and can be talked to.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.presence == Presence::Active && self.running.len() < self.slots as usize
    }

    /// What it has left. Processor time and memory do not bind an agent that declares neither.
    #[must_use]
    pub fn free(&self) -> Resources {
        let capacity = self.resources.capacity();
        if self.resources.is_declared() {
            capacity.less(self.used)
        } else {
            Resources { gpu: capacity.less(self.used).gpu, ..capacity }
        }
    }

    /// Share of its slots in use, in thousandths.
    #[must_use]
    pub fn load_milli(&self) -> u32 {
        let running = self.running.len() as u64 * 1_000;
        u32::try_from(running.checked_div(u64::from(self.slots)).unwrap_or(1_000)).unwrap_or(u32::MAX)
    }

    pub(crate) fn succeeded(&mut self, duration_us: u64, expected_us: Option<u64>) {
        self.completed += 1;
        self.busy_us = self.busy_us.saturating_add(duration_us);
        let for_speed = u64::from(SCORE_FULL) - SCORE_FOR_SUCCESS;
        let speed = match expected_us {
            Some(expected) if duration_us > expected => {
                (u128::from(for_speed) * u128::from(expected) / u128::from(duration_us)).try_into().unwrap_or(for_speed)
            }
            Some(_) | None => for_speed,
        };
        self.score(SCORE_FOR_SUCCESS + speed);
    }

    pub(crate) fn failed(&mut self) {
        self.failed += 1;
        self.score(0);
    }

    fn score(&mut self, sample_ppm: u64) {
        let sample = i64::try_from(sample_ppm).unwrap_or(i64::MAX);
        let moved = i64::from(self.score_ppm) + (sample - i64::from(self.score_ppm)) / SCORE_SHARE;
        self.score_ppm = u32::try_from(moved).unwrap_or(0).min(SCORE_FULL);
    }
}

impl Entity for Agent {
    type Ix = AgentIx;
    type Key = str;
    fn key(&self) -> &str {
        self.id.as_str()
    }
}
