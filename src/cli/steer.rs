//! `start`, `pause`, `resume`, `stop`, `delete`, `cancel`: what changes the course of pipelines and tasks.

use clap::ValueEnum;
use serde_json::{Value, json};

use super::each::{self, Done, each};
use super::exit::{Exit, Trouble};
use super::list::{ps, short};
use super::output::Output;
use super::remote::{self, Remote};
use super::resolve;
use super::server_url::ServerUrl;
use super::terminal;
use crate::submission::Submission;

/// Which pipelines, for the verbs that take several.
#[derive(Debug, clap::Args)]
pub(super) struct Pipelines {
    /// Pipelines: names, ids or parts of them, or @last
    #[arg(required = true, value_name = "PIPELINE")]
    pipelines: Vec<String>,
    /// How to print what became of them
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    server: ServerUrl,
}

/// The command line of `start`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  everlog start iris\n  everlog start @last")]
pub(super) struct Start {
    #[command(flatten)]
    which: Pipelines,
}

/// The command line of `pause`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  everlog pause iris\n  everlog pause iris --running cancel   give the machines free at once"
)]
pub(super) struct Pause {
    /// What becomes of the tasks that run: they finish, or are cut off and start anew after `resume`
    #[arg(long, value_enum, default_value_t = Running::Finish)]
    running: Running,
    #[command(flatten)]
    which: Pipelines,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Running {
    Finish,
    Cancel,
}

/// The command line of `resume`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  everlog resume iris\n  everlog resume @last")]
pub(super) struct Resume {
    #[command(flatten)]
    which: Pipelines,
}

/// The command line of `stop`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  everlog stop iris --reason 'wrong data'\n  everlog stop 5c0ffee1 c0ffee15")]
pub(super) struct Stop {
    /// Why, for the record
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    which: Pipelines,
}

/// The command line of `delete`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  everlog delete iris\n  everlog delete --force @last\n\nThe history of a deleted pipeline stays in the log."
)]
pub(super) struct Delete {
    /// Stop it first, if it has not ended
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    which: Pipelines,
}

/// The command line of `cancel`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  everlog cancel iris/train\n  everlog cancel --pipeline iris load train --reason 'too slow'\n\nWhat depends on a cancelled task is cancelled with it."
)]
pub(super) struct Cancel {
    /// Tasks: ids or parts of them, names, or PIPELINE/TASK
    #[arg(required = true, value_name = "TASK")]
    tasks: Vec<String>,
    /// The pipeline that the tasks belong to
    #[arg(long)]
    pipeline: Option<String>,
    /// Why, for the record
    #[arg(long)]
    reason: Option<String>,
    /// How to print what became of them
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    server: ServerUrl,
}

pub(super) async fn start(args: Start) -> Result<Exit, Trouble> {
    args.which.steer("pipeline/start", "started", json!({})).await
}

pub(super) async fn pause(args: Pause) -> Result<Exit, Trouble> {
    let (running, told) = match args.running {
        Running::Finish => ("finish", "paused; what runs may finish"),
        Running::Cancel => ("cancel", "paused; what ran starts anew after `resume`"),
    };
    args.which.steer("pipeline/pause", told, json!({"running": running})).await
}

pub(super) async fn resume(args: Resume) -> Result<Exit, Trouble> {
    args.which.steer("pipeline/resume", "resumed", json!({})).await
}

pub(super) async fn stop(args: Stop) -> Result<Exit, Trouble> {
    args.which.steer("pipeline/stop", "stopped", json!({"reason": args.reason})).await
}

impl Pipelines {
    /// Calls `method` for each pipeline, with `params` beside its id.
    async fn steer(&self, method: &str, told: &str, params: Value) -> Result<Exit, Trouble> {
        self.each(async |remote, pipeline| {
            let id = json!({"pipeline_id": pipeline["id"]});
            let mut params = params.clone();
            params["pipeline_id"] = pipeline["id"].clone();
            remote.call(method, params).await?;
            done(remote, &pipeline, told, self.output, "pipeline/status", id).await
        })
        .await
    }

    /// Does `work` with the record of each pipeline.
    async fn each(&self, work: impl AsyncFn(&Remote, Value) -> Result<Done, Trouble>) -> Result<Exit, Trouble> {
        remote::with(&self.server, async |remote| {
            each(remote, &self.pipelines, each::PIPELINES, self.output, async |remote, called| {
                work(remote, resolve::pipeline(remote, called).await?).await
            })
            .await
        })
        .await
    }
}

pub(super) async fn delete(args: Delete) -> Result<Exit, Trouble> {
    let Delete { force, which } = args;
    which
        .each(async |remote, pipeline| {
            let params = json!({"pipeline_id": pipeline["id"]});
            let stopped = force && matches!(ps::status(&pipeline), "running" | "paused" | "stopping");
            if stopped {
                remote.call("pipeline/stop", params.clone()).await?;
            }
            remote.call("pipeline/delete", params).await?;
            let line = line(&pipeline, if stopped { "stopped and deleted" } else { "deleted" });
            // What is gone has no newer record.
            Ok(Done { line, record: pipeline })
        })
        .await
}

pub(super) async fn cancel(args: Cancel) -> Result<Exit, Trouble> {
    let Cancel { tasks, pipeline, reason, output, server } = args;
    remote::with(&server, async |remote| {
        each(remote, &tasks, each::TASKS, output, async |remote: &Remote, called: &str| {
            let task = resolve::task(remote, called, pipeline.as_deref()).await?;
            let id = json!({"task_id": task["id"]});
            remote.call("task/cancel", json!({"task_id": task["id"], "reason": reason})).await?;
            done(remote, &task, "cancelled", output, "task/status", id).await
        })
        .await
    })
    .await
}

/// What was done: a line about the record as it was, or, for programs, the record as it is now.
async fn done(
    remote: &Remote,
    record: &Value,
    told: &str,
    output: Output,
    look: &str,
    id: Value,
) -> Result<Done, Trouble> {
    let record_now = if output == Output::Table { Value::Null } else { remote.call(look, id).await? };
    Ok(Done { line: line(record, told), record: record_now })
}

/// `iris (5c0ffee1) started: 3 tasks`, of a pipeline that was just made.
pub(super) fn made(id: &Value, submission: &Submission, done: &str) -> String {
    let count = submission.tasks().len();
    let tasks = if count == 1 { "task" } else { "tasks" };
    line(&json!({"id": id, "name": submission.name()}), &format!("{done}: {count} {tasks}"))
}

/// `iris (5c0ffee1) started`.
pub(super) fn line(record: &Value, told: &str) -> String {
    let name = terminal::one_line(record["name"].as_str().unwrap_or_default());
    format!("{name} ({}) {told}", short(&record["id"]))
}
