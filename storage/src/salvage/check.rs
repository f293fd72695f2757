//! What can be said of the parts of a directory whose commit log is damaged.

use super::Salvage;
use crate::store::BucketCopy;
use crate::{Fault, Frame, Seq};

/// What a bucket of the store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BucketCheck {
    /// The last record.
    pub last: Seq,
    /// How many of its records were compared with the commit log, where that is sound.
    pub compared: u64,
}

impl Salvage {
    /// What is sound in the commit log, wherever it stands: first and last records, in order.
    pub fn sound(&self) -> Vec<(Seq, Seq)> {
        let mut ranges: Vec<(Seq, Seq)> = Vec::new();
        for place in self.log.from(1) {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 >= place.first => *last = place.last.max(*last),
                Some(_) | None => ranges.push((place.first, place.last)),
            }
        }
        ranges
    }

    /// First records of the store's buckets, in order.
    pub fn buckets(&self) -> Vec<Seq> {
        self.store.firsts().to_vec()
    }

    /// Compares a bucket with what the commit log still holds; the inner error says what is wrong with it.
    ///
    /// # Errors
    /// When a copy of it cannot be made.
    pub fn check_bucket(&mut self, first: Seq) -> Result<Result<BucketCheck, String>, Fault> {
        let last = match self.store.open(first)? {
            Ok(bucket) => bucket.last(),
            Err(detail) => return Ok(Err(detail.clone())),
        };
        let mut check = BucketCheck { last, compared: 0 };
        let mut own = Frame::default();
        let mut next = first;
        while next <= last {
            let Some(frame) = self.store.frame(next)? else {
                if !self.store.open(first)?.as_ref().is_ok_and(|bucket: &BucketCopy| bucket.refers(next)) {
                    return Ok(Err(format!("the run of record {next} is missing or damaged")));
                }
                next += 1;
                continue;
            };
            for (seq, record) in frame.records() {
                if own.record(seq).is_none() {
                    let place = self.log.holding(seq).next().cloned();
                    own = place.and_then(|place| self.log.read(&place)).unwrap_or_default();
                }
                match own.record(seq) {
                    Some(known) if known != record => {
                        return Ok(Err(format!("record {seq} is not that of the log")));
                    }
                    Some(_) => check.compared += 1,
                    None => {}
                }
            }
            next = frame.next();
        }
        Ok(Ok(check))
    }
}
