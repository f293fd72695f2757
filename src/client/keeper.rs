//! Keeps a client connected: connects again when the connection is lost, and holds what its subscriptions want to hear.
//!
//! One task owns all of this, so subscriptions come and go in one order, which is the order on the wire.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use uuid::Uuid;

use super::connection::{Call, Connection, Notifications};
use super::subscription::Update;
use super::{ClientError, ClientOptions, Endpoint, Notification};
use crate::api::Topics;
use crate::api::methods::{SUBSCRIBE, UNSUBSCRIBE};
use crate::backoff::Backoff;

/// How the client stands with its coordinator.
#[derive(Debug)]
pub(super) enum Link {
    Up(Connection),
    /// Not now; the newest trouble.
    Down(ClientError),
    /// For good, and why.
    Closed(ClientError),
}

/// Tells subscriptions apart.
pub(super) type ReaderId = u64;

/// One subscription as the keeper sees it.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) topics: Vec<String>,
    pub(super) updates: broadcast::Sender<Update>,
}

/// What clients ask of their keeper.
#[derive(Debug)]
pub(super) enum Command {
    /// Hand updates to this reader from now on; answered when that is so.
    Add(ReaderId, Reader, oneshot::Sender<()>),
    Remove(ReaderId),
    Close,
}

/// There will be no connection any more, and why: the client wants none, or there is nothing left to connect to.
struct Closed(ClientError);

/// The task behind a client.
pub(super) struct Keeper {
    endpoint: Endpoint,
    options: ClientOptions,
    link: watch::Sender<Link>,
    commands: mpsc::UnboundedReceiver<Command>,
    readers: BTreeMap<ReaderId, Reader>,
    renewals: FuturesUnordered<BoxFuture<'static, (ReaderId, Result<(), ClientError>)>>,
}

impl Keeper {
    pub(super) fn new(
        endpoint: Endpoint,
        options: ClientOptions,
        link: watch::Sender<Link>,
        commands: mpsc::UnboundedReceiver<Command>,
    ) -> Self {
        let (readers, renewals) = (BTreeMap::new(), FuturesUnordered::new());
        Self { endpoint, options, link, commands, readers, renewals }
    }

    /// Keeps the client connected until it is closed or dropped.
    pub(super) async fn run(mut self, mut connection: Connection, mut notifications: Notifications) {
        let Closed(cause) = loop {
            if let Err(closed) = self.serve(&connection, &mut notifications).await {
                break closed;
            }
            tracing::info!(endpoint = %self.endpoint, "the connection is lost; connecting again");
            match self.reconnect().await {
                Ok(fresh) => (connection, notifications) = fresh,
                Err(closed) => break closed,
            }
            self.renew_subscriptions(&connection);
            self.link.send_replace(Link::Up(connection.clone()));
        };
        connection.close().await;
        self.link.send_replace(Link::Closed(cause));
    }

    /// Hands out notifications until the connection is lost.
    async fn serve(&mut self, connection: &Connection, notifications: &mut Notifications) -> Result<(), Closed> {
        loop {
            tokio::select! {
                notification = notifications.next() => match notification {
                    Some(notification) => self.hand_out(&notification),
                    None => return Ok(()),
                },
                command = self.commands.recv() => self.obey(command, Some(connection)).await?,
                Some((id, renewed)) = self.renewals.next() => self.renewed(id, renewed),
            }
        }
    }

    /// Tries until there is a connection.
    async fn reconnect(&mut self) -> Result<(Connection, Notifications), Closed> {
        self.renewals.clear();
        let mut cause =
            ClientError::Unreachable { url: self.endpoint.to_string(), cause: "the connection was lost".to_owned() };
        let (endpoint, options) = (self.endpoint.clone(), self.options.clone());
        let mut backoff = Backoff::default();
        loop {
            self.link.send_replace(Link::Down(cause));
            let attempt = async {
                tokio::time::sleep(backoff.next()).await;
                Connection::open(&endpoint, &options).await
            };
            tokio::pin!(attempt);
            let opened = loop {
                tokio::select! {
                    opened = &mut attempt => break opened,
                    command = self.commands.recv() => self.obey(command, None).await?,
                }
            };
            match opened {
                Ok(fresh) => return Ok(fresh),
                Err(ended @ ClientError::Ended) => return Err(Closed(ended)),
                Err(error) => {
                    tracing::debug!(%error, "not connected; trying again");
                    cause = error;
                }
            }
        }
    }

    async fn obey(&mut self, command: Option<Command>, connection: Option<&Connection>) -> Result<(), Closed> {
        match command {
            Some(Command::Add(id, reader, added)) => {
                self.readers.insert(id, reader);
                // Whoever no longer waits for it removes it.
                let _ = added.send(());
            }
            Some(Command::Remove(id)) => {
                let unwanted = self.remove(id);
                if let Some(connection) = connection.filter(|_| !unwanted.is_empty()) {
                    unsubscribe(connection, unwanted).await;
                }
            }
            Some(Command::Close) | None => return Err(Closed(ClientError::closed_here())),
        }
        Ok(())
    }

    /// Forgets a reader; the topics that nobody else wants.
    fn remove(&mut self, id: ReaderId) -> BTreeSet<String> {
        let topics = self.readers.remove(&id).map(|reader| reader.topics).unwrap_or_default();
        let wanted: BTreeSet<&String> = self.readers.values().flat_map(|reader| &reader.topics).collect();
        topics.into_iter().filter(|topic| !wanted.contains(topic)).collect()
    }

    fn hand_out(&self, notification: &Notification) {
        let wants = |reader: &&Reader| reader.topics.iter().any(|topic| covers(topic, notification));
        for reader in self.readers.values().filter(wants) {
            // Without a receiver the reader is about to be removed.
            let _ = reader.updates.send(Update::Notification(notification.clone()));
        }
    }

    fn renew_subscriptions(&self, connection: &Connection) {
        for (id, reader) in &self.readers {
            let (id, topics, connection) = (*id, reader.topics.clone(), connection.clone());
            self.renewals.push(Box::pin(async move { (id, renew(&connection, topics).await) }));
        }
    }

    fn renewed(&mut self, id: ReaderId, renewed: Result<(), ClientError>) {
        let update = match renewed {
            Ok(()) => Update::Resumed,
            // The next connection renews it.
            Err(ClientError::Closed { .. }) => return,
            Err(error) => Update::Ended { reason: error.to_string() },
        };
        let is_end = matches!(update, Update::Ended { .. });
        if let Some(reader) = self.readers.get(&id) {
            // Without a receiver the reader is about to be removed.
            let _ = reader.updates.send(update);
        }
        if is_end {
            self.readers.remove(&id);
        }
    }
}

/// Whether a notification is in the set that a topic names. Which topics there are is the coordinator's to say.
fn covers(topic: &str, notification: &Notification) -> bool {
    let Notification { method, params } = notification;
    match (topic.strip_prefix("pipeline:"), topic.strip_suffix('*')) {
        (Some(pipeline), _) => params["pipeline_id"].as_str().is_some_and(|id| id.eq_ignore_ascii_case(pipeline)),
        (None, Some(group)) => method.starts_with(group),
        (None, None) => method == topic,
    }
}

/// Subscribes again, for as long as this connection lasts.
async fn renew(connection: &Connection, topics: Vec<String>) -> Result<(), ClientError> {
    let (method, params) = SUBSCRIBE.call(&Topics { topics });
    let call = Call::new(Uuid::new_v4(), method, params)?;
    let mut backoff = Backoff::default();
    loop {
        match connection.exchange(&call).await {
            Err(error) if error.is_transient() && !matches!(error, ClientError::Closed { .. }) => {
                tokio::time::sleep(backoff.next()).await;
            }
            settled => return settled.map(drop),
        }
    }
}

/// Does not wait for the answer: whether it comes or not, nobody listens any more.
async fn unsubscribe(connection: &Connection, topics: BTreeSet<String>) {
    let (method, params) = UNSUBSCRIBE.call(&Topics { topics: topics.into_iter().collect() });
    if let Ok(call) = Call::new(Uuid::new_v4(), method, params) {
        let _ = connection.ask(&call).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_topic_covers_what_the_coordinator_sends_for_it() {
        for (topic, method, pipeline, covered) in [
            ("*", "anything/else", "", true),
            ("task/*", "task/changed", "", true),
            ("task/*", "tasks/changed", "", false),
            ("server/heartbeat", "server/heartbeat", "", true),
            ("server/heartbeat", "server/heartbeats", "", false),
            ("pipeline:0A", "task/changed", "0a", true),
            ("pipeline:0a", "task/changed", "0b", false),
            ("pipeline:0a", "pipeline/changed", "", false),
        ] {
            let notification = Notification { method: method.to_owned(), params: json!({"pipeline_id": pipeline}) };
            assert_eq!(covers(topic, &notification), covered, "{topic} {method} {pipeline}");
        }
    }
}
