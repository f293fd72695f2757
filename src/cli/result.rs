//! `everlog result`: what a task returned, as it is.

use serde_json::{Value, json};

use super::exit::{Exit, Trouble};
use super::list::short;
use super::remote;
use super::resolve;
use super::server_url::ServerUrl;
use super::{output, terminal};

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
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    server: ServerUrl,
}

pub(super) async fn run(args: Args) -> Result<Exit, Trouble> {
    let Args { task, pipeline, raw, server } = args;
    remote::with(&server, async |remote| {
        let task = resolve::task(remote, &task, pipeline.as_deref()).await?;
        let answer = remote.call("task/result", json!({"task_id": task["id"]})).await?;
        let name = format!("{} ({})", task["name"].as_str().unwrap_or_default(), short(&task["id"]));
        let name = terminal::one_line(&name);
        let why = || terminal::one_line(answer["error_info"]["message"].as_str().unwrap_or("no reason is known"));
        match answer["status"].as_str().unwrap_or_default() {
            "completed" => {}
            "failed" => return Err(Trouble::Failed(format!("{name} failed: {}", why()))),
            "cancelled" => return Err(Trouble::Failed(format!("{name} was cancelled: {}", why()))),
            status => {
                let status = terminal::one_line(status);
                let wait = task["pipeline_id"].as_str().filter(|id| !id.is_empty());
                let step = wait.map_or("ask again later".to_owned(), |id| {
                    format!("wait for it with: everlog wait {}", short(&json!(id)))
                });
                return Err(Trouble::NotYet(format!("{name} is {status}, so it has no result yet; {step}")));
            }
        }
        if !answer["result"]["$ref"].is_null() {
            let message =
                format!("the result of {name} is longer than a frame; have the task write a file and return its path");
            return Err(Trouble::Failed(message));
        }
        print(&answer["result"], raw)?;
        Ok(Exit::Ok)
    })
    .await
}

/// Prints a value as JSON; `raw`: a text as it is, which is for files and other programs.
pub(super) fn print(value: &Value, raw: bool) -> std::io::Result<()> {
    match value.as_str().filter(|_| raw) {
        Some(text) => super::say_raw(text),
        None => super::say(&output::pretty(value)),
    }
}
