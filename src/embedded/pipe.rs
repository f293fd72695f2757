//! The way in for clients of the same process: frames in queues, and at the other end the session that serves sockets too. So a
//! client in this process meets the same protocol, limits and order as one on another machine.

use crate::client::{ClientError, ClientOptions, Dial, FrameSink, FrameStream};
use crate::coordinator::Engine;
use crate::server::places::Places;
use crate::server::session;
use axum::extract::ws::{CloseFrame as WsCloseFrame, Message as WsMessage};
use futures_channel::mpsc;
use futures_util::future::{BoxFuture, ready};
use futures_util::{Sink, SinkExt, StreamExt};
use parking_lot::RwLock;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};

/// Frames that wait on either side. A client that takes no more is noticed as one behind a socket is.
const FRAMES_WAITING: usize = 256;
/// Connections at a time: no file descriptors go into them, so this only stops a leak.
const CONNECTIONS_MAX: u32 = 65_536;

/// The way in, until it is closed.
pub(super) struct Hatch {
    inside: RwLock<Option<Inside>>,
    places: Arc<Places>,
}

struct Inside {
    engine: Arc<Engine>,
    frame_bytes_max: usize,
    /// Sessions live as long as the coordinator's runtime, wherever their clients are.
    runtime: Handle,
}

impl Hatch {
    /// Must be called on the coordinator's runtime.
    pub(super) fn open(engine: &Arc<Engine>, frame_bytes_max: usize) -> Self {
        let inside = Inside { engine: Arc::clone(engine), frame_bytes_max, runtime: Handle::current() };
        Self { inside: RwLock::new(Some(inside)), places: Places::new(CONNECTIONS_MAX) }
    }

    /// Lets nobody in any more, and lets go of the coordinator, whoever still holds an endpoint.
    pub(super) fn close(&self) {
        self.inside.write().take();
    }

    /// Resolves when all have left, or after `within`; whether all have left.
    pub(super) async fn left(&self, within: Duration) -> bool {
        self.places.all_free(within).await
    }

    fn connect(&self) -> Result<(FrameSink, FrameStream), ClientError> {
        let inside = self.inside.read();
        let Inside { engine, frame_bytes_max, runtime } = inside.as_ref().ok_or(ClientError::Ended)?;
        let place = self.places.take().ok_or_else(|| ClientError::Unreachable {
            url: self.to_string(),
            cause: format!("{CONNECTIONS_MAX} connections of this process are open, the most allowed"),
        })?;
        let (up, from_client) = mpsc::channel::<Message>(FRAMES_WAITING);
        let (to_client, down) = mpsc::channel::<WsMessage>(FRAMES_WAITING);
        let (shared, connection, most) = (engine.shared(), engine.next_connection(), *frame_bytes_max);
        runtime.spawn(async move {
            let frames = from_client.filter_map(|message| ready(heard(message).map(Ok)));
            session::run(to_client, frames, "this process".to_owned(), shared, connection, most).await;
            drop(place);
        });
        let mut pongs = up.clone();
        let frames = down.map(move |message| {
            if let WsMessage::Ping(payload) = &message {
                // No room: the frames that wait are a sign of life as well.
                drop(pongs.try_send(Message::Pong(payload.clone())));
            }
            Ok(told(message))
        });
        let sink = Up(up).sink_map_err(|_| Error::ConnectionClosed);
        Ok((Box::pin(sink), frames.boxed()))
    }
}

impl Dial for Hatch {
    fn dial<'a>(&'a self, _: &'a ClientOptions) -> BoxFuture<'a, Result<(FrameSink, FrameStream), ClientError>> {
        Box::pin(ready(self.connect()))
    }
}

impl fmt::Display for Hatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this process")
    }
}

impl fmt::Debug for Hatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hatch").field("open", &self.inside.read().is_some()).finish_non_exhaustive()
    }
}

/// What a client sends; closing it ends the connection, although the other half can still answer pings.
struct Up(mpsc::Sender<Message>);

impl Drop for Up {
    fn drop(&mut self) {
        self.0.close_channel();
    }
}

impl Sink<Message> for Up {
    type Error = mpsc::SendError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Self::Error> {
        self.0.start_send(message)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // What is in the queue is on its way.
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.close_channel();
        Poll::Ready(Ok(()))
    }
}

/// What the session hears of a client's message; of a goodbye, that nothing more comes.
fn heard(message: Message) -> Option<WsMessage> {
    match message {
        Message::Text(text) => Some(WsMessage::Text(text.as_str().into())),
        Message::Binary(bytes) => Some(WsMessage::Binary(bytes)),
        Message::Ping(payload) => Some(WsMessage::Ping(payload)),
        Message::Pong(payload) => Some(WsMessage::Pong(payload)),
        Message::Close(_) | Message::Frame(_) => None,
    }
}

/// What a client is told.
fn told(message: WsMessage) -> Message {
    match message {
        WsMessage::Text(text) => Message::Text(text.as_str().into()),
        WsMessage::Binary(bytes) => Message::Binary(bytes),
        WsMessage::Ping(payload) => Message::Ping(payload),
        WsMessage::Pong(payload) => Message::Pong(payload),
        WsMessage::Close(frame) => Message::Close(
            frame.map(|WsCloseFrame { code, reason }| CloseFrame { code: code.into(), reason: reason.as_str().into() }),
        ),
    }
}
