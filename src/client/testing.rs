//! A coordinator that does what a test's script says, over a real socket.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async};

/// A frame that does not come within this is not coming; only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// Listens on a free port of the loopback interface.
pub(crate) struct Coordinator {
    listener: TcpListener,
}

impl Coordinator {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Self { listener }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}", self.listener.local_addr().expect("an address"))
    }

    /// The next connection.
    pub(crate) async fn accept(&self) -> Peer {
        let accepting = tokio::time::timeout(PATIENCE, self.listener.accept());
        let (stream, _from) = accepting.await.expect("nobody connects").expect("a connection");
        Peer(accept_async(stream).await.expect("a WebSocket"))
    }

    /// Answers the next handshake with an HTTP status and a sentence.
    pub(crate) async fn turn_away(&self, status: &str, sentence: &str) {
        let accepting = tokio::time::timeout(PATIENCE, self.listener.accept());
        let (mut stream, _from) = accepting.await.expect("nobody connects").expect("a connection");
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            assert!(stream.read_buf(&mut request).await.expect("a request") > 0, "it hung up");
        }
        let length = sentence.len();
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{sentence}");
        stream.write_all(answer.as_bytes()).await.expect("answered");
    }

    /// The next connection, and the parameters of its registration, which is accepted.
    pub(crate) async fn register(&self) -> (Peer, Value) {
        let mut peer = self.accept().await;
        let request = peer.expect("agent/register").await;
        peer.reply(&request, json!({"status": "registered"})).await;
        (peer, request["params"].clone())
    }
}

/// One connection as the coordinator sees it. Dropped, it hangs up without a goodbye.
pub(crate) struct Peer(WebSocketStream<TcpStream>);

impl Peer {
    /// The next frame; `None` once the client has said goodbye.
    pub(crate) async fn receive(&mut self) -> Option<Value> {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.0.next()).await.expect("nothing comes");
            match next?.expect("a frame") {
                Message::Text(text) => return Some(serde_json::from_str(&text).expect("JSON")),
                Message::Close(_) => {
                    // Sends the answer that tungstenite has queued.
                    let _ = self.0.flush().await;
                    return None;
                }
                Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    /// The next frame, which must call `method`. Signs of life may come at any time and are skipped.
    pub(crate) async fn expect(&mut self, method: &str) -> Value {
        loop {
            let frame = self.receive().await.unwrap_or_else(|| panic!("a goodbye instead of {method}"));
            if frame["method"] == method {
                return frame;
            }
            assert_eq!(frame["method"], "agent/metrics", "instead of {method}: {frame}");
        }
    }

    /// The next frame of `method`, whatever comes before it.
    pub(crate) async fn skip_to(&mut self, method: &str) -> Value {
        loop {
            let frame = self.receive().await.unwrap_or_else(|| panic!("a goodbye instead of {method}"));
            if frame["method"] == method {
                return frame;
            }
        }
    }

    pub(crate) async fn send(&mut self, frame: Value) {
        self.0.send(Message::text(frame.to_string())).await.expect("sent");
    }

    pub(crate) async fn reply(&mut self, request: &Value, result: Value) {
        self.send(envelope(&request["id"], "response", "", Value::Null, result, Value::Null)).await;
    }

    pub(crate) async fn refuse(&mut self, request: &Value, code: i64, message: &str) {
        let error = json!({"code": code, "message": message, "data": {"because": "test"}});
        self.send(envelope(&request["id"], "response", "", Value::Null, Value::Null, error)).await;
    }

    pub(crate) async fn notify(&mut self, method: &str, params: Value) {
        let id = json!("n");
        self.send(envelope(&id, "notification", method, params, Value::Null, Value::Null)).await;
    }

    /// Answers the completion that must come next as recorded; its parameters.
    pub(crate) async fn completion(&mut self) -> Value {
        let request = self.skip_to("task/completed").await;
        assert_eq!(request["type"], "request", "{request}");
        self.reply(&request, json!({"status": "recorded"})).await;
        request["params"].clone()
    }
}

pub(crate) fn envelope(id: &Value, kind: &str, method: &str, params: Value, result: Value, error: Value) -> Value {
    json!({
        "id": id, "type": kind, "method": method, "timestamp": "2026-01-01T00:00:00.000000+00:00",
        "params": params, "result": result, "error": error,
    })
}
