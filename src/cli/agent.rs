//! `everlog agent`: runs the commands of tasks for a coordinator elsewhere.

use serde_json::{Map, json};

use super::exit::{Exit, Trouble};
use super::server_url::ServerUrl;
use super::signals::Signals;
use crate::agent::{Agent, AgentConfig, CancelToken, CommandHandler};

const EXAMPLES: &str = "Examples:
  everlog agent --name worker
  everlog agent --name trainer --capabilities python,gpu --slots 2 --gpu 1";

/// The command line of `agent`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The name people see
    #[arg(long)]
    name: String,
    /// What this agent can do, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "LIST")]
    capabilities: Vec<String>,
    /// How many tasks run at once
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    slots: u16,
    /// An id that stays the same over restarts [default: a new one]
    #[arg(long)]
    id: Option<String>,
    /// How many processor cores tasks may use, fractions allowed [default: no limit]
    #[arg(long, value_name = "CORES")]
    cpu: Option<f64>,
    /// What tasks may use of the memory, in MB [default: no limit]
    #[arg(long, value_name = "MB")]
    memory_mb: Option<f64>,
    /// How many graphics processors there are, fractions allowed [default: none]
    #[arg(long, value_name = "COUNT")]
    gpu: Option<f64>,
    #[command(flatten)]
    server: ServerUrl,
}

pub(super) async fn run(args: Args) -> Result<Exit, Trouble> {
    let mut signals = Signals::listen()?;
    let leave = CancelToken::new();
    let working = Agent::new(config(args)?, CommandHandler).run(leave.clone());
    tokio::pin!(working);
    tokio::select! {
        ended = &mut working => return Ok(ended.map(|()| Exit::Ok)?),
        () = signals.next() => leave.cancel(),
    }
    tracing::info!("leaving; another signal exits at once");
    tokio::select! {
        ended = &mut working => Ok(ended.map(|()| Exit::Ok)?),
        () = signals.next() => Ok(Exit::Interrupted),
    }
}

fn config(args: Args) -> Result<AgentConfig, Trouble> {
    let mut config = AgentConfig::new(args.server.get()?, args.name);
    config.id = args.id.unwrap_or(config.id);
    config.capabilities = args.capabilities;
    config.slots = usize::from(args.slots);
    let declared = [("cpu", args.cpu), ("memory_mb", args.memory_mb), ("gpu", args.gpu)];
    let declared = declared.into_iter().filter_map(|(name, amount)| Some((name, amount?)));
    config.resources = declared.map(|(name, amount)| (name.to_owned(), json!(amount))).collect::<Map<_, _>>();
    Ok(config)
}
