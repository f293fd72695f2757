//! Files that change while nobody looks, and what is read back.

use super::ledger::{Ledger, Record};
use super::marks::Marks;
use super::node::Node;
use super::random::Random;
use everlog_replay::Seq;
use everlog_storage::{DataDir, Disk, Fault, Frame, MemoryDisk};
use std::sync::Arc;

/// All records of the log, as the product reads them.
pub(super) fn records(node: &Node) -> Vec<Record> {
    read(node).unwrap_or_else(|fault| panic!("law 1: the log can not be read: {fault}"))
}

fn read(node: &Node) -> Result<Vec<Record>, Fault> {
    let mut frames = node.core.committer.log.reader().frames(1);
    let (mut frame, mut records) = (Frame::default(), Vec::new());
    while frames.next_into(&mut frame)? {
        records.extend(frame.records().map(|(_, record)| record.to_vec()));
    }
    Ok(records)
}

/// Deletes every snapshot (law 7: harmless at any time); whether there was one.
pub(super) fn delete_snapshots(disk: &MemoryDisk) -> bool {
    let names = files(disk, "snapshots/");
    for name in &names {
        disk.remove(name).unwrap();
    }
    disk.sync_dir("snapshots").unwrap();
    !names.is_empty()
}

/// Flips a bit of a file whose name begins so; whether there is one.
pub(super) fn flip(disk: &MemoryDisk, prefix: &str, random: &mut Random) -> bool {
    let names = files(disk, prefix);
    let Some(name) = random.pick(&names) else { return false };
    disk.rot(name, |bytes| {
        // Behind the last byte that is not zero there is nothing that could be lost.
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let at = random.below(used);
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1 << random.below(8);
        }
    })
}

/// Flips a bit of the log or of the anchor; whether there is one.
pub(super) fn flip_log(disk: &MemoryDisk, random: &mut Random) -> bool {
    let prefix = if random.percent(20) { "anchor" } else { "commit/0" };
    flip(disk, prefix, random)
}

fn files(disk: &MemoryDisk, prefix: &str) -> Vec<String> {
    disk.files().into_keys().filter(|name| name.starts_with(prefix)).collect()
}

/// Up to which event the anchor vouches for the log.
pub(super) fn anchored(disk: &MemoryDisk) -> Seq {
    DataDir::open_read_only_on(Arc::new(disk.clone())).map_or(0, |opened| opened.log.durable())
}

/// It opened all the same: then what the anchor vouched for is there and what was durable is unchanged, or the damage is named
/// when it is read.
pub(super) fn harmless(node: &Node, ledger: &Ledger, durable: Seq, anchored: Seq, marks: &mut Marks) {
    match read(node) {
        Err(fault) => {
            assert!(matches!(fault, Fault::Corrupt { .. }), "law 15: damage is named, not {fault}");
            marks.hit("rot named when read");
        }
        Ok(found) => {
            // The last record says that the coordinator started.
            let kept = &found[..found.len() - 1];
            let back = kept.len() as Seq;
            assert!(back >= anchored, "law 15: damage took events {} to {anchored} without a word", back + 1);
            let same = kept.iter().zip(&ledger.records).take(durable as usize).all(|(found, known)| found == known);
            assert!(same, "law 15: damage changed an event without a word");
            marks.hit("rot harmless");
        }
    }
}
