//! The command line: one verb a file, data on stdout, messages on stderr, and exit codes that mean
//! something.

mod agent;
mod call;
mod check;
mod config;
mod exit;
mod health;
mod log;
mod logging;
mod notify;
mod output;
mod ps;
mod run;
mod schema;
mod serve;
mod server_url;
mod signals;
mod tasks;
mod terminal;

use std::process::ExitCode;
use std::time::Duration;

use crate::config::{LogFormat, LogLevel};
use clap::{Parser, Subcommand};
use exit::{Exit, Trouble};
use logging::Logging;

/// How long work in the background may take to stop once the verb is done: it has been told already,
/// and what is still there then is meant to be cut off.
const SHUTDOWN_MAX: Duration = Duration::from_secs(1);

/// Coordinates pipelines and their agents, and remembers everything that happened.
#[derive(Debug, Parser)]
#[command(name = "everlog", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
    /// The form of messages on stderr [default: text]
    #[arg(long, global = true, value_enum)]
    log_format: Option<LogFormat>,
}

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
    /// List pipelines and agents
    Ps(ps::Args),
    /// Call a method of the protocol and print its result
    Call(call::Args),
    /// Print the recorded history, oldest first
    Log(log::Args),
    /// Show or check the configuration
    Config(config::Args),
    /// Print a JSON Schema
    Schema(schema::Args),
    /// Ask a coordinator whether it is well
    Health(health::Args),
}

impl Verb {
    async fn run(self, logging: &Logging, log_format: Option<LogFormat>) -> Result<Exit, Trouble> {
        match self {
            Self::Run(args) => run::run(args).await,
            Self::Check(args) => check::run(&args),
            Self::Serve(args) => serve::run(args, logging, log_format).await,
            Self::Agent(args) => agent::run(args).await,
            Self::Ps(args) => ps::run(args).await,
            Self::Call(args) => call::run(args).await,
            Self::Log(args) => log::run(&args),
            Self::Config(args) => config::run(args, log_format),
            Self::Schema(args) => schema::run(&args),
            Self::Health(args) => health::run(args).await,
        }
    }

    /// What is told on stderr unless `RUST_LOG` says otherwise: where a person watches the work
    /// itself, only trouble.
    fn log_level(&self) -> LogLevel {
        match self {
            Self::Serve(_) | Self::Agent(_) => LogLevel::Info,
            Self::Run(_)
            | Self::Check(_)
            | Self::Ps(_)
            | Self::Call(_)
            | Self::Log(_)
            | Self::Config(_)
            | Self::Schema(_)
            | Self::Health(_) => LogLevel::Warn,
        }
    }
}

/// Does what the command line says.
pub fn main() -> ExitCode {
    let Cli { verb, log_format } = Cli::parse();
    let logging = Logging::start(verb.log_level(), log_format.unwrap_or(LogFormat::Text));
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return report(Trouble::Failed(format!("this process cannot start: {error}"))),
    };
    let ended = runtime.block_on(verb.run(&logging, log_format));
    runtime.shutdown_timeout(SHUTDOWN_MAX);
    match ended {
        Ok(exit) => exit.into(),
        Err(trouble) => report(trouble),
    }
}

fn report(trouble: Trouble) -> ExitCode {
    let exit = trouble.exit();
    if trouble.is_worth_telling() {
        eprintln!("{:?}", miette::Report::new(trouble));
    }
    exit.into()
}
