//! Which method takes what and answers what: the one table behind the typed calls and the description of the protocol.

use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Value, json};

use super::answers::*;
use super::page::Listing;
use super::params::*;
use super::*;
use crate::agent::told::{AgentMetrics, Completion, Progress, Registration};

/// A method that takes a `P` and answers with an `R`.
pub(crate) struct Method<P, R> {
    /// Its name on the wire.
    pub(crate) name: &'static str,
    types: PhantomData<fn() -> (P, R)>,
}

impl<P: JsonSchema + Serialize, R: JsonSchema> Method<P, R> {
    const fn new(name: &'static str) -> Self {
        Self { name, types: PhantomData }
    }

    /// Its name, and its parameters as they are sent.
    pub(crate) fn call(&self, params: &P) -> (&'static str, Value) {
        (self.name, json!(params))
    }

    const fn entry(&self, id: &'static str, summary: &'static str) -> Entry {
        let (params, result) = (SchemaGenerator::subschema_for::<P>, SchemaGenerator::subschema_for::<R>);
        Entry { id, method: self.name, summary, params, result }
    }
}

/// A method as its description needs it. One that takes different things has an entry for each.
pub(crate) struct Entry {
    /// Names the entry.
    pub(crate) id: &'static str,
    /// The method on the wire.
    pub(crate) method: &'static str,
    /// What it does.
    pub(crate) summary: &'static str,
    /// The schema of what it takes.
    pub(crate) params: fn(&mut SchemaGenerator) -> Schema,
    /// The schema of what it answers.
    pub(crate) result: fn(&mut SchemaGenerator) -> Schema,
}

macro_rules! methods {
    ($(#[doc = $summary:literal] $id:ident $name:literal: $params:ty => $result:ty;)+) => {
        $(#[doc = $summary] pub(crate) const $id: Method<$params, $result> = Method::new($name);)+

        /// All of them, in the order of the protocol.
        pub(crate) const METHODS: &[Entry] = &[$($id.entry(stringify!($id), $summary)),+];
    };
}

methods! {
    /// Creates a pipeline; it does nothing until it is started.
    PIPELINE_CREATE "pipeline/create": PipelineSpec => PipelineCreated;
    /// Starts a pipeline.
    PIPELINE_START "pipeline/start": PipelineRef<'static> => PipelineStarted;
    /// Ends a pipeline: what has not ended is cancelled.
    PIPELINE_STOP "pipeline/stop": PipelineStop<'static> => PipelineStopped;
    /// Starts nothing more of a pipeline until it is resumed.
    PIPELINE_PAUSE "pipeline/pause": PipelinePause<'static> => PipelineSteered;
    /// Goes on with a paused pipeline.
    PIPELINE_RESUME "pipeline/resume": PipelineRef<'static> => PipelineSteered;
    /// What is known of a pipeline.
    PIPELINE_STATUS "pipeline/status": PipelineRef<'static> => PipelineInfo;
    /// Lists pipelines, oldest first.
    PIPELINE_LIST "pipeline/list": PipelineFilter => Listing<PipelineInfo>;
    /// Deletes a pipeline that has not been started or has ended. Its history stays in the log.
    PIPELINE_DELETE "pipeline/delete": PipelineRef<'static> => PipelineSteered;
    /// Repeats what failed or was cancelled of a pipeline.
    PIPELINE_RETRY "pipeline/retry": PipelineRef<'static> => Retried;
    /// Creates a task, in a pipeline or of its own.
    TASK_CREATE "task/create": NewTask<'static> => TaskCreated;
    /// Creates tasks, all or none.
    TASKS_CREATE "task/create": NewTasks<'static> => TasksCreated;
    /// Gives a waiting task to an agent that is free, past the scheduler.
    TASK_ASSIGN "task/assign": TaskAssign<'static> => TaskGiven;
    /// The same as `task/assign`.
    AGENT_ASSIGN "agent/assign": TaskAssign<'static> => TaskGiven;
    /// What is known of a task.
    TASK_STATUS "task/status": TaskRef<'static> => TaskInfo;
    /// What a task came to.
    TASK_RESULT "task/result": TaskRef<'static> => TaskResult;
    /// Cancels a task that has not ended, and what depends on it.
    TASK_CANCEL "task/cancel": TaskCancel<'static> => TaskStopped;
    /// Repeats a task that failed or was cancelled.
    TASK_RETRY "task/retry": TaskRef<'static> => Retried;
    /// Lists tasks in the order in which they were created.
    TASK_LIST "task/list": TaskFilter => Listing<TaskInfo>;
    /// Ends an attempt at a task. Sent as a request, it may be forgotten once it is answered.
    TASK_COMPLETED "task/completed": Completion => Recorded;
    /// Says how far an attempt is; the first time, that it has begun.
    TASK_PROGRESS "task/progress": Progress => Recorded;
    /// Makes an agent known on this connection; under a known id, instead of the one before.
    AGENT_REGISTER "agent/register": Registration => AgentRegistered;
    /// Takes leave: what the agent worked on goes back into the queue.
    AGENT_UNREGISTER "agent/unregister": AgentRef<'static> => AgentUnregistered;
    /// Lists agents, by id.
    AGENT_LIST "agent/list": AgentFilter => Listing<AgentInfo>;
    /// What is known of an agent.
    AGENT_STATUS "agent/status": AgentRef<'static> => AgentInfo;
    /// Says how an agent does.
    AGENT_METRICS "agent/metrics": AgentMetrics => Recorded;
    /// Reports figures of a model.
    MODEL_REPORT "model/metrics": ModelReport<'static> => ModelRecorded;
    /// The newest known figures of a model.
    MODEL_METRICS "model/metrics": ModelRef<'static> => ModelMetrics;
    /// The newest known figures of all models.
    MODELS_METRICS "model/metrics": Nothing => ModelList;
    /// How a model did over some time.
    MODEL_PERFORMANCE "model/performance": ModelHistory<'static> => ModelPerformance;
    /// How all models did over some time.
    MODELS_PERFORMANCE "model/performance": ModelsHistory => Models<ModelPerformance>;
    /// The memory of a model.
    MODEL_MEMORY "model/memory": ModelRef<'static> => ModelMemory;
    /// The memory of all models.
    MODELS_MEMORY "model/memory": Nothing => Models<ModelMemory>;
    /// How a model is, and why.
    MODEL_HEALTH "model/health": ModelRef<'static> => ModelHealth;
    /// How all models are.
    MODELS_HEALTH "model/health": Nothing => Models<ModelHealth>;
    /// The value under a key.
    MEMORY_GET "memory/get": MemoryKey<'static> => MemoryEntry;
    /// Stores a value under a key, over what was there.
    MEMORY_SET "memory/set": MemoryValue<'static> => MemoryStored;
    /// Removes a key.
    MEMORY_DELETE "memory/delete": MemoryKey<'static> => MemoryDeleted;
    /// Lists keys that begin alike.
    MEMORY_LIST "memory/list": MemoryPrefix<'static> => MemoryKeys;
    /// Puts an error into the register.
    ERROR_REPORT "error/report": ErrorReport => ErrorReported;
    /// Does something about an error.
    ERROR_RECOVER "error/recover": ErrorRecover<'static> => Recovery;
    /// Lists errors, newest first.
    ERROR_LIST "error/list": ErrorFilter => Listing<ErrorRecord>;
    /// Keeps an event of the client's own, and passes it on.
    HOOK "claude-flow/hook": Hook => Recorded;
    /// Listens to topics; the answer has all that are now in force.
    SUBSCRIBE "subscribe": Topics => Topics;
    /// No longer listens to topics; the answer has all that are still in force.
    UNSUBSCRIBE "unsubscribe": Topics => Topics;
}
