//! Reading the store: each answer comes from sled where it is fed, from the commit log where it is not.

use std::collections::VecDeque;

use super::Store;
use super::index::{IndexKeys, index_prefix, time_key};
use super::run::frames;
use crate::reader::FrameReader;
use crate::{Fault, Frame, Seq};

/// A stretch of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// First record.
    pub first: Seq,
    /// Last record.
    pub last: Seq,
}

impl Store {
    /// One record, or `None` beyond the end of what is durable.
    pub fn record(&self, seq: Seq) -> Result<Option<Vec<u8>>, Fault> {
        match self.run_of(seq)? {
            Some(frames) => Ok(frames.iter().find_map(|frame| frame.record(seq)).map(<[u8]>::to_vec)),
            None => self.log().record(seq),
        }
    }

    /// Records from `from` to what is durable now, as frames: records and times are those of the commit log, and a
    /// frame may come in pieces.
    pub fn read_from(&self, from: Seq) -> History {
        History {
            store: self.clone(),
            next: from.max(1),
            until: self.log().durable(),
            ready: VecDeque::new(),
            frames: None,
        }
    }

    /// Runs, oldest first, that hold a record with this index key, from the one that holds `from` on. A run holds
    /// other records too: see [`Store::records_with`].
    pub fn runs_with(&self, kind: u8, id: &[u8], from: Seq) -> RunsWith {
        RunsWith {
            store: self.clone(),
            prefix: index_prefix(kind, id),
            next: from.max(1),
            until: self.log().durable(),
            ready: VecDeque::new(),
            scan: None,
        }
    }

    /// Records from `from` on that have this index key, oldest first.
    pub fn records_with(&self, kind: u8, id: &[u8], from: Seq) -> RecordsWith {
        RecordsWith { runs: self.runs_with(kind, id, from), from, ready: VecDeque::new(), keys: IndexKeys::default() }
    }

    /// First record of the first frame whose time is at least `time` (microseconds); `None` when all are older.
    pub fn first_seq_at(&self, time: i64) -> Result<Option<Seq>, Fault> {
        let buckets = self.inner.shared.buckets.all();
        let older = buckets.iter().rfind(|bucket| bucket.last() >= bucket.first && bucket.at() < time);
        let mut from = 1;
        if let Some(bucket) = older
            && let Some((bucket, db)) = self.ready(bucket.first)
        {
            match db.run_before(&time_key(time, 0)) {
                Ok(run) => from = run.unwrap_or(1),
                Err(trouble) => self.hand_over(&bucket, trouble),
            }
        }
        self.log().first_seq_at_from(time, from)
    }

    /// The frames of the run that holds `seq`, from the one with `seq` on; `None` where the commit log must answer.
    fn run_of(&self, seq: Seq) -> Result<Option<Vec<Frame>>, Fault> {
        let Some((bucket, db)) = self.ready(seq) else {
            return Ok(None);
        };
        match db.run_of(seq) {
            Ok((first, value)) => frames(self.log(), first, &value, seq),
            Err(trouble) => {
                self.hand_over(&bucket, trouble);
                Ok(None)
            }
        }
    }

    fn matches(&self, frame: &Frame, prefix: &[u8], keys: &mut IndexKeys) -> bool {
        frame.records().any(|(_, record)| {
            keys.clear();
            (self.inner.shared.index)(record, keys);
            keys.contains(prefix)
        })
    }
}

/// Iterator over the records of the store, as frames.
#[derive(Debug)]
pub struct History {
    store: Store,
    next: Seq,
    until: Seq,
    ready: VecDeque<Frame>,
    frames: Option<FrameReader>,
}

impl Iterator for History {
    type Item = Result<Frame, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next > self.until {
            return None;
        }
        if self.ready.is_empty() && self.frames.is_none() {
            match self.store.run_of(self.next) {
                Ok(Some(frames)) => self.ready.extend(frames),
                // From here on the commit log answers: it is the faster reader anyway.
                Ok(None) => self.frames = Some(self.store.log().frames(self.next)),
                Err(fault) => return Some(Err(self.fail(fault))),
            }
        }
        let frame = match self.ready.pop_front() {
            Some(frame) => Ok(frame),
            None => self.frames.as_mut()?.next()?,
        };
        match frame {
            Ok(mut frame) => {
                // Runs and frames are cut differently: nothing comes twice where one follows the other.
                frame.trim_start(self.next);
                self.next = frame.next();
                Some(Ok(frame))
            }
            Err(fault) => Some(Err(self.fail(fault))),
        }
    }
}

impl History {
    fn fail(&mut self, fault: Fault) -> Fault {
        self.until = 0;
        fault
    }
}

/// Iterator over runs with an index key.
#[derive(Debug)]
pub struct RunsWith {
    store: Store,
    prefix: Vec<u8>,
    next: Seq,
    until: Seq,
    ready: VecDeque<Run>,
    /// Where no bucket answers: the commit log, up to a record.
    scan: Option<(FrameReader, Seq)>,
}

impl Iterator for RunsWith {
    type Item = Result<Run, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(run) = self.ready.pop_front() {
                return Some(Ok(run));
            }
            if let Some((mut frames, last)) = self.scan.take() {
                match self.scan_on(&mut frames, last) {
                    Ok(Some(run)) => {
                        self.scan = Some((frames, last));
                        return Some(Ok(run));
                    }
                    Ok(None) => self.next = last + 1,
                    Err(fault) => {
                        self.next = Seq::MAX;
                        return Some(Err(fault));
                    }
                }
            }
            if self.next > self.until {
                return None;
            }
            self.go_on();
        }
    }
}

impl RunsWith {
    /// Looks the next stretch up in its bucket, or starts scanning the commit log up to the next bucket.
    fn go_on(&mut self) {
        if let Some((bucket, db)) = self.store.ready(self.next) {
            let last = bucket.last();
            match db.runs_of(&self.prefix, self.next) {
                Ok(runs) if last >= self.next => {
                    let wanted = runs.into_iter().filter(|(_, run_last)| *run_last >= self.next);
                    let within = wanted.filter(|(first, run_last)| *first <= self.until && *run_last <= last);
                    self.ready.extend(within.map(|(first, last)| Run { first, last }));
                    self.next = last + 1;
                    return;
                }
                // Withdrawn between our two looks.
                Ok(_) => {}
                Err(trouble) => self.store.hand_over(&bucket, trouble),
            }
        }
        let bucket_after = self.store.inner.shared.buckets.next_after(self.next);
        let last = bucket_after.map_or(self.until, |first| self.until.min(first - 1));
        self.scan = Some((self.store.log().frames(self.next), last));
    }

    fn scan_on(&self, frames: &mut FrameReader, last: Seq) -> Result<Option<Run>, Fault> {
        let mut frame = Frame::default();
        let mut keys = IndexKeys::default();
        while frames.next_into(&mut frame)? && frame.first() <= last {
            if self.store.matches(&frame, &self.prefix, &mut keys) {
                return Ok(Some(Run { first: frame.first().max(self.next), last: frame.last().min(last) }));
            }
        }
        Ok(None)
    }
}

/// Iterator over records with an index key.
#[derive(Debug)]
pub struct RecordsWith {
    runs: RunsWith,
    from: Seq,
    ready: VecDeque<(Seq, Vec<u8>)>,
    keys: IndexKeys,
}

impl Iterator for RecordsWith {
    type Item = Result<(Seq, Vec<u8>), Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(record) = self.ready.pop_front() {
                return Some(Ok(record));
            }
            match self.runs.next()? {
                Ok(run) => {
                    if let Err(fault) = self.pick(run) {
                        return Some(Err(fault));
                    }
                }
                Err(fault) => return Some(Err(fault)),
            }
        }
    }
}

impl RecordsWith {
    fn pick(&mut self, run: Run) -> Result<(), Fault> {
        let store = self.runs.store.clone();
        let first = run.first.max(self.from);
        for frame in store.read_from(first) {
            let frame = frame?;
            for (seq, record) in frame.records_from(first).take_while(|(seq, _)| *seq <= run.last) {
                self.keys.clear();
                (store.inner.shared.index)(record, &mut self.keys);
                if self.keys.contains(&self.runs.prefix) {
                    self.ready.push_back((seq, record.to_vec()));
                }
            }
            if frame.last() >= run.last {
                break;
            }
        }
        Ok(())
    }
}
