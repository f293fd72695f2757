//! What was written before: the event log, read through the sled store (and through the commit log where that is not fed yet).

mod lines;
mod repair;
mod snapshot;
mod verify;

pub(crate) use lines::{LogLine, lines};
pub(crate) use repair::{Anchored, Repair};
pub(crate) use snapshot::StateSnapshots;
pub(crate) use verify::{Checked, Verification};

use crate::failure::Failure;
use crate::shared::History;
use everlog_replay::record::{PipelineInfo, TaskInfo};
use everlog_replay::{Envelope, Event, Json, PipelineId, PipelineStory, Seq, TaskId, TaskStory, Timestamp, codec};
use everlog_storage::{IndexKeys, Store};
use uuid::Uuid;

/// Index key of the events that name a pipeline; the id is its UUID.
pub(crate) const KEY_PIPELINE: u8 = 1;
/// Index key of the events that name an agent; the id is its text.
pub(crate) const KEY_AGENT: u8 = 2;
/// Index key of what a connection caused; the id is its number, big endian.
pub(crate) const KEY_ACTOR: u8 = 3;

/// Number of [`index`]: the store is fed anew when another one wrote it.
pub(crate) const INDEX_VERSION: u32 = 1;

/// The index keys of a record. The store notes them once a run of records, and looks through what it finds.
pub(crate) fn index(record: &[u8], keys: &mut IndexKeys) {
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
pub(crate) struct LogHistory {
    store: Store,
}

impl LogHistory {
    /// Reads what `store` holds.
    #[must_use]
    pub(crate) fn new(store: Store) -> Self {
        Self { store }
    }
}

/// How much later than its id (a version 7 UUID tells its time) something can have been created: the longest time that a command
/// waits for the writer, in microseconds.
const CREATION_LAG_US: i64 = 60_000_000;

impl LogHistory {
    /// The events from `from` on, oldest first.
    fn all(&self, from: Seq) -> impl Iterator<Item = Result<Envelope, Failure>> {
        self.store.read_from(from).flat_map(move |frame| match frame {
            Ok(frame) => frame.records_from(from).map(|(seq, record)| envelope(seq, record)).collect::<Vec<_>>(),
            Err(fault) => vec![Err(fault.into())],
        })
    }

    /// The events from the one that created `id` on.
    fn since_creation(&self, id: Uuid) -> Result<impl Iterator<Item = Result<Envelope, Failure>>, Failure> {
        let made_us = id.get_timestamp().map(|made| {
            let (seconds, nanos) = made.to_unix();
            i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000) + i64::from(nanos / 1_000)
        });
        let from = made_us.map(|at| self.store.first_seq_at(at.saturating_sub(CREATION_LAG_US))).transpose()?.flatten();
        let until = Timestamp(made_us.unwrap_or(0).saturating_add(CREATION_LAG_US));
        let mut found = false;
        let events = self.all(from.unwrap_or(Seq::MAX)).take_while(move |envelope| {
            let Ok(envelope) = envelope else { return true };
            let subject = envelope.event.subject();
            found |= subject.pipeline.is_some_and(|pipeline| pipeline.0 == id);
            found |= subject.task.is_some_and(|task| task.0 == id);
            found || envelope.at <= until
        });
        Ok(events)
    }

    fn is_deleted(&self, id: PipelineId, from: Seq) -> Result<bool, Failure> {
        for found in self.store.records_with(KEY_PIPELINE, id.0.as_bytes(), from) {
            let (seq, record) = found?;
            let event = envelope(seq, &record)?.event;
            if matches!(event, Event::PipelineDeleted(e) if e.pipeline == id) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl History for LogHistory {
    fn payload(&self, seq: Seq) -> Result<Json, Failure> {
        let record = self.store.record(seq)?;
        let envelope = record.map(|record| envelope(seq, &record)).transpose()?;
        envelope.and_then(|envelope| envelope.event.payload().cloned()).ok_or_else(|| Failure::Record {
            seq,
            detail: "a payload is to be there, and is not; `everlog verify` looks for what is damaged".to_owned(),
        })
    }

    fn events(&self, first: Seq, last: Seq) -> Result<Vec<Envelope>, Failure> {
        let wanted =
            |envelope: &Result<Envelope, Failure>| envelope.as_ref().map_or(true, |envelope| envelope.seq <= last);
        self.all(first).take_while(wanted).collect()
    }

    fn pipeline(&self, id: PipelineId) -> Result<Option<PipelineInfo>, Failure> {
        let mut story: Option<PipelineStory> = None;
        for envelope in self.since_creation(id.0)? {
            let envelope = envelope?;
            match &mut story {
                Some(story) => story.follow(&envelope),
                None if envelope.event.subject().pipeline == Some(id) => story = PipelineStory::begin(&envelope),
                None => {}
            }
            if story.as_ref().is_some_and(|story| story.ended) {
                break;
            }
        }
        let Some(story) = story.filter(|story| story.ended) else { return Ok(None) };
        Ok(if self.is_deleted(id, 1)? { None } else { Some(story.finish()) })
    }

    fn task(&self, id: TaskId) -> Result<Option<TaskInfo>, Failure> {
        let mut story: Option<TaskStory> = None;
        for envelope in self.since_creation(id.0)? {
            let envelope = envelope?;
            match &mut story {
                Some(story) => story.follow(&envelope),
                None if envelope.event.subject().task == Some(id) => story = TaskStory::begin(&envelope),
                None => {}
            }
            if story.as_ref().is_some_and(|story| story.status.is_final()) {
                break;
            }
        }
        let Some(story) = story.filter(|story| story.status.is_final()) else { return Ok(None) };
        let deleted = story.pipeline.map(|pipeline| self.is_deleted(pipeline, 1)).transpose()?;
        Ok(if deleted == Some(true) { None } else { Some(story.info) })
    }
}

/// Decodes a record that the log has vouched for.
///
/// # Errors
/// When it is of a newer release, or was written wrongly.
pub(crate) fn envelope(seq: Seq, record: &[u8]) -> Result<Envelope, Failure> {
    codec::decode(record).map_err(|error| Failure::Record { seq, detail: error.to_string() })
}

/// An empty directory for copies of the store, which is removed when it is dropped.
///
/// # Errors
/// When there is no place for one.
fn scratch() -> Result<tempfile::TempDir, Failure> {
    tempfile::tempdir().map_err(|source| Failure::Scratch { dir: std::env::temp_dir(), source })
}
