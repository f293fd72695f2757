//! Feeding one bucket: frames in, runs and index entries out, sixteen runs a batch.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use sled::Batch;

use super::bucket::{BucketDb, Note, Trouble};
use super::buckets::Bucket;
use super::index::{INDEX, IndexFn, IndexKeys, NOTE, push_indexed_run, run_key, time_key};
use super::mark::Mark;
use super::run::RunBuilder;
use crate::reader::LogReader;
use crate::wire::ChainHash;
use crate::{Frame, Seq};

/// Runs applied together: as many as a leaf page of sled holds.
const BATCH_RUNS: usize = 16;
/// Batches between two syncs: what a power cut takes from sled is fed again, so this only bounds that work.
const SYNC_BATCHES: usize = 256;
/// Records in a bucket, about: as much as is checked in a blink when it is opened.
const BUCKET_RECORDS: Seq = 1_000_000;
/// Length of a bucket in time, in microseconds: a day.
const BUCKET_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// Writes one bucket.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(crate) bucket: Arc<Bucket>,
    db: BucketDb,
    index: IndexFn,
    run: RunBuilder,
    keys: IndexKeys,
    note: Note,
    /// Frame that the run's last record came from.
    tie: (Seq, ChainHash),
    batch: Batch,
    batch_runs: usize,
    batch_first: Seq,
    batch_at: i64,
    /// Index entries of the batch: key without its ends → runs.
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
    unsynced: usize,
}

impl Feed {
    /// Goes on feeding a bucket whose note says how far it is.
    pub(crate) fn new(bucket: Arc<Bucket>, db: BucketDb, note: Note, index: IndexFn) -> Self {
        if note.fed >= bucket.first {
            bucket.publish(&db, note.fed, note.at);
        }
        Self {
            run: RunBuilder::new(note.fed + 1),
            bucket,
            db,
            index,
            keys: IndexKeys::default(),
            note,
            tie: (0, ChainHash::default()),
            batch: Batch::default(),
            batch_runs: 0,
            batch_first: 0,
            batch_at: 0,
            entries: BTreeMap::new(),
            unsynced: 0,
        }
    }

    /// The next record to be fed.
    pub(crate) fn next(&self) -> Seq {
        self.run.next()
    }

    /// Whether a bucket ends before a frame of this time.
    pub(crate) fn is_over(&self, at: i64) -> bool {
        let empty = self.next() == self.bucket.first;
        let start = if self.note.fed < self.bucket.first { self.run.at } else { self.note.at };
        let other_day = at.div_euclid(BUCKET_MICROS) != start.div_euclid(BUCKET_MICROS);
        !empty && (other_day || self.next() - self.bucket.first >= BUCKET_RECORDS)
    }

    /// Feeds the records of a frame from the next one on, up to `to`. What does not fill a run waits for more.
    pub(crate) fn add(&mut self, frame: &Frame, chain: ChainHash, to: Seq) -> Result<(), Trouble> {
        let from = self.next();
        for (_, record) in frame.records_from(from).take_while(|(seq, _)| *seq <= to) {
            if !self.run.push(frame.at(), record) {
                self.finish_run()?;
                // An empty run takes any record: those too large become references.
                self.run.push(frame.at(), record);
            }
            (self.index)(record, &mut self.keys);
            self.tie = (frame.last(), chain);
        }
        Ok(())
    }

    /// Applies everything, full or not.
    pub(crate) fn flush(&mut self) -> Result<(), Trouble> {
        if self.run.count > 0 {
            self.finish_run()?;
        }
        self.apply()
    }

    /// Makes everything applied durable.
    pub(crate) fn sync(&mut self) -> Result<(), Trouble> {
        self.unsynced = 0;
        self.db.sync()?;
        self.mark(Mark::Synced)
    }

    /// Ends the bucket: flushed, read back and compared, durable, and noted as complete.
    pub(crate) fn seal(mut self, log: &LogReader) -> Result<(), Trouble> {
        self.flush()?;
        self.sync()?;
        let found = self.db.check(self.bucket.first, log, self.note.index_version)?;
        if found != self.note {
            return Err(Trouble::Damaged("it does not read back as it was written".to_owned()));
        }
        self.mark(Mark::Sealed)?;
        self.bucket.seal();
        Ok(())
    }

    fn mark(&self, mark: Mark) -> Result<(), Trouble> {
        let written = mark.write(&self.bucket.dir, self.note.fed, self.note.at);
        written.map_err(|error| Trouble::Disk(error.to_string()))
    }

    fn finish_run(&mut self) -> Result<(), Trouble> {
        let (first, at, count) = (self.run.first, self.run.at, self.run.count);
        if self.note.fed < self.bucket.first {
            self.note.at = at;
        }
        if self.batch_runs == 0 {
            (self.batch_first, self.batch_at) = (first, at);
        }
        let (key, value) = (run_key(first), self.run.finish());
        self.note.count(&key, &value);
        self.batch.insert(&key[..], value);
        for id in self.keys.distinct() {
            match self.entries.get_mut(id) {
                Some(runs) => push_indexed_run(runs, first, count),
                None => {
                    let mut runs = Vec::new();
                    push_indexed_run(&mut runs, first, count);
                    self.entries.insert(id.to_vec(), runs);
                }
            }
        }
        self.keys.clear();
        self.note.fed = self.run.first - 1;
        (self.note.frame_last, self.note.chain) = self.tie;
        self.batch_runs += 1;
        if self.batch_runs >= BATCH_RUNS {
            self.apply()?;
        }
        Ok(())
    }

    /// Applies the runs gathered, with one index entry a key for all of them: every insert makes sled copy a leaf, so
    /// few larger entries cost a fraction of many small ones.
    fn apply(&mut self) -> Result<(), Trouble> {
        if self.batch_runs == 0 {
            return Ok(());
        }
        let key = time_key(self.batch_at, self.batch_first);
        self.note.count(&key, &[]);
        self.batch.insert(&key[..], &[]);
        for (id, runs) in std::mem::take(&mut self.entries) {
            let key = [&[INDEX], &id[..], &self.batch_first.to_be_bytes()].concat();
            self.note.count(&key, &runs);
            self.batch.insert(key, runs);
        }
        self.batch.insert(NOTE, self.note.encode());
        self.db.apply(std::mem::take(&mut self.batch))?;
        self.batch_runs = 0;
        self.bucket.publish(&self.db, self.note.fed, self.note.at);
        self.unsynced += 1;
        if self.unsynced >= SYNC_BATCHES {
            self.sync()?;
        }
        Ok(())
    }
}

/// The bucket directory that starts at `first`.
pub(crate) fn bucket_dir(log_dir: &Path, first: Seq) -> std::path::PathBuf {
    log_dir.join(format!("{first:020}"))
}
