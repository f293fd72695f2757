//! A connection by hand: what is measured is the coordinator, not a client's convenience.

use super::BenchError;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

/// How long a coordinator may take to answer while it has nothing else to do.
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);
/// Frames that are taken at once and answered with one flush, at most: what fits into a socket's buffer.
pub(super) const FRAMES_A_FLUSH: usize = 256;

pub(super) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A connection to a coordinator.
pub(super) struct Wire {
    socket: Socket,
    url: String,
    requests: u64,
}

impl Wire {
    pub(super) async fn connect(url: &str) -> Result<Self, BenchError> {
        let cut = |cause| BenchError::Cut { url: url.to_owned(), cause };
        let disable_nagle = true;
        let connecting = timeout(ANSWERED_WITHIN, connect_async_with_config(url, None, disable_nagle)).await;
        let (socket, _) = connecting.map_err(|late| cut(late.to_string()))?.map_err(|error| cut(error.to_string()))?;
        Ok(Self { socket, url: url.to_owned(), requests: 0 })
    }

    /// The socket alone, for who does everything else better.
    pub(super) fn into_socket(self) -> Socket {
        self.socket
    }

    fn cut(&self, cause: impl ToString) -> BenchError {
        BenchError::Cut { url: self.url.clone(), cause: cause.to_string() }
    }

    /// Sends a request; its id.
    pub(super) async fn send(&mut self, method: &str, params: Value) -> Result<Value, BenchError> {
        self.requests += 1;
        let id = self.requests.to_string();
        let frame = json!({"id": id, "type": "request", "method": method, "params": params});
        self.socket.send(Message::text(frame.to_string())).await.map_err(|error| self.cut(error))?;
        Ok(id.into())
    }

    /// The next text frame.
    pub(super) async fn text(&mut self) -> Result<Utf8Bytes, BenchError> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text),
                Some(Ok(
                    Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_),
                )) => {}
                Some(Err(error)) => return Err(self.cut(error)),
                None => return Err(self.cut("it was closed")),
            }
        }
    }

    /// The next frame, read.
    pub(super) async fn frame(&mut self) -> Result<Value, BenchError> {
        serde_json::from_str(&self.text().await?).map_err(|error| self.cut(error))
    }

    /// Asks, and waits for the answer.
    pub(super) async fn call(&mut self, method: &str, params: Value) -> Result<Value, BenchError> {
        let id = self.send(method, params).await?;
        let answered = async {
            loop {
                let frame = self.frame().await?;
                if frame["id"] == id && frame["type"] == "response" {
                    return accepted(method, frame);
                }
            }
        };
        let silent = |_| BenchError::Silent { what: "an answer of the coordinator", within: ANSWERED_WITHIN };
        timeout(ANSWERED_WITHIN, answered).await.map_err(silent)?
    }
}

/// The result of a response, unless it is a refusal.
pub(super) fn accepted(method: &str, mut response: Value) -> Result<Value, BenchError> {
    match response["error"]["message"].as_str() {
        Some(message) => Err(BenchError::Refused { method: method.to_owned(), message: message.to_owned() }),
        None => Ok(response["result"].take()),
    }
}
