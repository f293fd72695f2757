//! One bucket against the log: every record of it, and what is noted beside it.

use std::path::Path;

use super::bucket::{BucketDb, Mark, Trouble};
use super::run::frames;
use crate::Seq;
use crate::reader::LogReader;

/// Compares `copy`, a copy of the bucket in `dir`, with the log; the last record in it, or what is wrong with it.
pub(crate) fn check_bucket(
    dir: &Path,
    copy: &Path,
    first: Seq,
    log: &LogReader,
    index_version: u32,
) -> Result<Seq, String> {
    match compare(dir, copy, first, log, index_version) {
        Ok(last) => Ok(last),
        Err(Trouble::Outdated) => Err("it was made with another index function".to_owned()),
        Err(Trouble::Damaged(detail) | Trouble::Disk(detail)) => Err(detail),
    }
}

fn compare(dir: &Path, copy: &Path, first: Seq, log: &LogReader, index_version: u32) -> Result<Seq, Trouble> {
    let db = BucketDb::open(copy)?;
    let last = db.check(first, log, index_version)?.fed;
    for mark in [Mark::Sealed, Mark::Synced] {
        if let Some((noted, _)) = mark.read(dir).filter(|(noted, _)| *noted > last) {
            return Err(Trouble::Damaged(format!("it ends with record {last} and had record {noted}")));
        }
    }
    let mut log_records = log.frames(first).flat_map(|frame| match frame {
        Ok(frame) => frame.records_from(first).map(|(seq, record)| Ok((seq, record.to_vec()))).collect(),
        Err(fault) => vec![Err(fault)],
    });
    let mut next = first;
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
        next = found.last().map_or(next, crate::Frame::next);
    }
    Ok(last)
}
