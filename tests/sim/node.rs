//! One life of the coordinator's process: the product's own parts, driven one after the other.

use super::clock::Hands;
use super::disk::SimDisk;
use super::random::Random;
use super::sessions::Sessions;
use super::swarm::Swarm;
use super::wire::Line;
use crate::clock::SystemClock;
use crate::coordinator::{Core, Delivery, Turn};
use crate::exchange::{Inbound, Message, Outgoing};
use crate::history;
use everlog_replay::{ConnectionNo, Refusal, Seq};
use everlog_storage::{DataDir, Options};
use parking_lot::Mutex;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

/// See the module.
pub(super) struct Node {
    pub(super) core: Core,
    pub(super) sessions: Sessions,
    /// The turn that waits for the committer.
    pub(super) decided: Option<Turn>,
    connections: ConnectionNo,
    /// When the writer looks although no message came.
    due_ms: u64,
    /// The turn that ends it has been decided.
    pub(super) is_last: bool,
}

/// Everything outside the process that it needs.
pub(super) struct Outside {
    pub(super) hands: Hands,
    /// Where new identities come from.
    pub(super) ids: Arc<Mutex<Random>>,
    /// Monotonic milliseconds, for sockets.
    pub(super) now: Rc<Cell<u64>>,
    pub(super) durable: Rc<Cell<Seq>>,
}

impl Node {
    /// Starts a process on this disk.
    pub(super) fn start(disk: SimDisk, swarm: &Swarm, outside: &Outside) -> Result<Self, String> {
        let options = Options {
            index: history::index,
            index_version: history::INDEX_VERSION,
            background: false,
            first_segment_bytes: swarm.segment_bytes,
            last_segment_bytes: swarm.segment_bytes * 4,
        };
        let opened = DataDir::open_on(Arc::new(disk), options).map_err(|fault| fault.to_string())?;
        let hands = outside.hands.clone();
        let clock = move |newest| Arc::new(SystemClock::with_source(hands, newest).0) as Arc<dyn crate::clock::Clock>;
        let ids = Arc::clone(&outside.ids);
        let new_id = move |at: everlog_replay::Timestamp| {
            let random = ids.lock().uuid().into_bytes();
            let tail = <[u8; 10]>::try_from(&random[6..]).unwrap_or_default();
            uuid::Builder::from_unix_timestamp_millis(at.0.unsigned_abs() / 1_000, &tail).into_uuid()
        };
        let core = Core::start(opened, swarm.settings.clone(), swarm.snapshot_every, clock, Box::new(new_id));
        let core = core.map_err(|failure| failure.to_string())?;
        let connections = core.shared.state.read().connections;
        let sessions = Sessions::default();
        Ok(Self { core, sessions, decided: None, connections, due_ms: 0, is_last: false })
    }

    pub(super) fn connect(&mut self, line: &Line, outside: &Outside) {
        self.connections += 1;
        self.sessions.open(&self.core.shared, self.connections, line, &outside.now, &outside.durable);
    }

    /// Decides, where something is due: a turn, or more of the one that waits for the committer. The records that are new.
    pub(super) fn decide(&mut self, now: u64, most: usize) -> Vec<Vec<u8>> {
        let Core { writer, messages, .. } = &mut self.core;
        let (idle, waits) = (messages.is_empty(), self.decided.is_some());
        let mut turn = self.decided.take().unwrap_or_default();
        let is_due = if waits { !idle && writer.may_join(&turn, most) } else { !idle || now >= self.due_ms };
        let known = turn.frame.len();
        if is_due && !self.is_last {
            let first = messages.try_recv().ok();
            writer.take(&mut turn, first, messages, most).unwrap_or_else(|bug| panic!("{bug}"));
            self.due_ms = now + writer.idle_ms();
        }
        self.is_last |= turn.last;
        let records = turn.frame.records().skip(known).map(|(_, record)| record.to_vec()).collect();
        self.decided = Some(turn).filter(|turn| !turn.is_empty());
        records
    }

    /// The requests whose refusals wait for the committer.
    pub(super) fn refused(&self) -> impl Iterator<Item = (&str, &Refusal)> {
        let deliveries = self.decided.iter().flat_map(|turn| turn.deliveries.values().flatten());
        deliveries.filter_map(|delivery| match delivery {
            Delivery::Ready(Outgoing::Refused { id, refusal }) => Some((id.as_str(), refusal)),
            _ => None,
        })
    }

    /// The connections whose messages wait in the inbox.
    pub(super) fn waiting(&self) -> Vec<ConnectionNo> {
        let waiting: Vec<Inbound> = self.core.messages.try_iter().collect();
        let connections = waiting.iter().map(|inbound| inbound.connection).collect();
        for inbound in waiting {
            self.core.shared.inbox.send(inbound).expect("what was in the inbox fits it");
        }
        connections
    }

    /// Hands the writer something that is not from a client.
    pub(super) fn hand_in(&self, message: Message) {
        // A full inbox: then not.
        drop(self.core.shared.inbox.try_send(Inbound { connection: 0, bytes: 0, message }));
    }
}
