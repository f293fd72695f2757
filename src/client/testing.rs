//! A coordinator that does what a test's script says, over a real socket or, where time is the test's to set, without one.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::{WebSocketStream, accept_async};

use super::endpoint::{Dial, FrameSink, FrameStream};
use super::{ClientError, ClientOptions, Endpoint};

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
        let stream: Box<dyn Pipe> = Box::new(stream);
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

/// A coordinator in this process: nothing here waits for the machine, so a test may pause the time.
pub(crate) struct Indoors {
    arrivals: mpsc::UnboundedReceiver<DuplexStream>,
    door: Arc<Door>,
}

/// The way in, which can be shut.
#[derive(Debug)]
struct Door {
    arrivals: mpsc::UnboundedSender<DuplexStream>,
    shut: AtomicBool,
    knocks: AtomicUsize,
}

/// Bytes under way between the two ends: whole flights of small frames.
const DUPLEX_BYTES: usize = 1024 * 1024;

impl Indoors {
    pub(crate) fn new() -> Self {
        let (sender, arrivals) = mpsc::unbounded_channel();
        let door = Door { arrivals: sender, shut: AtomicBool::new(false), knocks: AtomicUsize::new(0) };
        Self { arrivals, door: Arc::new(door) }
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::local(self.door.clone())
    }

    /// From now on, or no longer, whoever connects is told that nobody is there.
    pub(crate) fn shut(&self, shut: bool) {
        self.door.shut.store(shut, Ordering::SeqCst);
    }

    /// How often somebody wanted to connect.
    pub(crate) fn knocks(&self) -> usize {
        self.door.knocks.load(Ordering::SeqCst)
    }

    /// The next connection.
    pub(crate) async fn accept(&mut self) -> Peer {
        let arriving = tokio::time::timeout(PATIENCE, self.arrivals.recv());
        let stream: Box<dyn Pipe> = Box::new(arriving.await.expect("nobody connects").expect("a connection"));
        Peer(WebSocketStream::from_raw_socket(stream, Role::Server, None).await)
    }
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the coordinator of this test")
    }
}

impl Dial for Door {
    fn dial<'a>(&'a self, _: &'a ClientOptions) -> BoxFuture<'a, Result<(FrameSink, FrameStream), ClientError>> {
        Box::pin(async {
            self.knocks.fetch_add(1, Ordering::SeqCst);
            let unreachable = || ClientError::Unreachable { url: self.to_string(), cause: "it is shut".to_owned() };
            let (here, there) = duplex(DUPLEX_BYTES);
            if self.shut.load(Ordering::SeqCst) || self.arrivals.send(there).is_err() {
                return Err(unreachable());
            }
            let (sink, stream) = WebSocketStream::from_raw_socket(here, Role::Client, None).await.split();
            Ok((Box::pin(sink) as FrameSink, stream.boxed()))
        })
    }
}

/// What carries bytes both ways.
pub(crate) trait Pipe: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Pipe for T {}

/// One connection as the coordinator sees it. Dropped, it hangs up without a goodbye.
pub(crate) struct Peer(WebSocketStream<Box<dyn Pipe>>);

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

    /// The methods of all that still comes before the goodbye.
    pub(crate) async fn skip_to_goodbye(&mut self) -> Vec<String> {
        let mut methods = Vec::new();
        while let Some(frame) = self.receive().await {
            methods.push(frame["method"].as_str().unwrap_or_default().to_owned());
        }
        methods
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
