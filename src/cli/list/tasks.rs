//! `everlog tasks`: the tasks of a pipeline, or all.

use clap::ValueEnum;
use serde_json::{Value, json};

use super::super::exit::{Exit, Trouble};
use super::super::grid::Cell;
use super::super::output::Output;
use super::super::remote;
use super::super::resolve;
use super::super::server_url::ServerUrl;
use super::{Ask, Column, id, short, text, took};

const EXAMPLES: &str = "Examples:
  everlog tasks iris                        the tasks of the pipeline `iris`
  everlog tasks @last --status failed       what failed in the newest pipeline
  everlog tasks --agent worker --output ndjson";

/// The command line of `tasks`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Args {
    /// A pipeline: its name, its id or a part of it, or @last [default: all tasks]
    pipeline: Option<String>,
    /// Only those with this status
    #[arg(long, value_name = "STATUS")]
    status: Option<Status>,
    /// Only those that this agent has or had, by its name or id
    #[arg(long)]
    agent: Option<String>,
    /// At most so many, in order of creation
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
    /// How to print them
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    server: ServerUrl,
}

/// The statuses of a task (protocol §5).
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Status {
    Pending,
    Assigned,
    Running,
    Completed,
    Failed,
    Cancelled,
}

pub(super) const COLUMNS: [Column; 7] = [
    Column { header: "name…", rank: 0, cell: |task, _| text(task, "name") },
    Column { header: "id", rank: 2, cell: id },
    Column { header: "status", rank: 1, cell: |task, _| Cell::status(task["status"].as_str().unwrap_or_default()) },
    Column { header: "try", rank: 5, cell: |task, _| Cell::plain(task["attempt"].to_string()) },
    Column { header: "agent…", rank: 6, cell: |task, _| Cell::plain(short(&task["assigned_agent"])) },
    Column { header: "took", rank: 4, cell: took },
    Column { header: "note…", rank: 3, cell: |task, _| Cell::plain(note(task)) },
];

/// What else there is to say of a task: why it failed, how far it is, what it waits for.
pub(in crate::cli) fn note(task: &Value) -> String {
    if let Some(message) = task["error_info"]["message"].as_str() {
        let again = if task["status"] == "pending" { "tried again after: " } else { "" };
        return format!("{again}{message}");
    }
    if let Some(progress) = progress(task) {
        return progress;
    }
    match task["waiting_for"].as_u64() {
        Some(count @ 1..) if task["status"] == "pending" => format!("waits for {count}"),
        Some(_) | None => String::new(),
    }
}

/// How far a task is that runs and has said so. An agent begins with 0, whether or not the task ever says more.
pub(in crate::cli) fn progress(task: &Value) -> Option<String> {
    let part = task["progress"].as_f64().filter(|part| *part > 0.0 && task["status"] == "running")?;
    Some(format!("{:.0} %", part * 100.0))
}

pub(in crate::cli) async fn run(args: Args) -> Result<Exit, Trouble> {
    let status = args.status.as_ref().and_then(ValueEnum::to_possible_value);
    let status = status.as_ref().map(clap::builder::PossibleValue::get_name);
    remote::with(&args.server, async |remote| {
        let mut filters = json!({"status": status});
        if let Some(pipeline) = &args.pipeline {
            filters["pipeline_id"] = resolve::pipeline(remote, pipeline).await?["id"].take();
        }
        if let Some(agent) = &args.agent {
            filters["agent_id"] = resolve::agent(remote, agent).await?["id"].take();
        }
        let filtered = args.pipeline.is_some() || args.agent.is_some() || status.is_some();
        let empty =
            if filtered { "no such task" } else { "no tasks yet; try: everlog submit examples/iris/pipeline.yaml" };
        let ask = Ask { limit: args.limit, ..Ask::new("task/list", "tasks", filters) };
        super::print(remote, &ask, args.output, &COLUMNS, empty).await
    })
    .await?;
    Ok(Exit::Ok)
}
