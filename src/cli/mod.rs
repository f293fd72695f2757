//! The command line: one verb a file, data on stdout, messages on stderr, and exit codes that mean
//! something.

mod agent;
mod call;
mod check;
mod color;
mod completions;
mod config;
mod each;
mod exit;
mod grid;
mod health;
mod list;
mod live;
mod log;
mod logging;
mod memory;
mod notify;
mod output;
#[cfg(test)]
mod reference;
mod remote;
mod resolve;
mod result;
mod retry;
mod run;
mod schema;
mod serve;
mod server_url;
mod shown;
mod signals;
mod status;
mod steer;
mod submit;
mod tasks;
mod terminal;
mod wait;
mod watch;
mod when;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config::{LogFormat, LogLevel};
use color::Color;
use exit::{Exit, Trouble};
use logging::Logging;
use shown::Shown;

/// How long work in the background may take to stop once the verb is done: it has been told already,
/// and what is still there then is meant to be cut off.
const SHUTDOWN_MAX: Duration = Duration::from_secs(1);

/// Coordinates pipelines and their agents, and remembers everything that happened.
#[derive(Debug, Parser)]
#[command(name = "everlog", version, propagate_version = true, after_help = FIRST_STEPS)]
struct Cli {
    /// When to use colours
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = Color::Auto)]
    color: Color,
    /// The form of messages on stderr [default: text]
    #[arg(long, global = true, value_enum)]
    log_format: Option<LogFormat>,
    #[command(subcommand)]
    verb: Verb,
}

const FIRST_STEPS: &str = "First steps:
  everlog run examples/iris/pipeline.yaml      everything in one process
  everlog serve                                or as a daemon, with
  everlog agent --name worker                  an agent that does the work,
  everlog submit examples/iris/pipeline.yaml   and pipelines for it

`everlog help exit-codes` lists the exit codes.";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run a pipeline file from start to end, with everything it needs in this process
    Run(run::Args),
    /// Find the mistakes of a pipeline file
    Check(check::Args),
    /// Start the coordinator and serve until a signal comes
    Serve(serve::Args),
    /// Run tasks for a coordinator
    Agent(agent::Args),
    /// Give a pipeline file to a coordinator
    Submit(submit::Args),
    /// List pipelines
    Ps(list::ps::Args),
    /// List tasks
    Tasks(list::tasks::Args),
    /// List agents
    Agents(list::agents::Args),
    /// Show a pipeline, a task or an agent
    Status(status::Args),
    /// Follow a pipeline to its end
    Watch(watch::Args),
    /// Wait for pipelines to end
    Wait(wait::Args),
    /// Print what a task returned
    Result(result::Args),
    /// Start pipelines
    Start(steer::Start),
    /// Pause pipelines: nothing new of them starts
    Pause(steer::Pause),
    /// Let paused pipelines go on
    Resume(steer::Resume),
    /// End pipelines, and what runs of them
    Stop(steer::Stop),
    /// Take pipelines off the lists
    Delete(steer::Delete),
    /// Cancel tasks, and what depends on them
    Cancel(steer::Cancel),
    /// Run again what failed
    Retry(retry::Args),
    /// Read and write the memory that clients share
    Memory(memory::Args),
    /// List the errors that clients reported
    Errors(list::errors::Args),
    /// Call a method of the protocol and print its result
    Call(call::Args),
    /// Print the recorded history, oldest first
    Log(log::Args),
    /// Show or check the configuration
    Config(config::Args),
    /// Print a schema for other programs
    Schema(schema::Args),
    /// Ask a coordinator whether it is well
    Health(health::Args),
    /// Print a script that completes commands in a shell
    Completions(completions::Completions),
    /// Print the manual
    Man(completions::Manual),
    /// List the exit codes
    #[command(hide = true)]
    ExitCodes,
}

impl Verb {
    async fn run(self, logging: &Logging, log_format: Option<LogFormat>) -> Result<Exit, Trouble> {
        match self {
            Self::Run(args) => run::run(args).await,
            Self::Check(args) => check::run(&args),
            Self::Serve(args) => serve::run(args, logging, log_format).await,
            Self::Agent(args) => agent::run(args).await,
            Self::Submit(args) => submit::run(args).await,
            Self::Ps(args) => list::ps::run(args).await,
            Self::Tasks(args) => list::tasks::run(args).await,
            Self::Agents(args) => list::agents::run(args).await,
            Self::Status(args) => status::run(args).await,
            Self::Watch(args) => watch::run(args).await,
            Self::Wait(args) => wait::run(args).await,
            Self::Result(args) => result::run(args).await,
            Self::Start(args) => steer::start(args).await,
            Self::Pause(args) => steer::pause(args).await,
            Self::Resume(args) => steer::resume(args).await,
            Self::Stop(args) => steer::stop(args).await,
            Self::Delete(args) => steer::delete(args).await,
            Self::Cancel(args) => steer::cancel(args).await,
            Self::Retry(args) => retry::run(args).await,
            Self::Memory(args) => memory::run(args).await,
            Self::Errors(args) => list::errors::run(args).await,
            Self::Call(args) => call::run(args).await,
            Self::Log(args) => log::run(&args),
            Self::Config(args) => config::run(args, log_format),
            Self::Schema(args) => schema::run(&args),
            Self::Health(args) => health::run(args).await,
            Self::Completions(args) => completions::completions(&args, command()),
            Self::Man(args) => completions::man(&args, command()),
            Self::ExitCodes => Ok(say(&Exit::help()).map(|()| Exit::Ok)?),
        }
    }

    /// What is told on stderr unless `RUST_LOG` says otherwise: where a person watches the work
    /// itself, only trouble.
    fn log_level(&self) -> LogLevel {
        if matches!(self, Self::Serve(_) | Self::Agent(_)) { LogLevel::Info } else { LogLevel::Warn }
    }
}

/// The whole command line: what is parsed, completed and documented.
fn command() -> clap::Command {
    Cli::command().mut_subcommand("exit-codes", |verb| verb.after_help(Exit::help()))
}

/// Does what the command line says.
pub fn main() -> ExitCode {
    let parsed = Cli::from_arg_matches(&command().get_matches());
    let Cli { color, log_format, verb } = parsed.unwrap_or_else(|error| error.exit());
    color::choose(color);
    let logging = Logging::start(verb.log_level(), log_format.unwrap_or(LogFormat::Text));
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return tell(Trouble::Failed(format!("this process cannot start: {error}"))).into(),
    };
    let ended = runtime.block_on(verb.run(&logging, log_format));
    runtime.shutdown_timeout(SHUTDOWN_MAX);
    ended.unwrap_or_else(tell).into()
}

/// Prints data: text of one or several lines that is safe to show.
fn say(text: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{text}")
}

/// Prints data as it is, for files and other programs.
fn say_raw(text: &str) -> std::io::Result<()> {
    std::io::stdout().write_all(text.as_bytes())
}

/// What came of printing beside other work, whose exit code counts: a reader that has seen enough (`| head`) changes nothing.
fn unless_left(printed: std::io::Result<()>) -> std::io::Result<()> {
    printed.or_else(|error| if error.kind() == std::io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
}

/// Tells a person something beside the data. Where nobody can read it (stderr is closed or full), the work goes on unheard.
fn hint(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Tells a person what went wrong; the exit code that says the same.
fn tell(trouble: Trouble) -> Exit {
    let exit = trouble.exit();
    if trouble.is_worth_telling() {
        let handler = miette::MietteHandlerOpts::new().color(color::on_stderr()).build();
        hint(&Shown::new(&trouble).render(&handler));
    }
    exit
}
