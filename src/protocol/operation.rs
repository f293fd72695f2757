//! What a message asks of the coordinator, typed: the outcome of reading the wire.

use super::topic::Topic;
use everlog_replay::{AgentId, Command, Json, PipelineId, PipelineStatus, TaskId, TaskStatus};
use uuid::Uuid;

/// What a message asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operation {
    /// Changes the state: goes to the writer.
    Change {
        /// What to do.
        command: Command,
        /// How the answer is built from the events.
        reply: Reply,
    },
    /// `agent/register`: changes the state (answered as [`Reply::AgentRegistered`]), and tells the session about its peer.
    Register {
        /// What to do.
        command: Command,
        /// The peer handles messages from now on: the first assignment need not wait.
        ready: bool,
        /// Bytes of the longest frame that the peer accepts, where it says so.
        frame_bytes_max: Option<usize>,
    },
    /// `task/progress`: a sign of work. As a request it is answered with `{"status": "recorded"}`.
    Progress {
        /// Which task.
        task: TaskId,
        /// Who works on it.
        agent: AgentId,
        /// How far it is, from 0 to 1.
        progress: f64,
        /// Further details, any JSON.
        details: Json,
    },
    /// `agent/metrics`: a sample. As a request it is answered with `{"status": "recorded"}`.
    AgentMetrics {
        /// Whose.
        agent: AgentId,
        /// The figures, an object.
        metrics: Json,
    },
    /// Reads: answered from the state.
    Read(Query),
    /// Concerns the session alone.
    Session(SessionRequest),
    /// Nothing to do: recorded as an observed operation only.
    Observe,
}

/// Which answer follows from the events of a command (protocol §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// `pipeline/create`.
    PipelineCreated,
    /// `pipeline/start`.
    PipelineStarted,
    /// `pipeline/stop`.
    PipelineStopped,
    /// `pipeline/pause`.
    PipelinePaused,
    /// `pipeline/resume`.
    PipelineResumed,
    /// `pipeline/delete`.
    PipelineDeleted,
    /// `task/create` of one task.
    TaskCreated,
    /// `task/create` with a list.
    TasksCreated,
    /// `task/assign`, `agent/assign`.
    TaskAssigned,
    /// `task/completed` sent as a request: `{"status": "recorded"}`.
    TaskRecorded,
    /// `task/cancel`.
    TaskCancelled,
    /// `task/retry`, `pipeline/retry`.
    Retried,
    /// `agent/register`.
    AgentRegistered,
    /// `agent/unregister`.
    AgentUnregistered,
    /// `memory/set`.
    MemoryStored,
    /// `memory/delete`.
    MemoryDeleted,
    /// `error/report`.
    ErrorReported,
    /// `error/recover`.
    ErrorRecovered,
    /// `model/metrics` with figures.
    ModelRecorded,
    /// `claude-flow/hook` sent as a request.
    HookRecorded,
    /// A notification: no answer.
    None,
}

/// A question, answered from the state. Ids are well formed; whether they exist is for the state to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Query {
    /// `pipeline/status`.
    PipelineStatus(PipelineId),
    /// `pipeline/list`.
    PipelineList {
        /// Those with this status.
        status: Wanted<PipelineStatus>,
        /// Those that a person calls so.
        called: Option<Called>,
        /// Which part of them.
        page: Page,
    },
    /// `task/status`.
    TaskStatus(TaskId),
    /// `task/result`.
    TaskResult(TaskId),
    /// `task/list`.
    TaskList {
        /// Those of this pipeline.
        pipeline: Wanted<PipelineId>,
        /// Those assigned to this agent.
        agent: Option<AgentId>,
        /// Those with this status.
        status: Wanted<TaskStatus>,
        /// Those that a person calls so.
        called: Option<Called>,
        /// Which part of them.
        page: Page,
    },
    /// `agent/status`.
    AgentStatus(AgentId),
    /// `agent/list`.
    AgentList {
        /// Those of this type.
        kind: Option<String>,
        /// Those with this status, a word in small letters.
        status: Option<String>,
        /// Those with this capability.
        capability: Option<String>,
        /// Those that a person calls so.
        called: Option<Called>,
        /// Which part of them.
        page: Page,
    },
    /// `model/metrics` without figures; no model means all.
    ModelMetrics {
        /// Which.
        model: Option<String>,
    },
    /// `model/performance`; no model means all.
    ModelPerformance {
        /// Which.
        model: Option<String>,
        /// How far back.
        timeframe: Timeframe,
    },
    /// `model/memory`; no model means all.
    ModelMemory {
        /// Which.
        model: Option<String>,
    },
    /// `model/health`; no model means all.
    ModelHealth {
        /// Which.
        model: Option<String>,
    },
    /// `memory/get`.
    MemoryGet {
        /// The key.
        key: String,
    },
    /// `memory/list`.
    MemoryList {
        /// Keys that begin with this.
        prefix: String,
        /// Which part of them.
        page: Page,
    },
    /// `error/list`.
    ErrorList {
        /// Those of this component.
        component: Option<String>,
        /// Those of this type.
        error_type: Option<String>,
        /// Which part of them.
        page: Page,
    },
}

/// A part of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    /// The most entries; `None` is as many as fit a frame.
    pub limit: Option<usize>,
    /// Entries to leave out from the start.
    pub offset: usize,
}

/// A filter. A client may well ask for what can not exist (a status that this coordinator never shows, a pipeline id that is no
/// UUID); existing clients expect an empty list then, not an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted<T> {
    /// No filter.
    Any,
    /// These alone.
    Only(T),
    /// What nothing matches.
    Nothing,
}

impl<T: PartialEq> Wanted<T> {
    /// Whether the filter lets `value` through.
    pub(crate) fn admits(&self, value: &T) -> bool {
        match self {
            Self::Any => true,
            Self::Only(wanted) => wanted == value,
            Self::Nothing => false,
        }
    }
}

/// What a person calls something: its name, its id, or the beginning or the end of that. (Ids made at about the same time begin
/// alike, and end each in its own way.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Called(pub(crate) String);

impl Called {
    /// Characters of an id that may stand for it: fewer are more likely a slip.
    const ID_CHARS_MIN: usize = 4;

    /// Whether this is meant.
    pub(crate) fn is(&self, id: &str, name: &str) -> bool {
        let Self(text) = self;
        let part = text.len() >= Self::ID_CHARS_MIN && (id.starts_with(text) || id.ends_with(text));
        text == name || text == id || part
    }

    /// Whether this is meant, for what has a UUID: there may be a million of them.
    pub(crate) fn is_uuid(&self, id: Uuid, name: &str) -> bool {
        self.is(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()), name)
    }
}

/// How far back `model/performance` looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timeframe {
    /// One hour.
    Hour,
    /// One day.
    Day,
    /// Seven days.
    Week,
    /// Thirty days.
    Month,
}

impl Timeframe {
    /// All of them, for parsers.
    pub(crate) const ALL: [Self; 4] = [Self::Hour, Self::Day, Self::Week, Self::Month];

    /// The word on the wire.
    #[must_use]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "1h",
            Self::Day => "1d",
            Self::Week => "7d",
            Self::Month => "30d",
        }
    }

    /// Its length in milliseconds.
    #[must_use]
    pub(crate) fn millis(self) -> u64 {
        const HOUR_MS: u64 = 3_600_000;
        match self {
            Self::Hour => HOUR_MS,
            Self::Day => 24 * HOUR_MS,
            Self::Week => 7 * 24 * HOUR_MS,
            Self::Month => 30 * 24 * HOUR_MS,
        }
    }
}

/// What concerns the session alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SessionRequest {
    /// `subscribe`.
    Subscribe {
        /// What the client wants to hear from now on, in addition.
        topics: Vec<Topic>,
    },
    /// `unsubscribe`.
    Unsubscribe {
        /// What it no longer wants to hear.
        topics: Vec<Topic>,
    },
}
