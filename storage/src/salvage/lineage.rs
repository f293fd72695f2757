//! One account of what happened, from record 1 on, put together from both copies.

use sha2::{Digest, Sha256};

use super::log::Place;
use super::{Origin, Stretch};
use crate::wire::{ChainHash, encode_frame};
use crate::{Frame, Seq};

/// A record that is known from elsewhere: its number and its SHA-256.
pub type Witnessed = (Seq, [u8; 32]);

/// Frames that follow each other, of one log.
#[derive(Debug)]
pub struct Lineage {
    pub(super) steps: Vec<Step>,
    /// Chain hash at the end.
    pub(super) chain: ChainHash,
    /// Whether the end comes from the store: the borders of its frames, and so the hash, are then a guess until something
    /// confirms it.
    pub(super) guessed: bool,
    /// Whether it holds what the anchor says was acknowledged, as the anchor says it.
    pub(super) anchored: bool,
    /// Records that were confirmed by what is known of them from elsewhere.
    pub(super) witnessed: usize,
    /// Records that are known to have been others.
    pub(super) refuted: usize,
}

/// One frame of it, or the part of one that was missing.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) first: Seq,
    pub(super) last: Seq,
    /// Where in the commit log; otherwise it is from the store.
    pub(super) place: Option<Place>,
}

impl Step {
    pub(super) fn origin(&self) -> Origin {
        if self.place.is_some() { Origin::CommitLog } else { Origin::Store }
    }
}

impl Default for Lineage {
    fn default() -> Self {
        let chain = ChainHash::default();
        Self { steps: Vec::new(), chain, guessed: false, anchored: false, witnessed: 0, refuted: 0 }
    }
}

impl Lineage {
    /// The last record; 0 when there is none.
    pub fn last(&self) -> Seq {
        self.steps.last().map_or(0, |step| step.last)
    }

    /// Whether it holds what the anchor says was acknowledged.
    pub fn is_anchored(&self) -> bool {
        self.anchored
    }

    /// Whether what is known from elsewhere speaks against it, and nothing for it.
    pub fn is_doubtful(&self) -> bool {
        !self.anchored && self.witnessed == 0 && self.refuted > 0
    }

    /// Its records by where they are.
    pub fn stretches(&self) -> Vec<Stretch> {
        let mut stretches: Vec<Stretch> = Vec::new();
        for step in &self.steps {
            let origin = step.origin();
            match stretches.last_mut() {
                Some(before) if before.origin == origin => before.last = step.last,
                Some(_) | None => stretches.push(Stretch { first: step.first, last: step.last, origin }),
            }
        }
        stretches
    }

    /// The step that holds a record.
    pub(super) fn step_of(&self, seq: Seq) -> Option<&Step> {
        let nth = self.steps.partition_point(|step| step.last < seq);
        self.steps.get(nth).filter(|step| step.first <= seq)
    }

    /// Goes on with a frame of the log.
    pub(super) fn push_place(&mut self, place: &Place) {
        let step = Step { first: self.last() + 1, last: place.last, place: Some(place.clone()) };
        (self.chain, self.guessed) = (place.after, false);
        self.steps.push(step);
    }

    /// Goes on with a frame of the store.
    pub(super) fn push_stored(&mut self, frame: &Frame) {
        let step = Step { first: frame.first(), last: frame.last(), place: None };
        (self.chain, self.guessed) = (encode_frame(frame, self.chain, 0, &mut Vec::new()), true);
        self.steps.push(step);
    }
}

/// Whether a record has this SHA-256.
pub(super) fn is(record: &[u8], hash: &[u8; 32]) -> bool {
    Sha256::digest(record)[..] == *hash
}
