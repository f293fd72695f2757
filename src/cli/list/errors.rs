//! `everlog errors`: what clients put into the register of errors.

use serde_json::json;

use super::super::exit::{Exit, Trouble};
use super::super::grid::Cell;
use super::super::output::Output;
use super::super::remote;
use super::super::server_url::ServerUrl;
use super::{Ask, Column, ago, short, text};

const EXAMPLES: &str = "Examples:
  everlog errors --limit 10
  everlog errors --component loader --output ndjson

A task that fails is no entry here: `everlog tasks --status failed` shows those.";

/// The command line of `errors`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Args {
    /// Only those of this component
    #[arg(long)]
    component: Option<String>,
    /// Only those of this type
    #[arg(long = "type", value_name = "TYPE")]
    error_type: Option<String>,
    /// At most so many, the newest first
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
    /// How to print them
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    server: ServerUrl,
}

pub(super) const COLUMNS: [Column; 7] = [
    Column { header: "when", rank: 2, cell: |error, now| ago(error, "timestamp", now) },
    Column { header: "id", rank: 3, cell: |error, _| Cell::quiet(short(&error["error_id"])) },
    Column { header: "component…", rank: 1, cell: |error, _| text(error, "component") },
    Column { header: "type…", rank: 4, cell: |error, _| text(error, "error_type") },
    Column { header: "status", rank: 5, cell: |error, _| Cell::status(error["status"].as_str().unwrap_or_default()) },
    Column { header: "task", rank: 6, cell: |error, _| Cell::quiet(short(&error["task_id"])) },
    Column { header: "message…", rank: 0, cell: |error, _| text(error, "message") },
];

pub(in crate::cli) async fn run(args: Args) -> Result<Exit, Trouble> {
    let Args { component, error_type, limit, output, server } = args;
    let filters = json!({"component": component, "error_type": error_type});
    let ask = Ask { limit, ..Ask::new("error/list", "errors", filters) };
    let empty = "no errors reported; failed tasks: everlog tasks --status failed";
    remote::with(&server, async |remote| super::print(remote, &ask, output, &COLUMNS, empty).await).await?;
    Ok(Exit::Ok)
}
