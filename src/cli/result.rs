//! `everlog result`: what a task returned, as it is.

use serde_json::{Value, json};

use super::exit::{Exit, Trouble};
use super::list::short;
use super::output::{self, Output};
use super::remote;
use super::resolve;
use super::server_url::ServerUrl;
use super::terminal;

const EXAMPLES: &str = "Examples:
  everlog result iris/validate
  everlog result --pipeline @last validate | jq .accuracy

Exit codes: 0 there is a result, 1 the task failed or was cancelled, 75 it has not ended yet.";

/// The command line of `result`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A task: its id or a part of it, its name, or PIPELINE/TASK
    task: String,
    /// The pipeline that the task belongs to
    #[arg(long)]
    pipeline: Option<String>,
    /// Print a text without quotes and escapes
    #[arg(long, conflicts_with = "output")]
    raw: bool,
    /// How to print it: the value alone, or a record with the status and the error
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    server: ServerUrl,
}

pub(super) async fn run(args: Args) -> Result<Exit, Trouble> {
    let Args { task, pipeline, raw, output, server } = args;
    remote::with(&server, async |remote| {
        let task = resolve::task(remote, &task, pipeline.as_deref()).await?;
        let answer = remote.call("task/result", json!({"task_id": task["id"]})).await?;
        let problem = problem(&task, &answer);
        match output {
            Output::Table if problem.is_none() => print(&answer["result"], raw)?,
            Output::Table => {}
            Output::Json | Output::Ndjson => {
                super::unless_left(output::print(&mut std::io::stdout(), &record(&task, &answer), output))?;
            }
        }
        problem.map_or(Ok(Exit::Ok), Err)
    })
    .await
}

/// The task and what came of it, with the names that records have.
fn record(task: &Value, answer: &Value) -> Value {
    json!({
        "id": task["id"], "pipeline_id": task["pipeline_id"], "name": task["name"], "status": answer["status"],
        "result": answer["result"], "error_info": answer["error_info"],
    })
}

/// Why there is no result to print.
fn problem(task: &Value, answer: &Value) -> Option<Trouble> {
    let name = format!("{} ({})", task["name"].as_str().unwrap_or_default(), short(&task["id"]));
    let name = terminal::one_line(&name);
    let why = || terminal::one_line(answer["error_info"]["message"].as_str().unwrap_or("no reason is known"));
    match answer["status"].as_str().unwrap_or_default() {
        "completed" if answer["result"]["$ref"].is_null() => None,
        "completed" => Some(Trouble::Failed(format!(
            "the result of {name} is longer than a frame; have the task write a file and return its path"
        ))),
        "failed" => Some(Trouble::Failed(format!("{name} failed: {}", why()))),
        "cancelled" => Some(Trouble::Failed(format!("{name} was cancelled: {}", why()))),
        status => {
            let status = terminal::one_line(status);
            let pipeline = task["pipeline_id"].as_str().filter(|id| !id.is_empty());
            let step = pipeline.map_or("ask again later".to_owned(), |id| {
                format!("wait for it with: everlog wait {}", short(&json!(id)))
            });
            Some(Trouble::NotYet(format!("{name} is {status}, so it has no result yet; {step}")))
        }
    }
}

/// Prints a value as JSON; `raw`: a text as it is, which is for files and other programs.
pub(super) fn print(value: &Value, raw: bool) -> std::io::Result<()> {
    match value.as_str().filter(|_| raw) {
        Some(text) => super::say_raw(text),
        None => super::say(&output::pretty(value)),
    }
}
