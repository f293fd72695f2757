//! `everlog retry`: runs again what failed.

use serde_json::{Value, json};

use super::each::{self, Done, each};
use super::exit::{Exit, Trouble};
use super::list::short;
use super::output::Output;
use super::remote::{self, Remote};
use super::resolve::{self, Sort};
use super::server_url::ServerUrl;
use super::steer;

const EXAMPLES: &str = "Examples:
  everlog retry iris              what failed in it, and what could not run because of that
  everlog retry iris/train        one task, with what hangs on it
  everlog retry @last

What completed is not done again: its results go into the new run. A pipeline that has ended stays as it is and gets a
successor of the same name; in one that goes on, the new tasks join it.";

/// The command line of `retry`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Pipelines or tasks: names, ids or parts of them, PIPELINE/TASK, or @last
    #[arg(required = true, value_name = "PIPELINE|TASK")]
    what: Vec<String>,
    /// The pipeline that the tasks belong to
    #[arg(long)]
    pipeline: Option<String>,
    /// How to print what runs again
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    server: ServerUrl,
}

pub(super) async fn run(args: Args) -> Result<Exit, Trouble> {
    let Args { what, pipeline, output, server } = args;
    remote::with(&server, async |remote| {
        each(remote, &what, each::RETRIES, output, async |remote: &Remote, called: &str| {
            let (sort, record) = match &pipeline {
                Some(pipeline) => (Sort::Task, resolve::task(remote, called, Some(pipeline)).await?),
                None => resolve::any(remote, called).await?,
            };
            let (method, id) = match sort {
                Sort::Pipeline => ("pipeline/retry", "pipeline_id"),
                Sort::Task => ("task/retry", "task_id"),
                Sort::Agent => {
                    return Err(Trouble::Usage(format!("`{called}` is an agent; name a pipeline or a task")));
                }
            };
            let mut answer = remote.call(method, json!({id: record["id"]})).await?;
            let line = told(&record, &answer);
            (answer["id"], answer["name"]) = (record["id"].clone(), record["name"].clone());
            Ok(Done { line, record: answer })
        })
        .await
    })
    .await
}

fn told(record: &Value, answer: &Value) -> String {
    if answer["status"] == "released" {
        return steer::line(record, "is tried again at once");
    }
    let omitted = answer["task_ids_omitted"].as_u64().unwrap_or(0);
    let count = answer["task_ids"].as_array().map_or(0, Vec::len) as u64 + omitted;
    let tasks = if count == 1 { "1 task runs".to_owned() } else { format!("{count} tasks run") };
    let run = &answer["pipeline_id"];
    if *run == "" || *run == record["id"] || *run == record["pipeline_id"] {
        return steer::line(record, &format!("retried: {tasks} again"));
    }
    steer::line(record, &format!("retried: {tasks} again, as pipeline {}", short(run)))
}
