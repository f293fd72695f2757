//! The client: calls a coordinator and listens to it, and outlives both connections and coordinators.
//!
//! A [`Client`] is a handle; a `keeper` task holds the present `connection` and makes the next one. A call that was not
//! answered is sent again over the next connection under the same id, which the coordinator answers as it did before
//! (law 11), so whoever calls never sees a restart.

pub(crate) mod address;
mod connection;
#[cfg(test)]
mod connection_tests;
pub(crate) mod endpoint;
mod envelope;
mod error;
mod keeper;
mod options;
mod pending;
mod subscription;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod traffic;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{Semaphore, broadcast, mpsc, oneshot, watch};
use uuid::Uuid;

use crate::api::Topics;
use crate::api::methods::SUBSCRIBE;
pub(crate) use connection::{Call, Connection, Notifications};
pub use endpoint::Endpoint;
pub(crate) use endpoint::{Dial, FrameSink, FrameStream};
pub(crate) use envelope::{Envelope, ErrorObject};
pub use error::{ClientError, code};
use keeper::{Command, Keeper, Link, Reader};
pub(crate) use options::CLIENT_VARIABLES;
pub use options::ClientOptions;
pub use subscription::{Subscription, Update};

/// The largest frame a coordinator accepts, in bytes, unless its operator raised the limit (protocol §1).
pub(crate) const OUTBOUND_FRAME_BYTES_MAX: usize = 1024 * 1024;

/// The largest frame a coordinator sends, in bytes, to a peer that did not ask for more (protocol §1).
pub(crate) const INBOUND_FRAME_BYTES_MAX: usize = 1024 * 1024;

/// How long a peer may take to accept a connection, or to answer a goodbye.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Calls of one client under way at a time; more callers wait. Enough to fill every commit of the coordinator, and well
/// below what it allows a connection.
const CALLS_IN_FLIGHT_MAX: usize = 1024;
const _: () = assert!((CALLS_IN_FLIGHT_MAX as u64) < crate::server::limits::IN_FLIGHT_MAX);

/// What the coordinator tells without being asked.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Notification {
    /// For example `pipeline/completed`.
    pub method: String,
    /// The method's parameters.
    pub params: Value,
}

/// A coordinator's client, which stays connected by itself. Cheap to clone; all clones share one connection, which ends
/// with the last of them and of their subscriptions. It lives on the Tokio runtime on which it was connected.
///
/// ```no_run
/// # async fn example() -> Result<(), everlog::ClientError> {
/// let client = everlog::Client::connect("ws://localhost:8700").await?;
/// let pipelines = client.call("pipeline/list", serde_json::json!({"limit": 5})).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    link: watch::Receiver<Link>,
    keeper: mpsc::UnboundedSender<Command>,
    next_reader: AtomicU64,
    turns: Semaphore,
    max_retries: u32,
    patience: Duration,
}

impl Client {
    /// Connects to a coordinator, for example at `ws://localhost:8700`, with the options of the environment
    /// ([`ClientOptions::from_env`]).
    ///
    /// # Errors
    /// As [`Client::connect_with`], and [`ClientError::BadSetting`] for the environment.
    pub async fn connect(endpoint: impl Into<Endpoint>) -> Result<Self, ClientError> {
        Self::connect_with(endpoint, ClientOptions::from_env()?).await
    }

    /// Connects to a coordinator as `options` say. This first time is tried once, so that a mistake shows at once; from
    /// then on the client reconnects for as long as it lives.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] if there is no coordinator, [`ClientError::BadAddress`] if the address cannot be one,
    /// [`ClientError::TurnedAway`] if the coordinator does not want this client.
    pub async fn connect_with(endpoint: impl Into<Endpoint>, options: ClientOptions) -> Result<Self, ClientError> {
        let endpoint = endpoint.into();
        let (connection, notifications) = Connection::open(&endpoint, &options).await?;
        let (max_retries, patience) = (options.max_retries, options.patience());
        let (link, linked) = watch::channel(Link::Up(connection.clone()));
        let (keeper, commands) = mpsc::unbounded_channel();
        tokio::spawn(Keeper::new(endpoint, options, link, commands).run(connection, notifications));
        let (next_reader, turns) = (AtomicU64::new(0), Semaphore::new(CALLS_IN_FLIGHT_MAX));
        Ok(Self { shared: Arc::new(Shared { link: linked, keeper, next_reader, turns, max_retries, patience }) })
    }

    /// Calls `method` and waits for its result, over as many connections as [`ClientOptions::max_retries`] allows. What
    /// the call changes happens once, however often it has to be sent.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the coordinator's reason; [`ClientError::Unreachable`] or [`ClientError::TimedOut`]
    /// when there is no answer, and whether the call took effect is then not known; [`ClientError::TooLarge`] if it
    /// cannot be sent; [`ClientError::Closed`] once this client is closed.
    pub async fn call(&self, method: &str, params: Value) -> Result<Value, ClientError> {
        self.call_as(Uuid::new_v4(), method, params).await
    }

    /// Calls `method` under a given id. A coordinator answers a repeated call, same id and same parameters, as it did the
    /// first time and does nothing more; it remembers ids for 10 minutes.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn call_as(&self, id: Uuid, method: &str, params: Value) -> Result<Value, ClientError> {
        let mut result = Value::Null;
        self.call_in_order([Call::new(id, method, params)], |answer| result = answer).await?;
        Ok(result)
    }

    /// Makes calls that rest on those before them, without waiting for the answers between. A connection that is lost meanwhile
    /// changes nothing: what was not answered is sent again in the same order, so none overtakes one that it rests on.
    ///
    /// # Errors
    /// As [`Client::call`], for the first call that fails. Some of those behind it may have taken effect.
    pub(crate) async fn call_in_order(
        &self,
        calls: impl IntoIterator<Item = Result<Call, ClientError>>,
        mut answered: impl FnMut(Value),
    ) -> Result<(), ClientError> {
        let (mut calls, mut unanswered) = (calls.into_iter().fuse(), VecDeque::new());
        // Nobody closes the semaphore; without a turn the coordinator itself would say no.
        let _turn = self.shared.turns.acquire().await;
        let mut pauses = ClientOptions::pauses();
        let mut retries = 0;
        loop {
            let connection = self.connection().await?;
            let error = match connection.exchange_all(&mut unanswered, &mut calls, &mut answered).await {
                Err(error) if error.deserves_repetition() => error,
                settled => return settled,
            };
            if retries == self.shared.max_retries {
                return Err(error);
            }
            retries += 1;
            if !matches!(error, ClientError::Closed { .. }) {
                tokio::time::sleep(pauses.next()).await;
            }
        }
    }

    /// Listens to some topics: `pipeline/*`, `task/*`, `pipeline:<id>`, `server/heartbeat`, … or `*`. Returns when the
    /// coordinator knows; from then on nothing is missed unannounced, over reconnections too (see [`Update`]).
    ///
    /// # Errors
    /// [`ClientError::Refused`] if a topic is none, or the connection has too many (1,024); otherwise as [`Client::call`].
    pub async fn subscribe<T: AsRef<str>>(
        &self,
        topics: impl IntoIterator<Item = T>,
    ) -> Result<Subscription, ClientError> {
        let topics: Vec<String> = topics.into_iter().map(|topic| topic.as_ref().to_owned()).collect();
        let (method, params) = SUBSCRIBE.call(&Topics { topics: topics.clone() });
        let (updates, reader) = broadcast::channel(subscription::UPDATES_UNREAD_MAX);
        // From here on, dropping it takes it from the keeper: also when the call fails, or its caller gives up.
        let subscription = Subscription::new(self.shared.next_reader.fetch_add(1, Relaxed), reader, self.clone());
        let (added, is_added) = oneshot::channel();
        self.tell_keeper(Command::Add(subscription.id, Reader { topics, updates }, added));
        is_added.await.map_err(|_gone| self.why_closed())?;
        self.call(method, params).await?;
        Ok(subscription)
    }

    /// Sends what is queued, says goodbye, and returns when the connection has ended. Calls under way and later ones fail
    /// with [`ClientError::Closed`], subscriptions end.
    pub async fn close(&self) {
        self.tell_keeper(Command::Close);
        // An error means that the keeper is gone, which is as good.
        let _ = self.shared.link.clone().wait_for(|link| matches!(link, Link::Closed(_))).await;
    }

    /// Whether this client is closed for good.
    pub(crate) fn is_closed(&self) -> bool {
        // A keeper that ended without a word went down with its runtime.
        matches!(*self.shared.link.borrow(), Link::Closed(_)) || self.shared.link.has_changed().is_err()
    }

    /// Why there is no keeper any more.
    fn why_closed(&self) -> ClientError {
        match &*self.shared.link.borrow() {
            Link::Closed(cause) => cause.clone(),
            Link::Up(_) | Link::Down(_) => ClientError::closed_here(),
        }
    }

    fn tell_keeper(&self, command: Command) {
        // A keeper that is gone has nothing left to keep.
        let _ = self.shared.keeper.send(command);
    }

    /// The present connection, or the next one if it comes soon enough.
    async fn connection(&self) -> Result<Connection, ClientError> {
        let mut link = self.shared.link.clone();
        let patience = tokio::time::sleep(self.shared.patience);
        tokio::pin!(patience);
        loop {
            let trouble = match &*link.borrow_and_update() {
                Link::Up(connection) if !connection.has_ended() => return Ok(connection.clone()),
                // The keeper is about to notice.
                Link::Up(_) => None,
                Link::Down(cause) if cause.is_transient() => Some(cause.clone()),
                Link::Down(cause) | Link::Closed(cause) => return Err(cause.clone()),
            };
            tokio::select! {
                biased;
                changed = link.changed() => changed.map_err(|_gone| self.why_closed())?,
                () = &mut patience, if trouble.is_some() => return Err(trouble.unwrap_or_else(|| self.why_closed())),
            }
        }
    }
}
