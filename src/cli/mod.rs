//! The command line: one verb a file, data on stdout, messages on stderr, and exit codes that mean
//! something.

mod agent;
mod call;
mod exit;
mod log;
mod output;
mod ps;
mod repair;
mod run;
mod serve;
mod server_url;
mod signals;
mod tasks;
mod terminal;
mod verify;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use exit::{Exit, Trouble};

/// How long work in the background may take to stop once the verb is done: it has been told already,
/// and what is still there then is meant to be cut off.
const SHUTDOWN_MAX: Duration = Duration::from_secs(1);

/// Coordinates pipelines and their agents, and remembers everything that happened.
#[derive(Debug, Parser)]
#[command(name = "everlog", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run a pipeline file from start to end, with everything it needs in this process
    Run(run::Args),
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
    /// Check everything in a data directory
    Verify(verify::Args),
    /// Put a damaged data directory together again, in a new one
    Repair(repair::Args),
}

impl Verb {
    async fn run(self) -> Result<Exit, Trouble> {
        match self {
            Self::Run(args) => run::run(args).await,
            Self::Serve(args) => serve::run(args).await,
            Self::Agent(args) => agent::run(args).await,
            Self::Ps(args) => ps::run(args).await,
            Self::Call(args) => call::run(args).await,
            Self::Log(args) => log::run(&args),
            Self::Verify(args) => verify::run(&args),
            Self::Repair(args) => repair::run(&args),
        }
    }

    /// What is told on stderr unless `RUST_LOG` says otherwise: where a person watches the work
    /// itself, only trouble.
    fn log_level(&self) -> &'static str {
        match self {
            Self::Serve(_) | Self::Agent(_) => "info",
            Self::Run(_) | Self::Ps(_) | Self::Call(_) | Self::Log(_) | Self::Verify(_) | Self::Repair(_) => "warn",
        }
    }
}

/// Does what the command line says.
pub fn main() -> ExitCode {
    let Cli { verb } = Cli::parse();
    start_log(verb.log_level());
    leave_out_caught_panics();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return report(Trouble::Failed(format!("this process cannot start: {error}"))),
    };
    let ended = runtime.block_on(verb.run());
    runtime.shutdown_timeout(SHUTDOWN_MAX);
    match ended {
        Ok(exit) => exit.into(),
        Err(trouble) => report(trouble),
    }
}

fn start_log(level: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .with_target(false)
        .init();
}

/// sled panics on files that the disk damaged. The store catches that, mends what it can and says so: to a person it is no panic.
fn leave_out_caught_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !everlog_storage::is_fenced() {
            usual(panic);
        }
    }));
}

fn report(trouble: Trouble) -> ExitCode {
    let exit = trouble.exit();
    if trouble.is_worth_telling() {
        eprintln!("{:?}", miette::Report::new(trouble));
    }
    exit.into()
}
