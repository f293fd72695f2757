//! The two tasks of a connection, and how it ends.
//!
//! The writer takes whatever is queued and flushes once, so that many small messages cost one write; the reader settles
//! requests and hands on notifications. Neither ever waits for the other, so a caller that is slow to read cannot stop
//! its own answers.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{Sink, SinkExt, StreamExt};
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite::Message;
use uuid::Uuid;

use super::endpoint::{FrameSink, FrameStream};
use super::envelope::{Envelope, Kind};
use super::pending::{Outgoing, Shared};
use super::{CLOSE_TIMEOUT, ClientError, Notification};

/// The coordinator pings every 20 s (protocol §1); one that says nothing for three times as long is
/// gone even if the network has not noticed.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Frames taken from the queue for one flush; it bounds how long the first of them waits.
const FRAMES_PER_FLUSH: usize = 256;

/// Notifications that may wait to be read. Beyond that the connection is ended: waiting would keep
/// responses from the same caller, and dropping could lose an assignment.
pub(super) const NOTIFICATIONS_UNREAD_MAX: usize = 16 * 1024;

/// Starts reader and writer. The connection ends when either does.
pub(super) fn spawn(
    (sink, mut stream): (FrameSink, FrameStream),
    shared: &Arc<Shared>,
    outgoing: mpsc::Receiver<Outgoing>,
    notify: mpsc::Sender<Notification>,
    end: watch::Sender<bool>,
) {
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
            reason = reader.read(&mut stream) => reason,
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
    async fn read(&mut self, stream: &mut FrameStream) -> String {
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

    use tokio_tungstenite::tungstenite::Error as WsError;

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
