//! How a verb ends: the exit codes, and what is said on the way out.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use miette::Diagnostic;

use super::terminal;
use crate::agent::AgentError;
use crate::client::{ClientError, code};
use crate::config::ConfigError;
use crate::coordinator::Failed;
use crate::embedded::StartError;
use crate::failure::Failure;
use crate::pipeline_file::PipelineFileError;

/// What the shell gets to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// All is well.
    Ok = 0,
    /// A pipeline failed, or this machine got in the way.
    Failed = 1,
    /// The command line or the pipeline file is wrong.
    Usage = 2,
    /// There is no such pipeline, task, agent, model or data directory.
    NotFound = 3,
    /// The coordinator said no.
    Refused = 4,
    /// Something in the data directory is damaged; it was named.
    Damaged = 5,
    /// The coordinator cannot be reached (`EX_UNAVAILABLE` of sysexits).
    Unreachable = 69,
    /// A signal ended it (128 + SIGINT, as shells have it).
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a verb could not do what it was asked.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub(super) enum Trouble {
    /// The coordinator, or the way to it. Its words may quote other clients.
    #[error("{}", terminal::one_line(&.0.to_string()))]
    Client(ClientError),
    #[error("{}", terminal::one_line(&.0.to_string()))]
    Agent(AgentError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    PipelineFile(#[from] PipelineFileError),
    #[error(transparent)]
    Server(#[from] StartError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Coordinator(#[from] Failed),
    #[error(transparent)]
    History(#[from] Failure),
    #[error("there is no data directory at {}; name the one that `serve` or `run` used with --data", .0.display())]
    NoData(PathBuf),
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Failed(String),
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
}

// Not `#[from]`: that would make the cause a source, and its words would be told twice.
impl From<ClientError> for Trouble {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl From<AgentError> for Trouble {
    fn from(error: AgentError) -> Self {
        Self::Agent(error)
    }
}

impl Trouble {
    /// Asks for a data directory that is there: a slip in its name must not look like an empty history.
    pub(super) fn unless_data(data: &Path) -> Result<(), Self> {
        if data.is_dir() { Ok(()) } else { Err(Self::NoData(data.to_owned())) }
    }

    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Client(error) | Self::Agent(AgentError::Rejected { cause: error, .. }) => exit_of(error),
            Self::NoData(_) => Exit::NotFound,
            Self::PipelineFile(_) | Self::Usage(_) | Self::Config(_) => Exit::Usage,
            Self::Server(_) | Self::Coordinator(_) | Self::History(_) | Self::Failed(_) => Exit::Failed,
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
            Self::Output(_) => Exit::Failed,
        }
    }

    /// A reader that has seen enough (`| head`) is no trouble at all.
    pub(super) fn is_worth_telling(&self) -> bool {
        self.exit() != Exit::Ok
    }
}

fn exit_of(error: &ClientError) -> Exit {
    match error {
        ClientError::Refused { code, .. } => match *code {
            code::PIPELINE_NOT_FOUND | code::TASK_NOT_FOUND | code::AGENT_NOT_FOUND | code::MODEL_NOT_FOUND => {
                Exit::NotFound
            }
            _ => Exit::Refused,
        },
        ClientError::Unreachable { .. } | ClientError::Closed { .. } | ClientError::TimedOut { .. } => {
            Exit::Unreachable
        }
        ClientError::BadAddress { .. } | ClientError::BadSetting { .. } => Exit::Usage,
        ClientError::TurnedAway { .. } | ClientError::TooLarge { .. } | ClientError::Malformed { .. } => Exit::Refused,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn refusals_are_told_apart() {
        let exit = |code| exit_of(&ClientError::Refused { code, message: String::new(), data: Value::Null });
        assert_eq!(exit(code::TASK_NOT_FOUND), Exit::NotFound);
        assert_eq!(exit(code::INVALID_PARAMS), Exit::Refused);
    }

    #[test]
    fn a_reader_that_leaves_is_no_failure() {
        let trouble = Trouble::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(!trouble.is_worth_telling());
        let full = Trouble::from(io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(full.exit(), Exit::Failed);
    }

    #[test]
    fn what_others_wrote_cannot_steer_the_terminal() {
        let message = "no task \u{1b}[31m".to_owned();
        let refused = ClientError::Refused { code: code::TASK_NOT_FOUND, message, data: Value::Null };
        assert!(!Trouble::from(refused).to_string().contains('\u{1b}'));
    }
}
