//! The buckets of a store and who may use which: shared between the follower, which feeds them, and the readers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use super::bucket::{BucketDb, Trouble};
use crate::Seq;
use crate::reader::LogReader;

/// Sealed buckets open at the same time: measured, each costs some 100 MB of memory, whatever its cache is set to.
const MAX_OPEN: usize = 2;

/// One stretch of the log in sled.
#[derive(Debug)]
pub(crate) struct Bucket {
    pub(crate) first: Seq,
    pub(crate) dir: PathBuf,
    state: Mutex<State>,
    used: AtomicU64,
}

#[derive(Debug)]
struct State {
    /// Last record that may be read from here; one less than the first for none.
    last: Seq,
    /// Time of the first batch.
    at: i64,
    /// No more is fed into it.
    sealed: bool,
    db: Option<BucketDb>,
}

impl Bucket {
    /// A bucket that is complete, or (with `last` before `first`) one that holds nothing yet.
    pub(crate) fn new(first: Seq, dir: PathBuf, last: Seq, at: i64, sealed: bool) -> Self {
        Self { first, dir, state: Mutex::new(State { last, at, sealed, db: None }), used: AtomicU64::new(0) }
    }

    /// Last record that may be read from here.
    pub(crate) fn last(&self) -> Seq {
        self.state.lock().last
    }

    /// Time of its first batch.
    pub(crate) fn at(&self) -> i64 {
        self.state.lock().at
    }

    /// Makes what was fed so far readable.
    pub(crate) fn publish(&self, db: &BucketDb, last: Seq, at: i64) {
        let mut state = self.state.lock();
        state.last = last;
        state.at = at;
        if state.db.is_none() {
            state.db = Some(db.clone());
        }
    }

    /// Notes that no more is fed into it, and closes it until somebody reads there.
    pub(crate) fn seal(&self) {
        let mut state = self.state.lock();
        state.sealed = true;
        state.db = None;
    }

    /// Takes it from the readers.
    pub(crate) fn withdraw(&self) {
        let mut state = self.state.lock();
        state.last = self.first - 1;
        state.db = None;
    }

    /// The database, opened and checked now if that was not done yet; `None` when it holds nothing to read.
    fn open(&self, log: &LogReader, index_version: u32) -> Result<Option<BucketDb>, Trouble> {
        let mut state = self.state.lock();
        if state.last < self.first {
            return Ok(None);
        }
        if state.db.is_none() {
            let db = BucketDb::open(&self.dir)?;
            let note = db.check(self.first, log, index_version)?;
            if note.fed != state.last {
                return Err(Trouble::Damaged(format!(
                    "it ends with record {} and was sealed with {}",
                    note.fed, state.last
                )));
            }
            state.db = Some(db);
        }
        Ok(state.db.clone())
    }

    fn close_if_idle(&self) {
        let mut state = self.state.lock();
        if state.sealed {
            state.db = None;
        }
    }

    fn is_open_and_sealed(&self) -> bool {
        let state = self.state.lock();
        state.sealed && state.db.is_some()
    }
}

/// All buckets by their first record.
#[derive(Debug, Default)]
pub(crate) struct Buckets {
    map: RwLock<BTreeMap<Seq, Arc<Bucket>>>,
    clock: AtomicU64,
}

impl Buckets {
    pub(crate) fn insert(&self, bucket: Arc<Bucket>) {
        self.map.write().insert(bucket.first, bucket);
    }

    pub(crate) fn remove(&self, first: Seq) {
        self.map.write().remove(&first);
    }

    pub(crate) fn get(&self, first: Seq) -> Option<Arc<Bucket>> {
        self.map.read().get(&first).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Bucket>> {
        self.map.read().values().cloned().collect()
    }

    /// The bucket that holds `seq` so that it can be read there.
    pub(crate) fn holding(&self, seq: Seq) -> Option<Arc<Bucket>> {
        let map = self.map.read();
        let (_, bucket) = map.range(..=seq).next_back()?;
        (bucket.last() >= seq).then(|| Arc::clone(bucket))
    }

    /// First record of the first bucket after `seq`.
    pub(crate) fn next_after(&self, seq: Seq) -> Option<Seq> {
        let map = self.map.read();
        map.range(seq.checked_add(1)?..).next().map(|(first, _)| *first)
    }

    /// Last record up to which nothing is missing.
    pub(crate) fn fed(&self) -> Seq {
        let map = self.map.read();
        let mut fed = 0;
        for bucket in map.values() {
            if bucket.first != fed + 1 {
                break;
            }
            fed = bucket.last();
        }
        fed
    }

    /// Opens a bucket for reading and closes the one that was not used for longest when there are too many.
    pub(crate) fn open(
        &self,
        bucket: &Bucket,
        log: &LogReader,
        index_version: u32,
    ) -> Result<Option<BucketDb>, Trouble> {
        bucket.used.store(self.clock.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        let db = bucket.open(log, index_version)?;
        let open: Vec<_> = self.all().into_iter().filter(|other| other.is_open_and_sealed()).collect();
        if open.len() > MAX_OPEN
            && let Some(idle) = open.iter().min_by_key(|other| other.used.load(Ordering::Relaxed))
        {
            idle.close_if_idle();
        }
        Ok(db)
    }
}
