//! One connection: a reading half that turns frames into messages for the coordinator, and a sending half (see
//! [`super::outbound`]). Both run in one task, so a connection costs one wake-up a flight of frames and no lock is contended.

use super::limits::{BAD_FRAMES_MAX, FRAMES_PER_READ, IN_FLIGHT_MAX, INBOX_NOTIFICATIONS_MAX, LINGER, ROOM_POLL};
use super::outbound::Outbound;
use super::turns::Turns;
use crate::exchange::{INBOX_BYTES_MAX, INBOX_MAX, Inbound, Message, Outbox};
use crate::protocol::{BadFrame, Frame, FrameType, Operation, frame, interpret, json};
use crate::shared::Shared;
use axum::extract::ws::{CloseFrame, Message as WsMessage, Utf8Bytes, close_code};
use crossbeam_channel::TrySendError;
use everlog_replay::{Command, ConnectionNo, Refusal, Timestamp};
use futures_util::{Sink, Stream, StreamExt};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite;

/// Serves one connection until it ends, and tells the coordinator that it did. `frame_bytes_max` is for the sentence about longer
/// ones; the socket enforces it.
pub(crate) async fn run(
    sink: impl Sink<WsMessage> + Unpin,
    stream: impl Stream<Item = Result<WsMessage, axum::Error>> + Unpin,
    peer: String,
    shared: Arc<Shared>,
    connection: ConnectionNo,
    frame_bytes_max: usize,
) {
    let outbox = Outbox::new(shared.clock.mono_ms());
    shared.directory.insert(connection, outbox.clone());
    let turns = Turns::default();
    let sending = Outbound::new(sink, &shared, &outbox, &turns, connection).run();
    let mut reading = Reading {
        shared: &shared,
        outbox: &outbox,
        turns: &turns,
        connection,
        peer,
        frame_bytes_max,
        at: Timestamp(0),
        bad: 0,
        bytes: 0,
        read_until: 0,
    };
    {
        let reading = reading.run(stream);
        tokio::pin!(reading);
        tokio::select! {
            biased;
            () = &mut reading => {}
            end = sending => {
                tracing::debug!(connection, ?end, "a session ends");
                // What the peer had sent before is still read, and the socket closes after the peer has seen the last frame.
                let _ = timeout(LINGER, &mut reading).await;
            }
        }
    }
    shared.directory.remove(connection);
    // Waits as long as it takes: leases rest on it. Without a coordinator there is nobody to tell.
    let _ = reading.hand_in_patiently(Message::Closed, INBOX_MAX).await;
}

/// The reading half.
struct Reading<'s> {
    shared: &'s Shared,
    outbox: &'s Outbox,
    turns: &'s Turns,
    connection: ConnectionNo,
    peer: String,
    frame_bytes_max: usize,
    /// Time of the flight of frames: new ids carry it.
    at: Timestamp,
    /// Frames in a row that were no messages.
    bad: u32,
    /// Bytes of the frame at hand.
    bytes: usize,
    /// Requests that were handed in up to the newest read: what changes something waits until they are answered.
    read_until: u64,
}

/// The connection is read no further.
#[derive(Debug)]
struct Deaf;

impl Reading<'_> {
    /// Reads until the peer is gone.
    async fn run(&mut self, stream: impl Stream<Item = Result<WsMessage, axum::Error>> + Unpin) {
        let mut flights = stream.ready_chunks(FRAMES_PER_READ);
        while let Some(flight) = flights.next().await {
            self.at = self.shared.clock.now();
            self.outbox.heard(self.shared.clock.mono_ms());
            let is_full = flight.len() == FRAMES_PER_READ;
            for message in flight {
                if self.receive(message).await.is_err() {
                    return self.ignore(flights).await;
                }
            }
            if is_full {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Lets the peer finish; how long is for the sending half to say.
    async fn ignore(&self, mut flights: impl Stream<Item = Vec<Result<WsMessage, axum::Error>>> + Unpin) {
        while let Some(flight) = flights.next().await {
            if flight.iter().any(Result::is_err) {
                break;
            }
        }
        std::future::pending().await
    }

    async fn receive(&mut self, message: Result<WsMessage, axum::Error>) -> Result<(), Deaf> {
        match message {
            Ok(WsMessage::Text(text)) => {
                self.speak().await?;
                self.text(&text).await
            }
            Ok(WsMessage::Binary(_)) => {
                self.speak().await?;
                let sentence = "binary frames are not part of the protocol; send JSON in text frames".to_owned();
                self.bad(frame::ID_UNKNOWN.to_owned(), Refusal::InvalidRequest(sentence)).await
            }
            Ok(WsMessage::Ping(_) | WsMessage::Pong(_) | WsMessage::Close(_)) => Ok(()),
            Err(error) => {
                let Some((code, sentence)) = self.broken(error) else { return Ok(()) };
                self.speak().await?;
                self.turns.refuse(frame::ID_UNKNOWN.to_owned(), Refusal::InvalidRequest(sentence));
                self.hang_up(code, "the frame can not be read")
            }
        }
    }

    /// What to say about a frame that the socket refused; nothing when the peer is simply gone.
    fn broken(&self, error: axum::Error) -> Option<(u16, String)> {
        let inner = error.into_inner();
        #[expect(clippy::wildcard_enum_match_arm, reason = "the errors of tungstenite are foreign and open-ended")]
        match inner.downcast_ref::<tungstenite::Error>()? {
            tungstenite::Error::Capacity(_) => {
                let most = self.frame_bytes_max;
                let sentence = format!(
                    "the frame is longer than {most} bytes, the limit of this server (server.max_frame_bytes); send less at a time"
                );
                Some((close_code::SIZE, sentence))
            }
            tungstenite::Error::Utf8(_) => {
                Some((close_code::INVALID, "the text frame is not UTF-8; send JSON as UTF-8".to_owned()))
            }
            _ => None,
        }
    }

    /// The peer has sent something; the first time, the coordinator hears of it.
    async fn speak(&mut self) -> Result<(), Deaf> {
        self.turns.spoke();
        if self.peer.is_empty() {
            return Ok(());
        }
        let peer = std::mem::take(&mut self.peer);
        self.hand_in_patiently(Message::Opened { peer }, INBOX_NOTIFICATIONS_MAX).await
    }

    async fn text(&mut self, text: &str) -> Result<(), Deaf> {
        self.bytes = text.len();
        let cleaned = match json::clean(text) {
            Ok(cleaned) => cleaned,
            Err(problem) => {
                let BadFrame { id, refusal } = BadFrame::unclean(text, problem);
                return self.bad(id, refusal).await;
            }
        };
        match frame::parse(&cleaned.text) {
            Err(BadFrame { id, refusal }) => self.bad(id, refusal).await,
            Ok(frame) => {
                self.bad = 0;
                let message = self.message(&frame, cleaned.replaced);
                self.hand_in(message).await
            }
        }
    }

    /// A frame that is no message.
    async fn bad(&mut self, id: String, refusal: Refusal) -> Result<(), Deaf> {
        self.bad += 1;
        if self.bad < BAD_FRAMES_MAX {
            return self.hand_in(Message::Refused { id: Some(id), method: String::new(), refusal }).await;
        }
        let sentence =
            format!("{BAD_FRAMES_MAX} frames in a row were no messages, so the connection ends; see docs/protocol.md");
        self.turns.refuse(id, Refusal::InvalidRequest(sentence));
        self.hang_up(close_code::POLICY, "too many frames in a row were no messages")
    }

    fn hang_up(&self, code: u16, reason: &'static str) -> Result<(), Deaf> {
        self.turns.close(CloseFrame { code, reason: Utf8Bytes::from_static(reason) });
        Err(Deaf)
    }

    fn message(&self, frame: &Frame<'_>, altered: bool) -> Message {
        let id = (frame.frame_type == FrameType::Request).then(|| frame.id.clone().into_owned());
        let method = match frame.frame_type {
            FrameType::Request | FrameType::Notification => frame.method.clone().into_owned(),
            // An answer to the server has no method; what was observed is that there was one.
            FrameType::Response | FrameType::Error => frame.frame_type.as_str().to_owned(),
        };
        let operation = match interpret(frame, &mut || (self.shared.new_id)(self.at)) {
            Ok(operation) => operation,
            Err(refusal) => return Message::Refused { id, method, refusal },
        };
        self.follow(&operation);
        match id {
            Some(id) => Message::Request { id, body: body_of(&operation, frame), method, operation, altered },
            None => Message::Notification { method, operation, altered },
        }
    }

    /// Keeps track of what the agents behind this connection work on.
    fn follow(&self, operation: &Operation) {
        let (Operation::Change { command, .. } | Operation::Register { command, .. }) = operation else { return };
        if let Command::CompleteTask { task, .. } = command {
            self.turns.let_go(*task);
        } else if let Command::RegisterAgent { agent, running, .. } = command {
            running.iter().for_each(|(task, _)| self.turns.hold(*task, agent.clone()));
        } else if let Command::UnregisterAgent { agent } = command {
            self.turns.forget(agent);
        }
    }

    /// Gives a message to the coordinator. What can be refused never waits; what can not be refused waits for room, and with it
    /// everything that the peer sends after it.
    async fn hand_in(&mut self, message: Message) -> Result<(), Deaf> {
        // A read is carried out when its answer leaves; what was sent after it must not take effect before (protocol §1).
        if self.read_until > 0 && changes(&message) {
            self.turns.answered_up_to(self.read_until).await;
            self.read_until = 0;
        }
        let is_read = reads(&message);
        let id = match &message {
            Message::Request { id, .. } | Message::Refused { id: Some(id), .. } => id.clone(),
            Message::Refused { id: None, .. }
            | Message::Notification { .. }
            | Message::Opened { .. }
            | Message::Closed
            | Message::Load { .. }
            | Message::Configure { .. }
            | Message::Damage { .. }
            | Message::Space { .. }
            | Message::Drain { .. } => return self.hand_in_patiently(message, INBOX_NOTIFICATIONS_MAX).await,
        };
        self.turns.room_in_flight(self.bytes).await;
        if self.turns.in_flight() >= IN_FLIGHT_MAX {
            let sentence =
                format!("{IN_FLIGHT_MAX} requests of this connection are in flight, the most allowed; await answers");
            self.refuse(id, message, sentence).await;
            return Ok(());
        }
        if !self.reserve() {
            let sentence =
                format!("the inbox of the coordinator holds {INBOX_BYTES_MAX} bytes, its limit; try again in a moment");
            self.refuse(id, message, sentence).await;
            return Ok(());
        }
        match self.shared.inbox.try_send(Inbound { connection: self.connection, bytes: self.bytes, message }) {
            Ok(()) => {
                let asked = self.turns.asked(self.bytes);
                if is_read {
                    self.read_until = asked;
                }
                Ok(())
            }
            Err(TrySendError::Full(inbound)) => {
                self.release();
                let sentence =
                    format!("the inbox of the coordinator is full ({INBOX_MAX} messages); try again in a moment");
                self.refuse(id, inbound.message, sentence).await;
                Ok(())
            }
            Err(TrySendError::Disconnected(_)) => Err(Deaf),
        }
    }

    /// Takes the bytes of the frame at hand out of the inbox's budget. What is alone there is always let in.
    fn reserve(&self) -> bool {
        let held = self.shared.inbox_bytes.fetch_add(self.bytes, Ordering::AcqRel);
        let fits = held == 0 || held + self.bytes <= INBOX_BYTES_MAX;
        if !fits {
            self.release();
        }
        fits
    }

    fn release(&self) {
        self.shared.inbox_bytes.fetch_sub(self.bytes, Ordering::AcqRel);
    }

    /// Answers in place of the coordinator: what was to be refused anyway with its own sentence.
    async fn refuse(&self, id: String, message: Message, sentence: String) {
        let refusal =
            if let Message::Refused { refusal, .. } = message { refusal } else { Refusal::Overloaded(sentence) };
        self.turns.refuse(id, refusal);
        self.turns.room().await;
    }

    /// Hands in as soon as fewer than `room` messages wait.
    async fn hand_in_patiently(&mut self, message: Message, room: usize) -> Result<(), Deaf> {
        let mut inbound = Inbound { connection: self.connection, bytes: self.bytes, message };
        loop {
            if self.shared.inbox.len() < room && self.reserve() {
                match self.shared.inbox.try_send(inbound) {
                    Ok(()) => return Ok(()),
                    Err(TrySendError::Full(back)) => inbound = back,
                    Err(TrySendError::Disconnected(_)) => return Err(Deaf),
                }
                self.release();
            }
            sleep(ROOM_POLL).await;
            // It is not the peer that is silent.
            self.outbox.heard(self.shared.clock.mono_ms());
        }
    }
}

/// Whether a message may change what a read sees.
fn changes(message: &Message) -> bool {
    match message {
        Message::Request { operation, .. } | Message::Notification { operation, .. } => match operation {
            // A hook is kept and passed on; no read tells of it.
            Operation::Change { command: Command::RecordHook { .. }, .. } => false,
            Operation::Change { .. }
            | Operation::Register { .. }
            | Operation::Progress { .. }
            | Operation::AgentMetrics { .. } => true,
            Operation::Read(_) | Operation::Session(_) | Operation::Observe => false,
        },
        Message::Opened { .. }
        | Message::Refused { .. }
        | Message::Closed
        | Message::Load { .. }
        | Message::Configure { .. }
        | Message::Damage { .. }
        | Message::Space { .. }
        | Message::Drain { .. } => false,
    }
}

fn reads(message: &Message) -> bool {
    matches!(message, Message::Request { operation: Operation::Read(_), .. })
}

/// The body's hash for law 11, of what law 11 is about: operations that change something.
fn body_of(operation: &Operation, frame: &Frame<'_>) -> [u8; 16] {
    let mut body = [0; 16];
    if matches!(operation, Operation::Change { .. } | Operation::Register { .. }) {
        let mut hasher = Sha256::new();
        hasher.update(frame.method.as_bytes());
        hasher.update([0]);
        hasher.update(frame.params.map_or("", |params| params.get()));
        body.copy_from_slice(&hasher.finalize()[..16]);
    }
    body
}
