//! The one room between the verbs and the network: all that they know of a coordinator is here.

use std::time::Duration;

use serde_json::{Value, json};

use super::exit::Trouble;
use super::server_url::ServerUrl;
use crate::client::{Client, ClientError, Notification, Notifications};

/// The code of a method that the coordinator does not know (protocol §2).
const METHOD_NOT_FOUND: i64 = -32_601;

/// The first wait before a connection is tried again, and the longest: a restart takes a second or two.
const WAIT_FIRST: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(2);

/// A coordinator that was reached.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    client: Client,
}

/// Does `work` with the coordinator at `server`; who is not there is not waited for.
pub(super) async fn with<T>(
    server: &ServerUrl,
    work: impl AsyncFnOnce(&Remote) -> Result<T, Trouble>,
) -> Result<T, Trouble> {
    let (client, _notifications) = Client::connect(&server.get()).await?;
    let remote = Remote { client };
    let done = work(&remote).await;
    remote.client.close().await;
    done
}

impl Remote {
    /// Calls a method that a coordinator of this version knows.
    pub(super) async fn call(&self, method: &str, params: Value) -> Result<Value, Trouble> {
        match self.client.request(method, params).await {
            Err(ClientError::Refused { code: METHOD_NOT_FOUND, .. }) => {
                Err(Trouble::OldServer(format!("the coordinator has no method {method}")))
            }
            answered => Ok(answered?),
        }
    }

    /// Calls whatever a person asks for.
    pub(super) async fn call_by_hand(&self, method: &str, params: Value) -> Result<Value, Trouble> {
        Ok(self.client.request(method, params).await?)
    }
}

/// What a feed tells.
#[derive(Debug)]
pub(super) enum Update {
    /// Something happened.
    News(Notification),
    /// The connection is gone; the next update is that it is back.
    Lost,
    /// The connection is back. What happened in between was not told: look again.
    Resumed,
}

/// A subscription that outlives restarts of the coordinator.
#[derive(Debug)]
pub(super) struct Feed {
    url: String,
    topics: Vec<String>,
    remote: Remote,
    notifications: Notifications,
    lost: bool,
}

impl Feed {
    /// Subscribes to `topics`; who is not there at first is not waited for.
    pub(super) async fn open(server: &ServerUrl, topics: Vec<String>) -> Result<Self, Trouble> {
        let url = server.get();
        let (remote, notifications) = subscribe(&url, &topics).await?;
        Ok(Self { url, topics, remote, notifications, lost: false })
    }

    /// The coordinator as it is reached now.
    pub(super) fn remote(&self) -> &Remote {
        &self.remote
    }

    /// The next update; waits for a lost connection to come back, however long that takes.
    pub(super) async fn next(&mut self) -> Update {
        if !self.lost {
            let told = self.notifications.next().await;
            self.lost = told.is_none();
            return told.map_or(Update::Lost, Update::News);
        }
        let mut wait = WAIT_FIRST;
        loop {
            tokio::time::sleep(wait).await;
            match subscribe(&self.url, &self.topics).await {
                Ok((remote, notifications)) => {
                    (self.remote, self.notifications, self.lost) = (remote, notifications, false);
                    return Update::Resumed;
                }
                Err(error) => tracing::debug!(%error, "not back yet"),
            }
            wait = WAIT_MAX.min(wait * 2);
        }
    }
}

async fn subscribe(url: &str, topics: &[String]) -> Result<(Remote, Notifications), ClientError> {
    let (client, notifications) = Client::connect(url).await?;
    client.request("subscribe", json!({"topics": topics})).await?;
    Ok((Remote { client }, notifications))
}
