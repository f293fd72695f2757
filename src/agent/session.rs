//! One registered connection, from registration to its end.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::cancel::CancelToken;
use super::config::AgentConfig;
use super::delivery::Delivery;
use super::handler::{Assignment, Handler};
use super::report::News;
use super::told::{AgentMetrics, AttemptKey, VitalSigns};
use super::work::Work;
use crate::api::methods::{AGENT_METRICS, AGENT_REGISTER, AGENT_UNREGISTER, TASK_PROGRESS};
use crate::api::params::AgentRef;
use crate::client::{ClientError, Connection, Notification, Notifications};
use crate::clock;

/// An agent with tasks gives a sign of life at least every 10 s; half of that leaves room for a
/// slow moment.
const SIGN_OF_LIFE_INTERVAL: Duration = Duration::from_secs(5);

/// Why a session ended.
#[derive(Debug)]
pub(super) enum SessionEnd {
    /// The connection is gone.
    Lost,
    /// The coordinator no longer takes what this agent says.
    Disowned(ClientError),
    /// This agent has left and said so.
    Left,
}

type Delivered = (AttemptKey, Result<(), ClientError>);

/// A registered connection.
pub(super) struct Session<'a> {
    config: &'a AgentConfig,
    connection: Connection,
    notifications: Notifications,
    deliveries: FuturesUnordered<BoxFuture<'static, Delivered>>,
}

impl<'a> Session<'a> {
    /// Connects and registers, naming what is held.
    pub(super) async fn open(config: &'a AgentConfig, running: Vec<AttemptKey>) -> Result<Self, ClientError> {
        let (connection, notifications) = Connection::open(&config.server, &config.options()?).await?;
        let (method, params) = AGENT_REGISTER.call(&config.registration(running));
        connection.request(method, params).await?;
        Ok(Self { config, connection, notifications, deliveries: FuturesUnordered::new() })
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Serves until the connection is lost, or `leave` is raised and everything has stopped.
    pub(super) async fn serve<H: Handler>(
        mut self,
        work: &mut Work<H>,
        news: &mut mpsc::Receiver<News>,
        leave: &CancelToken,
    ) -> SessionEnd {
        for (key, delivery) in work.undelivered() {
            self.deliver(key, delivery);
        }
        let mut alive = tokio::time::interval(SIGN_OF_LIFE_INTERVAL);
        alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut leaving = false;
        while !(leaving && !work.is_running() && self.deliveries.is_empty()) {
            tokio::select! {
                // In the order in which the coordinator spoke: what it assigned before it answered a completion is looked at while
                // that attempt is still held.
                biased;
                () = leave.cancelled(), if !leaving => {
                    leaving = true;
                    work.leave();
                }
                notification = self.notifications.next() => match notification {
                    Some(notification) => obey(notification, work, leaving),
                    None => return SessionEnd::Lost,
                },
                Some((key, delivered)) = self.deliveries.next() => match delivered {
                    Ok(()) => work.delivered(&key),
                    Err(ClientError::Closed { .. }) => return SessionEnd::Lost,
                    Err(error) => return SessionEnd::Disowned(error),
                },
                ended = work.next_ended() => if let Some((key, delivery)) = ended {
                    // What an attempt told comes before its end: afterwards nobody would take it.
                    while let Ok(progress) = news.try_recv() {
                        tell(&self.connection, TASK_PROGRESS.call(&progress)).await;
                    }
                    self.deliver(key, delivery);
                },
                _ = alive.tick() => if let Some(metrics) = work.vital_signs() {
                    tell(&self.connection, AGENT_METRICS.call(&self.sign_of_life(metrics))).await;
                },
                Some(progress) = news.recv() => tell(&self.connection, TASK_PROGRESS.call(&progress)).await,
            }
        }
        self.unregister().await;
        SessionEnd::Left
    }

    fn deliver(&self, key: AttemptKey, delivery: Arc<Delivery>) {
        let connection = self.connection.clone();
        self.deliveries.push(Box::pin(async move { (key, delivery.deliver(&connection).await) }));
    }

    fn sign_of_life(&self, metrics: VitalSigns) -> AgentMetrics {
        AgentMetrics { agent_id: self.config.id.clone(), metrics, timestamp: clock::now_text() }
    }

    async fn unregister(self) {
        let (method, params) = AGENT_UNREGISTER.call(&AgentRef { agent_id: &self.config.id });
        if let Err(error) = self.connection.request(method, params).await {
            tracing::warn!(%error, "the coordinator was not told that this agent leaves");
        }
        self.connection.close().await;
    }
}

/// Says something that may get lost. A connection that is gone shows in its notifications.
async fn tell(connection: &Connection, (method, params): (&str, Value)) {
    if let Err(error) = connection.notify(method, params).await {
        tracing::debug!(method, %error, "not told");
    }
}

#[derive(Deserialize)]
struct Cancelled {
    task_id: String,
    #[serde(default)]
    attempt: Option<u64>,
}

/// Does what the coordinator says.
fn obey<H: Handler>(notification: Notification, work: &mut Work<H>, leaving: bool) {
    let Notification { method, params } = notification;
    let understood = match method.as_str() {
        // Not taken while leaving: unregistering puts it back into the queue.
        "task/assigned" if leaving => Ok(()),
        "task/assigned" => serde_json::from_value(params).map(|assignment: Assignment| work.take(assignment)),
        "task/cancelled" => {
            serde_json::from_value(params).map(|Cancelled { task_id, attempt }| work.cancel(&task_id, attempt))
        }
        _ => Ok(()),
    };
    if let Err(error) = understood {
        tracing::error!(method, %error, "the coordinator said something that does not fit the protocol");
    }
}
