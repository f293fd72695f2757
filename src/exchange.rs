//! What sessions and the coordinator say to each other: one bounded inbox for all, one bounded outbox for each connection.
//!
//! Everything a client sends takes the same way, reads included: through the inbox, past the writer, into the outbox. A read
//! costs the writer nothing (it is carried out when its turn in the outbox has come), and so every answer leaves in the order of
//! the questions and never before what it rests on is durable.

use crate::protocol::{Operation, Query, Reply, SessionRequest};
use everlog_replay::spec::Settings;
use everlog_replay::{ConnectionNo, Envelope, ErrorId, Json, Notice, PipelineId, Refusal};
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use tokio::sync::Notify;

/// Messages that wait in the inbox of the writer; above it clients are refused (protocol §1).
pub(crate) const INBOX_MAX: usize = 16_384;
/// Bytes of the messages that wait in the inbox, as their frames came; above it clients are refused.
pub(crate) const INBOX_BYTES_MAX: usize = 128 << 20;
/// Messages that wait in the outbox of one connection; a consumer that is further behind is cut off.
pub(crate) const OUTBOX_MAX: usize = 65_536;
/// Bytes of the same: of what was not asked for, since what was is limited where it is asked. Several turns of the longest hooks.
pub(crate) const OUTBOX_BYTES_MAX: usize = 64 << 20;

/// From a session to the writer.
#[derive(Debug)]
pub(crate) struct Inbound {
    /// Who speaks.
    pub connection: ConnectionNo,
    /// Bytes of the frame that it came in.
    pub bytes: usize,
    /// What it says.
    pub message: Message,
}

/// What a session says.
#[derive(Debug)]
pub(crate) enum Message {
    /// A connection spoke for the first time.
    Opened {
        /// Address of the peer.
        peer: String,
    },
    /// A request: answered exactly once, in order.
    Request {
        /// The envelope's id.
        id: String,
        /// The first 16 bytes of SHA-256 over method and params as received.
        body: [u8; 16],
        /// The method.
        method: String,
        /// What it asks for.
        operation: Operation,
        /// The frame held a bare NaN or infinity, and null was put in its place.
        altered: bool,
    },
    /// A notification.
    Notification {
        /// The method.
        method: String,
        /// What it asks for.
        operation: Operation,
        /// See above.
        altered: bool,
    },
    /// Something that could not even be asked: recorded, and answered where there is an id to answer to.
    Refused {
        /// The envelope's id; `None` for a notification.
        id: Option<String>,
        /// The method, as far as it was read.
        method: String,
        /// Why.
        refusal: Refusal,
    },
    /// The connection ended.
    Closed,
    /// Not from a client: a reading of the load of coordinator and local agents.
    Load {
        /// Processor time, in hundredths of a percent of one core.
        cpu: u32,
        /// Memory in KiB.
        memory: u64,
    },
    /// Not from a client: the configuration changed.
    Configure {
        /// Configuration for decisions.
        settings: Settings,
    },
    /// Not from a client: something in the log is damaged.
    Damage {
        /// The entry of the error register that says so.
        alert: ErrorId,
        /// Where, and the next step.
        detail: String,
    },
    /// Not from a client: the disk is full and the log lives on its reserve, or there is space again.
    Space {
        /// Whether it is full.
        full: bool,
        /// The entry of the error register that says so.
        alert: ErrorId,
    },
    /// Not from a client: the coordinator is asked to end. What stands before it is still answered.
    Drain {
        /// Why.
        reason: String,
    },
}

/// From the coordinator to a session. Durable is what it rests on when it is sent.
#[derive(Clone, Debug)]
pub(crate) enum Outgoing {
    /// The answer to a request that changed something.
    Reply {
        /// The request.
        id: String,
        /// How the answer follows from the events.
        reply: Reply,
        /// The events of the request, also when it is repeated.
        events: Arc<[Envelope]>,
    },
    /// `agent/register` was accepted and answered: what the session must know of its peer from here on.
    Registered {
        /// The peer takes assignments at once.
        ready: bool,
        /// Bytes of the longest frame that the peer accepts.
        frame_bytes_max: Option<usize>,
    },
    /// The answer to a request that is recorded outside the journal: `{"status": "recorded"}`.
    Recorded {
        /// The request.
        id: String,
    },
    /// The answer to a request that is refused.
    Refused {
        /// The request.
        id: String,
        /// Why.
        refusal: Refusal,
    },
    /// A read whose turn has come: the session carries it out on the state as it is now.
    Read {
        /// The request.
        id: String,
        /// The question.
        query: Query,
    },
    /// A request that concerns the session alone.
    Session {
        /// The request.
        id: String,
        /// What it asks for.
        request: SessionRequest,
    },
    /// A notification that follows from an event.
    Notice(Arc<Notice>),
    /// A notification that rests on no event: heartbeat, samples, progress.
    Sample(Arc<Sample>),
    /// The coordinator ends: send what stands before this, then close.
    Close,
    /// An agent of this connection is lost, and would not learn of it while the connection stands: close, so that it connects
    /// and registers again.
    Lost,
}

impl Outgoing {
    /// Bytes of a client's words that this keeps in memory although its reader did not ask for them.
    fn unasked_bytes(&self) -> usize {
        match self {
            Self::Notice(notice) => match &**notice {
                Notice::Hook(words) => words.as_str().len(),
                Notice::TaskChanged(change) => {
                    let result = change.result.as_ref().map_or(0, |result| result.as_str().len());
                    change.error.as_ref().map_or(0, String::len) + result
                }
                Notice::Assigned(_) | Notice::Cancel { .. } | Notice::Pipeline { .. } => 0,
            },
            Self::Sample(sample) => sample.params.as_str().len(),
            Self::Reply { .. }
            | Self::Registered { .. }
            | Self::Recorded { .. }
            | Self::Refused { .. }
            | Self::Read { .. }
            | Self::Session { .. }
            | Self::Close
            | Self::Lost => 0,
        }
    }
}

/// A notification outside the journal.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// The method.
    pub method: &'static str,
    /// Its parameters.
    pub params: Json,
    /// The pipeline that it concerns.
    pub pipeline: Option<PipelineId>,
}

/// The way to one session. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Outbox(Arc<OutboxInner>);

#[derive(Debug)]
struct OutboxInner {
    waiting: Mutex<Waiting>,
    filled: Notify,
    /// The consumer is too slow, or gone.
    cut: AtomicBool,
    /// The session subscribed to something that includes tasks.
    watches_tasks: AtomicBool,
    /// Monotonic time at which the peer was last heard, in milliseconds.
    heard_ms: AtomicI64,
}

#[derive(Debug, Default)]
struct Waiting {
    messages: VecDeque<Outgoing>,
    unasked_bytes: usize,
}

impl Outbox {
    /// An empty outbox of a peer that was just heard.
    #[must_use]
    pub(crate) fn new(now_ms: i64) -> Self {
        Self(Arc::new(OutboxInner {
            waiting: Mutex::default(),
            filled: Notify::new(),
            cut: AtomicBool::new(false),
            watches_tasks: AtomicBool::new(false),
            heard_ms: AtomicI64::new(now_ms),
        }))
    }

    /// Adds messages in order. A consumer that is too far behind is cut off instead: the writer never waits for anybody.
    pub(crate) fn send(&self, messages: impl IntoIterator<Item = Outgoing>) {
        let mut waiting = self.0.waiting.lock();
        for message in messages {
            waiting.unasked_bytes += message.unasked_bytes();
            waiting.messages.push_back(message);
        }
        if waiting.messages.len() > OUTBOX_MAX || waiting.unasked_bytes > OUTBOX_BYTES_MAX {
            self.0.cut.store(true, Ordering::Release);
            *waiting = Waiting::default();
        }
        drop(waiting);
        self.0.filled.notify_one();
    }

    /// Everything that waits, as soon as something does; `None` when the connection is cut off.
    pub(crate) async fn take(&self) -> Option<VecDeque<Outgoing>> {
        loop {
            if self.is_cut() {
                return None;
            }
            let waiting = std::mem::take(&mut *self.0.waiting.lock());
            if !waiting.messages.is_empty() {
                return Some(waiting.messages);
            }
            self.0.filled.notified().await;
        }
    }

    /// Whether the connection has to end.
    #[must_use]
    pub(crate) fn is_cut(&self) -> bool {
        self.0.cut.load(Ordering::Acquire)
    }

    /// Notes a sign of life; `now_ms` is monotonic.
    pub(crate) fn heard(&self, now_ms: i64) {
        self.0.heard_ms.fetch_max(now_ms, Ordering::AcqRel);
    }

    /// When the peer was last heard, monotonic.
    #[must_use]
    pub(crate) fn heard_ms(&self) -> i64 {
        self.0.heard_ms.load(Ordering::Acquire)
    }

    /// Whether the session wants to hear about tasks.
    #[must_use]
    pub(crate) fn watches_tasks(&self) -> bool {
        self.0.watches_tasks.load(Ordering::Acquire)
    }
}

/// The open connections.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    open: RwLock<BTreeMap<ConnectionNo, Outbox>>,
    /// Sessions that want to hear about tasks: the writer asks every turn.
    watchers: AtomicUsize,
}

impl Directory {
    /// A connection opened.
    pub(crate) fn insert(&self, connection: ConnectionNo, outbox: Outbox) {
        self.open.write().insert(connection, outbox);
    }

    /// A connection ended.
    pub(crate) fn remove(&self, connection: ConnectionNo) {
        let gone = self.open.write().remove(&connection);
        if gone.is_some_and(|outbox| outbox.watches_tasks()) {
            self.watchers.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Says whether a session wants to hear about tasks.
    pub(crate) fn set_watches_tasks(&self, connection: ConnectionNo, watches: bool) {
        let Some(outbox) = self.get(connection) else { return };
        let watched = outbox.0.watches_tasks.swap(watches, Ordering::AcqRel);
        if watches && !watched {
            self.watchers.fetch_add(1, Ordering::AcqRel);
        } else if watched && !watches {
            self.watchers.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// The way to a connection.
    #[must_use]
    pub(crate) fn get(&self, connection: ConnectionNo) -> Option<Outbox> {
        self.open.read().get(&connection).cloned()
    }

    /// Number of open connections.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.open.read().len()
    }

    /// Whether nobody is connected.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether any session wants to hear about tasks.
    #[must_use]
    pub(crate) fn watches_tasks(&self) -> bool {
        self.watchers.load(Ordering::Acquire) > 0
    }

    /// Sends to every session that `wants` it.
    pub(crate) fn broadcast(&self, message: &Outgoing, wants: impl Fn(&Outbox) -> bool) {
        for outbox in self.open.read().values().filter(|outbox| wants(outbox)) {
            outbox.send([message.clone()]);
        }
    }
}
