//! Copies of buckets, to be looked at without changing a file: sled writes when it opens. One is compared with the log, record by
//! record, or stands in for a log that is damaged.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::LOG_DIR;
use super::bucket::{BucketDb, Trouble};
use super::mark::Mark;
use super::run::{frames, stored};
use crate::disk::{Access, Disk, fault, path_of};
use crate::reader::LogReader;
use crate::segment::numbered;
use crate::{Fault, Frame, Seq};

/// Bytes that are copied at once.
const COPY_BYTES: usize = 256 * 1024;

/// First records of all buckets, in order.
pub(crate) fn bucket_firsts(disk: &dyn Disk) -> Result<Vec<Seq>, Fault> {
    let names = disk.list(LOG_DIR).map_err(fault(disk, "list", LOG_DIR))?;
    Ok(names.iter().filter_map(|name| numbered(name, "")).collect())
}

/// A copy of one bucket.
#[derive(Debug)]
pub(crate) struct BucketCopy {
    first: Seq,
    /// The bucket that it is a copy of.
    dir: PathBuf,
    db: BucketDb,
}

impl BucketCopy {
    /// Copies the bucket that starts at `first` into `scratch` and opens the copy; the inner error says what is wrong with it.
    pub(crate) fn open(disk: &dyn Disk, first: Seq, scratch: &Path) -> Result<Result<Self, String>, Fault> {
        let name = format!("{LOG_DIR}/{first:020}");
        let (dir, copy) = (path_of(disk, &name), scratch.join(first.to_string()));
        copy_dir(disk, &name, &copy)?;
        Ok(BucketDb::open(&copy).map(|db| Self { first, dir, db }).map_err(told))
    }

    /// The last record in it, as it says itself; 0 when it does not.
    pub(crate) fn last(&self) -> Seq {
        self.db.fed().unwrap_or(0)
    }

    /// Records from `next` on, if they are here and whole. No log is asked: where one is damaged, it keeps back its own only.
    pub(crate) fn frame(&self, next: Seq) -> Option<Frame> {
        let (first, value) = self.db.run_of(next).ok()?;
        stored(first, &value, next)
    }

    /// Whether it says of a record that the commit log alone has it.
    pub(crate) fn refers(&self, seq: Seq) -> bool {
        self.db.run_of(seq).is_ok() && self.frame(seq).is_none()
    }

    /// Compares it with the log; the last record in it, or what is wrong with it.
    pub(crate) fn check(&self, log: &LogReader, index_version: u32) -> Result<Seq, String> {
        self.compare(log, index_version).map_err(told)
    }

    fn compare(&self, log: &LogReader, index_version: u32) -> Result<Seq, Trouble> {
        let Self { first, dir, db } = self;
        let last = db.check(*first, log, index_version)?.fed;
        for mark in [Mark::Sealed, Mark::Synced] {
            if let Some((noted, _)) = mark.read(dir).filter(|(noted, _)| *noted > last) {
                return Err(Trouble::Damaged(format!("it ends with record {last} and had record {noted}")));
            }
        }
        let mut log_records = log.frames(*first).flat_map(|frame| match frame {
            Ok(frame) => frame.records_from(*first).map(|(seq, record)| Ok((seq, record.to_vec()))).collect(),
            Err(fault) => vec![Err(fault)],
        });
        let mut next = *first;
        while next <= last {
            let (run, value) = db.run_of(next)?;
            let Some(found) = frames(log, run, &value, next)? else {
                return Err(Trouble::Damaged(format!("the run of record {next} does not read")));
            };
            for (seq, record) in found.iter().flat_map(|frame| frame.records_from(next)) {
                if log_records.next().transpose()?.is_none_or(|own| (own.0, own.1.as_slice()) != (seq, record)) {
                    return Err(Trouble::Damaged(format!("record {seq} is not that of the log")));
                }
            }
            next = found.last().map_or(next, Frame::next);
        }
        Ok(last)
    }
}

fn told(trouble: Trouble) -> String {
    match trouble {
        Trouble::Outdated => "it was made with another index function".to_owned(),
        Trouble::Damaged(detail) | Trouble::Disk(detail) => detail,
    }
}

/// Copies a directory as `disk` reads it, so that it is the disk that says what becomes of a sector that cannot be read.
fn copy_dir(disk: &dyn Disk, name: &str, to: &Path) -> Result<(), Fault> {
    fs::create_dir_all(to).map_err(|error| Fault::io("create", to, error))?;
    for entry in disk.list(name).map_err(fault(disk, "list", name))? {
        let (name, to) = (format!("{name}/{entry}"), to.join(entry));
        if path_of(disk, &name).is_dir() {
            copy_dir(disk, &name, &to)?;
        } else {
            copy_file(disk, &name, &to)?;
        }
    }
    Ok(())
}

fn copy_file(disk: &dyn Disk, name: &str, to: &Path) -> Result<(), Fault> {
    let from = disk.open(name, Access::Read).map_err(fault(disk, "open", name))?;
    let mut copy = File::create(to).map_err(|error| Fault::io("create", to, error))?;
    let mut piece = vec![0; COPY_BYTES];
    let mut at = 0;
    loop {
        let read = from.read_at(&mut piece, at).map_err(fault(disk, "read", name))?;
        if read == 0 {
            return Ok(());
        }
        copy.write_all(&piece[..read]).map_err(|error| Fault::io("write", to, error))?;
        at += read as u64;
    }
}
