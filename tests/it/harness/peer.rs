//! A peer that sends exactly what it is told, reads every frame with care, and never waits without end.

use super::deadline::Deadline;
use super::{check, description};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::io::ErrorKind;
use std::net::TcpStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket, client::client_with_config};
use uuid::Uuid;

/// The longest frame that a peer gets unless it asked for more (protocol §1).
const FRAME_BYTES_MAX: usize = 1 << 20;

/// Errors of a read that may be tried again; it is interrupted when the test is stopped and goes on.
const PATIENT: [ErrorKind; 3] = [ErrorKind::WouldBlock, ErrorKind::TimedOut, ErrorKind::Interrupted];

/// A frame of the server that has passed the check.
#[derive(Clone, Debug)]
pub(crate) struct Frame(pub(crate) Map<String, Value>);

impl Frame {
    pub(crate) fn method(&self) -> &str {
        self.0["method"].as_str().unwrap_or_default()
    }

    pub(crate) fn id(&self) -> &str {
        self.0["id"].as_str().unwrap_or_default()
    }

    pub(crate) fn params(&self) -> &Value {
        &self.0["params"]
    }

    pub(crate) fn result(&self) -> &Value {
        &self.0["result"]
    }

    pub(crate) fn timestamp(&self) -> &Value {
        &self.0["timestamp"]
    }

    /// Whether it is sent every so often, whatever happens.
    pub(crate) fn comes_by_the_clock(&self) -> bool {
        self.method().starts_with("monitoring/") || self.method() == "server/heartbeat"
    }

    fn is_response(&self) -> bool {
        self.0["type"] == "response"
    }

    /// The refusal that this answer is.
    #[track_caller]
    pub(crate) fn refused(&self) -> Refused {
        let error = &self.0["error"];
        assert!(!error.is_null(), "it was not refused: {}", self.0["result"]);
        Refused {
            code: error["code"].as_i64().unwrap_or_default(),
            message: error["message"].as_str().unwrap_or_default().to_owned(),
            data: error.get("data").cloned().unwrap_or(Value::Null),
        }
    }

    /// The result that this answer is.
    #[track_caller]
    pub(crate) fn granted(&self) -> Value {
        assert!(self.0["error"].is_null(), "it was refused: {}", self.0["error"]);
        self.0["result"].clone()
    }
}

/// The server's "no".
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refused {
    pub(crate) code: i64,
    pub(crate) message: String,
    pub(crate) data: Value,
}

/// What came instead of a frame.
#[derive(Debug)]
pub(crate) enum Gone {
    /// The server said goodbye, or the connection broke.
    Closed(Option<CloseFrame>),
    /// Nothing came in time.
    Late,
}

/// One connection.
pub(crate) struct Peer {
    socket: WebSocket<TcpStream>,
    /// Notifications that came while an answer was awaited.
    waiting: VecDeque<Frame>,
    /// The longest frame that may come.
    frame_bytes_max: usize,
    goodbye: Option<CloseFrame>,
    /// When the newest answer left the server.
    answered_at: Value,
    /// The methods that were asked for under each id.
    asked: BTreeMap<String, Vec<String>>,
}

/// What tells which method an answer belongs to.
#[derive(Deserialize)]
struct Asked {
    id: String,
    method: String,
}

impl Peer {
    pub(crate) fn connect(address: &str) -> Self {
        Self::try_connect(address).unwrap_or_else(|error| panic!("no connection to {address}: {error}"))
    }

    pub(crate) fn try_connect(address: &str) -> Result<Self, Box<dyn std::error::Error>> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Deadline::usual().left())?;
        let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        let (socket, _) = client_with_config(format!("ws://{address}/any/path"), stream, Some(config))?;
        Ok(Self {
            socket,
            waiting: VecDeque::new(),
            frame_bytes_max: FRAME_BYTES_MAX,
            goodbye: None,
            answered_at: Value::Null,
            asked: BTreeMap::new(),
        })
    }

    /// When the newest answer left the server.
    pub(crate) fn answered_at(&self) -> &Value {
        &self.answered_at
    }

    /// Bounds what the system keeps for a peer that does not read.
    pub(crate) fn receive_at_most(&mut self, bytes: usize) {
        rustix::net::sockopt::set_socket_recv_buffer_size(self.socket.get_ref(), bytes).unwrap();
    }

    /// Says goodbye.
    pub(crate) fn try_close(&mut self) {
        let _ = self.socket.close(None);
        let _ = self.socket.flush();
    }

    /// Allows frames beyond the usual limit, as the registration asked for.
    pub(crate) fn accept_frames_of(&mut self, bytes: usize) {
        self.frame_bytes_max = bytes;
    }

    /// Sends a text frame as it is.
    #[track_caller]
    pub(crate) fn send_text(&mut self, text: impl Into<String>) {
        self.try_send_text(text).unwrap();
    }

    pub(crate) fn try_send_text(&mut self, text: impl Into<String>) -> Result<(), Error> {
        let text = text.into();
        self.note(&text);
        self.socket.send(Message::text(text))
    }

    /// Remembers what a frame asks for, if it is one that asks.
    fn note(&mut self, text: &str) {
        if let Ok(Asked { id, method }) = serde_json::from_str(text) {
            let methods = self.asked.entry(id).or_default();
            if !methods.contains(&method) {
                methods.push(method);
            }
        }
    }

    /// Sends a binary frame.
    pub(crate) fn send_bytes(&mut self, bytes: Vec<u8>) {
        self.socket.send(Message::binary(bytes)).unwrap();
    }

    /// Puts a text frame into the buffer, to leave with others in one piece.
    pub(crate) fn queue_text(&mut self, text: String) -> Result<(), Error> {
        self.note(&text);
        self.socket.write(Message::text(text))
    }

    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        self.socket.flush()
    }

    /// Sends bytes outside of any frame.
    pub(crate) fn raw(&mut self) -> &mut TcpStream {
        self.socket.get_mut()
    }

    #[track_caller]
    pub(crate) fn send(&mut self, kind: &str, id: &str, method: &str, params: &Value) {
        self.send_text(envelope(kind, id, method, params));
    }

    /// Sends a request under a new id; the id.
    #[track_caller]
    pub(crate) fn ask(&mut self, method: &str, params: Value) -> String {
        let id = Uuid::new_v4().to_string();
        self.send("request", &id, method, &params);
        id
    }

    #[track_caller]
    pub(crate) fn notify(&mut self, method: &str, params: Value) {
        self.send("notification", &Uuid::new_v4().to_string(), method, &params);
    }

    /// Asks and waits for the result.
    #[track_caller]
    pub(crate) fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.ask(method, params);
        self.answer(&id).granted()
    }

    /// Asks and waits for the refusal, which must have this code.
    #[track_caller]
    pub(crate) fn refused(&mut self, code: i64, method: &str, params: Value) -> Refused {
        let shown = params.to_string();
        let id = self.ask(method, params);
        let refused = self.answer(&id).refused();
        assert_eq!(refused.code, code, "{method} {shown}: {refused:?}");
        refused
    }

    /// The next answer, which must be the one to `id`.
    #[track_caller]
    pub(crate) fn answer(&mut self, id: &str) -> Frame {
        let frame = self.next_answer();
        assert_eq!(frame.id(), id, "the answers come in the order of the questions: {frame:?}");
        frame
    }

    /// The next answer; notifications before it are kept.
    #[track_caller]
    pub(crate) fn next_answer(&mut self) -> Frame {
        let deadline = Deadline::usual();
        loop {
            match self.read(deadline) {
                Ok(frame) if frame.is_response() => {
                    self.answered_at = frame.timestamp().clone();
                    return frame;
                }
                Ok(frame) => self.waiting.push_back(frame),
                Err(gone) => panic!("no answer but {gone:?}; notifications so far: {:?}", self.waiting),
            }
        }
    }

    /// The next notification with this method; others before it are dropped.
    #[track_caller]
    pub(crate) fn next_notification(&mut self, method: &str) -> Frame {
        self.until(method).0
    }

    /// The next notification with this method, and the others before it.
    #[track_caller]
    pub(crate) fn until(&mut self, method: &str) -> (Frame, Vec<Frame>) {
        let deadline = Deadline::usual();
        let mut others = Vec::new();
        loop {
            let frame = match self.waiting.pop_front() {
                Some(frame) => Ok(frame),
                None => self.read(deadline),
            };
            match frame {
                Ok(frame) if frame.method() == method => return (frame, others),
                Ok(frame) => others.push(frame),
                Err(gone) => panic!("no {method} but {gone:?}; others: {others:?}"),
            }
        }
    }

    /// Asks and waits for the answer; `None` when the connection ends before it.
    pub(crate) fn ask_once(&mut self, id: &str, method: &str, params: &Value) -> Option<Frame> {
        self.try_send_text(envelope("request", id, method, params)).ok()?;
        let deadline = Deadline::usual();
        loop {
            match self.read(deadline) {
                Ok(frame) if frame.id() == id => return Some(frame),
                Ok(_) => {}
                Err(Gone::Closed(_)) => return None,
                Err(Gone::Late) => panic!("{method} is not answered"),
            }
        }
    }

    /// Everything that was sent before the answer to a question asked now, but for what comes by the clock.
    #[track_caller]
    pub(crate) fn drain(&mut self) -> Vec<Frame> {
        self.request("memory/get", json!({"key": "a marker"}));
        self.waiting.drain(..).filter(|frame| !frame.comes_by_the_clock()).collect()
    }

    /// The methods of [`Peer::drain`].
    #[track_caller]
    pub(crate) fn drain_methods(&mut self) -> Vec<String> {
        self.drain().iter().map(|frame| frame.method().to_owned()).collect()
    }

    /// That none of these came before the answer to a question asked now.
    #[track_caller]
    pub(crate) fn expect_silence(&mut self, method: &str) {
        let came = self.drain();
        assert!(came.iter().all(|frame| frame.method() != method), "no {method} was expected: {came:?}");
    }

    /// Waits until the server has closed the connection.
    #[track_caller]
    pub(crate) fn until_closed(&mut self) -> Option<CloseFrame> {
        let deadline = Deadline::usual();
        loop {
            match self.read(deadline) {
                Ok(frame) => self.waiting.push_back(frame),
                Err(Gone::Closed(goodbye)) => return goodbye,
                Err(Gone::Late) => panic!("it was not closed"),
            }
        }
    }

    /// The next frame.
    pub(crate) fn read(&mut self, deadline: Deadline) -> Result<Frame, Gone> {
        loop {
            let Some(left) = deadline.left() else { return Err(Gone::Late) };
            self.socket.get_mut().set_read_timeout(Some(left)).map_err(|_| Gone::Closed(None))?;
            match self.socket.read() {
                Ok(Message::Text(text)) => {
                    let most = self.frame_bytes_max;
                    assert!(text.len() <= most, "a frame of {} bytes, more than {most}", text.len());
                    let frame = Frame(check::frame(&text));
                    description::check(&frame.0, self.asked.get(frame.id()).map_or(&[], Vec::as_slice));
                    return Ok(frame);
                }
                Ok(Message::Close(goodbye)) => self.goodbye = goodbye,
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Ok(other @ (Message::Binary(_) | Message::Frame(_))) => panic!("no text frame: {other:?}"),
                Err(Error::Io(error)) if PATIENT.contains(&error.kind()) => {}
                Err(
                    Error::ConnectionClosed
                    | Error::AlreadyClosed
                    | Error::Io(_)
                    | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake),
                ) => return Err(Gone::Closed(self.goodbye.take())),
                Err(error) => panic!("the server broke the rules of WebSocket: {error}"),
            }
        }
    }
}

/// The text of a message as existing clients send it.
pub(crate) fn envelope(kind: &str, id: &str, method: &str, params: &Value) -> String {
    json!({
        "id": id,
        "type": kind,
        "method": method,
        "timestamp": "2026-01-01T00:00:00.000001",
        "params": params,
        "result": null,
        "error": null,
    })
    .to_string()
}
