//! `everlog agents`: who works for the coordinator.

use serde_json::{Value, json};

use super::super::exit::{Exit, Trouble};
use super::super::grid::Cell;
use super::super::output::Output;
use super::super::remote;
use super::super::server_url::ServerUrl;
use super::{Ask, Column, ago, id, text};

const EXAMPLES: &str = "Examples:
  everlog agents
  everlog agents --capability gpu
  everlog agents --output json";

/// The command line of `agents`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Args {
    /// Only those with this status
    #[arg(long, value_name = "STATUS", value_parser = ["active", "disconnected", "lost"])]
    status: Option<String>,
    /// Only those that can do this
    #[arg(long)]
    capability: Option<String>,
    /// At most so many, in order of their ids
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
    /// How to print them
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    server: ServerUrl,
}

pub(super) const COLUMNS: [Column; 7] = [
    Column { header: "name…", rank: 0, cell: |agent, _| text(agent, "name") },
    Column { header: "id", rank: 2, cell: id },
    Column { header: "status", rank: 1, cell: |agent, _| Cell::status(agent["status"].as_str().unwrap_or_default()) },
    Column { header: "busy", rank: 3, cell: |agent, _| Cell::plain(busy(agent)) },
    Column { header: "score", rank: 5, cell: |agent, _| Cell::plain(score(agent)) },
    Column { header: "heard", rank: 4, cell: |agent, now| ago(agent, "last_active", now) },
    Column { header: "capabilities…", rank: 6, cell: |agent, _| Cell::plain(capabilities(agent)) },
];

/// Slots in use, of how many.
pub(in crate::cli) fn busy(agent: &Value) -> String {
    format!("{}/{}", agent["current_tasks"].as_array().map_or(0, Vec::len), agent["slots"])
}

fn score(agent: &Value) -> String {
    agent["performance_score"].as_f64().map(|score| format!("{score:.2}")).unwrap_or_default()
}

pub(in crate::cli) fn capabilities(agent: &Value) -> String {
    let all = agent["capabilities"].as_array().into_iter().flatten();
    all.filter_map(Value::as_str).collect::<Vec<_>>().join(",")
}

pub(in crate::cli) async fn run(args: Args) -> Result<Exit, Trouble> {
    let Args { status, capability, limit, output, server } = args;
    let filtered = status.is_some() || capability.is_some();
    let filters = json!({"status": status, "capability": capability});
    let empty = if filtered {
        "no such agent; see all with: everlog agents"
    } else {
        "no agents yet; try: everlog agent --name worker"
    };
    let ask = Ask { limit, ..Ask::new("agent/list", "agents", filters) };
    remote::with(&server, async |remote| super::print(remote, &ask, output, &COLUMNS, empty).await).await?;
    Ok(Exit::Ok)
}
