//! One connection: requests matched to responses by id, notifications in the order they came.
//!
//! It does not reconnect: who does knows what must be said again first.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use uuid::Uuid;

use super::envelope::{Envelope, Request};
use super::pending::{Answer, Outgoing, Shared};
use super::traffic::{self, NOTIFICATIONS_UNREAD_MAX};
use super::{CLOSE_TIMEOUT, ClientError, ClientOptions, Endpoint, Notification, OUTBOUND_FRAME_BYTES_MAX};

/// Frames that may wait for the writer; a sender beyond that waits, which is the back-pressure.
const OUTBOX_FRAMES: usize = 1024;

/// Calls that are sent before the first of them is answered, where they follow each other: enough that neither side waits for the
/// other, and few enough that their frames need no room worth counting.
const CALLS_AHEAD: usize = 4;

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

/// A connection to a coordinator. Cheap to clone; the last clone that is dropped says goodbye.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    shared: Arc<Shared>,
    ended: watch::Receiver<bool>,
    request_timeout: Duration,
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
        let shared = Arc::new(Shared::new(outbox));
        traffic::spawn(frames, &shared, outgoing, notify, end);
        Ok((Self { shared, ended, request_timeout: options.request_timeout }, Notifications(notifications)))
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
        let limit = self.request_timeout;
        let late = |_elapsed| ClientError::TimedOut { method: call.method.clone(), seconds: limit.as_secs_f64() };
        tokio::time::timeout(limit, outcome).await.map_err(late)?
    }

    /// Sends a call. Calls take effect in the order in which this returns.
    pub(super) async fn ask(&self, call: &Call) -> Result<Answer, ClientError> {
        let answer = self.shared.wait_for(call.id, &call.method)?;
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
        self.shared.has_ended()
    }

    /// Sends what is queued, says goodbye, and returns when the connection has ended.
    pub(crate) async fn close(&self) {
        // If the writer is gone, the connection has ended already.
        if self.shared.outbox.send(Outgoing::Close).await.is_ok() {
            let mut ended = self.ended.clone();
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, ended.wait_for(|end| *end)).await;
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
