//! The record as the leaf of the later Merkle tree. Derived, never stored: recomputed while walking the log, and not on the hot
//! path.
//!
//! ```text
//! salt       = HMAC-SHA256(instance key, seq as u64 LE)
//! commitment = SHA-256(salt ‖ body)
//! leaf       = SHA-256(0x00 ‖ canonical envelope)
//!
//! canonical envelope, integers little-endian:
//!   kind        u16
//!   schema      u8
//!   seq         u64
//!   at          i64     microseconds since 1970
//!   actor       u8      0 coordinator, 1 scheduler, 2 connection
//!   connection  u64     0 unless the actor is a connection
//!   cause       u64
//!   run_seq     u64
//!   request     u8      0 none, 1 present, and then
//!     length    u32       of the id in bytes
//!     id        bytes     UTF-8
//!     body      16 bytes
//!   altered     u8      0 or 1
//!   previous    32 bytes  the leaf of the same run's previous event; zeros for the first, and for an event of no run
//!   commitment  32 bytes
//! ```
//!
//! `body` is the event's body exactly as it stands in the record, so that an old schema keeps its leaf. The salt makes the
//! commitment of an erased body say nothing about it; 0x00 sets leaves apart from the nodes above them.

use crate::codec::{self, DecodeError, RawRecord};
use crate::envelope::Actor;
use crate::event::Event;
use crate::ids::{PipelineId, Seq, TaskId};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// What stands for a previous event that does not exist.
pub const NO_PREVIOUS: Hash = [0; 32];

/// The first byte under the hash of a leaf.
const LEAF: u8 = 0;

/// The salt of the event `seq`.
#[must_use]
pub fn salt(instance_key: &Hash, seq: Seq) -> Hash {
    // HMAC fills a short key up to the block of its hash with zeros; doing so here leaves no length that could be wrong.
    let mut block = [0; 64];
    block[..instance_key.len()].copy_from_slice(instance_key);
    let mut mac = Hmac::<Sha256>::new(&block.into());
    mac.update(&seq.to_le_bytes());
    mac.finalize().into_bytes().into()
}

/// What the envelope says instead of the body.
#[must_use]
pub fn commitment(salt: &Hash, body: &[u8]) -> Hash {
    Sha256::new().chain_update(salt).chain_update(body).finalize().into()
}

/// The canonical envelope, as the module describes it.
#[must_use]
pub fn canonical(record: &RawRecord<'_>, previous: &Hash, commitment: &Hash) -> Vec<u8> {
    let (tag, connection) = match record.actor {
        Actor::Coordinator => (0, 0),
        Actor::Scheduler => (1, 0),
        Actor::Connection(no) => (2, no),
    };
    let mut out = Vec::with_capacity(160);
    out.extend_from_slice(&record.kind.to_le_bytes());
    out.push(record.schema);
    out.extend_from_slice(&record.seq.to_le_bytes());
    out.extend_from_slice(&record.at.0.to_le_bytes());
    out.push(tag);
    out.extend_from_slice(&u64::to_le_bytes(connection));
    out.extend_from_slice(&record.cause.to_le_bytes());
    out.extend_from_slice(&record.run_seq.to_le_bytes());
    match &record.request {
        None => out.push(0),
        Some(request) => {
            out.push(1);
            // A record, and so the id, is shorter than 2^32 bytes (RECORD_BYTES_MAX).
            out.extend_from_slice(&(request.id.len() as u32).to_le_bytes());
            out.extend_from_slice(request.id.as_bytes());
            out.extend_from_slice(&request.body);
        }
    }
    out.push(u8::from(record.altered));
    out.extend_from_slice(previous);
    out.extend_from_slice(commitment);
    out
}

/// The leaf of a canonical envelope.
#[must_use]
pub fn leaf(canonical: &[u8]) -> Hash {
    Sha256::new().chain_update([LEAF]).chain_update(canonical).finalize().into()
}

/// A record that has no place in the chain of its run.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// The record can not be read.
    #[error(transparent)]
    Record(#[from] DecodeError),
    /// Its number within its run does not follow.
    #[error("event {seq} has number {found} within its run; {expected} is next: verify the log")]
    Gap {
        /// The event.
        seq: Seq,
        /// The next number.
        expected: u64,
        /// The number it has.
        found: u64,
    },
    /// It claims a place in a run that it does not name.
    #[error("event {seq} has a number within a run, but its run is not known: walk the log from its first event")]
    NoRun {
        /// The event.
        seq: Seq,
    },
}

/// Recomputes the leaves of a log, in order, from its first record. Keeps one hash a run and one entry a task.
#[derive(Debug)]
pub struct RunChain {
    instance_key: Hash,
    runs: BTreeMap<PipelineId, (u64, Hash)>,
    run_of: BTreeMap<TaskId, PipelineId>,
}

impl RunChain {
    /// A chain before the first record of the log with this instance key.
    #[must_use]
    pub fn new(instance_key: Hash) -> Self {
        Self { instance_key, runs: BTreeMap::new(), run_of: BTreeMap::new() }
    }

    /// The leaf of the next record.
    ///
    /// # Errors
    /// When the record can not be read or does not follow in its run.
    pub fn next(&mut self, record: &[u8]) -> Result<Hash, ChainError> {
        let raw = codec::split(record)?;
        let event = codec::decode(record)?.event;
        let run = self.run(&event).filter(|_| raw.run_seq > 0);
        if run.is_none() && raw.run_seq > 0 {
            return Err(ChainError::NoRun { seq: raw.seq });
        }
        let (before, previous) = run.and_then(|run| self.runs.get(&run)).copied().unwrap_or((0, NO_PREVIOUS));
        if run.is_some() && raw.run_seq != before + 1 {
            return Err(ChainError::Gap { seq: raw.seq, expected: before + 1, found: raw.run_seq });
        }
        let commitment = commitment(&salt(&self.instance_key, raw.seq), raw.body);
        let leaf = leaf(&canonical(&raw, &previous, &commitment));
        if let Some(run) = run {
            self.runs.insert(run, (raw.run_seq, leaf));
        }
        Ok(leaf)
    }

    fn run(&mut self, event: &Event) -> Option<PipelineId> {
        let subject = event.subject();
        if let (Event::TaskCreated(_), Some(task), Some(run)) = (event, subject.task, subject.pipeline) {
            self.run_of.insert(task, run);
        }
        subject.pipeline.or_else(|| self.run_of.get(&subject.task?).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::{Envelope, RequestKey};
    use crate::event::{MemorySet, PipelineCreated, PipelineStarted};
    use crate::ids::Timestamp;
    use crate::spec::{OnFailure, PipelineOptions, RetryPolicy, Strategy};
    use crate::text::Json;
    use uuid::Uuid;

    const KEY: Hash = [0x42; 32];

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn record(seq: Seq, run_seq: u64, event: Event) -> Vec<u8> {
        let request = Some(RequestKey { id: "r1".to_owned(), body: [9; 16] });
        let (at, actor) = (Timestamp(1_000_000), Actor::Connection(3));
        let mut out = Vec::new();
        codec::encode(&Envelope { seq, at, actor, cause: 1, run_seq, request, altered: true, event }, &mut out)
            .expect("it is short");
        out
    }

    /// The same in Python, with nothing but its standard library:
    ///
    /// ```python
    /// import hmac, hashlib, struct
    /// sha = lambda b: hashlib.sha256(b).digest()
    /// salt = hmac.new(b"\x42" * 32, struct.pack("<Q", 7), "sha256").digest()
    /// body = b"\x01k\x011"                        # two strings: length, bytes
    /// commitment = sha(salt + body)
    /// envelope = (struct.pack("<HBQqBQQQ", 80, 1, 7, 1_000_000, 2, 3, 1, 0)
    ///             + b"\x01" + struct.pack("<I", 2) + b"r1" + b"\x09" * 16 + b"\x01" + bytes(32) + commitment)
    /// print(salt.hex(), commitment.hex(), sha(b"\x00" + envelope).hex(), sep="\n")
    /// ```
    #[test]
    fn a_leaf_is_what_the_module_says_byte_for_byte() {
        let record = record(7, 0, MemorySet { key: "k".to_owned(), value: Json::from("1") }.into());
        let raw = codec::split(&record).expect("it was just encoded");
        assert_eq!(raw.body, b"\x01k\x011");
        let salt = salt(&KEY, 7);
        assert_eq!(hex(&salt), "bcc47d7fd388aea60f95c317a17214416aec7767fc7a47451052c39020c8ce4d");
        let commitment = commitment(&salt, raw.body);
        assert_eq!(hex(&commitment), "6428be3a04805b1eaeb255f9d4bb0e01e5b06613ffd3433bd60ec4ad5f5b00b8");
        let leaf = leaf(&canonical(&raw, &NO_PREVIOUS, &commitment));
        assert_eq!(hex(&leaf), "f31a5facc96d577ec19924eee74b681505cf21ee88b6e1b010d205c97438aad9");
        assert_eq!(RunChain::new(KEY).next(&record).expect("it stands alone"), leaf);
    }

    fn created(n: u128) -> Event {
        let options = PipelineOptions {
            strategy: Strategy::Parallel,
            concurrent_max: 1,
            timeout_ms: None,
            retry: RetryPolicy::standard(0),
            on_failure: OnFailure::Fail,
        };
        let pipeline = PipelineId(Uuid::from_u128(n));
        PipelineCreated { pipeline, name: "p".to_owned(), options, config: Json::null() }.into()
    }

    fn started(n: u128) -> Event {
        PipelineStarted { pipeline: PipelineId(Uuid::from_u128(n)), mode: Strategy::Parallel }.into()
    }

    #[test]
    fn each_run_is_a_chain_of_its_own() {
        let mut chain = RunChain::new(KEY);
        let first = chain.next(&record(1, 1, created(1))).expect("the first of a run");
        chain.next(&record(2, 1, created(2))).expect("the first of another run");
        let third = record(3, 2, started(1));
        let raw = codec::split(&third).expect("it was just encoded");
        let commitment = commitment(&salt(&KEY, 3), raw.body);
        assert_eq!(chain.next(&third).expect("it follows"), leaf(&canonical(&raw, &first, &commitment)));
    }

    #[test]
    fn a_gap_in_a_run_is_named() {
        let mut chain = RunChain::new(KEY);
        chain.next(&record(1, 1, created(1))).expect("the first of a run");
        let gap = chain.next(&record(2, 3, started(1)));
        assert!(matches!(gap, Err(ChainError::Gap { seq: 2, expected: 2, found: 3 })), "{gap:?}");
        let stray = chain.next(&record(3, 1, MemorySet { key: "k".to_owned(), value: Json::null() }.into()));
        assert!(matches!(stray, Err(ChainError::NoRun { seq: 3 })), "{stray:?}");
    }
}
