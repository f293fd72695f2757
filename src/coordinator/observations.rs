//! Reads, and refusals beyond those recorded singly: counted for each connection and method in time buckets, so that every
//! operation is on record and no client can make the log grow at will.

use everlog_replay::{ConnectionNo, Observation, Timestamp};
use std::collections::BTreeMap;

/// Different methods counted for one connection in one bucket; what else it calls is counted together under `other`.
const METHODS_MAX: usize = 64;

/// The counts of the current bucket.
#[derive(Debug, Default)]
pub(super) struct Observations {
    bucket: i64,
    counts: BTreeMap<ConnectionNo, BTreeMap<String, (u64, u64)>>,
    closed: Vec<Observation>,
}

impl Observations {
    pub(super) fn answered(&mut self, connection: ConnectionNo, method: &str, now: Timestamp) {
        self.entry(connection, method, now).0 += 1;
    }

    pub(super) fn refused(&mut self, connection: ConnectionNo, method: &str, now: Timestamp) {
        self.entry(connection, method, now).1 += 1;
    }

    fn entry(&mut self, connection: ConnectionNo, method: &str, now: Timestamp) -> &mut (u64, u64) {
        if self.bucket == 0 {
            self.bucket = now.bucket();
        }
        let methods = self.counts.entry(connection).or_default();
        let full = methods.len() >= METHODS_MAX && !methods.contains_key(method);
        methods.entry(if full { "other".to_owned() } else { method.to_owned() }).or_default()
    }

    /// A connection ended: its counts wait for the end of the bucket.
    pub(super) fn forget(&mut self, connection: ConnectionNo) {
        if let Some(methods) = self.counts.remove(&connection) {
            self.close(connection, methods);
        }
    }

    fn close(&mut self, connection: ConnectionNo, methods: BTreeMap<String, (u64, u64)>) {
        let bucket = Timestamp::of_bucket(self.bucket);
        let lines = methods.into_iter().map(|(method, (count, refused))| Observation {
            bucket,
            connection,
            method,
            count,
            refused,
        });
        self.closed.extend(lines);
    }

    /// The lines of a bucket that is over; `None` while it runs or when nothing was counted.
    pub(super) fn finished(&mut self, now: Timestamp) -> Option<Vec<Observation>> {
        if self.bucket == 0 || now.bucket() == self.bucket {
            return None;
        }
        self.all()
    }

    /// The lines counted so far, bucket over or not.
    pub(super) fn all(&mut self) -> Option<Vec<Observation>> {
        for (connection, methods) in std::mem::take(&mut self.counts) {
            self.close(connection, methods);
        }
        self.bucket = 0;
        Some(std::mem::take(&mut self.closed)).filter(|lines| !lines.is_empty())
    }
}
