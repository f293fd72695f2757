//! A connection without a network: two queues with delays, cut, frozen or dead as the run wants it.

use super::audit::Asked;
use axum::extract::ws::Message;
use futures_util::{Sink, Stream};
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use tokio_tungstenite::tungstenite::{self, error::CapacityError};

/// Frames that a peer can leave unread before the server's writes wait: some socket buffers' worth.
const WINDOW: usize = 64;

/// The longest frame that the server takes: room for whatever is asked here.
pub(super) const FRAME_BYTES_MAX: usize = 64 << 10;

/// What the server says.
#[derive(Clone, Debug)]
pub(super) enum Said {
    Frame(Rc<Value>),
    Ping,
    Closed,
}

/// A request on its way.
pub(super) struct Awaited {
    pub(super) id: String,
    /// What it asks for; `None` for what is no request.
    pub(super) asked: Option<Rc<Asked>>,
}

/// A connection.
#[derive(Default)]
pub(super) struct Wire {
    /// To the server, each with the time from which on it is there.
    to_server: VecDeque<(u64, Message)>,
    /// To the client, likewise.
    to_client: VecDeque<(u64, Said)>,
    /// Written by the server since the last look, each with the newest event that was durable then.
    pub(super) fresh: Vec<(Said, u64)>,
    /// Requests in the order in which they were sent: the answers come in this order.
    pub(super) awaited: VecDeque<Awaited>,
    /// How often each notice about a pipeline was told.
    pub(super) told: BTreeMap<String, usize>,
    /// The client has hung up, or was reset.
    pub(super) client_gone: bool,
    /// The session has ended.
    pub(super) server_gone: bool,
    /// When the server last got something from the peer.
    pub(super) heard_ms: u64,
    /// The peer broke the rules of the wire: what it says from now on counts for nothing.
    ignored: bool,
    /// Nothing gets through, in either direction, before this time.
    pub(super) frozen_until: u64,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// Either end of a connection.
pub(super) type Line = Rc<RefCell<Wire>>;

impl Wire {
    /// A connection that is made now.
    pub(super) fn new(now: u64) -> Self {
        Self { heard_ms: now, ..Self::default() }
    }

    /// The client says something that arrives at `due`, and not before what it said earlier.
    pub(super) fn say(&mut self, due: u64, message: Message) {
        let due = due.max(self.to_server.back().map_or(0, |(last, _)| *last));
        self.to_server.push_back((due, message));
    }

    /// The next that the client hears at `now`.
    pub(super) fn hear(&mut self, now: u64) -> Option<Said> {
        let due = self.to_client.front().is_some_and(|(due, _)| *due <= now && self.frozen_until <= now);
        if due { self.to_client.pop_front().map(|(_, said)| said) } else { None }
    }

    /// What the server wrote goes on its way.
    pub(super) fn forward(&mut self, due: u64, said: Said) {
        let due = due.max(self.to_client.back().map_or(0, |(last, _)| *last));
        self.to_client.push_back((due, said));
    }

    /// Wakes the halves of the session that could go on.
    pub(super) fn wake(&mut self, now: u64) {
        let readable = self.client_gone || self.is_due(now);
        let reader = if readable { self.reader.take() } else { None };
        let writer = if self.has_room() { self.writer.take() } else { None };
        reader.into_iter().chain(writer).for_each(Waker::wake);
    }

    fn is_due(&self, now: u64) -> bool {
        self.frozen_until <= now && self.to_server.front().is_some_and(|(due, _)| *due <= now)
    }

    fn has_room(&self) -> bool {
        self.client_gone || self.to_client.len() + self.fresh.len() < WINDOW
    }
}

/// The server's end.
pub(super) struct Socket {
    pub(super) line: Line,
    /// Monotonic milliseconds.
    pub(super) now: Rc<Cell<u64>>,
    /// The newest event that is durable.
    pub(super) durable: Rc<Cell<u64>>,
}

/// What the real socket makes of a frame that is too long.
fn within_limit(message: Message) -> Result<Message, axum::Error> {
    match &message {
        Message::Text(text) if text.len() > FRAME_BYTES_MAX => {
            let capacity = CapacityError::MessageTooLong { size: text.len(), max_size: FRAME_BYTES_MAX };
            Err(axum::Error::new(tungstenite::Error::Capacity(capacity)))
        }
        _ => Ok(message),
    }
}

impl Stream for Socket {
    type Item = Result<Message, axum::Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut wire = self.line.borrow_mut();
        let now = self.now.get();
        if wire.is_due(now) {
            let said = wire.to_server.pop_front().map(|(_, message)| within_limit(message));
            if !wire.ignored {
                wire.heard_ms = now;
            }
            wire.ignored |= matches!(said, Some(Err(_)));
            return Poll::Ready(said);
        }
        if wire.client_gone {
            return Poll::Ready(None);
        }
        wire.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Socket {
    fn ready(&self, cx: &Context<'_>) -> Poll<Result<(), axum::Error>> {
        let mut wire = self.line.borrow_mut();
        if wire.has_room() {
            return Poll::Ready(Ok(()));
        }
        wire.writer = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Sink<Message> for Socket {
    type Error = axum::Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), axum::Error>> {
        self.ready(cx)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), axum::Error> {
        let said = match message {
            Message::Text(text) => Said::Frame(Rc::new(serde_json::from_str(&text).expect("the server sends JSON"))),
            Message::Ping(_) => Said::Ping,
            Message::Close(_) => Said::Closed,
            Message::Binary(_) | Message::Pong(_) => unreachable!("the server sends neither"),
        };
        self.line.borrow_mut().fresh.push((said, self.durable.get()));
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), axum::Error>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), axum::Error>> {
        Poll::Ready(Ok(()))
    }
}
