//! What can have happened. Past tense, named fields, one frozen struct for each (kind, schema).
//!
//! A released struct never changes: bincode reads fields by position. A new form gets the next schema number, its own struct, and
//! a `From` that lifts the old one (see [`crate::codec`]).

mod agents;
mod coordinator;
mod pipelines;
mod registers;
mod tasks;

pub use agents::*;
pub use coordinator::*;
pub use pipelines::*;
pub use registers::*;
pub use tasks::*;

use crate::binary::{self, DecodeError};
use crate::ids::{AgentId, PipelineId, TaskId};
use crate::text::Json;
use serde::de::DeserializeOwned;

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
                match self { $(Self::$name(body) => binary::write(body, out),)+ }
            }

            /// The event as JSON, for people and other programs.
            #[must_use]
            pub fn to_json(&self) -> String {
                match self { $(Self::$name(body) => serde_json::to_string(body),)+ }.unwrap_or_default()
            }

            /// Header and event, one after the other as bincode writes a pair.
            pub(crate) fn read_body<H: DeserializeOwned>(
                kind: u16,
                schema: u8,
                bytes: &[u8],
            ) -> Result<(H, Self), DecodeError> {
                match (kind, schema) {
                    $(($kind, $schema) => binary::read(bytes).map(|(header, body)| (header, Self::$name(body))),)+
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
    7 1 CoordinatorConfigured,
    20 1 PipelineCreated,
    21 1 PipelineStarted,
    22 1 PipelinePaused,
    23 1 PipelineResumed,
    24 1 PipelineStopped,
    25 1 PipelineCompleted,
    26 1 PipelineFailed,
    27 1 PipelineDeleted,
    28 1 ModeChosen,
    29 1 TasksExpected,
    40 1 TaskCreated,
    41 1 TaskAssigned,
    42 1 TaskStarted,
    43 1 TaskCompleted,
    44 1 TaskFailed,
    45 1 TaskRequeued,
    46 1 TaskReleased,
    47 1 TaskCancelled,
    48 1 AssignmentConfirmed,
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
            | Self::CoordinatorConfigured(_)
            | Self::CoordinatorStopped(_)
            | Self::ConnectionOpened(_)
            | Self::OperationsObserved(_)
            | Self::OperationRefused(_)
            | Self::MachineLoadObserved(_)
            | Self::TasksExpected(_)
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
            | Self::AssignmentConfirmed(_)
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
        let ends = matches!(
            self,
            Self::TaskCompleted(_) | Self::TaskFailed(_) | Self::TaskRequeued(_) | Self::TaskCancelled(_)
        );
        if ends { self.subject().task } else { None }
    }

    /// What the event is about: (pipeline, task, agent), where the event itself says so.
    #[must_use]
    pub fn subject(&self) -> Subject<'_> {
        let pipeline = |id: &PipelineId| Subject { pipeline: Some(*id), ..Subject::default() };
        let task = |id: &TaskId| Subject { task: Some(*id), ..Subject::default() };
        let agent = |id| Subject { agent: Some(id), ..Subject::default() };
        match self {
            Self::PipelineCreated(e) => pipeline(&e.pipeline),
            Self::TasksExpected(e) => pipeline(&e.pipeline),
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
            Self::AssignmentConfirmed(e) => Subject { agent: Some(&e.agent), ..task(&e.task) },
            Self::TaskCancelled(e) => Subject { agent: e.agent.as_ref(), ..task(&e.task) },
            Self::AgentRegistered(e) => agent(&e.agent),
            Self::AgentDisconnected(e) => agent(&e.agent),
            Self::AgentLost(e) => agent(&e.agent),
            Self::AgentUnregistered(e) => agent(&e.agent),
            Self::ErrorReported(e) => Subject { task: e.task, ..Subject::default() },
            Self::HookRecorded(e) => Subject { task: e.task, agent: e.agent.as_ref(), ..Subject::default() },
            Self::CoordinatorStarted(_)
            | Self::CoordinatorConfigured(_)
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
