//! One bucket: a sled database of its own, so that dropping a stretch of time really frees its space.
//!
//! sled 0.34 loses what it flushed in a power cut, refuses to open beside a half-written snapshot, and panics on
//! damaged files. So: files are synced through our own descriptors, stray snapshots are deleted before every opening,
//! every call into sled is fenced against panics, and whatever is read is checked against its own checksum. A bucket
//! that fails is [`Trouble`]; its records are all in the commit log.

use std::cell::Cell;
use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sled::{Batch, Db, IVec};

use super::index::{NOTE, RUN, TIME, indexed_runs, run_key, seq_of};
use super::run::checked_count;
use crate::reader::LogReader;
use crate::wire::{ChainHash, field};
use crate::{Fault, Seq};

/// sled's cache for one bucket in bytes: the index pages of a bucket fit, the records need not.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;
/// sled releases its own lock a little after a database is dropped.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);
const LOCK_RETRY: Duration = Duration::from_millis(20);
const NOTE_FORMAT: u32 = 1;

/// Why a bucket cannot be used. None of them loses anything.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// What is in it is not what was put there: set aside and rebuilt.
    Damaged(String),
    /// It was made with another index function: dropped and rebuilt.
    Outdated,
    /// The disk refuses: tried again later.
    Disk(String),
}

/// What a bucket says about itself; written in the same batch as the runs it speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Note {
    /// The last record fed.
    pub(crate) fed: Seq,
    /// The frame that holds it, by its last record, and the chain hash after it: ties the bucket to this log.
    pub(crate) frame_last: Seq,
    pub(crate) chain: ChainHash,
    /// Number of entries, and the sum of their checksums: a lost index entry shows.
    pub(crate) entries: u64,
    pub(crate) sum: u64,
    /// Which index function made it.
    pub(crate) index_version: u32,
    /// Time of the first batch.
    pub(crate) at: i64,
}

impl Note {
    /// Counts an entry.
    pub(crate) fn count(&mut self, key: &[u8], value: &[u8]) {
        self.entries += 1;
        let crc = crc32c::crc32c_append(crc32c::crc32c(key), value);
        self.sum = self.sum.wrapping_add(u64::from(crc));
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(88);
        out.extend_from_slice(&NOTE_FORMAT.to_le_bytes());
        out.extend_from_slice(&self.index_version.to_le_bytes());
        out.extend_from_slice(&self.fed.to_le_bytes());
        out.extend_from_slice(&self.frame_last.to_le_bytes());
        out.extend_from_slice(&self.entries.to_le_bytes());
        out.extend_from_slice(&self.sum.to_le_bytes());
        out.extend_from_slice(&self.at.to_le_bytes());
        out.extend_from_slice(&self.chain.0);
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (body, crc) = bytes.split_last_chunk::<4>()?;
        let whole = crc32c::crc32c(body) == u32::from_le_bytes(*crc) && body.len() == 80;
        let known = u32::from_le_bytes(field(body, 0)) == NOTE_FORMAT;
        (whole && known).then(|| Self {
            index_version: u32::from_le_bytes(field(body, 4)),
            fed: Seq::from_le_bytes(field(body, 8)),
            frame_last: Seq::from_le_bytes(field(body, 16)),
            entries: u64::from_le_bytes(field(body, 24)),
            sum: u64::from_le_bytes(field(body, 32)),
            at: i64::from_le_bytes(field(body, 40)),
            chain: ChainHash(field(body, 48)),
        })
    }
}

thread_local! {
    static FENCED: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside a call into sled whose panic is caught and told as a [`Finding`](crate::Finding): a panic
/// hook need not tell it again.
pub fn is_fenced() -> bool {
    FENCED.get()
}

fn catch<T>(call: impl FnOnce() -> T) -> std::thread::Result<T> {
    let outer = FENCED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(call));
    FENCED.set(outer);
    result
}

/// Runs a call into sled: a panic or an error is trouble, not ours.
fn fenced<T>(call: impl FnOnce() -> sled::Result<T>) -> Result<T, Trouble> {
    match catch(call) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(sort(&error)),
        Err(_) => Err(Trouble::Damaged("sled breaks down on it".to_owned())),
    }
}

/// What the disk itself may answer to sled, as opposed to what sled makes of damaged bytes.
const DISK_ERRNOS: [i32; 7] = [
    1,  // EPERM
    5,  // EIO
    12, // ENOMEM
    13, // EACCES
    24, // EMFILE
    28, // ENOSPC
    30, // EROFS
];
/// How sled words that another handle still has its lock; it wraps the errno away.
const LOCK_WORDS: &str = "could not acquire lock";

fn sort(error: &sled::Error) -> Trouble {
    let of_the_disk = |io: &io::Error| {
        io.raw_os_error().is_some_and(|errno| DISK_ERRNOS.contains(&errno)) || io.to_string().contains(LOCK_WORDS)
    };
    match error {
        sled::Error::Io(io) if of_the_disk(io) => Trouble::Disk(error.to_string()),
        // Its own words hold a backtrace.
        sled::Error::Corruption { .. } => Trouble::Damaged("sled finds it corrupted".to_owned()),
        sled::Error::Io(_)
        | sled::Error::CollectionNotFound(_)
        | sled::Error::Unsupported(_)
        | sled::Error::ReportableBug(_) => Trouble::Damaged(error.to_string()),
    }
}

fn disk_trouble(error: io::Error) -> Trouble {
    Trouble::Disk(error.to_string())
}

/// An open bucket; clones share the database.
#[derive(Debug, Clone)]
pub(crate) struct BucketDb {
    /// `None` only while it is dropped.
    db: Option<Db>,
    dir: PathBuf,
}

impl Drop for BucketDb {
    fn drop(&mut self) {
        // The last handle syncs, and sled panics when the disk refuses. What is lost then is fed again.
        let _ = catch(|| drop(self.db.take()));
    }
}

impl BucketDb {
    fn call<T>(&self, call: impl FnOnce(&Db) -> sled::Result<T>) -> Result<T, Trouble> {
        match &self.db {
            Some(db) => fenced(|| call(db)),
            None => Err(Trouble::Disk("it is closed".to_owned())),
        }
    }

    /// Opens or creates the database in `dir` and makes its directory entries durable.
    pub(crate) fn open(dir: &Path) -> Result<Self, Trouble> {
        let fresh = !dir.exists();
        remove_stray_snapshots(dir).map_err(disk_trouble)?;
        let db = open_patiently(dir)?;
        let bucket = Self { db: Some(db), dir: dir.to_path_buf() };
        if fresh {
            bucket.sync_names().map_err(disk_trouble)?;
        }
        Ok(bucket)
    }

    /// Reads everything once: values, their order, the index entries and the tie to the log.
    pub(crate) fn check(&self, first: Seq, log: &LogReader, index_version: u32) -> Result<Note, Trouble> {
        let damaged = |detail: String| Err(Trouble::Damaged(detail));
        let note = match self.call(|db| db.get(NOTE))? {
            Some(bytes) => match Note::parse(&bytes) {
                Some(note) => note,
                None => return damaged("its note is unreadable".to_owned()),
            },
            None => Note { fed: first - 1, index_version, ..Note::default() },
        };
        if note.index_version != index_version {
            return Err(Trouble::Outdated);
        }
        let mut found = Note::default();
        let mut next = first;
        let scan = self.call(|db| {
            for entry in db.iter() {
                let (key, value) = entry?;
                if key == NOTE {
                    continue;
                }
                found.count(&key, &value);
                if key.first() == Some(&RUN) {
                    match seq_of(&key).and_then(|seq| checked_count(seq, &value).map(|count| (seq, count))) {
                        Some((seq, count)) if seq == next => next += Seq::from(count),
                        Some(_) | None => return Ok(Err(format!("there is no whole run from record {next}"))),
                    }
                }
            }
            Ok(Ok(()))
        })?;
        if let Err(detail) = scan {
            return damaged(detail);
        }
        if next != note.fed + 1 {
            return damaged(format!("it ends before record {next} and says {}", note.fed));
        }
        if (found.entries, found.sum) != (note.entries, note.sum) {
            return damaged("index entries are missing".to_owned());
        }
        if note.fed >= first {
            match log.chain_at(note.fed) {
                Ok(Some(tie)) if tie == (note.frame_last, note.chain) => {}
                Ok(_) => return damaged("it belongs to another log".to_owned()),
                Err(fault) => return Err(Trouble::Disk(fault.to_string())),
            }
        }
        Ok(note)
    }

    /// The last record fed, as its note has it.
    pub(crate) fn fed(&self) -> Option<Seq> {
        let note = self.call(|db| db.get(NOTE)).ok()??;
        Note::parse(&note).map(|note| note.fed)
    }

    /// Applies a batch.
    pub(crate) fn apply(&self, batch: Batch) -> Result<(), Trouble> {
        self.call(|db| db.apply_batch(batch))
    }

    /// Makes everything applied so far durable: sled's flush syncs nothing that survives a power cut.
    pub(crate) fn sync(&self) -> Result<(), Trouble> {
        self.call(|db| db.flush())?;
        self.sync_names().map_err(disk_trouble)
    }

    fn sync_names(&self) -> io::Result<()> {
        for name in ["db", "conf", "blobs"] {
            match File::open(self.dir.join(name)) {
                Ok(file) => file.sync_all()?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        File::open(&self.dir)?.sync_all()?;
        self.dir.parent().map_or(Ok(()), |log| File::open(log)?.sync_all())
    }

    /// The run that holds `seq`: its first record and its value, checked.
    pub(crate) fn run_of(&self, seq: Seq) -> Result<(Seq, IVec), Trouble> {
        let found = self.call(|db| match seq.checked_add(1) {
            Some(after) => db.get_lt(run_key(after)),
            None => Ok(None),
        })?;
        let checked = found.and_then(|(key, value)| {
            let first = seq_of(&key).filter(|_| key.first() == Some(&RUN))?;
            let count = checked_count(first, &value)?;
            (seq < first + Seq::from(count)).then_some((first, value))
        });
        checked.ok_or_else(|| Trouble::Damaged(format!("the run of record {seq} is missing or damaged")))
    }

    /// The runs of an index key from the one that could hold `from` on, as first and last record.
    pub(crate) fn runs_of(&self, prefix: &[u8], from: Seq) -> Result<Vec<(Seq, Seq)>, Trouble> {
        let key = |seq: Seq| [prefix, &seq.to_be_bytes()].concat();
        let found = self.call(|db| {
            let before = db.range(key(0)..key(from)).next_back();
            let after = db.range(key(from)..=key(Seq::MAX));
            before.into_iter().chain(after).map(|entry| entry.map(|(_, runs)| runs)).collect::<sled::Result<Vec<_>>>()
        })?;
        Ok(found.iter().flat_map(|value| indexed_runs(value)).collect())
    }

    /// First record of the last batch that starts before a time.
    pub(crate) fn run_before(&self, time_key: &[u8]) -> Result<Option<Seq>, Trouble> {
        let found = self.call(|db| db.get_lt(time_key))?;
        Ok(found.and_then(|(key, _)| seq_of(&key).filter(|_| key.first() == Some(&TIME))))
    }
}

fn remove_stray_snapshots(dir: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn open_patiently(dir: &Path) -> Result<Db, Trouble> {
    let mut waited = Duration::ZERO;
    loop {
        let open = || {
            sled::Config::new()
                .path(dir)
                .cache_capacity(CACHE_BYTES)
                .flush_every_ms(None)
                .mode(sled::Mode::HighThroughput)
                .open()
        };
        match fenced(open) {
            Err(Trouble::Disk(detail)) if detail.contains(LOCK_WORDS) && waited < LOCK_PATIENCE => {
                std::thread::sleep(LOCK_RETRY);
                waited += LOCK_RETRY;
            }
            result => return result,
        }
    }
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::Disk(fault.to_string())
    }
}
