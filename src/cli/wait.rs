//! `everlog wait`: returns when pipelines have ended.

use std::time::Duration;

use clap::ValueEnum;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::exit::{Exit, Trouble};
use super::list::{ps, short};
use super::remote::{Contact, Feed, Update};
use super::server_url::ServerUrl;
use super::tasks::Counts;
use super::{resolve, steer, terminal, when};

const EXAMPLES: &str = "Examples:
  everlog wait iris
  everlog wait iris wine --timeout 10m
  everlog wait @last --for ended && echo over

Exit codes: 0 all completed, 1 one failed or was stopped, 124 the timeout is over. With --for ended: 0 however they end.";

/// How often to look although nothing was told: it bounds the harm of a message that was missed.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The command line of `wait`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Pipelines: names, ids or parts of them, or @last
    #[arg(required = true, value_name = "PIPELINE")]
    pipelines: Vec<String>,
    /// Give up after this time, for example 30s, 5m or 1h30m [default: never]
    #[arg(long, value_name = "TIME", value_parser = when::duration)]
    timeout: Option<Duration>,
    /// Wait for them to complete, or to end in any way
    #[arg(long = "for", value_name = "WHAT", value_enum, default_value_t = Goal::Completed)]
    goal: Goal,
    #[command(flatten)]
    server: ServerUrl,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Goal {
    Completed,
    Ended,
}

pub(super) async fn run(args: Args) -> Result<Exit, Trouble> {
    let mut feed = Feed::open(&args.server, vec!["pipeline/*".to_owned()]).await?;
    let mut open = Vec::new();
    for called in &args.pipelines {
        let pipeline = resolve::pipeline(feed.remote(), called).await?;
        if ps::status(&pipeline) == "idle" {
            super::hint(&steer::line(
                &pipeline,
                &format!("is idle; start it with: everlog start {}", short(&pipeline["id"])),
            ));
        }
        open.push(pipeline);
    }
    let waiting = until_ended(&mut feed, &mut open);
    let worst = match args.timeout {
        None => waiting.await?,
        Some(limit) => match timeout(limit, waiting).await {
            Ok(ended) => ended?,
            Err(_elapsed) => return Err(too_long(limit, &open)),
        },
    };
    Ok(if args.goal == Goal::Ended { Exit::Ok } else { worst })
}

fn too_long(limit: Duration, open: &[Value]) -> Trouble {
    let still = |pipeline: &Value| {
        terminal::one_line(&format!("{} is {}", pipeline["name"].as_str().unwrap_or_default(), ps::status(pipeline)))
    };
    let still: Vec<String> = open.iter().map(still).collect();
    let limit = when::took(limit.as_secs_f64());
    Trouble::TimedOut(format!("after {limit}: {}; it goes on, look with: everlog ps", still.join(", ")))
}

/// Tells the end of each pipeline in `open` and takes it out; the worst of their exit codes.
async fn until_ended(feed: &mut Feed, open: &mut Vec<Value>) -> Result<Exit, Trouble> {
    let mut worst = Exit::Ok;
    let mut contact = Contact::default();
    loop {
        let (_, told) = contact.take(look(feed, open, &mut worst).await)?;
        told.into_iter().for_each(super::hint);
        if open.is_empty() {
            return Ok(worst);
        }
        tokio::select! {
            () = news(feed, open) => {}
            () = sleep(LOOK_AGAIN) => {}
        }
    }
}

async fn look(feed: &Feed, open: &mut Vec<Value>, worst: &mut Exit) -> Result<(), Trouble> {
    for n in (0..open.len()).rev() {
        open[n] = feed.remote().call("pipeline/status", json!({"pipeline_id": open[n]["id"]})).await?;
        if has_ended(&open[n]) {
            *worst = conclude(&open.remove(n), Closing::Stdout)?.max(*worst);
        }
    }
    Ok(())
}

/// Waits for word of one of `open`, or for a lost connection to come back.
async fn news(feed: &mut Feed, open: &[Value]) {
    loop {
        match feed.next().await {
            Update::Resumed => return,
            Update::News(news) if open.iter().any(|pipeline| pipeline["id"] == news.params["pipeline_id"]) => return,
            Update::News(_) => {}
        }
    }
}

/// Whether a pipeline keeps its status (protocol §5).
pub(super) fn has_ended(pipeline: &Value) -> bool {
    matches!(pipeline["status"].as_str(), Some("completed" | "failed" | "error"))
}

/// Where the closing line of a pipeline goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closing {
    /// It is what was asked for.
    Stdout,
    /// Stdout holds something else, for another program.
    Stderr,
}

/// Tells how a pipeline ended, and what can be done about it.
pub(super) fn conclude(pipeline: &Value, closing: Closing) -> Result<Exit, Trouble> {
    let (status, counts) = (ps::status(pipeline), Counts::of(pipeline));
    let took = when::span(pipeline, when::now()).map(|took| format!(" in {took}")).unwrap_or_default();
    let line = steer::line(pipeline, &format!("{}{took}: {counts}", terminal::one_line(status)));
    match closing {
        Closing::Stdout => super::unless_left(super::say(&line))?,
        Closing::Stderr => super::hint(&line),
    }
    if status == "completed" {
        return Ok(Exit::Ok);
    }
    if let Some(error) = pipeline["error_info"]["message"].as_str() {
        super::hint(&terminal::one_line(error));
    }
    super::hint(&format!("run again what is missing with: everlog retry {}", short(&pipeline["id"])));
    Ok(Exit::Failed)
}
