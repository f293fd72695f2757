//! News from running attempts on their way to the session: lossy by design, never blocking work.

use serde_json::json;
use tokio::sync::mpsc;

use super::told::Progress;
use crate::clock;

/// News that may wait while the coordinator is away; more is dropped, since only the newest matters.
const NEWS_WAITING_MAX: usize = 1024;

/// What is told while an attempt runs.
pub(super) type News = Progress;

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
        let _ = self.news.try_send(Progress {
            task_id: self.task_id.clone(),
            agent_id: self.agent_id.clone(),
            progress: fraction,
            details: json!({"message": message}),
            timestamp: clock::now_text(),
        });
    }
}
