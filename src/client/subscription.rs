//! What a subscriber gets to hear.

use tokio::sync::broadcast::{self, error::RecvError};

use super::keeper::{Command, ReaderId};
use super::{Client, Notification};

/// Updates that wait for a slow reader; of more, the oldest are dropped. They take some 25 KB, and
/// a host may wait for a thousand pipelines at once.
pub(super) const UPDATES_UNREAD_MAX: usize = 256;

/// What happened to what a [`Subscription`] is about.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Update {
    /// The coordinator said something.
    Notification(Notification),
    /// The connection was lost and is back. What happened in between was not told: look again.
    Resumed,
    /// This reader was too slow: so many updates were dropped. Look again.
    Missed(u64),
    /// The connection was lost and is back, and the coordinator would not have this subscription again. Nothing follows; subscribe
    /// anew when the reason is mended.
    #[non_exhaustive]
    Ended {
        /// The coordinator's sentence.
        reason: String,
    },
}

/// Updates about some topics, from [`Client::subscribe`]. Dropped, it ends the subscription.
#[derive(Debug)]
pub struct Subscription {
    pub(super) id: ReaderId,
    updates: broadcast::Receiver<Update>,
    // Holds the connection open.
    client: Client,
}

impl Subscription {
    pub(super) fn new(id: ReaderId, updates: broadcast::Receiver<Update>, client: Client) -> Self {
        Self { id, updates, client }
    }

    /// The next update, in the order they came; `None` once the client is closed, or after [`Update::Ended`]. Cancel-safe.
    pub async fn next(&mut self) -> Option<Update> {
        match self.updates.recv().await {
            Ok(update) => Some(update),
            Err(RecvError::Lagged(missed)) => Some(Update::Missed(missed)),
            Err(RecvError::Closed) => None,
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.client.tell_keeper(Command::Remove(self.id));
    }
}
