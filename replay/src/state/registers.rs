//! The smaller registers of the state: refusals counted, errors, models.

use crate::envelope::Actor;
use crate::event::ModelFigures;
use crate::ids::{ErrorId, TaskId, Timestamp};
use crate::limits::{ERRORS_MAX, MODEL_REPORTS_MAX, REFUSALS_PER_BUCKET, REFUSALS_PER_BUCKET_ALL};
use crate::refusal::Refusal;
use crate::text::Payload;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

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
