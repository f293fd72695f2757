//! `everlog watch`: a pipeline as it goes on, until it has ended.

mod lines;
mod screen;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::closing::{self, Closing};
use super::exit::{Exit, Trouble};
use super::list::{Ask, ps, short};
use super::output::Output;
use super::remote::{self, Contact, Feed, Remote, Update};
use super::resolve;
use super::run::Snapshot;
use super::server_url::ServerUrl;
use super::signals::Signals;
use super::tasks::{Counts, TaskRow};
pub(super) use screen::Screen;

const EXAMPLES: &str = "Examples:
  everlog watch iris
  everlog watch @last

Ctrl-C ends the watching, not the pipeline. Where stderr is no terminal, each change is a line. Exit codes: 0 it completed,
1 it failed or was stopped.";

/// How long news is gathered before it is shown: often enough to look alive, seldom enough to cost nothing.
const REDRAW: Duration = Duration::from_millis(100);

/// How often to look although nothing was told: durations grow, and a message may have been missed.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Up to so many tasks every one is followed by name; of more, those that run.
pub(super) const FOLLOWED_TASKS_MAX: u64 = 100;

/// Running tasks that are shown.
pub(super) const SHOWN_RUNNING_MAX: usize = 8;

/// The command line of `watch`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A pipeline: its name, its id or a part of it, or @last
    pipeline: String,
    /// How to print it: a line at the end, the record at the end, or a record a change
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    server: ServerUrl,
}

pub(super) async fn run(args: Args) -> Result<Exit, Trouble> {
    let pipeline = remote::with(&args.server, async |remote| resolve::pipeline(remote, &args.pipeline).await).await?;
    follow(&args.server, &pipeline["id"], Closing::of(args.output)).await
}

/// Follows the pipeline with this id to its end; the exit code says how it ended.
pub(super) async fn follow(server: &ServerUrl, id: &Value, mut closing: Closing) -> Result<Exit, Trouble> {
    let mut signals = Signals::listen()?;
    let mut feed = Feed::open(server, vec![format!("pipeline:{}", id.as_str().unwrap_or_default())]).await?;
    let mut screen = Screen::new();
    let ended = tokio::select! {
        ended = until_ended(&mut feed, id, &mut screen, &mut closing) => Some(ended),
        () = signals.next() => None,
    };
    match ended {
        Some(pipeline) => {
            let told = screen.has_told_failure();
            screen.finish();
            closing.conclude(&pipeline?, told)
        }
        None => {
            drop(screen);
            crate::cli::hint(&format!("the pipeline goes on; look again with: everlog watch {}", short(id)));
            Ok(Exit::Interrupted)
        }
    }
}

async fn until_ended(
    feed: &mut Feed,
    id: &Value,
    screen: &mut Screen,
    closing: &mut Closing,
) -> Result<Value, Trouble> {
    let mut contact = Contact::default();
    loop {
        let (found, told) = contact.take(look(feed.remote(), id).await)?;
        told.into_iter().for_each(|line| screen.say(line));
        if let Some((pipeline, snapshot)) = found {
            screen.show(&pipeline, &snapshot);
            closing.look(&pipeline, &snapshot)?;
            if closing::has_ended(&pipeline) {
                return Ok(pipeline);
            }
        }
        tokio::select! {
            told = news(feed, screen) => told?,
            () = sleep(LOOK_AGAIN) => continue,
        }
        // What comes close together is shown together.
        tokio::select! {
            trouble = all_news(feed, screen) => return Err(trouble),
            () = sleep(REDRAW) => {}
        }
    }
}

/// Waits for something to show.
async fn news(feed: &mut Feed, screen: &mut Screen) -> Result<(), Trouble> {
    match feed.next().await? {
        Update::Resumed => {}
        Update::News(news) => screen.note(&news),
    }
    Ok(())
}

/// Takes up all there is to show, until there is no more.
async fn all_news(feed: &mut Feed, screen: &mut Screen) -> Trouble {
    loop {
        if let Err(trouble) = news(feed, screen).await {
            return trouble;
        }
    }
}

async fn look(remote: &Remote, id: &Value) -> Result<(Value, Snapshot), Trouble> {
    let pipeline = remote.call("pipeline/status", json!({"pipeline_id": id})).await?;
    let counts = Counts::of(&pipeline);
    let small = counts.total() <= FOLLOWED_TASKS_MAX;
    let status = (!small).then_some("running");
    let ask = Ask::new("task/list", "tasks", json!({"pipeline_id": id, "status": status}));
    let tasks = Ask { limit: (!small).then_some(SHOWN_RUNNING_MAX), ..ask }.all(remote).await?;
    let tasks = tasks.into_iter().filter_map(|task| serde_json::from_value::<TaskRow>(task).ok()).collect();
    let (status, hint) = (ps::status(&pipeline).to_owned(), nobody(&pipeline));
    Ok((pipeline, Snapshot { status, counts, tasks, hint }))
}

/// What to do about tasks that nobody takes.
fn nobody(pipeline: &Value) -> Option<String> {
    let count = |name: &str| pipeline["metrics"][name].as_u64().unwrap_or(0);
    let ready = count("tasks_ready");
    let idle = pipeline["status"] == "running" && count("tasks_running") + count("tasks_assigned") == 0;
    (idle && ready > 0).then(|| format!("{ready} ready, no agent: see everlog agents"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipeline_that_nobody_works_on_says_so() {
        let pipeline = |running| {
            let metrics = json!({"tasks_ready": 2, "tasks_assigned": 0, "tasks_running": running});
            json!({"status": "running", "metrics": metrics})
        };
        assert_eq!(nobody(&pipeline(0)).as_deref(), Some("2 ready, no agent: see everlog agents"));
        assert_eq!(nobody(&pipeline(1)), None);
    }
}
