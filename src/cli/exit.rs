//! How a verb ends: the exit codes, and what is said on the way out.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use everlog_storage::DataDir;
use miette::Diagnostic;

use super::terminal;
use crate::agent::AgentError;
use crate::bench::BenchError;
use crate::client::{ClientError, code};
use crate::config::ConfigError;
use crate::coordinator::Failed;
use crate::embedded::StartError;
use crate::failure::Failure;
use crate::server::DoorError;
use crate::yaml::FileError;

/// What the shell gets to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Exit {
    /// All is well.
    Ok = 0,
    /// A pipeline or a task failed, or this machine got in the way.
    Failed = 1,
    /// The command line or the pipeline file is wrong, or a name means several things.
    Usage = 2,
    /// There is no such pipeline, task, agent, model, key or data directory.
    NotFound = 3,
    /// The coordinator said no.
    Refused = 4,
    /// The thing is in another state than this needs.
    Conflict = 5,
    /// Something in the data directory is damaged; it was named (`EX_DATAERR` of sysexits).
    Damaged = 65,
    /// The coordinator cannot be reached (`EX_UNAVAILABLE` of sysexits).
    Unreachable = 69,
    /// The same may work a little later (`EX_TEMPFAIL` of sysexits).
    TryAgain = 75,
    /// The time given with `--timeout` is over (as `timeout` of coreutils has it).
    TimedOut = 124,
    /// A signal ended it (128 + SIGINT, as shells have it).
    Interrupted = 130,
}

impl Exit {
    /// Every code with its meaning, as help and manual tell it.
    pub(super) const TABLE: [(Self, &str); 11] = [
        (Self::Ok, "all is well"),
        (Self::Failed, "the pipeline or task failed or was stopped, or this machine got in the way"),
        (Self::Usage, "the command line or the pipeline file is wrong, or a name means several things"),
        (Self::NotFound, "there is no such pipeline, task, agent, key or data directory"),
        (Self::Refused, "the coordinator said no"),
        (Self::Conflict, "it is in another state than this needs: runs already, has ended, is held by another agent"),
        (Self::Damaged, "something in the data directory is damaged, or no copy of it is left"),
        (Self::Unreachable, "the coordinator cannot be reached, or what answers is none"),
        (Self::TryAgain, "try again: the coordinator is overloaded or full, or the result is not there yet"),
        (Self::TimedOut, "the time given with --timeout is over"),
        (Self::Interrupted, "a signal ended it"),
    ];

    /// The table as text.
    pub(super) fn help() -> String {
        let lines = Self::TABLE.iter().map(|(exit, meaning)| format!("  {:>3}  {meaning}", *exit as u8));
        format!("Exit codes:\n{}", lines.collect::<Vec<_>>().join("\n"))
    }
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
    #[error("{}", terminal::one_line(&unanswered(.0)))]
    Client(ClientError),
    #[error("{}", terminal::one_line(&.0.to_string()))]
    Agent(AgentError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    PipelineFile(#[from] FileError),
    #[error("{}", not_started(.0))]
    Server(StartError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Coordinator(#[from] Failed),
    #[error(transparent)]
    History(#[from] Failure),
    #[error(transparent)]
    Bench(#[from] BenchError),
    #[error("there is no data directory at {}; name the one that `serve` or `run` used with --data", .0.display())]
    NoData(PathBuf),
    #[error("{0}")]
    Usage(String),
    #[error("{what}")]
    Ambiguous {
        what: String,
        #[help]
        candidates: String,
    },
    #[error("{0}")]
    NotFound(String),
    #[error("{0}; the coordinator is older than this `everlog`: update it, or use the `everlog` that came with it")]
    OldServer(String),
    #[error("the coordinator came back and tells no more news: {0}; look with: everlog ps")]
    NoNews(String),
    #[error("{0}")]
    NotYet(String),
    #[error("{0}")]
    TimedOut(String),
    #[error("{0}")]
    Failed(String),
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
}

// Not `#[from]`: that would make the cause a source, and its words would be told twice.
impl From<ClientError> for Trouble {
    fn from(error: ClientError) -> Self {
        match lacks_method(&error) {
            Some(told) => Self::OldServer(told),
            None => Self::Client(in_verbs(error)),
        }
    }
}

impl From<StartError> for Trouble {
    fn from(error: StartError) -> Self {
        Self::Server(error)
    }
}

impl From<AgentError> for Trouble {
    fn from(error: AgentError) -> Self {
        let AgentError::Rejected { name, cause } = error;
        match lacks_method(&cause) {
            Some(told) => Self::OldServer(format!("agent `{name}` cannot work for the coordinator: {told}")),
            None => Self::Agent(AgentError::Rejected { name, cause: in_verbs(cause) }),
        }
    }
}

/// What a coordinator says that does not know a method, but for the name that it takes for the right one.
fn lacks_method(error: &ClientError) -> Option<String> {
    let ClientError::Refused { code: code::METHOD_NOT_FOUND, message, .. } = error else { return None };
    Some(terminal::one_line(message.split(';').next().unwrap_or_default()))
}

/// The next steps that refusals name, most of them methods, and the verbs that do the same.
const VERBS: [(&str, &str); 10] = [
    ("pipeline/list", "`everlog ps --all`"),
    ("pipeline/status", "`everlog status`"),
    ("pipeline/start", "`everlog start`"),
    ("pipeline/resume", "`everlog resume`"),
    ("pipeline/stop", "`everlog stop`"),
    ("pipeline/delete", "`everlog delete`"),
    ("task/list", "`everlog tasks`"),
    ("error/list", "`everlog errors`"),
    ("memory/delete", "`everlog memory rm`"),
    (
        "create a new one to run it again",
        "`everlog retry` runs what is missing of it, `everlog submit` all of it again",
    ),
];

/// A refusal in the words of the command line.
fn in_verbs(mut error: ClientError) -> ClientError {
    if let ClientError::Refused { message, .. } = &mut error {
        *message = VERBS.iter().fold(std::mem::take(message), |message, (method, verb)| message.replace(method, verb));
    }
    error
}

impl Trouble {
    /// A pipeline that the coordinator finds faulty is a faulty file.
    pub(super) fn of_file(error: ClientError) -> Self {
        if let ClientError::Refused { code: code::INVALID_PARAMS, message, .. } = &error {
            return Self::Usage(terminal::one_line(message));
        }
        error.into()
    }

    /// Asks for a data directory that is there, be it damaged: a slip in its name must not look like an empty history.
    pub(super) fn unless_data(data: &Path) -> Result<(), Self> {
        if DataDir::is_at(data) { Ok(()) } else { Err(Self::NoData(data.to_owned())) }
    }

    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Client(error) | Self::Agent(AgentError::Rejected { cause: error, .. }) => exit_of(error),
            Self::NoData(_) | Self::NotFound(_) => Exit::NotFound,
            Self::PipelineFile(_) | Self::Usage(_) | Self::Ambiguous { .. } | Self::Config(_) => Exit::Usage,
            Self::OldServer(_) | Self::NoNews(_) => Exit::Refused,
            Self::NotYet(_) => Exit::TryAgain,
            Self::TimedOut(_) => Exit::TimedOut,
            Self::Server(_) | Self::Coordinator(_) | Self::History(_) | Self::Bench(_) | Self::Failed(_) => {
                Exit::Failed
            }
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
            Self::Output(_) => Exit::Failed,
        }
    }

    /// A reader that has seen enough (`| head`) is no trouble at all.
    pub(super) fn is_worth_telling(&self) -> bool {
        self.exit() != Exit::Ok
    }
}

fn unanswered(error: &ClientError) -> String {
    if matches!(error, ClientError::Unreachable { .. }) {
        return with_step(error, "start one with `everlog serve`, or name another one with --server");
    }
    error.to_string()
}

fn not_started(error: &StartError) -> String {
    let StartError::Door(door) = error else { return error.to_string() };
    let step = match door {
        DoorError::Resolve { .. } => return error.to_string(),
        DoorError::NotLoopback { .. } => {
            "use --host localhost, or accept that risk with --allow-unauthenticated-remote-access"
        }
        DoorError::PortInUse { .. } => {
            "stop the other process, or choose another port with --port (0 takes a free one)"
        }
        DoorError::Bind { .. } => "choose another address with --host and --port",
    };
    with_step(error, step)
}

/// What the library says, which ends with its next step, with the one that the command line has for it.
fn with_step(error: &impl std::fmt::Display, step: &str) -> String {
    let said = error.to_string();
    let what = said.rsplit_once("; ").map_or(said.as_str(), |(what, _)| what);
    format!("{what}; {step}")
}

fn exit_of(error: &ClientError) -> Exit {
    match error {
        ClientError::Refused { code, .. } => exit_of_code(*code),
        ClientError::Unreachable { .. } | ClientError::Ended | ClientError::Closed { .. } => Exit::Unreachable,
        ClientError::TimedOut { .. } => Exit::TryAgain,
        ClientError::BadAddress { .. } | ClientError::BadSetting { .. } => Exit::Usage,
        ClientError::TurnedAway { .. } if error.is_transient() => Exit::TryAgain,
        ClientError::TurnedAway { .. } | ClientError::TooLarge { .. } | ClientError::Malformed { .. } => Exit::Refused,
    }
}

/// The codes of protocol §2.
fn exit_of_code(refusal: i64) -> Exit {
    match refusal {
        code::PIPELINE_NOT_FOUND | code::TASK_NOT_FOUND | code::AGENT_NOT_FOUND | code::MODEL_NOT_FOUND => {
            Exit::NotFound
        }
        -40_007..=-40_002 | -40_013..=-40_012 | -40_032 | -40_061 | -40_071 => Exit::Conflict,
        code::OVERLOADED => Exit::TryAgain,
        _ => Exit::Refused,
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
        assert_eq!(exit(code::OVERLOADED), Exit::TryAgain);
        for code in [-40_002, -40_003, -40_004, -40_005, -40_006, -40_007, -40_012, -40_013, -40_032, -40_061, -40_071]
        {
            assert_eq!(exit(code), Exit::Conflict, "{code}");
        }
    }

    #[test]
    fn the_next_step_is_a_verb_or_a_flag() {
        let (url, cause) = ("ws://here".to_owned(), "nobody; listens".to_owned());
        assert_eq!(
            Trouble::from(ClientError::Unreachable { url, cause }).to_string(),
            "the coordinator at ws://here cannot be reached: nobody; listens; start one with `everlog serve`, or name \
             another one with --server"
        );
        let manual = include_str!("../../docs/operations.md");
        for door in [
            DoorError::PortInUse { host: "localhost".to_owned(), port: 8_790 },
            DoorError::NotLoopback { host: "0.0.0.0".to_owned() },
        ] {
            let sentence = Trouble::from(StartError::from(door)).to_string();
            assert!(manual.contains(&format!("| {sentence} |")), "docs/operations.md lacks: {sentence}");
        }
    }

    #[test]
    fn the_next_step_is_told_in_verbs() {
        let message = "it is idle; start it with pipeline/start".to_owned();
        let refused = ClientError::Refused { code: code::PIPELINE_NOT_RUNNING, message, data: Value::Null };
        assert_eq!(Trouble::from(refused).to_string(), "it is idle; start it with `everlog start` (code -40003)");
    }

    #[test]
    fn whoever_asks_an_old_coordinator_is_told_that_it_is_old() {
        let refused = || {
            let message = "there is no method 'subscribe'; did you mean unsubscribe?".to_owned();
            ClientError::Refused { code: code::METHOD_NOT_FOUND, message, data: Value::Null }
        };
        let agent = AgentError::Rejected { name: "worker".to_owned(), cause: refused() };
        for trouble in [Trouble::from(refused()), Trouble::of_file(refused()), Trouble::from(agent)] {
            let told = trouble.to_string();
            assert!(matches!(trouble, Trouble::OldServer(_)), "{told}");
            assert!(told.contains("no method 'subscribe'; the coordinator is older than this `everlog`"), "{told}");
        }
    }

    #[test]
    fn who_is_turned_away_for_now_may_try_again() {
        let away = |status| ClientError::TurnedAway { url: String::new(), status, message: String::new() };
        assert_eq!((exit_of(&away(503)), exit_of(&away(403))), (Exit::TryAgain, Exit::Refused));
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
