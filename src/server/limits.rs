//! Every limit of a session, in one place: a number, its unit and its reason. A refusal that meets one names it.

use crate::exchange::{INBOX_BYTES_MAX, INBOX_MAX};
use std::time::Duration;

/// Connections at a time, unless configured otherwise (protocol §6).
pub(crate) const CONNECTIONS_MAX: u32 = 100;
/// Connections that have not sent a whole request yet; whoever comes next waits in the system's queue. So many descriptors, beside
/// [`CONNECTIONS_MAX`] and the files of the log, fit into the 1,024 that a process has where nobody chose.
pub(crate) const HANDSHAKES_MAX: usize = 256;
/// Files and sockets that the coordinator opens beside its connections: the log, its readers, the pipes of local agents.
pub(crate) const FILES_MAX: usize = 256;
/// How long the head of a request may take to arrive. A client sends it in one piece; who sends it byte by byte keeps a place from
/// others, so many of them a second get their turn: [`HANDSHAKES_MAX`] by this.
pub(crate) const HANDSHAKE_WITHIN: Duration = Duration::from_secs(5);
/// Bytes of the head of a request: a browser that keeps many cookies for localhost has some 10 KiB.
pub(crate) const HEAD_BYTES_MAX: usize = 32 << 10;
/// Bytes of one inbound frame, unless configured otherwise; of one outbound frame, unless the peer accepts more (protocol §1).
pub(crate) const FRAME_BYTES_MAX: usize = 1 << 20;
/// A peer that accepts less gets frames of this length all the same: an answer of one record must fit.
pub(crate) const PEER_FRAME_BYTES_MIN: usize = 16 << 10;
/// A peer that accepts more gets no longer frames than this: one frame is held in memory as a whole.
pub(crate) const PEER_FRAME_BYTES_MAX: usize = 64 << 20;
/// Bytes that the envelope adds to a result or to parameters: an id of 128 characters, every one escaped, and the fixed text.
pub(crate) const ENVELOPE_BYTES_MAX: usize = 1_024;
/// Requests of one connection that wait for an answer: a quarter of the inbox, so that four greedy clients do not fill it.
pub(crate) const IN_FLIGHT_MAX: u64 = INBOX_MAX as u64 / 4;
/// Bytes of the requests of one connection that wait for an answer: a peer beyond it is not read until answers have left. An answer
/// holds the events that it tells of until it is written, so this is what a peer that reads nothing can make the coordinator keep.
pub(crate) const IN_FLIGHT_BYTES_MAX: usize = INBOX_BYTES_MAX / 4;
/// Messages in the inbox from which on notifications wait in their sockets: the rest is room for requests, which can not wait.
pub(crate) const INBOX_NOTIFICATIONS_MAX: usize = INBOX_MAX / 4 * 3;
/// How often a session that waits for room in the inbox looks for it. Only an overloaded coordinator makes anybody look.
pub(crate) const ROOM_POLL: Duration = Duration::from_millis(1);
/// Frames in a row that are no messages until the connection is closed: a client that errs finds out before, one that floods ends.
pub(crate) const BAD_FRAMES_MAX: u32 = 1_000;
/// Topics that one connection can be subscribed to.
pub(crate) const TOPICS_MAX: usize = 1_024;
/// Frames that are read before the sending half of the same connection gets its turn.
pub(crate) const FRAMES_PER_READ: usize = 256;
/// Frames and bytes that are written before the next are rendered: what is in flight to the peer beside the outbox.
pub(crate) const FRAMES_PER_WRITE: usize = 256;
/// See [`FRAMES_PER_WRITE`].
pub(crate) const BYTES_PER_WRITE: usize = 1 << 20;
/// A peer that takes nothing of such a write for this long is cut off.
pub(crate) const WRITE_STALL_MAX: Duration = Duration::from_secs(20);
/// Between two pings of the server (protocol §1).
pub(crate) const PING_EVERY: Duration = Duration::from_secs(20);
/// Time between two pings as a share of the term of a lease, where that is short: an answer has the rest of it to arrive.
pub(crate) const PING_SHARE_OF_LEASE: f64 = 2.0 / 3.0;
/// A peer that is silent for this long after a ping is dropped (protocol §1).
pub(crate) const PONG_WITHIN: Duration = Duration::from_secs(10);
/// The longest silence of a peer.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(PING_EVERY.as_secs() + PONG_WITHIN.as_secs());
/// The first assignment on a connection leaves so long after the registration's reply: existing clients install their handlers
/// in between (protocol §4).
pub(crate) const HANDLERS_WITHIN: Duration = Duration::from_millis(50);
/// Notifications other than `task/*` to a peer that works and has not subscribed, until it next speaks (protocol §4).
pub(crate) const OTHERS_MAX: u32 = 8;
/// How long a session whose sending half has ended goes on reading: for what the peer had sent before, and so that the last
/// frame reaches it before the socket closes.
pub(crate) const LINGER: Duration = Duration::from_secs(1);
/// Bytes of the buffer that a connection reads into: whole flights of small frames, and 5,000 idle connections in 80 MiB.
pub(crate) const READ_BUFFER_BYTES: usize = 16 << 10;
/// Between two heartbeats (protocol §4).
pub(crate) const HEARTBEAT_EVERY: Duration = Duration::from_secs(30);
/// How long the sessions may take to say goodbye when the server ends.
pub(crate) const GOODBYE_WITHIN: Duration = Duration::from_secs(5);
