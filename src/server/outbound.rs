//! The sending half of a session: what the coordinator says, turned into frames and written a batch at a time.
//!
//! Everything that arrives here is durable already, except what a read saw: such a batch waits for the commit that is under way.
//! Nobody ever waits for this half: who takes its frames too slowly is cut off.

use super::audience::Audience;
use super::envelope;
use super::limits::{
    BYTES_PER_WRITE, ENVELOPE_BYTES_MAX, FRAME_BYTES_MAX, FRAMES_PER_WRITE, HANDLERS_WITHIN, LINGER,
    PEER_FRAME_BYTES_MAX, PEER_FRAME_BYTES_MIN, PING_EVERY, PING_SHARE_OF_LEASE, SILENCE_MAX, WRITE_STALL_MAX,
};
use super::turns::{Aside, Turns};
use crate::exchange::{OUTBOX_BYTES_MAX, OUTBOX_MAX, Outbox, Outgoing, Sample};
use crate::protocol::{Query, SessionRequest};
use crate::render;
use crate::shared::Shared;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, close_code};
use everlog_replay::{ConnectionNo, Notice, PipelineId, Refusal, Seq};
use futures_util::{Sink, SinkExt};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

/// Why the sending half ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It said goodbye.
    Closed,
    /// The peer takes nothing, or too slowly.
    Stalled,
    /// The peer was silent.
    Silent,
    /// The peer or the coordinator is gone.
    Gone,
}

/// The sending half.
pub(super) struct Outbound<'s, W> {
    sink: W,
    shared: &'s Shared,
    outbox: &'s Outbox,
    turns: &'s Turns,
    connection: ConnectionNo,
    durable: watch::Receiver<Seq>,
    /// Frames that are rendered and not written, and their bytes.
    frames: Vec<Message>,
    bytes: usize,
    /// The newest event that they rest on, as far as it may not be durable.
    rests_on: Seq,
    /// The frame that is being put together.
    text: String,
    /// Time of the batch.
    at: String,
    /// Notifications so far.
    notified: u64,
    frame_bytes_max: usize,
    audience: Audience,
    handlers: Handlers,
    /// What is addressed to agents whose handlers are not there yet.
    waiting: VecDeque<Outgoing>,
    pulse: Pulse,
}

/// Whether the peer handles assignments already (protocol §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Handlers {
    /// It has not registered an agent.
    Unknown,
    /// It has, and the reply is still to be written.
    Registering,
    /// The reply has left; from this time on they are taken to be there.
    From(Instant),
    /// They are there.
    Ready,
}

/// The rhythm of pings.
#[derive(Clone, Copy, Debug)]
struct Pulse {
    /// Between two pings.
    every: Duration,
    /// The next ping.
    ping: Instant,
}

impl<'s, W> Outbound<'s, W>
where
    W: Sink<Message> + Unpin,
{
    pub(super) fn new(
        sink: W,
        shared: &'s Shared,
        outbox: &'s Outbox,
        turns: &'s Turns,
        connection: ConnectionNo,
    ) -> Self {
        // A lease is renewed by signs of life, and an idle peer gives none but its pongs.
        let lease = Duration::from_millis(shared.state.read().settings.lease_ms);
        let every = PING_EVERY.min(lease.mul_f64(PING_SHARE_OF_LEASE));
        Self {
            sink,
            shared,
            outbox,
            turns,
            connection,
            durable: shared.durable.clone(),
            frames: Vec::new(),
            bytes: 0,
            rests_on: 0,
            text: String::new(),
            at: String::new(),
            notified: 0,
            frame_bytes_max: FRAME_BYTES_MAX,
            audience: Audience::default(),
            handlers: Handlers::Unknown,
            waiting: VecDeque::new(),
            pulse: Pulse { every, ping: Instant::now() + every },
        }
    }

    /// Sends until the connection has to end. The frame that says why has left then, if the peer took it.
    pub(super) async fn run(mut self) -> End {
        match self.send_all().await {
            Ok(never) => match never {},
            Err(End::Stalled) => {
                let seconds = WRITE_STALL_MAX.as_secs();
                let reason = format!(
                    "too slow: {OUTBOX_MAX} messages or {OUTBOX_BYTES_MAX} bytes waited, or {seconds} s passed in one write"
                );
                // A peer that takes nothing does not take this either.
                let _ = timeout(LINGER, self.close(close_code::POLICY, &reason)).await;
                End::Stalled
            }
            Err(end) => end,
        }
    }

    async fn send_all(&mut self) -> Result<std::convert::Infallible, End> {
        let timer = sleep_until(self.pulse.ping);
        tokio::pin!(timer);
        loop {
            let due = self.due();
            if timer.deadline() != due {
                timer.as_mut().reset(due);
            }
            // The timer first: a full outbox must not keep it waiting.
            tokio::select! {
                biased;
                () = &mut timer => self.tick().await?,
                () = self.turns.aside() => {
                    self.begin();
                    self.asides().await?;
                    self.write().await?;
                }
                batch = self.outbox.take() => self.send_batch(batch.ok_or(End::Stalled)?).await?,
            }
        }
    }

    /// When there is something to do without anybody's asking.
    fn due(&self) -> Instant {
        let pulse = self.pulse.ping.min(Instant::now() + SILENCE_MAX.saturating_sub(self.silence()));
        match self.handlers {
            Handlers::From(time) if !self.waiting.is_empty() => time.min(pulse),
            Handlers::From(_) | Handlers::Unknown | Handlers::Registering | Handlers::Ready => pulse,
        }
    }

    /// How long the peer has not been heard.
    fn silence(&self) -> Duration {
        let silent_ms = self.shared.clock.mono_ms().saturating_sub(self.outbox.heard_ms());
        Duration::from_millis(u64::try_from(silent_ms).unwrap_or(0))
    }

    async fn tick(&mut self) -> Result<(), End> {
        self.begin();
        self.release();
        if self.silence() >= SILENCE_MAX {
            return Err(End::Silent);
        }
        if Instant::now() >= self.pulse.ping {
            self.pulse.ping = Instant::now() + self.pulse.every;
            self.frames.push(Message::Ping(Default::default()));
        }
        self.write().await
    }

    async fn send_batch(&mut self, batch: VecDeque<Outgoing>) -> Result<(), End> {
        self.begin();
        for message in batch {
            if let Some((code, reason)) = farewell(&message) {
                self.write().await?;
                self.close(code, reason).await?;
                return Err(End::Closed);
            }
            self.render(message);
            if self.bytes >= BYTES_PER_WRITE || self.frames.len() >= FRAMES_PER_WRITE {
                self.write().await?;
            }
            self.asides().await?;
        }
        self.write().await
    }

    /// One time for a whole batch.
    fn begin(&mut self) {
        self.at = self.shared.clock.now().to_string();
    }

    /// Writes what is rendered, as soon as what it rests on is durable.
    async fn write(&mut self) -> Result<(), End> {
        if self.frames.is_empty() {
            return Ok(());
        }
        let rests_on = std::mem::take(&mut self.rests_on);
        if *self.durable.borrow() < rests_on {
            self.durable.wait_for(|durable| *durable >= rests_on).await.map_err(|_| End::Gone)?;
        }
        self.bytes = 0;
        let (sink, frames) = (&mut self.sink, &mut self.frames);
        let written = timeout(WRITE_STALL_MAX, async move {
            for frame in frames.drain(..) {
                sink.feed(frame).await?;
            }
            sink.flush().await
        });
        match written.await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(End::Gone),
            Err(_) => return Err(End::Stalled),
        }
        if self.handlers == Handlers::Registering {
            self.handlers = Handlers::From(Instant::now() + HANDLERS_WITHIN);
        }
        Ok(())
    }

    async fn close(&mut self, code: u16, reason: &str) -> Result<(), End> {
        let frame = CloseFrame { code, reason: Utf8Bytes::from(reason) };
        self.sink.send(Message::Close(Some(frame))).await.map_err(|_| End::Gone)
    }

    /// What the session itself has to say now.
    async fn asides(&mut self) -> Result<(), End> {
        while let Some(aside) = self.turns.next_aside() {
            match aside {
                Aside::Refuse { id, refusal } => self.refuse(&id, &refusal),
                Aside::Close(frame) => {
                    self.write().await?;
                    self.close(frame.code, frame.reason.as_str()).await?;
                    return Err(End::Closed);
                }
            }
        }
        Ok(())
    }

    fn render(&mut self, message: Outgoing) {
        match message {
            Outgoing::Reply { id, reply, events } => {
                let result = render::reply(reply, &events, self.frame_bytes_max - ENVELOPE_BYTES_MAX);
                self.answer(&id, &result, "the request was carried out, but its answer");
                self.turns.answered();
            }
            Outgoing::Recorded { id } => {
                self.answer(&id, r#"{"status":"recorded"}"#, "the answer");
                self.turns.answered();
            }
            Outgoing::Refused { id, refusal } => {
                self.refuse(&id, &refusal);
                self.turns.answered();
            }
            Outgoing::Read { id, query } => {
                self.read(&id, &query);
                self.turns.answered();
            }
            Outgoing::Session { id, request } => {
                self.session(&id, request);
                self.turns.answered();
            }
            Outgoing::Registered { ready, frame_bytes_max } => self.registered(ready, frame_bytes_max),
            Outgoing::Notice(notice) => self.notice(notice),
            Outgoing::Sample(sample) => self.sample(&sample),
            // Ends the batch, and so is dealt with where batches are.
            Outgoing::Close | Outgoing::Lost => {}
        }
    }

    /// `what` names the answer where it is too long to be sent.
    fn answer(&mut self, id: &str, result: &str, what: &str) {
        envelope::result(&mut self.text, id, &self.at, result);
        let (bytes, most) = (self.text.len(), self.frame_bytes_max);
        if bytes <= most {
            return self.push();
        }
        self.refuse(
            id,
            &Refusal::Overloaded(format!(
                "{what} has {bytes} bytes and this connection takes frames of {most}; ask for parts with limit and offset, or \
                 register with a larger max_frame_bytes"
            )),
        );
    }

    fn refuse(&mut self, id: &str, refusal: &Refusal) {
        envelope::error(&mut self.text, id, &self.at, &render::refusal(refusal));
        self.push();
    }

    fn read(&mut self, id: &str, query: &Query) {
        let read = render::read(self.shared, query, self.frame_bytes_max - ENVELOPE_BYTES_MAX);
        // Taken afterwards, so that it is at least what the read saw.
        self.rests_on = self.rests_on.max(self.shared.state.read().seq);
        match read {
            Ok(result) => self.answer(id, &result, "the answer"),
            Err(refusal) => self.refuse(id, &refusal),
        }
    }

    fn session(&mut self, id: &str, request: SessionRequest) {
        if let Err(refusal) = self.audience.change(request) {
            return self.refuse(id, &refusal);
        }
        self.shared.directory.set_watches_tasks(self.connection, self.audience.watches_tasks());
        let mut result = r#"{"topics":["#.to_owned();
        for (n, topic) in self.audience.in_force().enumerate() {
            if n > 0 {
                result.push(',');
            }
            envelope::text(&mut result, &topic.to_string());
        }
        result.push_str("]}");
        self.answer(id, &result, "the request was carried out, but the list of topics");
    }

    fn registered(&mut self, ready: bool, frame_bytes_max: Option<usize>) {
        if let Some(bytes) = frame_bytes_max {
            self.frame_bytes_max = bytes.clamp(PEER_FRAME_BYTES_MIN, PEER_FRAME_BYTES_MAX);
        }
        if ready {
            self.handlers = Handlers::Ready;
            self.release();
        } else if self.handlers == Handlers::Unknown {
            self.handlers = Handlers::Registering;
        }
    }

    fn notice(&mut self, notice: std::sync::Arc<Notice>) {
        let (method, pipeline, addressed) = about(&notice);
        if addressed && self.must_wait() {
            self.waiting.push_back(Outgoing::Notice(notice));
            return;
        }
        if !addressed && !self.audience.wants(method, pipeline, self.turns) {
            return;
        }
        if let Notice::Assigned(assignment) = &*notice {
            self.turns.hold(assignment.task, assignment.agent.clone());
        } else if let Notice::Cancel { task, .. } = &*notice {
            self.turns.let_go(*task);
        }
        match render::notice(self.shared, &notice, self.frame_bytes_max - ENVELOPE_BYTES_MAX) {
            Ok((method, _, params)) => self.notify(method, &params),
            // Better none than one with something else in it; who connects again is told again.
            Err(refusal) => {
                self.turns.close(CloseFrame { code: close_code::ERROR, reason: refusal.to_string().into() })
            }
        }
    }

    fn sample(&mut self, sample: &Sample) {
        if self.audience.wants(sample.method, sample.pipeline, self.turns) {
            self.notify(sample.method, sample.params.as_str());
        }
    }

    fn notify(&mut self, method: &str, params: &str) {
        self.notified += 1;
        envelope::notification(&mut self.text, self.connection, self.notified, method, &self.at, params);
        let (bytes, most) = (self.text.len(), self.frame_bytes_max);
        if bytes <= most {
            self.push();
        } else {
            tracing::warn!(
                connection = self.connection,
                method,
                bytes,
                most,
                "a notification was too long for its peer"
            );
        }
    }

    /// Whether what is addressed to an agent has to wait for its handlers; what comes later never overtakes what waits.
    fn must_wait(&self) -> bool {
        match self.handlers {
            Handlers::Unknown | Handlers::Ready => false,
            Handlers::Registering => true,
            Handlers::From(time) => !self.waiting.is_empty() || Instant::now() < time,
        }
    }

    /// Sends what waited for handlers, if they are there now.
    fn release(&mut self) {
        if matches!(self.handlers, Handlers::From(time) if Instant::now() >= time) {
            self.handlers = Handlers::Ready;
        }
        if self.handlers == Handlers::Ready {
            for message in std::mem::take(&mut self.waiting) {
                self.render(message);
            }
        }
    }

    fn push(&mut self) {
        self.bytes += self.text.len();
        self.frames.push(Message::Text(Utf8Bytes::from(self.text.as_str())));
    }
}

/// How a message ends the connection, where it does.
fn farewell(message: &Outgoing) -> Option<(u16, &'static str)> {
    if matches!(message, Outgoing::Close) {
        Some((close_code::AWAY, "the coordinator ends"))
    } else if matches!(message, Outgoing::Lost) {
        Some((close_code::POLICY, "not heard for orchestration.lease_term; connect and register again"))
    } else {
        None
    }
}

/// The method of a notice, the pipeline that it concerns, and whether it is addressed to this peer alone: known without
/// rendering it.
fn about(notice: &Notice) -> (&'static str, Option<PipelineId>, bool) {
    match notice {
        Notice::Assigned(assignment) => ("task/assigned", assignment.pipeline, true),
        Notice::Cancel { .. } => ("task/cancelled", None, true),
        Notice::Pipeline { method, pipeline, .. } => (method, Some(*pipeline), false),
        Notice::TaskChanged(change) => ("task/changed", change.pipeline, false),
        Notice::Hook(_) => ("claude-flow/hook", None, false),
    }
}
