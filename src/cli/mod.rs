//! The command line: one verb a file, data on stdout, messages on stderr, and exit codes that mean
//! something.

mod agent;
mod answer;
mod bench;
mod call;
mod check;
mod closing;
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
mod progress;
#[cfg(test)]
mod reference;
mod remote;
mod repair;
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
mod verify;
mod wait;
mod watch;
mod when;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use tokio::runtime::{Builder, Runtime};

use crate::config::{LogFormat, LogLevel};
use color::Color;
use exit::{Exit, Trouble};
use logging::Logging;
use shown::Shown;

/// How long work in the background may take to stop once the verb is done: it has been told already,
/// and what is still there then is meant to be cut off.
const SHUTDOWN_MAX: Duration = Duration::from_secs(1);

/// Help has no wider lines: longer ones are hard to read.
const HELP_COLUMNS_MAX: usize = 100;

/// On terminals from this width on, what a flag means stands beside it; on narrower ones below.
const HELP_BESIDE_FROM: usize = 60;

/// Where flags that every verb has stand in its help: behind its own.
const LAST: usize = 900;

/// The width of messages where the terminal does not say its own, in columns.
const MESSAGE_COLUMNS: usize = 80;

/// Coordinates pipelines and their agents, and remembers everything that happened.
#[derive(Debug, Parser)]
#[command(name = "everlog", version, propagate_version = true, after_help = FIRST_STEPS)]
struct Cli {
    /// When to use colours
    // Seen by `color::asked` already.
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = Color::Auto, display_order = LAST)]
    color: Color,
    /// The form of messages on stderr: text or json [default: text]
    // What the two mean is told by the configuration; here it would make the help of every verb three times as long.
    #[arg(long, global = true, value_enum, value_name = "FORM", hide_possible_values = true, display_order = LAST)]
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
    /// Check everything in a data directory
    Verify(verify::Args),
    /// Put a damaged data directory together again, in a new one
    Repair(repair::Args),
    /// Measure how fast everlog is on this machine
    Bench(bench::Args),
    /// The other processes of a measurement
    #[command(hide = true)]
    BenchPeer(bench::Peer),
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
            Self::Verify(args) => verify::run(&args),
            Self::Repair(args) => repair::run(&args),
            Self::Bench(args) => bench::run(args).await,
            Self::BenchPeer(peer) => bench::peer(peer).await,
            Self::Config(args) => config::run(args, log_format),
            Self::Schema(args) => schema::run(&args),
            Self::Health(args) => health::run(args).await,
            Self::Completions(args) => completions::completions(&args, command()),
            Self::Man(args) => completions::man(&args, command()),
            Self::ExitCodes => Ok(say(&Exit::help()).map(|()| Exit::Ok)?),
        }
    }

    /// What it runs on. Who measures takes one thread, and no time for handing things from one to another.
    fn runtime(&self) -> std::io::Result<Runtime> {
        match matches!(self, Self::Bench(_) | Self::BenchPeer(_)) {
            true => Builder::new_current_thread().enable_all().build(),
            false => Runtime::new(),
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

/// What this command line says, or what to tell a person instead: help no wider than the terminal, or what is wrong.
fn parse() -> Result<Cli, clap::Error> {
    let width = terminal::width(std::io::stdout()).unwrap_or(usize::MAX).min(HELP_COLUMNS_MAX);
    let command = command().styles(color::HELP).term_width(width);
    let command = command.mut_subcommands(|verb| verb.next_line_help(width < HELP_BESIDE_FROM));
    Cli::from_arg_matches(&command.try_get_matches()?)
}

/// Prints the help that was asked for, or tells what is wrong with the command line.
fn tell_usage(error: &clap::Error) -> Exit {
    let wrong = error.use_stderr();
    let colors = if wrong { color::on_stderr() } else { color::on_stdout() };
    let text = error.render();
    let text = if colors { text.ansi().to_string() } else { text.to_string() };
    if wrong {
        hint(text.trim_end());
        return Exit::Usage;
    }
    unless_left(say(text.trim_end())).map_or_else(|error| tell(error.into()), |()| Exit::Ok)
}

/// Does what the command line says.
pub fn main() -> ExitCode {
    color::choose(color::asked(std::env::args_os()));
    let Cli { log_format, verb, .. } = match parse() {
        Ok(cli) => cli,
        Err(error) => return tell_usage(&error).into(),
    };
    let logging = Logging::start(verb.log_level(), log_format.unwrap_or(LogFormat::Text));
    leave_out_caught_panics();
    let runtime = match verb.runtime() {
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

/// sled panics on files that the disk damaged. The store catches that, mends what it can and says so: to a person it is no panic.
fn leave_out_caught_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !everlog_storage::is_fenced() {
            usual(panic);
        }
    }));
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
    let text = terminal::wrapped(text, terminal::width(std::io::stderr()).unwrap_or(usize::MAX));
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Tells a person what went wrong; the exit code that says the same.
fn tell(trouble: Trouble) -> Exit {
    let exit = trouble.exit();
    if trouble.is_worth_telling() {
        let columns = terminal::width(std::io::stderr()).unwrap_or(MESSAGE_COLUMNS);
        let handler = miette::MietteHandlerOpts::new().color(color::on_stderr()).width(columns).wrap_lines(false);
        // Wrapped already.
        let _ = writeln!(std::io::stderr(), "{}", Shown::new(&trouble, columns).render(&handler.build()));
    }
    exit
}
