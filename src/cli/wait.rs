//! `everlog wait`: returns when pipelines have ended.

use std::time::Duration;

use clap::ValueEnum;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::each::{self, Done, Report};
use super::exit::{Exit, Trouble};
use super::list::{ps, short};
use super::output::Output;
use super::remote::{Contact, Feed, Update};
use super::server_url::ServerUrl;
use super::{closing, resolve, steer, terminal, when};

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
    /// How to print how they ended
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
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
    let mut report = Report::new(std::io::stdout(), each::PIPELINES, args.output);
    let mut worst = Exit::Ok;
    let waiting = until_ended(&mut feed, &mut open, |pipeline| {
        report.done(Done { line: closing::last_line(&pipeline), record: pipeline.clone() });
        worst = worst.max(closing::advise(&pipeline, false));
    });
    let late = match args.timeout {
        None => waiting.await.err(),
        Some(limit) => match timeout(limit, waiting).await {
            Ok(ended) => ended.err(),
            Err(_elapsed) => Some(too_long(limit, &open)),
        },
    };
    let reached = if args.goal == Goal::Ended { Exit::Ok } else { worst };
    let Some(trouble) = late else { return report.ended(reached) };
    open.into_iter().for_each(|pipeline| report.failed(pipeline, &trouble));
    report.ended(super::tell(trouble))
}

fn too_long(limit: Duration, open: &[Value]) -> Trouble {
    let still = |pipeline: &Value| {
        terminal::one_line(&format!("{} is {}", pipeline["name"].as_str().unwrap_or_default(), ps::status(pipeline)))
    };
    let still: Vec<String> = open.iter().map(still).collect();
    let limit = when::took(limit.as_secs_f64());
    Trouble::TimedOut(format!("after {limit}: {}; it goes on, look with: everlog ps", still.join(", ")))
}

/// Hands on each pipeline of `open` that has ended, and takes it out, until none is left.
async fn until_ended(feed: &mut Feed, open: &mut Vec<Value>, mut ended: impl FnMut(Value)) -> Result<(), Trouble> {
    let mut contact = Contact::default();
    loop {
        let (_, told) = contact.take(look(feed, open, &mut ended).await)?;
        told.into_iter().for_each(super::hint);
        if open.is_empty() {
            return Ok(());
        }
        tokio::select! {
            told = news(feed, open) => told?,
            () = sleep(LOOK_AGAIN) => {}
        }
    }
}

async fn look(feed: &Feed, open: &mut Vec<Value>, ended: &mut impl FnMut(Value)) -> Result<(), Trouble> {
    for n in (0..open.len()).rev() {
        open[n] = feed.remote().call("pipeline/status", json!({"pipeline_id": open[n]["id"]})).await?;
        if closing::has_ended(&open[n]) {
            ended(open.remove(n));
        }
    }
    Ok(())
}

/// Waits for word of one of `open`, or for a lost connection to come back.
async fn news(feed: &mut Feed, open: &[Value]) -> Result<(), Trouble> {
    loop {
        match feed.next().await? {
            Update::Resumed => return Ok(()),
            Update::News(news) if open.iter().any(|pipeline| pipeline["id"] == news.params["pipeline_id"]) => {
                return Ok(());
            }
            Update::News(_) => {}
        }
    }
}
