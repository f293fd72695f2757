//! What can be asked for. One door in: clients, the scheduler, the clock and the liveness table all speak through these.
//!
//! A command carries everything a decision needs, new identities included; nothing is looked up outside [`crate::State`].

use crate::event::{FailureKind, ModelFigures, PauseRunning};
use crate::ids::{AgentId, ErrorId, PipelineId, TaskId, Timestamp};
use crate::spec::{Declared, PipelineWish, Settings, Strategy, TaskWish};
use crate::text::Json;

/// A task to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTask {
    /// Its identity, made at the door.
    pub task: TaskId,
    /// Its name.
    pub name: String,
    /// What it asks for.
    pub wish: TaskWish,
    /// Names or ids of the tasks that must end first.
    pub depends_on: Vec<String>,
    /// The configuration as given.
    pub config: Json,
}

/// Identities for what runs again, made at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewIds {
    /// Of the new pipeline, should there be one.
    pub pipeline: PipelineId,
    /// Of the first task; how many there are is for the decision to say, and each has the identity after the one before it.
    pub task: TaskId,
}

/// One line of what was observed in a time bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Begin of the bucket.
    pub bucket: Timestamp,
    /// The connection.
    pub connection: u64,
    /// The method.
    pub method: String,
    /// Calls answered.
    pub count: u64,
    /// Calls refused beyond those recorded singly.
    pub refused: u64,
}

/// Something asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// The coordinator starts on this log.
    StartCoordinator {
        /// Version of the program.
        version: String,
        /// Configuration for decisions.
        settings: Settings,
    },
    /// The configuration changed while the coordinator runs. Gives no event when it is the same.
    ConfigureCoordinator {
        /// Configuration for decisions.
        settings: Settings,
    },
    /// The coordinator ends.
    StopCoordinator {
        /// Why.
        reason: String,
    },
    /// A client spoke for the first time on a connection.
    OpenConnection {
        /// Address of the peer.
        peer: String,
    },
    /// A bucket of observed operations is over.
    RecordObservations {
        /// Its lines.
        observed: Vec<Observation>,
    },
    /// An operation was refused. Gives an event as long as the actor's bucket has room, none afterwards.
    RecordRefusal {
        /// The method.
        method: String,
        /// The code.
        code: i32,
        /// The sentence.
        message: String,
    },
    /// A reading of the load of coordinator and local agents.
    ObserveLoad {
        /// Processor time, in hundredths of a percent of one core.
        cpu: u32,
        /// Memory in KiB.
        memory: u64,
    },

    /// `pipeline/create`.
    CreatePipeline {
        /// Its identity.
        pipeline: PipelineId,
        /// Its name.
        name: String,
        /// Its options.
        wish: PipelineWish,
        /// Its configuration without the tasks.
        config: Json,
        /// Its tasks, in order.
        tasks: Vec<NewTask>,
    },
    /// `pipeline/start`.
    StartPipeline {
        /// Which.
        pipeline: PipelineId,
    },
    /// `pipeline/pause`.
    PausePipeline {
        /// Which.
        pipeline: PipelineId,
        /// What becomes of the running tasks.
        running: PauseRunning,
    },
    /// `pipeline/resume`.
    ResumePipeline {
        /// Which.
        pipeline: PipelineId,
    },
    /// `pipeline/stop`.
    StopPipeline {
        /// Which.
        pipeline: PipelineId,
        /// Why.
        reason: String,
    },
    /// `pipeline/delete`.
    DeletePipeline {
        /// Which.
        pipeline: PipelineId,
    },
    /// `pipeline/retry`.
    RetryPipeline {
        /// Which.
        pipeline: PipelineId,
        /// What the new ones are called.
        new: NewIds,
    },
    /// An adaptive pipeline should schedule differently.
    ChooseMode {
        /// Which.
        pipeline: PipelineId,
        /// The better way.
        mode: Strategy,
    },

    /// `task/create`.
    CreateTasks {
        /// The pipeline that they join.
        pipeline: Option<PipelineId>,
        /// The tasks, in order.
        tasks: Vec<NewTask>,
    },
    /// `task/assign`, or the scheduler's choice.
    AssignTask {
        /// Which task.
        task: TaskId,
        /// To which agent.
        agent: AgentId,
    },
    /// First sign of work on an attempt.
    StartTask {
        /// Which task.
        task: TaskId,
        /// Who says so.
        agent: AgentId,
    },
    /// `task/completed`.
    CompleteTask {
        /// Which task.
        task: TaskId,
        /// Who says so.
        agent: AgentId,
        /// The attempt; `None` is the one that the agent holds.
        attempt: Option<u32>,
        /// Whether it succeeded.
        success: bool,
        /// What the agent returned.
        result: Json,
        /// The error, where it failed.
        error: Option<String>,
        /// What else it said, for the record.
        output: Option<Json>,
    },
    /// `task/cancel`.
    CancelTask {
        /// Which.
        task: TaskId,
        /// Why.
        reason: String,
    },
    /// `task/retry`.
    RetryTask {
        /// Which.
        task: TaskId,
        /// What the new ones are called.
        new: NewIds,
    },
    /// The timeout of an attempt has passed.
    TimeoutTask {
        /// Which.
        task: TaskId,
    },
    /// The back-off of a task is over.
    ReleaseTask {
        /// Which.
        task: TaskId,
    },

    /// The agent that holds the live attempt of this task is lost.
    ExpireLease {
        /// Which.
        task: TaskId,
    },

    /// `agent/register`.
    RegisterAgent {
        /// Its identity.
        agent: AgentId,
        /// Its name.
        name: String,
        /// Its type.
        kind: String,
        /// What it can do, in any order.
        capabilities: Vec<String>,
        /// What it has.
        resources: Declared,
        /// Attempts at a time.
        slots: u32,
        /// Attempts that it still works on.
        running: Vec<(TaskId, u32)>,
        /// Its process on this machine.
        pid: Option<u32>,
    },
    /// `agent/unregister`.
    UnregisterAgent {
        /// Which.
        agent: AgentId,
    },
    /// A connection ended.
    DisconnectAgents {
        /// The connection.
        connection: u64,
        /// The agents registered through it, as far as the session knows.
        agents: Vec<AgentId>,
    },
    /// An agent was silent for the term of a lease.
    LoseAgent {
        /// Which.
        agent: AgentId,
        /// How long, in milliseconds.
        silent_ms: u64,
    },

    /// `memory/set`.
    SetMemory {
        /// The key.
        key: String,
        /// The value.
        value: Json,
    },
    /// `memory/delete`.
    DeleteMemory {
        /// The key.
        key: String,
    },
    /// `error/report`.
    ReportError {
        /// Identity of the entry.
        error: ErrorId,
        /// Part of the client's system.
        component: String,
        /// Type of error.
        error_type: String,
        /// What it says.
        message: String,
        /// The task it names.
        task: Option<TaskId>,
        /// Details and context.
        details: Json,
    },
    /// `error/recover`.
    RecoverError {
        /// The entry.
        error: ErrorId,
        /// What to do; `retry` retries the task that the entry names.
        action: String,
        /// What the new ones are called, should a retry need any.
        new: NewIds,
    },
    /// `model/metrics` with figures.
    ReportModel {
        /// The model.
        model: String,
        /// Its figures.
        figures: ModelFigures,
        /// Further fields.
        extra: Json,
    },
    /// `claude-flow/hook`.
    RecordHook {
        /// The task it names.
        task: Option<TaskId>,
        /// The agent it names.
        agent: Option<AgentId>,
        /// The hook as sent.
        body: Json,
    },
}

/// How an attempt came to fail: what retry policies look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What ended it.
    pub kind: FailureKind,
    /// The error, for a person.
    pub message: String,
    /// What the agent returned beside it.
    pub result: Json,
}
