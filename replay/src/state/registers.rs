//! The smaller registers of the state: requests answered, refusals counted, errors, models.

use crate::envelope::{Actor, Envelope, RequestKey, Stamp};
use crate::event::ModelFigures;
use crate::ids::{ConnectionNo, ErrorId, Seq, TaskId, Timestamp};
use crate::limits::{
    ERRORS_MAX, MODEL_REPORTS_MAX, REFUSALS_PER_BUCKET, REFUSALS_PER_BUCKET_ALL, REQUEST_MEMORY_MS, REQUESTS_MAX,
};
use crate::refusal::Refusal;
use crate::text::Payload;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use uuid::Uuid;

/// Answers given, for repeated requests (law 11).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Requests {
    /// Oldest first.
    order: VecDeque<(Timestamp, RequestScope)>,
    by_id: BTreeMap<RequestScope, Remembered>,
}

/// An id in UUID form means the same on every connection; any other only on its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum RequestScope {
    Everywhere(Uuid),
    Connection(Option<ConnectionNo>, Arc<str>),
}

/// The answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    body: [u8; 16],
    at: Timestamp,
    /// The events that it gave.
    pub events: Repeat,
}

/// The events of an answered request; the reply is a function of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repeat {
    /// The first.
    pub first: Seq,
    /// The last.
    pub last: Seq,
}

/// Whether a request of that time is no longer remembered.
fn is_over(at: Timestamp, now: Timestamp) -> bool {
    at.plus_ms(REQUEST_MEMORY_MS) < now
}

fn scope_of(key: &RequestKey, actor: Actor) -> RequestScope {
    match Uuid::try_parse(&key.id) {
        Ok(id) => RequestScope::Everywhere(id),
        Err(_) => RequestScope::Connection(actor.connection(), key.id.as_str().into()),
    }
}

impl Requests {
    pub(crate) fn find(&self, stamp: &Stamp) -> Result<Option<Repeat>, Refusal> {
        let Some(key) = &stamp.request else { return Ok(None) };
        match self.by_id.get(&scope_of(key, stamp.actor)) {
            None => Ok(None),
            Some(known) if is_over(known.at, stamp.at) => Ok(None),
            Some(known) if known.body == key.body => Ok(Some(known.events)),
            Some(_) => Err(Refusal::RequestReused(key.id.clone())),
        }
    }

    /// Takes note of an event: the first of a command brings its request, the further ones name the first as their cause.
    pub(crate) fn note(&mut self, envelope: &Envelope) {
        self.forget(envelope.at);
        if let Some(key) = &envelope.request {
            let scope = scope_of(key, envelope.actor);
            let events = Repeat { first: envelope.seq, last: envelope.seq };
            self.by_id.insert(scope.clone(), Remembered { body: key.body, at: envelope.at, events });
            self.order.push_back((envelope.at, scope));
        } else if envelope.actor.connection().is_some() && envelope.cause != 0 {
            let Some((_, newest)) = self.order.back() else { return };
            if let Some(known) = self.by_id.get_mut(newest)
                && known.events.first == envelope.cause
            {
                known.events.last = envelope.seq;
            }
        }
    }

    fn forget(&mut self, now: Timestamp) {
        while let Some((at, scope)) = self.order.front() {
            if self.order.len() <= REQUESTS_MAX && !is_over(*at, now) {
                return;
            }
            self.by_id.remove(scope);
            self.order.pop_front();
        }
    }
}

/// How many refusals each actor has on record in the current bucket.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Refusals {
    bucket: i64,
    counts: BTreeMap<Actor, u32>,
    total: u32,
}

impl Refusals {
    /// Whether one more of this actor is recorded singly.
    pub(crate) fn has_room(&self, actor: Actor, at: Timestamp) -> bool {
        let of_actor = self.counts.get(&actor).copied().unwrap_or(0);
        self.bucket != at.bucket() || (of_actor < REFUSALS_PER_BUCKET && self.total < REFUSALS_PER_BUCKET_ALL)
    }

    pub(crate) fn count(&mut self, actor: Actor, at: Timestamp) {
        if self.bucket != at.bucket() {
            self.bucket = at.bucket();
            self.counts.clear();
            self.total = 0;
        }
        self.total += 1;
        *self.counts.entry(actor).or_default() += 1;
    }
}

/// The error register.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Errors {
    by_id: BTreeMap<ErrorId, ErrorEntry>,
    /// Oldest first.
    order: VecDeque<ErrorId>,
}

/// An entry of the error register.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ErrorEntry {
    /// Its identity.
    pub id: ErrorId,
    /// When it was reported.
    pub at: Timestamp,
    /// Part of the client's system.
    pub component: String,
    /// Type of error.
    pub error_type: String,
    /// What it says.
    pub message: String,
    /// The task that it names.
    pub task: Option<TaskId>,
    /// Details and context.
    pub details: Payload,
    /// The newest recovery: what was asked for, and when.
    pub recovered: Option<(String, Timestamp)>,
}

impl Errors {
    /// The entry with this identity.
    ///
    /// # Errors
    /// [`Refusal::ErrorNotFound`].
    pub fn get(&self, id: ErrorId) -> Result<&ErrorEntry, Refusal> {
        self.by_id.get(&id).ok_or(Refusal::ErrorNotFound(id))
    }

    /// All entries, newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = &ErrorEntry> {
        self.order.iter().rev().filter_map(|id| self.by_id.get(id))
    }

    pub(crate) fn contains(&self, id: ErrorId) -> bool {
        self.by_id.contains_key(&id)
    }

    pub(crate) fn insert(&mut self, entry: ErrorEntry) {
        self.order.push_back(entry.id);
        self.by_id.insert(entry.id, entry);
        if self.order.len() > ERRORS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_id.remove(&oldest);
        }
    }

    pub(crate) fn recover(&mut self, id: ErrorId, action: &str, at: Timestamp) -> bool {
        let Some(entry) = self.by_id.get_mut(&id) else { return false };
        entry.recovered = Some((action.to_owned(), at));
        true
    }
}

/// What was reported of a model.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Model {
    /// The newest known value of every figure.
    pub latest: ModelFigures,
    /// Single reports, oldest first, at most [`MODEL_REPORTS_MAX`].
    pub reports: VecDeque<ModelReport>,
}

/// One report of a model.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ModelReport {
    /// When.
    pub at: Timestamp,
    /// What.
    pub figures: ModelFigures,
}

impl Model {
    pub(crate) fn report(&mut self, report: ModelReport) {
        for (latest, bits) in self.latest.bits.iter_mut().zip(report.figures.bits) {
            *latest = bits.or(*latest);
        }
        self.reports.push_back(report);
        if self.reports.len() > MODEL_REPORTS_MAX {
            self.reports.pop_front();
        }
    }
}
