//! An event with its place: which, when, by whom, because of what.

use crate::event::Event;
use crate::ids::{ConnectionNo, Seq, Timestamp};
use serde::{Deserialize, Serialize};

/// Who acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Actor {
    /// The coordinator itself: starts, stops, leases that ran out.
    Coordinator,
    /// The scheduler.
    Scheduler,
    /// A client; the connection is introduced by [`crate::event::ConnectionOpened`].
    Connection(ConnectionNo),
}

impl Actor {
    /// The connection of a client; `None` for the coordinator's own parts.
    #[must_use]
    pub fn connection(self) -> Option<ConnectionNo> {
        match self {
            Self::Connection(no) => Some(no),
            Self::Coordinator | Self::Scheduler => None,
        }
    }
}

/// What identifies a request for law 11: the same id with the same body is the same request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestKey {
    /// The envelope id that the client chose.
    pub id: String,
    /// The first 16 bytes of SHA-256 over method and params as received.
    pub body: [u8; 16],
}

/// When and by whom a command is given. Read once, at the door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Log time of the turn.
    pub at: Timestamp,
    /// Who acts.
    pub actor: Actor,
    /// The event that led to this; 0 where a client or the clock did.
    pub cause: Seq,
    /// The request, where a repeated one must find its answer.
    pub request: Option<RequestKey>,
    /// The client's frame held what is not JSON (a bare NaN or infinity), and null was put in its place.
    pub altered: bool,
}

/// An event as it stands in the log: the leaf of the later Merkle tree (see [`crate::leaf`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Place in the log.
    pub seq: Seq,
    /// Log time.
    pub at: Timestamp,
    /// Who acted.
    pub actor: Actor,
    /// The event that led to this one: the scheduler's reason, or the first event of the same command; 0 is none.
    pub cause: Seq,
    /// Number of this event within its pipeline, from 1; 0 when it belongs to none.
    pub run_seq: u64,
    /// The request that was answered with the events from here on; on the first event of a command only.
    pub request: Option<RequestKey>,
    /// The client's frame held what is not JSON (a bare NaN or infinity), and null stands in its place.
    pub altered: bool,
    /// What happened.
    pub event: Event,
}
