//! `everlog run`: a whole pipeline in one process, over the same protocol and sessions that a daemon and its agents use, so that
//! what runs here runs there.

mod job;
mod stall;
mod summary;
#[cfg(test)]
mod tests;
mod watch;

use std::io::Write;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use clap::ValueHint;

use super::exit::{Exit, Trouble};
use super::output::Output;
use super::signals::Signals;
use super::terminal;
use crate::agent::{Agent, AgentConfig, AgentError, CancelToken, CommandHandler};
use crate::client::{Client, Endpoint};
use crate::config::Sources;
use crate::coordinator::{Failed, Place};
use crate::embedded::{Coordinator, Setup};
use crate::pipeline_file::{self, PipelineFile, Setting};
use job::Job;
pub(super) use watch::Snapshot;

const EXAMPLES: &str = "Examples:
  everlog run examples/iris/pipeline.yaml
  everlog run pipeline.yaml --data runs --slots 4 --output json
  everlog run --resume --data runs";

/// The command line of `run`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The pipeline file to run
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath, required_unless_present = "resume")]
    pipeline: Option<PathBuf>,
    /// Give a parameter of the file a value; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<Setting>,
    /// Go on with what an earlier run in the data directory left unfinished
    #[arg(long, conflicts_with_all = ["pipeline", "set"])]
    resume: bool,
    /// The directory that holds the history
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, default_value = ".everlog")]
    data: PathBuf,
    /// The configuration [default: the one that `serve` would read]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
    /// How many tasks run at once [default: the number of processors]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    slots: Option<u16>,
    /// How to print the summary
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// How the work of a run ended.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    AllWell,
    SomeFailed,
    Interrupted,
}

pub(super) async fn run(args: Args) -> Result<Exit, Trouble> {
    let mut signals = Signals::listen()?;
    if args.resume {
        Trouble::unless_data(&args.data)?;
    }
    let file = args.pipeline.as_deref().map(|path| pipeline_file::load(path, &args.set)).transpose()?;
    let loaded = Sources::of_process(args.config.as_deref()).load()?;
    loaded.warn();
    // Everything that has to do with it is in this process.
    let setup = Setup { place: Place::Directory(args.data.clone()), door: None, ..loaded.config.setup() };
    let coordinator = Coordinator::start(setup).await?;
    let interrupted = CancelToken::new();
    let mut stdout = std::io::stdout();
    let working = work(coordinator.endpoint(), &args, file, &interrupted, &mut stdout);
    tokio::pin!(working);
    let ended = tokio::select! {
        ended = &mut working => ended,
        failed = coordinator.failed() => return Err(died(&failed, &args.data)),
        () = signals.next() => {
            interrupted.cancel();
            tokio::select! {
                ended = &mut working => ended,
                failed = coordinator.failed() => return Err(died(&failed, &args.data)),
                () = signals.next() => return Ok(interrupted_exit(&args.data)),
            }
        }
    };
    tokio::select! {
        drained = coordinator.close() => drained?,
        () = signals.next() => return Ok(interrupted_exit(&args.data)),
    }
    Ok(match ended? {
        Ended::AllWell => Exit::Ok,
        Ended::SomeFailed => Exit::Failed,
        Ended::Interrupted => interrupted_exit(&args.data),
    })
}

/// Everything between the coordinator's start and its end.
async fn work(
    coordinator: Endpoint,
    args: &Args,
    file: Option<PipelineFile>,
    interrupted: &CancelToken,
    out: &mut impl Write,
) -> Result<Ended, Trouble> {
    let client = Client::connect(coordinator.clone()).await?;
    let Some(mut job) = Job::find(&client, file).await? else {
        crate::cli::hint(&format!("nothing to resume in {}: every pipeline has ended", args.data.display()));
        return Ok(Ended::AllWell);
    };
    let leave = CancelToken::new();
    let agent = local_agent(coordinator, args, job.take_capabilities());
    let agent = Agent::new(agent, CommandHandler).run(leave.clone());
    tokio::pin!(agent);
    let ended = tokio::select! {
        ended = job.run(&client, args, out) => ended,
        rejected = &mut agent => return Err(agent_ended(rejected)),
        () = interrupted.cancelled() => Ok(Ended::Interrupted),
    };
    if matches!(ended, Ok(Ended::Interrupted)) {
        crate::cli::hint("stopping what runs; press again to stop at once");
    }
    leave.cancel();
    let left = agent.await;
    client.close().await;
    left?;
    ended
}

/// The agent of this process. It says that it can do whatever the pipeline needs: there is nobody
/// else to do it.
fn local_agent(coordinator: Endpoint, args: &Args, capabilities: Vec<String>) -> AgentConfig {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    let mut config = AgentConfig::new(coordinator, "local");
    // The same in every run on this directory, and only one run has it: what a killed run was at work on is taken over at once.
    config.id = config.name.clone();
    config.capabilities = capabilities;
    config.slots = args.slots.map_or(processors, usize::from);
    config
}

fn agent_ended(ended: Result<(), AgentError>) -> Trouble {
    match ended {
        Err(error) => error.into(),
        Ok(()) => Trouble::Failed("the local agent stopped by itself".to_owned()),
    }
}

fn died(failed: &Failed, data: &Path) -> Trouble {
    Trouble::Failed(format!("the coordinator stopped: {failed}; go on with `{}`", resume_command(data)))
}

fn interrupted_exit(data: &Path) -> Exit {
    crate::cli::hint(&format!("interrupted; what was finished is kept. Go on with: {}", resume_command(data)));
    Exit::Interrupted
}

/// What to type, as a shell would read it.
fn resume_command(data: &Path) -> String {
    format!("everlog run --resume --data {}", shell_word(data))
}

fn shell_word(path: &Path) -> String {
    let text = terminal::one_line(&path.to_string_lossy());
    let plain = |character: char| character.is_alphanumeric() || "/._-+".contains(character);
    if !text.is_empty() && text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}
