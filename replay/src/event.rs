//! What can have happened. Past tense, named fields, one frozen struct for each (kind, schema).
//!
//! A released struct never changes: bincode reads fields by position. A new form gets the next schema number, its own struct, and
//! a `From` that lifts the old one (see [`crate::codec`]).

use crate::codec::{self, DecodeError, Header};
use crate::ids::{AgentId, ConnectionNo, ErrorId, PipelineId, TaskId, Timestamp};
use crate::spec::{Declared, PipelineOptions, Settings, Strategy, TaskSpec};
use crate::state::Counts;
use crate::text::Json;
use serde::{Deserialize, Serialize, Serializer};
use std::sync::Arc;

macro_rules! events {
    ($($kind:literal $schema:literal $name:ident),+ $(,)?) => {
        /// Something that happened.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Event {
            $(#[doc = concat!("See [`", stringify!($name), "`].")] $name($name),)+
        }

        $(impl From<$name> for Event {
            fn from(event: $name) -> Self {
                Self::$name(event)
            }
        })+

        impl Event {
            /// Every kind of event: number, newest schema, name. The numbers are part of the log format.
            pub const KINDS: &'static [(u16, u8, &'static str)] = &[$(($kind, $schema, stringify!($name)),)+];

            /// The number of this kind of event in the log format.
            #[must_use]
            pub fn kind(&self) -> u16 {
                match self { $(Self::$name(_) => $kind,)+ }
            }

            /// The name of this kind of event.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self { $(Self::$name(_) => stringify!($name),)+ }
            }

            pub(crate) fn schema(&self) -> u8 {
                match self { $(Self::$name(_) => $schema,)+ }
            }

            pub(crate) fn write_body(&self, out: &mut Vec<u8>) -> bincode::Result<()> {
                match self { $(Self::$name(body) => codec::write(body, out),)+ }
            }

            /// The event as JSON, for people and other programs.
            #[must_use]
            pub fn to_json(&self) -> String {
                match self { $(Self::$name(body) => serde_json::to_string(body),)+ }.unwrap_or_default()
            }

            pub(crate) fn read_body(kind: u16, schema: u8, bytes: &[u8]) -> Result<(Header, Self), DecodeError> {
                match (kind, schema) {
                    $(($kind, $schema) => codec::read(bytes).map(|(header, body)| (header, Self::$name(body))),)+
                    (kind, schema) => Err(DecodeError::Unknown { kind, schema }),
                }
            }
        }
    };
}

// Numbers are never reused. 1-19 the coordinator, 20-39 pipelines, 40-59 tasks, 60-79 agents, 80-89 memory, 90-99 errors,
// 100-109 models, 110-119 hooks.
events! {
    1 1 CoordinatorStarted,
    2 1 CoordinatorStopped,
    3 1 ConnectionOpened,
    4 1 OperationsObserved,
    5 1 OperationRefused,
    6 1 MachineLoadObserved,
    20 1 PipelineCreated,
    21 1 PipelineStarted,
    22 1 PipelinePaused,
    23 1 PipelineResumed,
    24 1 PipelineStopped,
    25 1 PipelineCompleted,
    26 1 PipelineFailed,
    27 1 PipelineDeleted,
    28 1 ModeChosen,
    40 1 TaskCreated,
    41 1 TaskAssigned,
    42 1 TaskStarted,
    43 1 TaskCompleted,
    44 1 TaskFailed,
    45 1 TaskRequeued,
    46 1 TaskReleased,
    47 1 TaskCancelled,
    60 1 AgentRegistered,
    61 1 AgentDisconnected,
    62 1 AgentLost,
    63 1 AgentUnregistered,
    80 1 MemorySet,
    81 1 MemoryDeleted,
    90 1 ErrorReported,
    91 1 ErrorRecovered,
    100 1 ModelReported,
    110 1 HookRecorded,
}

impl Event {
    /// The one long text that an event may carry: what [`crate::Payload::Logged`] refers to.
    #[must_use]
    pub fn payload(&self) -> Option<&Json> {
        match self {
            Self::PipelineCreated(e) => Some(&e.config),
            Self::TaskCreated(e) => Some(&e.config),
            Self::TaskCompleted(e) => Some(&e.result),
            Self::TaskFailed(e) => Some(&e.result),
            Self::MemorySet(e) => Some(&e.value),
            Self::ErrorReported(e) => Some(&e.details),
            Self::ModelReported(e) => Some(&e.extra),
            Self::HookRecorded(e) => Some(&e.body),
            Self::CoordinatorStarted(_)
            | Self::CoordinatorStopped(_)
            | Self::ConnectionOpened(_)
            | Self::OperationsObserved(_)
            | Self::OperationRefused(_)
            | Self::MachineLoadObserved(_)
            | Self::PipelineStarted(_)
            | Self::PipelinePaused(_)
            | Self::PipelineResumed(_)
            | Self::PipelineStopped(_)
            | Self::PipelineCompleted(_)
            | Self::PipelineFailed(_)
            | Self::PipelineDeleted(_)
            | Self::ModeChosen(_)
            | Self::TaskAssigned(_)
            | Self::TaskStarted(_)
            | Self::TaskRequeued(_)
            | Self::TaskReleased(_)
            | Self::TaskCancelled(_)
            | Self::AgentRegistered(_)
            | Self::AgentDisconnected(_)
            | Self::AgentLost(_)
            | Self::AgentUnregistered(_)
            | Self::MemoryDeleted(_)
            | Self::ErrorRecovered(_) => None,
        }
    }

    /// Whether the event moves a task along its life.
    #[must_use]
    pub fn changes_task(&self) -> bool {
        const TASKS: std::ops::Range<u16> = 40..60;
        TASKS.contains(&self.kind())
    }

    /// The task whose attempt, or whose life, this event ends.
    #[must_use]
    pub fn ended_attempt(&self) -> Option<TaskId> {
        const ENDS: [u16; 4] = [43, 44, 45, 47];
        self.subject().task.filter(|_| ENDS.contains(&self.kind()))
    }

    /// What the event is about: (pipeline, task, agent), where the event itself says so.
    #[must_use]
    pub fn subject(&self) -> Subject<'_> {
        let pipeline = |id: &PipelineId| Subject { pipeline: Some(*id), ..Subject::default() };
        let task = |id: &TaskId| Subject { task: Some(*id), ..Subject::default() };
        let agent = |id| Subject { agent: Some(id), ..Subject::default() };
        match self {
            Self::PipelineCreated(e) => pipeline(&e.pipeline),
            Self::PipelineStarted(e) => pipeline(&e.pipeline),
            Self::PipelinePaused(e) => pipeline(&e.pipeline),
            Self::PipelineResumed(e) => pipeline(&e.pipeline),
            Self::PipelineStopped(e) => pipeline(&e.pipeline),
            Self::PipelineCompleted(e) => pipeline(&e.pipeline),
            Self::PipelineFailed(e) => pipeline(&e.pipeline),
            Self::PipelineDeleted(e) => pipeline(&e.pipeline),
            Self::ModeChosen(e) => pipeline(&e.pipeline),
            Self::TaskCreated(e) => Subject { pipeline: e.pipeline, task: Some(e.task), agent: None },
            Self::TaskAssigned(e) => Subject { agent: Some(&e.agent), ..task(&e.task) },
            Self::TaskStarted(e) => task(&e.task),
            Self::TaskCompleted(e) => task(&e.task),
            Self::TaskFailed(e) => Subject { agent: Some(&e.agent), ..task(&e.task) },
            Self::TaskRequeued(e) => Subject { agent: Some(&e.agent), ..task(&e.task) },
            Self::TaskReleased(e) => task(&e.task),
            Self::TaskCancelled(e) => Subject { agent: e.agent.as_ref(), ..task(&e.task) },
            Self::AgentRegistered(e) => agent(&e.agent),
            Self::AgentDisconnected(e) => agent(&e.agent),
            Self::AgentLost(e) => agent(&e.agent),
            Self::AgentUnregistered(e) => agent(&e.agent),
            Self::ErrorReported(e) => Subject { task: e.task, ..Subject::default() },
            Self::HookRecorded(e) => Subject { task: e.task, agent: e.agent.as_ref(), ..Subject::default() },
            Self::CoordinatorStarted(_)
            | Self::CoordinatorStopped(_)
            | Self::ConnectionOpened(_)
            | Self::OperationsObserved(_)
            | Self::OperationRefused(_)
            | Self::MachineLoadObserved(_)
            | Self::MemorySet(_)
            | Self::MemoryDeleted(_)
            | Self::ErrorRecovered(_)
            | Self::ModelReported(_) => Subject::default(),
        }
    }
}

/// What an event is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subject<'a> {
    /// The pipeline that the event names.
    pub pipeline: Option<PipelineId>,
    /// The task that the event names.
    pub task: Option<TaskId>,
    /// The agent that the event names.
    pub agent: Option<&'a AgentId>,
}

/// The coordinator began to run on this log. Every lease that was live gets a fresh term, so that its agent can come back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoordinatorStarted {
    /// Version of the program.
    pub version: String,
    /// The configuration that decisions rest on from here on.
    pub settings: Settings,
}

/// The coordinator was asked to end and did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoordinatorStopped {
    /// Why, for a person.
    pub reason: String,
}

/// A client connected and spoke: names the connection that later events have as their actor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionOpened {
    /// Number of the connection.
    pub connection: ConnectionNo,
    /// Address of the peer, as text.
    pub peer: String,
}

/// Reads and repeated refusals of one actor in one time bucket, counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationsObserved {
    /// Begin of the bucket.
    pub bucket: Timestamp,
    /// Who called.
    pub connection: ConnectionNo,
    /// The method.
    pub method: String,
    /// Calls answered.
    pub count: u64,
    /// Calls refused beyond those recorded singly.
    pub refused: u64,
}

/// An operation was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationRefused {
    /// The method.
    pub method: String,
    /// The error code of the protocol (§2).
    pub code: i32,
    /// The sentence that the client was told.
    pub message: String,
}

/// The load of coordinator and local agents crossed a limit, in either direction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineLoadObserved {
    /// Processor time used, in hundredths of a percent of the machine.
    pub cpu: u32,
    /// Memory used, in KiB.
    pub memory: u64,
    /// Whether the processor time is over its limit.
    pub over_cpu: bool,
    /// Whether the memory is over its limit.
    pub over_memory: bool,
}

/// A pipeline came to be, idle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineCreated {
    /// Its identity.
    pub pipeline: PipelineId,
    /// Its name; need not be unique.
    pub name: String,
    /// What holds for all its tasks.
    pub options: PipelineOptions,
    /// The configuration as the client gave it, without its tasks.
    pub config: Json,
}

/// A pipeline began to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineStarted {
    /// Which.
    pub pipeline: PipelineId,
    /// How it schedules at first (an adaptive one chooses anew later).
    pub mode: Strategy,
}

/// What a pause does to the tasks that run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PauseRunning {
    /// They finish.
    Finish,
    /// Their attempts are cancelled; they start anew after the resume.
    Cancel,
}

/// Nothing of the pipeline starts from here on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelinePaused {
    /// Which.
    pub pipeline: PipelineId,
    /// What becomes of the running tasks.
    pub running: PauseRunning,
}

/// The pipeline goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineResumed {
    /// Which.
    pub pipeline: PipelineId,
}

/// The pipeline was ended by request; its live tasks were cancelled before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineStopped {
    /// Which.
    pub pipeline: PipelineId,
    /// Why, as the client said it.
    pub reason: String,
    /// Its tasks by status, the cancelled ones included.
    pub counts: Counts,
}

/// Every task of the pipeline has ended, and no failure counts against it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineCompleted {
    /// Which.
    pub pipeline: PipelineId,
}

/// Every task of the pipeline has ended, and a failure counts against it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineFailed {
    /// Which.
    pub pipeline: PipelineId,
    /// The first failure that counted.
    pub error: String,
}

/// The pipeline left the views. Its history stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineDeleted {
    /// Which.
    pub pipeline: PipelineId,
}

/// An adaptive pipeline changed the way it schedules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModeChosen {
    /// Which.
    pub pipeline: PipelineId,
    /// The way from here on.
    pub mode: Strategy,
    /// Ready tasks at the time.
    pub ready: u32,
    /// Whether the machine was over a limit.
    pub over_limit: bool,
}

/// A task came to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskCreated {
    /// Its identity.
    pub task: TaskId,
    /// The pipeline it belongs to.
    pub pipeline: Option<PipelineId>,
    /// Its name.
    pub name: String,
    /// What the scheduler needs to know.
    pub spec: Arc<TaskSpec>,
    /// The tasks that must end first.
    pub depends_on: Vec<TaskId>,
    /// The configuration as the client gave it; goes to the agent unread.
    pub config: Json,
    /// The failed task that this one repeats.
    pub retry_of: Option<TaskId>,
}

/// Why an agent was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Choice {
    /// A client asked for this agent.
    Requested,
    /// It was the only one free and able.
    OnlyCandidate,
    /// It had the highest performance score.
    HighestScore,
    /// Among equal scores it was the least loaded.
    LeastLoaded,
}

/// An attempt of a task was leased to an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskAssigned {
    /// Which task.
    pub task: TaskId,
    /// Which agent.
    pub agent: AgentId,
    /// Number of the attempt; the first is 1.
    pub attempt: u32,
    /// When the lease ends if the agent is silent from now on.
    pub lease_until: Timestamp,
    /// When the attempt has taken too long.
    pub timeout_at: Option<Timestamp>,
    /// The way of scheduling in force.
    pub mode: Strategy,
    /// Why this agent.
    pub choice: Choice,
    /// The agent's performance score at the time, in thousandths.
    pub score_milli: u32,
    /// Agents that were free and able.
    pub candidates: u32,
}

/// The agent gave the first sign of work on its attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskStarted {
    /// Which.
    pub task: TaskId,
    /// Number of the attempt.
    pub attempt: u32,
}

/// The task succeeded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskCompleted {
    /// Which.
    pub task: TaskId,
    /// The attempt that counts.
    pub attempt: u32,
    /// What the agent returned.
    pub result: Json,
    /// What else it said: exit code, the ends of its output. Kept in the log alone.
    pub output: Option<Json>,
}

/// What ended an attempt that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The agent said so.
    Reported,
    /// It took longer than the task's timeout.
    Timeout,
    /// The agent was not heard for the time of a lease.
    AgentLost,
}

impl FailureKind {
    /// The word used in retry policies and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::Timeout => "timeout",
            Self::AgentLost => "agent_lost",
        }
    }
}

/// What follows a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AfterFailure {
    /// Another attempt, not before this time.
    Retry {
        /// End of the back-off.
        not_before: Timestamp,
    },
    /// No attempt is left, or this failure is not worth one.
    Final,
    /// The task took its agents down too often.
    Quarantined,
}

/// An attempt failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskFailed {
    /// Which task.
    pub task: TaskId,
    /// The agent that held the attempt.
    pub agent: AgentId,
    /// Which attempt.
    pub attempt: u32,
    /// What ended it.
    pub failure: FailureKind,
    /// The error, for a person.
    pub message: String,
    /// What the agent returned beside the error.
    pub result: Json,
    /// What follows.
    pub then: AfterFailure,
}

/// Why a lease ended without counting against the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RequeueReason {
    /// The agent registered again and did not name the attempt.
    NotNamed,
    /// The agent left.
    Unregistered,
    /// The pipeline was paused and its running tasks were to be cancelled.
    Paused,
}

/// An attempt ended through no fault of the task, which waits again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRequeued {
    /// Which task.
    pub task: TaskId,
    /// The agent that held the attempt.
    pub agent: AgentId,
    /// The attempt that ended.
    pub attempt: u32,
    /// Why.
    pub reason: RequeueReason,
}

/// The back-off of a failed task is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskReleased {
    /// Which.
    pub task: TaskId,
}

/// Why a task was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CancelReason {
    /// A client asked for it.
    Requested,
    /// Its pipeline was stopped.
    PipelineStopped,
    /// Its pipeline failed.
    PipelineFailed,
    /// A task that it depends on did not complete.
    Skipped {
        /// That task.
        upstream: TaskId,
    },
}

/// The task ended without a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskCancelled {
    /// Which.
    pub task: TaskId,
    /// The agent that held an attempt and has to let go of it.
    pub agent: Option<AgentId>,
    /// Why.
    pub reason: CancelReason,
    /// The reason for a person.
    pub message: String,
}

/// An agent introduced itself, or came back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRegistered {
    /// Its identity.
    pub agent: AgentId,
    /// Its name.
    pub name: String,
    /// Its type, a word of its own choosing.
    pub kind: String,
    /// What it can do; sorted, without duplicates.
    pub capabilities: Vec<String>,
    /// What it has.
    pub resources: Declared,
    /// Attempts it takes at a time.
    pub slots: u32,
    /// The connection it speaks through.
    pub connection: ConnectionNo,
    /// Its process, where it runs on the coordinator's machine and said so.
    pub pid: Option<u32>,
    /// Attempts it still works on although they are no longer its own: it is told to cancel them.
    pub stale: Vec<(TaskId, u32)>,
}

/// The connection of an agent ended; its leases go on until their term.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentDisconnected {
    /// Which.
    pub agent: AgentId,
}

/// An agent was silent for the term of a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentLost {
    /// Which.
    pub agent: AgentId,
    /// How long it was silent, in milliseconds.
    pub silent_ms: u64,
}

/// An agent said good-bye.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentUnregistered {
    /// Which.
    pub agent: AgentId,
}

/// A memory key got a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemorySet {
    /// The key.
    pub key: String,
    /// The value.
    pub value: Json,
}

/// A memory key was to be deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryDeleted {
    /// The key.
    pub key: String,
    /// Whether it was there.
    pub existed: bool,
}

/// A client entered an error into the register.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorReported {
    /// Identity of the entry.
    pub error: ErrorId,
    /// Part of the client's system.
    pub component: String,
    /// Type of error.
    pub error_type: String,
    /// What it says.
    pub message: String,
    /// The task that the report names.
    pub task: Option<TaskId>,
    /// `{"details": …, "context": …}` as the client gave them.
    pub details: Json,
}

/// A recovery was carried out for an entry of the register.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorRecovered {
    /// The entry.
    pub error: ErrorId,
    /// What was asked for.
    pub action: String,
    /// The task that a retry released or created.
    pub retried: Option<TaskId>,
}

/// Figures of a model (protocol §5). What was not reported is `None`; floats are kept as their bits, so that events compare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct ModelFigures {
    /// Values in the order of [`ModelFigures::NAMES`], as IEEE-754 bits.
    pub bits: [Option<u64>; 17],
}

/// In JSON the figures that are known, by name; in a record their bits.
impl Serialize for ModelFigures {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return self.bits.serialize(serializer);
        }
        serializer.collect_map(Self::NAMES.into_iter().filter_map(|name| Some((name, self.get(name)?))))
    }
}

impl ModelFigures {
    /// Names of the figures on the wire.
    pub const NAMES: [&'static str; 17] = [
        "accuracy",
        "precision",
        "recall",
        "f1_score",
        "loss",
        "training_time",
        "memory_usage",
        "cpu_usage",
        "inference_count",
        "average_inference_time_ms",
        "memory_usage_mb",
        "gpu_usage_percent",
        "gpu_memory_mb",
        "batch_size",
        "throughput_inferences_per_second",
        "cpu_usage_percent",
        "inference_time",
    ];

    /// The figure with this name on the wire.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<f64> {
        let index = Self::NAMES.iter().position(|known| *known == name)?;
        self.bits[index].map(f64::from_bits)
    }

    /// Sets a figure; `false` when no figure has this name.
    pub fn set(&mut self, name: &str, value: f64) -> bool {
        let index = Self::NAMES.iter().position(|known| *known == name);
        index.map(|index| self.bits[index] = Some(value.to_bits())).is_some()
    }
}

/// A client reported figures of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelReported {
    /// The model, a name of the client's choosing.
    pub model: String,
    /// The figures known to the protocol; apart, so that they do not make every event as large.
    pub figures: Box<ModelFigures>,
    /// Further fields of the report, as the client gave them.
    pub extra: Json,
}

/// A client's own event, to be kept and passed on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookRecorded {
    /// The task that it names.
    pub task: Option<TaskId>,
    /// The agent that it names.
    pub agent: Option<AgentId>,
    /// The hook as the client sent it.
    pub body: Json,
}
