//! What was written before: the event log, read through the sled store (and through the commit log where that is not fed yet).

use crate::shared::History;
use everlog_replay::{Envelope, Json, Seq, codec};
use everlog_storage::{Fault, IndexKeys, Store};

/// Index key of the events that name a pipeline; the id is its UUID.
pub const KEY_PIPELINE: u8 = 1;
/// Index key of the events that name an agent; the id is its text.
pub const KEY_AGENT: u8 = 2;
/// Index key of what a connection caused; the id is its number, big endian.
pub const KEY_ACTOR: u8 = 3;

/// Number of [`index`]: the store is fed anew when another one wrote it.
pub const INDEX_VERSION: u32 = 1;

/// The index keys of a record. The store notes them once a run of records, and looks through what it finds.
pub fn index(record: &[u8], keys: &mut IndexKeys) {
    let Ok(envelope) = codec::decode(record) else { return };
    let subject = envelope.event.subject();
    if let Some(pipeline) = subject.pipeline {
        keys.add(KEY_PIPELINE, pipeline.0.as_bytes());
    }
    if let Some(agent) = subject.agent {
        keys.add(KEY_AGENT, agent.as_str().as_bytes());
    }
    if let Some(connection) = envelope.actor.connection() {
        keys.add(KEY_ACTOR, &connection.to_be_bytes());
    }
}

/// The events of a data directory.
pub struct LogHistory {
    store: Store,
}

impl LogHistory {
    /// Reads what `store` holds.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store }
    }
}

impl History for LogHistory {
    fn payload(&self, seq: Seq) -> Result<Json, Fault> {
        let record = self.store.record(seq)?;
        let envelope = record.map(|record| envelope(seq, &record)).transpose()?;
        Ok(envelope.and_then(|envelope| envelope.event.payload().cloned()).unwrap_or_else(Json::null))
    }

    fn events(&self, first: Seq, last: Seq) -> Result<Vec<Envelope>, Fault> {
        let mut events = Vec::new();
        for frame in self.store.read_from(first) {
            for (seq, record) in frame?.records_from(first) {
                if seq > last {
                    return Ok(events);
                }
                events.push(envelope(seq, record)?);
            }
        }
        Ok(events)
    }
}

/// Decodes a record that the log has vouched for.
///
/// # Errors
/// When it is of a newer release, or was written wrongly.
pub fn envelope(seq: Seq, record: &[u8]) -> Result<Envelope, Fault> {
    codec::decode(record).map_err(|error| Fault::record(seq, error.to_string()))
}
