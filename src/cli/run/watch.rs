//! Watches a pipeline until it has ended: by asking again and again, sooner when told that it ended.
//!
//! Asking works whatever was missed; notifications only make it quicker.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

use super::stall::{self, Stall};
use crate::cli::output::cell;
use crate::cli::tasks::{self, Counts, TaskRow};
use crate::cli::watch::{FOLLOWED_TASKS_MAX, SHOWN_RUNNING_MAX, Screen};
use crate::client::{Client, ClientError, Subscription, Update};

/// How often the state is asked for: what a person still sees as "at once".
pub(super) const POLL: Duration = Duration::from_millis(200);

/// What is known of a pipeline's tasks at one moment.
#[derive(Debug)]
pub(in crate::cli) struct Snapshot {
    pub(in crate::cli) status: String,
    pub(in crate::cli) counts: Counts,
    /// All tasks of a small pipeline, some running ones of a large.
    pub(in crate::cli) tasks: Vec<TaskRow>,
    /// What there is to be done about it.
    pub(in crate::cli) hint: Option<String>,
}

impl Snapshot {
    /// Whether the pipeline keeps this status (protocol §5).
    pub(in crate::cli) fn has_ended(&self) -> bool {
        matches!(self.status.as_str(), "completed" | "failed" | "error" | "stopped")
    }
}

/// Shows the pipeline's progress in `screen` until it has ended; its last record.
pub(super) async fn until_ended(
    client: &Client,
    subscription: &mut Subscription,
    pipeline_id: &str,
    screen: &mut Screen,
) -> Result<Value, ClientError> {
    let mut poll = interval(POLL);
    let mut stall = Stall::default();
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = poll.tick() => {}
            () = told_of_end(subscription, pipeline_id, screen) => {}
        }
        let params = json!({"pipeline_id": pipeline_id});
        let info = client.call("pipeline/status", params).await?;
        let snapshot = look(client, pipeline_id, &info).await?;
        screen.show(&info, &snapshot);
        if snapshot.has_ended() {
            return Ok(info);
        }
        if stall.is_news(&info) {
            screen.say(&stall::words(client, pipeline_id).await?);
        }
    }
}

async fn look(client: &Client, id: &str, info: &Value) -> Result<Snapshot, ClientError> {
    let counts = Counts::of(info);
    let small = counts.total() <= FOLLOWED_TASKS_MAX;
    let (filter, at_most) = if small { (None, usize::MAX) } else { (Some("running"), SHOWN_RUNNING_MAX) };
    let tasks = tasks::list(client, id, filter, at_most).await?;
    Ok(Snapshot { status: cell(&info["status"]), counts, tasks, hint: None })
}

/// Waits for the news that the pipeline has ended, or may have. Of a client that is closed, for ever: the next request
/// says so.
async fn told_of_end(subscription: &mut Subscription, pipeline_id: &str, screen: &mut Screen) {
    while let Some(update) = subscription.next().await {
        let Update::Notification(notification) = update else { return };
        let end = matches!(
            notification.method.as_str(),
            "pipeline/completed" | "pipeline/failed" | "pipeline/stopped" | "pipeline/deleted"
        );
        if end && notification.params["pipeline_id"] == pipeline_id {
            return;
        }
        screen.note(&notification);
    }
    std::future::pending().await
}
