//! News from running attempts on their way to the session: lossy by design, never blocking work.

use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::clock;

/// News that may wait while the coordinator is away; more is dropped, since only the newest matters.
const NEWS_WAITING_MAX: usize = 1024;

/// Parameters of a `task/progress`.
pub(super) type News = Value;

/// The attempt's end of the channel.
#[derive(Debug, Clone)]
pub(super) struct Reporter {
    news: mpsc::Sender<News>,
    task_id: String,
    agent_id: String,
}

/// A channel for the news of all attempts.
pub(super) fn channel() -> (mpsc::Sender<News>, mpsc::Receiver<News>) {
    mpsc::channel(NEWS_WAITING_MAX)
}

impl Reporter {
    pub(super) fn new(news: mpsc::Sender<News>, task_id: &str, agent_id: &str) -> Self {
        Self { news, task_id: task_id.to_owned(), agent_id: agent_id.to_owned() }
    }

    pub(super) fn progress(&self, fraction: f64, message: &str) {
        let fraction = if fraction.is_finite() { fraction.clamp(0.0, 1.0) } else { 0.0 };
        let _ = self.news.try_send(json!({
            "task_id": self.task_id,
            "agent_id": self.agent_id,
            "progress": fraction,
            "details": {"message": message},
            "timestamp": clock::now_text(),
        }));
    }
}
