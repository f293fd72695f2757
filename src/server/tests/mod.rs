//! Sessions without a coordinator: the test reads the inbox and says what the writer would say.

mod door;
mod intake;
mod notices;
mod outlet;

use super::session;
use crate::clock::Clock;
use crate::exchange::{Directory, Inbound, Message, Outbox, Outgoing, Sample};
use crate::failure::Failure;
use crate::shared::{History, Shared};
use axum::extract::ws::{CloseFrame, Message as WsMessage};
use crossbeam_channel::{Receiver, bounded};
use everlog_replay::record::{PipelineInfo, TaskInfo};
use everlog_replay::{ConnectionNo, Envelope, Json, Notice, PipelineId, Seq, State, TaskId, Timestamp};
use futures_util::{Sink, Stream, StreamExt};
use parking_lot::{Mutex, RwLock};
use serde_json::{Value, json};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Turns that a test waits for something that needs no time: far more than anything takes, and then it is a failure.
const TURNS_MAX: usize = 100_000;
/// The number of the connection under test.
const CONNECTION: ConnectionNo = 7;

/// Time as tokio has it: a test that pauses it has it in hand.
struct TokioClock(Instant);

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        Timestamp(1_800_000_000_000_000).plus_ms(u64::try_from(self.mono_ms()).unwrap())
    }

    fn mono_ms(&self) -> i64 {
        i64::try_from(self.0.elapsed().as_millis()).unwrap()
    }
}

/// A log that can not be read, of nothing.
struct NoHistory;

impl History for NoHistory {
    fn payload(&self, seq: Seq) -> Result<Json, Failure> {
        Err(Failure::Record { seq, detail: "the disk is gone".to_owned() })
    }

    fn events(&self, _: Seq, _: Seq) -> Result<Vec<Envelope>, Failure> {
        Ok(Vec::new())
    }

    fn pipeline(&self, _: PipelineId) -> Result<Option<PipelineInfo>, Failure> {
        Ok(None)
    }

    fn task(&self, _: TaskId) -> Result<Option<TaskInfo>, Failure> {
        Ok(None)
    }
}

/// Everything around a session.
struct Stage {
    shared: Arc<Shared>,
    inbox: Receiver<Inbound>,
    durable: watch::Sender<Seq>,
}

impl Stage {
    fn new(inbox_max: usize) -> Self {
        let (sender, inbox) = bounded(inbox_max);
        let (durable, seen) = watch::channel(0);
        let shared = Shared {
            state: RwLock::new(State::default()),
            durable: seen,
            clock: Arc::new(TokioClock(Instant::now())),
            new_id: Box::new(crate::identity::random),
            directory: Directory::default(),
            inbox: sender,
            inbox_bytes: Default::default(),
            pulse: Default::default(),
            progress: Mutex::default(),
            agent_metrics: Mutex::default(),
            undurable: Mutex::default(),
            history: Arc::new(NoHistory),
        };
        Self { shared: Arc::new(shared), inbox, durable }
    }

    /// A peer that has connected.
    async fn connect(&self, connection: ConnectionNo) -> Peer {
        let (to_server, incoming) = mpsc::unbounded_channel();
        let (outgoing, from_server) = mpsc::unbounded_channel();
        let stalled = Arc::new(AtomicBool::new(false));
        let socket = Socket { incoming, outgoing, stalled: Arc::clone(&stalled) };
        let (sink, stream) = socket.split();
        tokio::spawn(session::run(
            sink,
            stream,
            "127.0.0.1:9".to_owned(),
            Arc::clone(&self.shared),
            connection,
            1 << 20,
        ));
        eventually("the session is open", || self.shared.directory.get(connection)).await;
        Peer { to_server: Some(to_server), from_server, stalled }
    }

    /// The connection under test and its outbox.
    async fn peer(&self) -> (Peer, Outbox) {
        let peer = self.connect(CONNECTION).await;
        (peer, self.shared.directory.get(CONNECTION).unwrap())
    }

    /// The next message in the inbox, without looking at who sent it.
    async fn next(&self) -> Message {
        eventually("a message in the inbox", || self.inbox.try_recv().ok()).await.message
    }

    /// The next request, which must be one; the opening of the connection is passed over.
    async fn request(&self) -> String {
        loop {
            match self.next().await {
                Message::Opened { .. } => {}
                Message::Request { id, .. } => return id,
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Lets the sessions run until there is something.
async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..TURNS_MAX {
        if let Some(found) = look() {
            return found;
        }
        tokio::task::yield_now().await;
    }
    panic!("{what} did not come");
}

/// Lets the sessions do all they can do without time passing.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// The server's end of a connection without a network.
struct Socket {
    incoming: mpsc::UnboundedReceiver<Result<WsMessage, axum::Error>>,
    outgoing: mpsc::UnboundedSender<WsMessage>,
    stalled: Arc<AtomicBool>,
}

impl Socket {
    fn ready(&self) -> Poll<Result<(), axum::Error>> {
        // A stalled one is never woken again: who waits for it must have a time limit of its own.
        if self.stalled.load(Ordering::Acquire) { Poll::Pending } else { Poll::Ready(Ok(())) }
    }
}

impl Stream for Socket {
    type Item = Result<WsMessage, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.incoming.poll_recv(cx)
    }
}

impl Sink<WsMessage> for Socket {
    type Error = axum::Error;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), axum::Error>> {
        self.ready()
    }

    fn start_send(self: Pin<&mut Self>, message: WsMessage) -> Result<(), axum::Error> {
        self.outgoing.send(message).map_err(axum::Error::new)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), axum::Error>> {
        self.ready()
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), axum::Error>> {
        self.ready()
    }
}

/// The client's end.
struct Peer {
    to_server: Option<mpsc::UnboundedSender<Result<WsMessage, axum::Error>>>,
    from_server: mpsc::UnboundedReceiver<WsMessage>,
    stalled: Arc<AtomicBool>,
}

/// What a peer gets.
#[derive(Debug)]
enum Got {
    Frame(Value),
    Ping,
    Close(CloseFrame),
    Nothing,
}

impl Peer {
    fn send(&self, message: WsMessage) {
        // The session may have ended, as in life.
        let _ = self.to_server.as_ref().unwrap().send(Ok(message));
    }

    fn say(&self, text: impl Into<String>) {
        self.send(WsMessage::text(text.into()));
    }

    fn request(&self, id: &str, method: &str, params: &Value) {
        self.say(json!({"id": id, "type": "request", "method": method, "params": params}).to_string());
    }

    fn notify(&self, method: &str, params: &Value) {
        self.say(json!({"id": "", "type": "notification", "method": method, "params": params}).to_string());
    }

    fn hang_up(&mut self) {
        self.to_server = None;
    }

    fn stall(&self) {
        self.stalled.store(true, Ordering::Release);
    }

    fn sorted(message: Option<WsMessage>) -> Got {
        match message {
            Some(WsMessage::Text(text)) => Got::Frame(serde_json::from_str(&text).unwrap()),
            Some(WsMessage::Ping(_)) => Got::Ping,
            Some(WsMessage::Close(frame)) => Got::Close(frame.unwrap()),
            None => Got::Nothing,
            Some(other) => panic!("{other:?}"),
        }
    }

    /// What comes next; paused time passes until it does.
    async fn got(&mut self) -> Got {
        Self::sorted(self.from_server.recv().await)
    }

    /// What is there without any time passing.
    async fn got_now(&mut self) -> Got {
        settle().await;
        Self::sorted(self.from_server.try_recv().ok())
    }

    async fn frame(&mut self) -> Value {
        match self.got().await {
            Got::Frame(frame) => frame,
            other => panic!("{other:?}"),
        }
    }

    /// The methods of the notifications that are there now.
    async fn methods_now(&mut self) -> Vec<String> {
        let mut methods = Vec::new();
        while let Got::Frame(frame) = self.got_now().await {
            methods.push(frame["method"].as_str().unwrap().to_owned());
        }
        methods
    }
}

fn recorded(id: &str) -> Outgoing {
    Outgoing::Recorded { id: id.to_owned() }
}

fn sample(method: &'static str) -> Outgoing {
    Outgoing::Sample(Arc::new(Sample { method, params: Json::from("{}"), pipeline: None }))
}
