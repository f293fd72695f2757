//! The async WebSocket client: one connection, requests matched to responses by id.
//!
//! A connection is two tasks. The writer takes whatever is queued and flushes once, so that many
//! small messages cost one write; the reader settles requests and hands on notifications. Neither
//! ever waits for the other, so a caller that is slow to read cannot stop its own answers.
//!
//! This client does not reconnect: who does (the agent) knows what must be said again first.

mod connection;
mod endpoint;
mod envelope;
mod error;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

use connection::Outgoing;
pub use endpoint::Endpoint;
pub(crate) use endpoint::{Dial, FrameSink, FrameStream};
use envelope::Envelope;
pub use error::{ClientError, code};

/// The largest frame a coordinator accepts, in bytes, unless its operator raised the limit (protocol §1).
pub(crate) const OUTBOUND_FRAME_BYTES_MAX: usize = 1024 * 1024;

/// The largest frame a coordinator sends, in bytes, to a peer that did not ask for more (protocol §1).
pub(crate) const INBOUND_FRAME_BYTES_MAX: usize = 1024 * 1024;

/// How long a request waits for its response unless `MCP_CLIENT_TIMEOUT` says otherwise.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Frames that may wait for the writer; a sender beyond that waits, which is the back-pressure.
const OUTBOX_FRAMES: usize = 1024;

/// Notifications that may wait to be read. Beyond that the connection is ended: waiting would keep
/// responses from the same caller, and dropping could lose an assignment.
const NOTIFICATIONS_UNREAD_MAX: usize = 16 * 1024;

/// How a client connects.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// How long a request waits for its response.
    pub request_timeout: Duration,
    /// The largest frame to read, in bytes. More than [`INBOUND_FRAME_BYTES_MAX`] helps only a peer
    /// that says so at registration.
    pub inbound_frame_bytes_max: usize,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self { request_timeout: REQUEST_TIMEOUT, inbound_frame_bytes_max: INBOUND_FRAME_BYTES_MAX }
    }
}

impl ClientOptions {
    /// The options that the environment asks for: `MCP_CLIENT_TIMEOUT` in seconds (protocol §6).
    ///
    /// # Errors
    /// When the variable is not a number of seconds.
    pub fn from_env(env: impl Fn(&str) -> Option<String>) -> Result<Self, ClientError> {
        const NAME: &str = "MCP_CLIENT_TIMEOUT";
        let Some(value) = env(NAME) else { return Ok(Self::default()) };
        let seconds = value.parse::<f64>().ok().filter(|seconds| *seconds > 0.0);
        match seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
            Some(request_timeout) => Ok(Self { request_timeout, ..Self::default() }),
            None => Err(ClientError::BadSetting { name: NAME, value, expected: "a number of seconds above 0" }),
        }
    }
}

/// What the coordinator tells without being asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Notification {
    /// For example `task/assigned`.
    pub method: String,
    /// The method's parameters.
    pub params: Value,
}

/// The notifications of one connection, in the order they came.
#[derive(Debug)]
pub struct Notifications(mpsc::Receiver<Notification>);

impl Notifications {
    /// The next notification; `None` once the connection has ended.
    pub async fn next(&mut self) -> Option<Notification> {
        self.0.recv().await
    }
}

type Waiting = BTreeMap<Uuid, oneshot::Sender<Result<Value, ClientError>>>;

/// The requests under way, or the reason why there can be no more.
#[derive(Debug)]
enum Pending {
    Open(Waiting),
    Closed { reason: String },
}

#[derive(Debug)]
struct Shared {
    pending: Mutex<Pending>,
    outbox: mpsc::Sender<Outgoing>,
    ended: watch::Receiver<bool>,
    request_timeout: Duration,
}

/// A connection to a coordinator. Cheap to clone; all clones share the connection.
#[derive(Debug, Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

impl Client {
    /// Connects to a coordinator, for example at `ws://localhost:8700`, with the options of the environment.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] if there is no coordinator, or the address cannot be one.
    pub async fn connect(endpoint: impl Into<Endpoint>) -> Result<(Self, Notifications), ClientError> {
        Self::connect_with(endpoint, &ClientOptions::from_env(|name| std::env::var(name).ok())?).await
    }

    /// Connects to a coordinator as `options` say.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] if there is no coordinator, or the address cannot be one.
    pub async fn connect_with(
        endpoint: impl Into<Endpoint>,
        options: &ClientOptions,
    ) -> Result<(Self, Notifications), ClientError> {
        let frames = endpoint.into().dial(options).await?;
        let (outbox, outgoing) = mpsc::channel(OUTBOX_FRAMES);
        let (notify, notifications) = mpsc::channel(NOTIFICATIONS_UNREAD_MAX);
        let (end, ended) = watch::channel(false);
        let shared = Arc::new(Shared {
            pending: Mutex::new(Pending::Open(Waiting::new())),
            outbox,
            ended,
            request_timeout: options.request_timeout,
        });
        connection::spawn(frames, &shared, outgoing, notify, end);
        Ok((Self { shared }, Notifications(notifications)))
    }

    /// Calls `method` and waits for its result.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the coordinator's reason; otherwise the connection's trouble.
    pub async fn request(&self, method: &str, params: Value) -> Result<Value, ClientError> {
        self.request_as(Uuid::new_v4(), method, params).await
    }

    /// Calls `method` under a given id, so that a repetition of an unanswered call takes effect once.
    ///
    /// # Errors
    /// As [`Client::request`].
    pub async fn request_as(&self, id: Uuid, method: &str, params: Value) -> Result<Value, ClientError> {
        let frame = encode(&Envelope::request(id.to_string(), method, params))?;
        let limit = self.shared.request_timeout;
        let answer = self.shared.wait_for(id)?;
        let exchange = async {
            self.shared.send(frame).await?;
            answer.receive().await
        };
        match tokio::time::timeout(limit, exchange).await {
            Ok(result) => result,
            Err(_elapsed) => Err(ClientError::TimedOut { method: method.to_owned(), seconds: limit.as_secs_f64() }),
        }
    }

    /// Tells the coordinator something that it does not answer. Returns when it is queued.
    ///
    /// # Errors
    /// [`ClientError::Closed`] or [`ClientError::TooLarge`].
    pub async fn notify(&self, method: &str, params: Value) -> Result<(), ClientError> {
        let id = Uuid::new_v4().to_string();
        let frame = encode(&Envelope::notification(id, method, params))?;
        self.shared.send(frame).await
    }

    /// Sends what is queued, says goodbye, and returns when the connection has ended.
    pub async fn close(&self) {
        // If the writer is gone, the connection has ended already.
        if self.shared.outbox.send(Outgoing::Close).await.is_ok() {
            let mut ended = self.shared.ended.clone();
            let _ = tokio::time::timeout(connection::CLOSE_TIMEOUT, ended.wait_for(|end| *end)).await;
        }
    }
}

impl Shared {
    /// Notes that somebody waits for the response `id`.
    fn wait_for(self: &Arc<Self>, id: Uuid) -> Result<Answer, ClientError> {
        let (settle, settled) = oneshot::channel();
        match &mut *self.pending.lock() {
            Pending::Open(waiting) => {
                waiting.insert(id, settle);
            }
            Pending::Closed { reason } => {
                let reason = reason.clone();
                return Err(ClientError::Closed { reason });
            }
        }
        Ok(Answer { id, settled, shared: Arc::clone(self) })
    }

    async fn send(&self, frame: String) -> Result<(), ClientError> {
        match self.outbox.send(Outgoing::Text(frame.into())).await {
            Ok(()) => Ok(()),
            Err(_gone) => Err(self.closed()),
        }
    }

    fn closed(&self) -> ClientError {
        let reason = match &*self.pending.lock() {
            Pending::Closed { reason } => reason.clone(),
            Pending::Open(_) => "this side closed it".to_owned(),
        };
        ClientError::Closed { reason }
    }

    /// Hands a response to whoever waits for it; one that nobody waits for (any more) is dropped.
    fn settle(&self, id: Uuid, result: Result<Value, ClientError>) {
        if let Pending::Open(waiting) = &mut *self.pending.lock()
            && let Some(settle) = waiting.remove(&id)
        {
            let _ = settle.send(result);
        }
    }

    /// Ends the connection for all who wait; the first reason stays.
    fn end(&self, reason: String) {
        let mut pending = self.pending.lock();
        if let Pending::Open(waiting) = &mut *pending {
            let waiting = std::mem::take(waiting);
            for settle in waiting.into_values() {
                let _ = settle.send(Err(ClientError::Closed { reason: reason.clone() }));
            }
            *pending = Pending::Closed { reason };
        }
    }
}

/// A place in the queue for one response; forgotten when dropped.
struct Answer {
    id: Uuid,
    settled: oneshot::Receiver<Result<Value, ClientError>>,
    shared: Arc<Shared>,
}

impl Answer {
    async fn receive(mut self) -> Result<Value, ClientError> {
        match (&mut self.settled).await {
            Ok(result) => result,
            Err(_dropped) => Err(self.shared.closed()),
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Pending::Open(waiting) = &mut *self.shared.pending.lock() {
            waiting.remove(&self.id);
        }
    }
}

/// The text of a frame, unless it is one that the coordinator would refuse.
fn encode(envelope: &Envelope) -> Result<String, ClientError> {
    let method = || envelope.method.clone();
    let text = serde_json::to_string(envelope)
        .map_err(|error| ClientError::Malformed { method: method(), cause: error.to_string() })?;
    if text.len() > OUTBOUND_FRAME_BYTES_MAX {
        let (bytes, limit) = (text.len(), OUTBOUND_FRAME_BYTES_MAX);
        return Err(ClientError::TooLarge { method: method(), bytes, limit });
    }
    Ok(text)
}
