//! What can go wrong between a client and its coordinator, each case with its next step.

use serde_json::Value;

/// Why a call did not bring a result.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// No connection could be made.
    #[error("the coordinator at {url} cannot be reached: {cause}; start one there, or connect to another address")]
    Unreachable {
        /// The address that was tried.
        url: String,
        /// What the network said.
        cause: String,
    },
    /// The coordinator lived in this process and has ended: nothing reaches it any more.
    #[error("the coordinator in this process has ended; open it again, and connect to the new one")]
    Ended,
    /// The coordinator does not let this client in.
    #[error("the coordinator at {url} turned this client away: {message} (HTTP {status})")]
    TurnedAway {
        /// The address that was tried.
        url: String,
        /// The HTTP status: 403 for good, 503 for now.
        status: u16,
        /// The coordinator's sentence.
        message: String,
    },
    /// The address cannot be one of a coordinator.
    #[error("`{url}` is not the address of a coordinator: {cause}")]
    BadAddress {
        /// The address given.
        url: String,
        /// What is wrong with it, and what to write instead.
        cause: String,
    },
    /// An environment variable makes no sense.
    #[error("the environment variable {name} is `{value}`; set it to {expected}, or unset it")]
    BadSetting {
        /// Which.
        name: String,
        /// Its value.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The coordinator said no.
    #[error("{message} (code {code})")]
    Refused {
        /// A code of protocol §2.
        code: i64,
        /// One sentence a person can act on.
        message: String,
        /// Details: the id, the current status, the allowed ones.
        data: Value,
    },
    /// The connection ended before the answer came; whether the call took effect is not known.
    #[error("the connection to the coordinator ended: {reason}; connect again and ask for the state")]
    Closed {
        /// Who ended it, and why.
        reason: String,
    },
    /// No answer in time; whether the call took effect is not known.
    #[error(
        "`{method}` was not answered within {seconds} s; the coordinator may be overloaded: \
         try again, or raise the request timeout (`ClientOptions::request_timeout`, MCP_CLIENT_TIMEOUT)"
    )]
    TimedOut {
        /// The method called.
        method: String,
        /// How long the client waited.
        seconds: f64,
    },
    /// The frame would be refused, so it was not sent.
    #[error(
        "`{method}` needs a frame of {bytes} bytes, and a coordinator accepts {limit}; \
         send less at once, or put the data into a file and send its path"
    )]
    TooLarge {
        /// The method called.
        method: String,
        /// The size of the frame.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A message is not what the protocol promises.
    #[error("a message of `{method}` does not fit the protocol: {cause}; is the coordinator of another version?")]
    Malformed {
        /// The method called.
        method: String,
        /// What is wrong with it.
        cause: String,
    },
}

/// The HTTP status of a coordinator that is full or about to end.
const SERVICE_UNAVAILABLE: u16 = 503;

impl ClientError {
    /// True if the same call may succeed on another connection or a little later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Closed { .. } | Self::TimedOut { .. } => true,
            Self::Refused { code, .. } => *code == code::OVERLOADED,
            Self::TurnedAway { status, .. } => *status == SERVICE_UNAVAILABLE,
            Self::Ended
            | Self::BadAddress { .. }
            | Self::BadSetting { .. }
            | Self::TooLarge { .. }
            | Self::Malformed { .. } => false,
        }
    }

    /// Whether the same call is to be sent again at once or after a pause. Not after a time-out: that was the caller's
    /// patience.
    pub(crate) fn deserves_repetition(&self) -> bool {
        self.is_transient() && matches!(self, Self::Closed { .. } | Self::Refused { .. })
    }

    pub(crate) fn closed_here() -> Self {
        Self::Closed { reason: "this side closed it".to_owned() }
    }
}

/// The error codes of protocol §2.
pub mod code {
    macro_rules! codes {
        ($(#[doc = $meaning:literal] $name:ident = $code:literal;)+) => {
            $(#[doc = $meaning] pub const $name: i64 = $code;)+

            /// Each code with its meaning.
            pub(crate) const ALL: &[(i64, &str)] = &[$(($code, $meaning)),+];
        };
    }

    codes! {
        /// The frame is not a request.
        INVALID_REQUEST = -32600;
        /// There is no such method.
        METHOD_NOT_FOUND = -32601;
        /// The parameters are not what the method takes.
        INVALID_PARAMS = -32602;
        /// The coordinator failed inside.
        INTERNAL = -32603;
        /// No such pipeline.
        PIPELINE_NOT_FOUND = -40001;
        /// The pipeline runs already.
        PIPELINE_RUNNING = -40002;
        /// The pipeline does not run.
        PIPELINE_NOT_RUNNING = -40003;
        /// The pipeline is not paused.
        PIPELINE_NOT_PAUSED = -40004;
        /// The pipeline runs or is paused, and cannot be deleted.
        PIPELINE_ALIVE = -40005;
        /// The pipeline has ended.
        PIPELINE_ENDED = -40006;
        /// Not all of the pipeline's tasks are there yet.
        PIPELINE_INCOMPLETE = -40007;
        /// No such task.
        TASK_NOT_FOUND = -40011;
        /// The task is assigned already.
        TASK_ASSIGNED = -40012;
        /// The task has ended.
        TASK_ENDED = -40013;
        /// No such agent, or it is not registered on this connection.
        AGENT_NOT_FOUND = -40021;
        /// The agent is busy or away, or lacks a capability.
        AGENT_NOT_AVAILABLE = -40022;
        /// No such model.
        MODEL_NOT_FOUND = -40031;
        /// The model lacks the figures that the question is about.
        MODEL_STATE = -40032;
        /// The caller is not known.
        UNAUTHENTICATED = -40041;
        /// The caller may not do this.
        FORBIDDEN = -40042;
        /// The inbox or another limit is full; try again.
        OVERLOADED = -40051;
        /// The attempt is not the one that counts.
        STALE_ATTEMPT = -40061;
        /// The id was used before with other parameters.
        REQUEST_REUSED = -40071;
    }
}
