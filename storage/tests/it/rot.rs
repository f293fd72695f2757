//! Rot: bytes that were acknowledged and are not right any more. The opening is refused with the place named, and
//! nothing on disk is changed (law 15).

use everlog_storage::{DataDir, Disk, Fault, Finding, Log, MemoryDisk};
use proptest::prelude::*;
use std::sync::Arc;

use crate::{append, check, open};

const FIRST: &str = "commit/00000000000000000001.seg";

/// A log of three segments with its anchor synced.
fn grown() -> MemoryDisk {
    let disk = MemoryDisk::new();
    let mut opened = open(&disk).unwrap();
    for count in [1, 20, 30, 10, 70, 70, 39] {
        append(&mut opened.log, count).unwrap();
    }
    opened.log.close().unwrap();
    assert!(disk.files().keys().filter(|name| name.ends_with(".seg")).count() >= 3);
    disk
}

/// Opening is refused as corrupt, and the disk is the same afterwards.
fn refused(disk: &MemoryDisk) -> String {
    let before = disk.files();
    match open(disk) {
        Err(fault @ Fault::Corrupt { .. }) => {
            assert_eq!(disk.files(), before, "changed by a refused opening");
            fault.to_string()
        }
        Err(other) => panic!("another fault: {other}"),
        Ok(opened) => panic!("opened with {} records: {}", opened.log.durable(), opened.report),
    }
}

fn segments(disk: &MemoryDisk) -> Vec<String> {
    disk.files().into_keys().filter(|name| name.ends_with(".seg")).collect()
}

#[test]
fn a_flipped_bit_anywhere_in_the_frames_is_refused() {
    let grown = grown();
    for name in segments(&grown) {
        let content = grown.files()[&name].clone();
        let end = content.iter().rposition(|byte| *byte != 0).unwrap();
        for at in (4096..end).step_by(53) {
            let disk = grown.crash_image(&everlog_storage::CrashPlan::Everything);
            assert!(disk.rot(&name, |bytes| bytes[at] ^= 0x10));
            let message = refused(&disk);
            assert!(message.contains(&name) && message.contains("record"), "byte {at}: {message}");
        }
    }
}

#[test]
fn a_zeroed_or_cut_log_is_refused_with_the_gap_named() {
    let grown = grown();
    let all = segments(&grown);
    for name in &all {
        let disk = grown.crash_image(&everlog_storage::CrashPlan::Everything);
        assert!(disk.rot(name, |bytes| bytes[4096..].fill(0)));
        assert!(refused(&disk).contains("records"));
        let disk = grown.crash_image(&everlog_storage::CrashPlan::Everything);
        assert!(disk.rot(name, |bytes| bytes.truncate(5000)));
        assert!(refused(&disk).contains("records"));
        let disk = grown.crash_image(&everlog_storage::CrashPlan::Everything);
        assert!(disk.rot(name, |bytes| bytes[20] ^= 1));
        assert!(refused(&disk).contains("header"));
    }
    // Stale: the last segment as it was before its last frame.
    let disk = grown.crash_image(&everlog_storage::CrashPlan::Everything);
    let last = all.last().unwrap();
    assert!(disk.rot(last, |bytes| {
        let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
        bytes[end - 200..].fill(0);
    }));
    let message = refused(&disk);
    assert!(message.contains("240") && message.contains("acknowledged"), "{message}");
}

#[test]
fn a_missing_segment_or_anchor_is_refused() {
    use everlog_storage::Disk;
    let grown = grown();
    for name in segments(&grown) {
        let disk = grown.crash_image(&everlog_storage::CrashPlan::Everything);
        disk.remove(&name).unwrap();
        let message = refused(&disk);
        assert!(message.contains("record"), "{message}");
    }
    let disk = grown.crash_image(&everlog_storage::CrashPlan::Everything);
    for name in segments(&grown) {
        disk.remove(&name).unwrap();
    }
    let message = refused(&disk);
    assert!(message.contains("1 to 240"), "{message}");
    let disk = grown.crash_image(&everlog_storage::CrashPlan::Everything);
    disk.remove("anchor").unwrap();
    assert!(refused(&disk).contains("anchor is missing"));
}

/// `verify` and `log` said "not a data directory" and advised to choose an empty one.
#[test]
fn what_is_left_of_a_log_without_anchor_and_segments_is_damage_to_readers_too() {
    let disk = MemoryDisk::new();
    disk.create_dir("snapshots").unwrap();
    let read = || DataDir::open_read_only_on(Arc::new(disk.clone())).unwrap_err();
    assert!(matches!(read(), Fault::NotADataDir { .. }));
    disk.create("snapshots/00000000000000000007.snap").unwrap();
    assert!(matches!(read(), Fault::Corrupt { .. }));
    assert!(refused(&disk).contains("anchor is missing"));
}

#[test]
fn one_slot_of_the_anchor_is_enough_and_none_is_refused() {
    let grown = grown();
    for slot in [0, 4096] {
        let disk = grown.crash_image(&everlog_storage::CrashPlan::Everything);
        assert!(disk.rot("anchor", |bytes| bytes[slot + 17] ^= 1));
        let opened = open(&disk).unwrap();
        assert!(matches!(opened.report.findings[..], [Finding::AnchorSlotDamaged { .. }]), "{}", opened.report);
        check(&opened.log.reader(), 1, 240);
        drop(opened);
        assert_eq!(open(&disk).unwrap().report.findings, []);
    }
    let disk = grown.crash_image(&everlog_storage::CrashPlan::Everything);
    assert!(disk.rot("anchor", |bytes| bytes.fill(0)));
    assert!(refused(&disk).contains("anchor"));
}

#[test]
fn another_logs_anchor_is_refused() {
    let (one, other) = (grown(), MemoryDisk::new());
    let mut opened = open(&other).unwrap();
    append(&mut opened.log, 240).unwrap();
    opened.log.close().unwrap();
    let stolen = other.files()["anchor"].clone();
    assert!(one.rot("anchor", |bytes| bytes.clone_from(&stolen)));
    assert!(refused(&one).contains("disagree"));
}

#[test]
fn a_future_format_is_refused_by_number() {
    let disk = grown();
    assert!(disk.rot(FIRST, |bytes| {
        bytes[8] = 7;
        let crc = crc32c::crc32c(&bytes[..64]);
        bytes[64..68].copy_from_slice(&crc.to_le_bytes());
    }));
    let before = disk.files();
    let fault = open(&disk).unwrap_err();
    assert!(matches!(fault, Fault::FutureFormat { found: 7, known: 1, .. }), "{fault}");
    assert_eq!(disk.files(), before);
}

#[test]
fn damage_before_the_newest_snapshot_is_found_by_reading_and_by_verifying() {
    let disk = grown();
    let opened = open(&disk).unwrap();
    opened.snapshots.write(240, |out| out.write_all(b"state")).unwrap();
    drop(opened);
    assert!(disk.rot(FIRST, |bytes| bytes[4096 + 500] ^= 1));
    let opened = open(&disk).unwrap();
    assert!(opened.report.verified_from > 1);
    assert!(matches!(opened.log.reader().verify(1, 240), Err(Fault::Corrupt { .. })));
    assert!(opened.log.reader().frames(1).any(|frame| matches!(frame, Err(Fault::Corrupt { .. }))));
    let from = opened.report.verified_from;
    assert_eq!(opened.log.reader().verify(from, 240).unwrap().last, 240);
}

#[test]
fn damage_before_a_damaged_snapshot_is_found_before_anything_is_changed() {
    let disk = grown();
    let opened = open(&disk).unwrap();
    opened.snapshots.write(240, |out| out.write_all(b"state")).unwrap();
    drop(opened);
    assert!(disk.rot("snapshots/00000000000000000240.snap", |bytes| bytes[30] ^= 1));
    assert_eq!(open(&disk).unwrap().report.verified_from, 1);
    assert!(disk.rot(FIRST, |bytes| bytes[4096 + 500] ^= 1));
    assert!(refused(&disk).contains("record"));
}

#[test]
fn a_file_with_the_number_of_no_record_is_a_stranger() {
    use everlog_storage::Disk;
    let disk = grown();
    disk.create("commit/00000000000000000000.seg").unwrap();
    disk.create("snapshots/00000000000000000000.snap").unwrap();
    let opened = open(&disk).unwrap();
    check(&opened.log.reader(), 1, 240);
    assert_eq!(opened.snapshots.list().unwrap(), []);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    /// Whatever happens to the bytes of any file, the opening is right, or refused without a change.
    #[test]
    fn no_damage_is_silent(picks in prop::collection::vec((any::<u32>(), any::<u32>(), any::<u8>()), 1..4)) {
        let disk = grown();
        let names: Vec<_> = disk.files().into_keys().collect();
        for (file, at, value) in picks {
            let name = &names[file as usize % names.len()];
            disk.rot(name, |bytes| {
                let len = bytes.len();
                match value % 4 {
                    0 => bytes[at as usize % len] ^= 1 << (value >> 5),
                    1 => bytes[at as usize % len / 512 * 512..].iter_mut().take(512).for_each(|byte| *byte = 0),
                    2 => bytes.truncate(at as usize % len),
                    _ => bytes[at as usize % len..].iter_mut().take(8).for_each(|byte| *byte = value),
                }
                bytes.resize(bytes.len().max(1), 0);
            });
        }
        let before = disk.files();
        match open(&disk) {
            Ok(opened) => check(&opened.log.reader(), 1, 240),
            Err(Fault::Corrupt { .. } | Fault::FutureFormat { .. }) => prop_assert_eq!(disk.files(), before),
            Err(other) => panic!("{other}"),
        }
    }
}
