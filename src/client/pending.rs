//! What waits on a connection: frames to be sent, and callers for their answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use uuid::Uuid;

use super::ClientError;

/// What a sender wants the writer to do.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// Send this frame.
    Text(Utf8Bytes),
    /// Say goodbye; nothing is sent after it.
    Close,
}

type Waiting = BTreeMap<Uuid, oneshot::Sender<Result<Value, ClientError>>>;

/// The requests under way, or the reason why there can be no more.
#[derive(Debug)]
enum Pending {
    Open(Waiting),
    Closed { reason: String },
}

/// What the handles of a connection share with its two tasks.
#[derive(Debug)]
pub(super) struct Shared {
    pending: Mutex<Pending>,
    pub(super) outbox: mpsc::Sender<Outgoing>,
}

impl Shared {
    pub(super) fn new(outbox: mpsc::Sender<Outgoing>) -> Self {
        Self { pending: Mutex::new(Pending::Open(Waiting::new())), outbox }
    }

    /// Notes that somebody waits for the response `id`.
    pub(super) fn wait_for(self: &Arc<Self>, id: Uuid, method: &str) -> Result<Answer, ClientError> {
        let (settle, settled) = oneshot::channel();
        match &mut *self.pending.lock() {
            Pending::Open(waiting) if waiting.contains_key(&id) => {
                let cause = format!("a call with the id {id} is under way already");
                return Err(ClientError::Malformed { method: method.to_owned(), cause });
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

    /// Whether nothing can be sent any more.
    pub(super) fn has_ended(&self) -> bool {
        self.outbox.is_closed() || matches!(*self.pending.lock(), Pending::Closed { .. })
    }

    pub(super) async fn send(&self, frame: Utf8Bytes) -> Result<(), ClientError> {
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
