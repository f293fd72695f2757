//! The promises of the storage, tried: on a real directory and in memory, through crashes, rot and full disks.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

mod conformance;
mod crash;
mod full;
mod rot;
mod snapshots;
mod store;

use std::sync::Arc;

use everlog_storage::{DataDir, Disk, Fault, Frame, Log, LogReader, MemoryDisk, Opened, Options, Seq};

/// Small segments and no threads: every operation in a repeatable order.
fn quiet() -> Options {
    Options { background: false, first_segment_bytes: 8 * 1024, last_segment_bytes: 16 * 1024, ..Options::default() }
}

fn open(disk: &MemoryDisk) -> Result<Opened, Fault> {
    DataDir::open_on(Arc::new(disk.clone()) as Arc<dyn Disk>, quiet())
}

/// A record that says its number, so that a mix-up shows.
fn record(seq: Seq) -> Vec<u8> {
    let mut record = format!("record {seq} ").into_bytes();
    let len = record.len() + usize::try_from(seq * 37 % 150).unwrap();
    record.resize(len, b'.');
    record
}

/// The next frame with `count` records, at a time that grows with the sequence number.
fn frame(first: Seq, count: Seq) -> Frame {
    let mut frame = Frame::new(first, i64::try_from(first).unwrap() * 1000);
    (first..first + count).for_each(|seq| frame.push(&record(seq)));
    frame
}

fn append(log: &mut impl Log, count: Seq) -> Result<(), Fault> {
    log.append(&frame(log.durable() + 1, count))
}

/// Reads everything from `from` on and checks every number and every byte.
fn check(reader: &LogReader, from: Seq, last: Seq) {
    let mut next = from;
    for frame in reader.frames(from) {
        for (seq, found) in frame.unwrap().records_from(from) {
            assert_eq!(seq, next);
            assert_eq!(found, record(seq), "record {seq}");
            next += 1;
        }
    }
    assert_eq!(next, last + 1);
}
