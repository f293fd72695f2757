//! The two tasks of a connection, and how it ends.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::SplitStream;
use futures_util::{Sink, SinkExt, StreamExt};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WsError, Message, Utf8Bytes};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};
use uuid::Uuid;

use super::envelope::{Envelope, Kind};
use super::{ClientError, ClientOptions, INBOUND_FRAME_BYTES_MAX, NOTIFICATIONS_UNREAD_MAX, Notification, Shared};

/// How long a peer may take to accept a connection, or to answer a goodbye.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The coordinator pings every 20 s (protocol §1); one that says nothing for three times as long is
/// gone even if the network has not noticed.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Frames taken from the queue for one flush; it bounds how long the first of them waits.
const FRAMES_PER_FLUSH: usize = 256;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What a sender wants the writer to do.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// Send this frame.
    Text(Utf8Bytes),
    /// Say goodbye; nothing is sent after it.
    Close,
}

/// Makes the WebSocket connection.
pub(super) async fn open(url: &str, options: &ClientOptions) -> Result<Socket, ClientError> {
    check_scheme(url)?;
    let unreachable = |cause: String| ClientError::Unreachable { url: url.to_owned(), cause };
    let largest = options.inbound_frame_bytes_max.max(INBOUND_FRAME_BYTES_MAX);
    let config = WebSocketConfig::default().max_message_size(Some(largest)).max_frame_size(Some(largest));
    // Frames are flushed in batches already: Nagle would only add its delay.
    let disable_nagle = true;
    let connecting = connect_async_with_config(url, Some(config), disable_nagle);
    match tokio::time::timeout(CLOSE_TIMEOUT, connecting).await {
        Ok(Ok((socket, _response))) => Ok(socket),
        Ok(Err(error @ (WsError::Url(_) | WsError::HttpFormat(_)))) => {
            Err(ClientError::BadAddress { url: url.to_owned(), cause: error.to_string() })
        }
        Ok(Err(WsError::Http(response))) => {
            let (status, body) = (response.status(), response.body().as_deref().unwrap_or_default());
            let said = String::from_utf8_lossy(body).trim().to_owned();
            // These are how a coordinator refuses; whatever answers otherwise is none.
            if matches!(status.as_u16(), 403 | 503) && !said.is_empty() {
                return Err(ClientError::TurnedAway { url: url.to_owned(), status: status.as_u16(), message: said });
            }
            Err(unreachable(format!("what answers there is no coordinator (HTTP {status})")))
        }
        // Something else speaks there: another protocol, or HTTP without an upgrade.
        Ok(Err(error @ WsError::Protocol(_))) => {
            Err(unreachable(format!("what answers there is no coordinator ({error})")))
        }
        Ok(Err(error)) => Err(unreachable(error.to_string())),
        Err(_elapsed) => Err(unreachable(format!("no answer within {} s", CLOSE_TIMEOUT.as_secs()))),
    }
}

/// Names a wrong scheme before anything is tried with it.
fn check_scheme(url: &str) -> Result<(), ClientError> {
    let cause = match url.split_once("://") {
        None | Some(("ws", _)) => return Ok(()),
        Some(("wss", _)) => "TLS is not supported yet, so write ws:// instead of wss://".to_owned(),
        Some((scheme, _)) => format!("it begins with {scheme}:// instead of ws://"),
    };
    Err(ClientError::BadAddress { url: url.to_owned(), cause })
}

/// Starts reader and writer. The connection ends when either does.
pub(super) fn spawn(
    socket: Socket,
    shared: &Arc<Shared>,
    outgoing: mpsc::Receiver<Outgoing>,
    notify: mpsc::Sender<Notification>,
    end: watch::Sender<bool>,
) {
    let (sink, stream) = socket.split();
    let mut writer = tokio::spawn(write(sink, outgoing));
    // A weak handle: the last client dropped closes the outbox, which makes the writer say goodbye.
    let shared = Arc::downgrade(shared);
    tokio::spawn(async move {
        let mut reader = Reader { notify, acknowledge: shared.clone() };
        let goodbye = async {
            let _ = (&mut writer).await;
            tokio::time::sleep(CLOSE_TIMEOUT).await;
        };
        let reason = tokio::select! {
            reason = reader.read(stream) => reason,
            // The reader normally sees the peer's goodbye; this bounds the wait for it.
            () = goodbye => "this side closed it".to_owned(),
        };
        writer.abort();
        if let Some(shared) = shared.upgrade() {
            shared.end(reason);
        }
        // Whoever waits for the end sees it; nobody waiting is fine.
        let _ = end.send(true);
    });
}

async fn write(mut sink: impl Sink<Message> + Unpin, mut outgoing: mpsc::Receiver<Outgoing>) {
    let mut batch = Vec::with_capacity(FRAMES_PER_FLUSH);
    loop {
        let taken = outgoing.recv_many(&mut batch, FRAMES_PER_FLUSH).await;
        let mut goodbye = taken == 0;
        for frame in batch.drain(..) {
            match frame {
                Outgoing::Text(text) if !goodbye => {
                    if sink.feed(Message::Text(text)).await.is_err() {
                        return; // The reader meets the same error and names it.
                    }
                }
                Outgoing::Text(_) => {}
                Outgoing::Close => goodbye = true,
            }
        }
        if goodbye {
            let _ = sink.close().await;
            return;
        }
        if sink.flush().await.is_err() {
            return;
        }
    }
}

struct Reader {
    notify: mpsc::Sender<Notification>,
    acknowledge: std::sync::Weak<Shared>,
}

impl Reader {
    /// Reads until the connection ends, and says why it did.
    async fn read(&mut self, mut stream: SplitStream<Socket>) -> String {
        loop {
            let message = match tokio::time::timeout(SILENCE_MAX, stream.next()).await {
                Ok(Some(Ok(message))) => message,
                Ok(Some(Err(error))) => return error.to_string(),
                Ok(None) => return "the coordinator closed it".to_owned(),
                Err(_elapsed) => {
                    return format!("nothing was heard for {} s", SILENCE_MAX.as_secs());
                }
            };
            let ended = match message {
                Message::Text(text) => self.take(&text),
                Message::Close(Some(frame)) => {
                    Some(format!("the coordinator closed it ({}: {})", frame.code, frame.reason))
                }
                Message::Close(None) => Some("the coordinator closed it".to_owned()),
                // Pings are answered by tungstenite; binary frames are not part of the protocol.
                Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_) => None,
            };
            if let Some(reason) = ended {
                return reason;
            }
        }
    }

    /// Acts on one frame; a reason if the connection must end.
    fn take(&mut self, text: &str) -> Option<String> {
        let envelope: Envelope = match serde_json::from_str(text) {
            Ok(envelope) => envelope,
            Err(error) => {
                tracing::warn!(%error, "a frame from the coordinator is not an envelope; ignored");
                return None;
            }
        };
        match envelope.kind {
            Kind::Response => self.settle(envelope),
            Kind::Request => self.acknowledge(envelope.id),
            Kind::Notification => return self.hand_on(envelope),
            Kind::Error => {
                tracing::warn!(error = ?envelope.error, "the coordinator reports an error");
            }
        }
        None
    }

    fn settle(&self, envelope: Envelope) {
        let result = match envelope.error {
            None => Ok(envelope.result),
            Some(error) => Err(ClientError::Refused { code: error.code, message: error.message, data: error.data }),
        };
        match (Uuid::try_parse(&envelope.id), self.acknowledge.upgrade()) {
            (Ok(id), Some(shared)) => shared.settle(id, result),
            // The id "unknown" answers a frame that could not be read.
            (Err(_), _) => tracing::warn!(?result, "the coordinator could not read a frame"),
            (Ok(_), None) => {}
        }
    }

    /// Answers a request of the coordinator. Nothing depends on it, so it never waits for room.
    fn acknowledge(&self, id: String) {
        let answer = Envelope::response(id, json!({"status": "acknowledged"}));
        if let (Some(shared), Ok(text)) = (self.acknowledge.upgrade(), serde_json::to_string(&answer)) {
            let _ = shared.outbox.try_send(Outgoing::Text(text.into()));
        }
    }

    fn hand_on(&self, envelope: Envelope) -> Option<String> {
        let notification = Notification { method: envelope.method, params: envelope.params };
        match self.notify.try_send(notification) {
            Ok(()) => None,
            // Nobody wants notifications: that is a choice, not a fault.
            Err(mpsc::error::TrySendError::Closed(_)) => None,
            Err(mpsc::error::TrySendError::Full(_)) => {
                Some(format!("{NOTIFICATIONS_UNREAD_MAX} notifications were left unread by this side"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use super::*;

    /// Notes what it is asked to do.
    #[derive(Default)]
    struct Notes(Vec<&'static str>);

    impl Sink<Message> for &mut Notes {
        type Error = WsError;

        fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), WsError>> {
            Poll::Ready(Ok(()))
        }

        fn start_send(mut self: Pin<&mut Self>, _: Message) -> Result<(), WsError> {
            self.0.push("send");
            Ok(())
        }

        fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), WsError>> {
            self.0.push("flush");
            Poll::Ready(Ok(()))
        }

        fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), WsError>> {
            self.0.push("close");
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn what_is_queued_leaves_with_one_flush() {
        let (outbox, outgoing) = mpsc::channel(8);
        for _ in 0..3 {
            outbox.send(Outgoing::Text("{}".into())).await.expect("room");
        }
        drop(outbox);
        let mut notes = Notes::default();
        write(&mut notes, outgoing).await;
        assert_eq!(notes.0, ["send", "send", "send", "flush", "close"]);
    }

    #[tokio::test]
    async fn nothing_is_sent_after_the_goodbye() {
        let (outbox, outgoing) = mpsc::channel(8);
        for frame in [Outgoing::Close, Outgoing::Text("{}".into())] {
            outbox.send(frame).await.expect("room");
        }
        let mut notes = Notes::default();
        write(&mut notes, outgoing).await;
        assert_eq!(notes.0, ["close"]);
    }
}
