//! One connection: requests matched to responses by id, notifications in the order they came.
//!
//! It does not reconnect: who does knows what must be said again first.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use uuid::Uuid;

use super::envelope::{Envelope, Request};
use super::traffic::{self, Outgoing};
use super::{CLOSE_TIMEOUT, ClientError, ClientOptions, Endpoint, Notification, OUTBOUND_FRAME_BYTES_MAX};

/// Frames that may wait for the writer; a sender beyond that waits, which is the back-pressure.
const OUTBOX_FRAMES: usize = 1024;

/// Calls that are sent before the first of them is answered, where they follow each other: enough that neither side waits for the
/// other, and few enough that their frames need no room worth counting.
const CALLS_AHEAD: usize = 4;

/// Notifications that may wait to be read. Beyond that the connection is ended: waiting would keep
/// responses from the same caller, and dropping could lose an assignment.
pub(super) const NOTIFICATIONS_UNREAD_MAX: usize = 16 * 1024;

/// The notifications of one connection, in the order they came.
#[derive(Debug)]
pub(crate) struct Notifications(mpsc::Receiver<Notification>);

impl Notifications {
    /// The next notification; `None` once the connection has ended.
    pub(crate) async fn next(&mut self) -> Option<Notification> {
        self.0.recv().await
    }
}

/// A request in the form in which it is sent: however often that is, the coordinator sees the same bytes.
#[derive(Debug)]
pub(crate) struct Call {
    id: Uuid,
    method: String,
    frame: Utf8Bytes,
}

impl Call {
    /// Fails when the frame would be refused for its size.
    pub(crate) fn new(id: Uuid, method: &str, params: impl Serialize) -> Result<Self, ClientError> {
        let frame = encode(method, &Request::new(id, method, params))?;
        Ok(Self { id, method: method.to_owned(), frame })
    }

    /// The frame that is sent.
    pub(crate) fn text(&self) -> &str {
        &self.frame
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
pub(super) struct Shared {
    pending: Mutex<Pending>,
    pub(super) outbox: mpsc::Sender<Outgoing>,
    ended: watch::Receiver<bool>,
    request_timeout: Duration,
}

/// A connection to a coordinator. Cheap to clone; the last clone that is dropped says goodbye.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    shared: Arc<Shared>,
}

impl Connection {
    /// Connects to a coordinator.
    pub(crate) async fn open(
        endpoint: &Endpoint,
        options: &ClientOptions,
    ) -> Result<(Self, Notifications), ClientError> {
        let frames = endpoint.dial(options).await?;
        let (outbox, outgoing) = mpsc::channel(OUTBOX_FRAMES);
        let (notify, notifications) = mpsc::channel(NOTIFICATIONS_UNREAD_MAX);
        let (end, ended) = watch::channel(false);
        let shared = Arc::new(Shared {
            pending: Mutex::new(Pending::Open(Waiting::new())),
            outbox,
            ended,
            request_timeout: options.request_timeout,
        });
        traffic::spawn(frames, &shared, outgoing, notify, end);
        Ok((Self { shared }, Notifications(notifications)))
    }

    /// Calls `method` and waits for its result.
    pub(crate) async fn request(&self, method: &str, params: Value) -> Result<Value, ClientError> {
        self.exchange(&Call::new(Uuid::new_v4(), method, params)?).await
    }

    /// Sends a call and waits for its result.
    pub(crate) async fn exchange(&self, call: &Call) -> Result<Value, ClientError> {
        self.in_time(call, async { self.ask(call).await?.receive().await }).await
    }

    /// Sends calls in order, at most [`CALLS_AHEAD`] before the first of them is answered, and hands on the results in the same
    /// order. `unanswered` comes first; what is there in the end had no answer.
    pub(super) async fn exchange_all(
        &self,
        unanswered: &mut VecDeque<Call>,
        calls: &mut impl Iterator<Item = Result<Call, ClientError>>,
        answered: &mut impl FnMut(Value),
    ) -> Result<(), ClientError> {
        let mut answers = VecDeque::new();
        loop {
            while answers.len() < CALLS_AHEAD {
                if answers.len() == unanswered.len() {
                    let Some(call) = calls.next() else { break };
                    unanswered.push_back(call?);
                }
                let call = &unanswered[answers.len()];
                answers.push_back(self.in_time(call, self.ask(call)).await?);
            }
            let (Some(call), Some(answer)) = (unanswered.front(), answers.pop_front()) else { return Ok(()) };
            answered(self.in_time(call, answer.receive()).await?);
            unanswered.pop_front();
        }
    }

    /// What comes of a call, unless that takes too long.
    async fn in_time<T>(
        &self,
        call: &Call,
        outcome: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        let limit = self.shared.request_timeout;
        let late = |_elapsed| ClientError::TimedOut { method: call.method.clone(), seconds: limit.as_secs_f64() };
        tokio::time::timeout(limit, outcome).await.map_err(late)?
    }

    /// Sends a call. Calls take effect in the order in which this returns.
    pub(super) async fn ask(&self, call: &Call) -> Result<Answer, ClientError> {
        let answer = self.shared.wait_for(call)?;
        self.shared.send(call.frame.clone()).await?;
        Ok(answer)
    }

    /// Tells the coordinator something that it does not answer. Returns when it is queued.
    pub(crate) async fn notify(&self, method: &str, params: Value) -> Result<(), ClientError> {
        let id = Uuid::new_v4().to_string();
        let frame = encode(method, &Envelope::notification(id, method, params))?;
        self.shared.send(frame).await
    }

    /// Whether nothing can be sent any more.
    pub(super) fn has_ended(&self) -> bool {
        self.shared.outbox.is_closed() || matches!(*self.shared.pending.lock(), Pending::Closed { .. })
    }

    /// Sends what is queued, says goodbye, and returns when the connection has ended.
    pub(crate) async fn close(&self) {
        // If the writer is gone, the connection has ended already.
        if self.shared.outbox.send(Outgoing::Close).await.is_ok() {
            let mut ended = self.shared.ended.clone();
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, ended.wait_for(|end| *end)).await;
        }
    }
}

impl Shared {
    /// Notes that somebody waits for the response `id`.
    fn wait_for(self: &Arc<Self>, call: &Call) -> Result<Answer, ClientError> {
        let id = call.id;
        let (settle, settled) = oneshot::channel();
        match &mut *self.pending.lock() {
            Pending::Open(waiting) if waiting.contains_key(&id) => {
                let cause = format!("a call with the id {id} is under way already");
                return Err(ClientError::Malformed { method: call.method.clone(), cause });
            }
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

    async fn send(&self, frame: Utf8Bytes) -> Result<(), ClientError> {
        match self.outbox.send(Outgoing::Text(frame)).await {
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
    pub(super) fn settle(&self, id: Uuid, result: Result<Value, ClientError>) {
        if let Pending::Open(waiting) = &mut *self.pending.lock()
            && let Some(settle) = waiting.remove(&id)
        {
            let _ = settle.send(result);
        }
    }

    /// Ends the connection for all who wait; the first reason stays.
    pub(super) fn end(&self, reason: String) {
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
pub(super) struct Answer {
    id: Uuid,
    settled: oneshot::Receiver<Result<Value, ClientError>>,
    shared: Arc<Shared>,
}

impl Answer {
    pub(super) async fn receive(mut self) -> Result<Value, ClientError> {
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
fn encode(method: &str, envelope: &impl Serialize) -> Result<Utf8Bytes, ClientError> {
    let method = || method.to_owned();
    let text = serde_json::to_string(envelope)
        .map_err(|error| ClientError::Malformed { method: method(), cause: error.to_string() })?;
    if text.len() > OUTBOUND_FRAME_BYTES_MAX {
        let (bytes, limit) = (text.len(), OUTBOUND_FRAME_BYTES_MAX);
        return Err(ClientError::TooLarge { method: method(), bytes, limit });
    }
    Ok(text.into())
}
