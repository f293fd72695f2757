//! Crashes: whatever a power cut leaves of what was not synced, every acknowledged frame is there afterwards, and
//! every other one is there as a whole or not at all.

use everlog_storage::{CrashPlan, FailPlan, Fault, Log, MemoryDisk, Seq};

use crate::{append, check, open, quiet};

/// EIO: what a failing disk answers.
const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// A small session: appends until something fails, over two openings. Returns what was acknowledged and what was
/// offered at most.
fn session(disk: &MemoryDisk) -> (Seq, Seq) {
    let (mut acknowledged, mut offered) = (0, 0);
    for counts in [[1, 3, 30, 2, 40], [2, 50, 1, 1, 60]] {
        let Ok(mut opened) = open(disk) else {
            return (acknowledged, offered);
        };
        for count in counts {
            offered = offered.max(opened.log.durable() + count);
            if append(&mut opened.log, count).is_err() {
                return (acknowledged, offered);
            }
            acknowledged = opened.log.durable();
        }
        if opened.log.close().is_err() {
            return (acknowledged, offered);
        }
    }
    (acknowledged, offered)
}

fn must_come_back(image: &MemoryDisk, acknowledged: Seq, offered: Seq, what: &str) {
    let mut opened = open(image).unwrap_or_else(|fault| panic!("{what}: {fault}"));
    let last = opened.log.durable();
    assert!(last >= acknowledged, "{what}: lost {acknowledged}, has {last}");
    assert!(last <= offered, "{what}: {last} was never offered");
    check(&opened.log.reader(), 1, last);
    append(&mut opened.log, 2).unwrap();
    drop(opened);
    let opened = open(image).unwrap();
    assert_eq!(opened.report.findings, [], "{what}");
    check(&opened.log.reader(), 1, last + 2);
}

/// Runs the session until operation `k` fails for ever, and hands the disk over.
fn cut_at(k: u64, errno: i32) -> (MemoryDisk, Seq, Seq) {
    let disk = MemoryDisk::new();
    let plan = FailPlan { after: k, errno, forever: true };
    disk.fail(Some(plan));
    let (acknowledged, offered) = session(&disk);
    (disk, acknowledged, offered)
}

fn operations() -> u64 {
    let disk = MemoryDisk::new();
    assert_eq!(session(&disk), (190, 190));
    disk.operations()
}

#[test]
fn every_subset_of_the_unsynced_changes_at_every_operation() {
    let (mut images, mut most) = (0, 0);
    for k in 0..operations() {
        let (disk, acknowledged, offered) = cut_at(k, EIO);
        let pending = disk.pending();
        most = most.max(pending);
        // Beyond ten pending changes only the preallocation is at work, whose pieces are alike.
        for subset in 0..1_u32 << pending.min(10) {
            let kept = (0..pending).map(|nth| subset >> nth.min(9) & 1 == 1).collect();
            let image = disk.crash_image(&CrashPlan::Subset(kept));
            must_come_back(&image, acknowledged, offered, &format!("cut {k}, subset {subset:b}"));
            images += 1;
        }
    }
    assert!(images > 300 && most >= 3, "{images} images, at most {most} pending");
}

#[test]
fn writes_torn_at_sectors() {
    for k in 0..operations() {
        let (disk, acknowledged, offered) = cut_at(k, EIO);
        for plan in [CrashPlan::Nothing, CrashPlan::Everything] {
            must_come_back(&disk.crash_image(&plan), acknowledged, offered, &format!("cut {k}, {plan:?}"));
        }
        for seed in 0..6 {
            let image = disk.crash_image(&CrashPlan::Torn(seed));
            must_come_back(&image, acknowledged, offered, &format!("cut {k}, seed {seed}"));
        }
    }
}

#[test]
fn a_second_crash_while_the_first_is_mended() {
    for k in (0..operations()).step_by(3) {
        let (disk, acknowledged, offered) = cut_at(k, EIO);
        let image = disk.crash_image(&CrashPlan::Torn(k));
        for k2 in 0..12 {
            let again = image.crash_image(&CrashPlan::Everything);
            let plan = FailPlan { after: k2, errno: EIO, forever: true };
            again.fail(Some(plan));
            let _ = open(&again);
            let twice = again.crash_image(&CrashPlan::Torn(k2));
            must_come_back(&twice, acknowledged, offered, &format!("cut {k}, then {k2}"));
        }
    }
}

#[test]
fn a_disk_that_fails_once_poisons_the_log_and_loses_nothing() {
    let mut poisoned = 0;
    for errno in [EIO, ENOSPC] {
        for k in 0..operations() {
            let disk = MemoryDisk::new();
            disk.fail(Some(FailPlan { after: k, errno, forever: false }));
            let Ok(mut opened) = open(&disk) else {
                must_come_back(&disk.crash_image(&CrashPlan::Nothing), 0, 0, &format!("opening, {k}"));
                continue;
            };
            let (mut acknowledged, mut offered, mut failed) = (0, 0, None);
            for count in [1, 3, 30, 2, 40, 1, 80, 2] {
                offered = offered.max(opened.log.durable() + count);
                match append(&mut opened.log, count) {
                    Ok(()) => assert!(failed.is_none() || failed == Some("full"), "acknowledged after {failed:?}"),
                    Err(Fault::Full { .. }) if errno == ENOSPC => failed = Some("full"),
                    Err(Fault::Io { .. }) if errno == EIO => failed = Some("broken"),
                    Err(Fault::Poisoned { cause }) => {
                        assert!(failed.is_some() && !cause.is_empty());
                        poisoned += 1;
                    }
                    Err(other) => panic!("{other}"),
                }
                acknowledged = opened.log.durable();
            }
            drop(opened);
            disk.fail(None);
            must_come_back(&disk.crash_image(&CrashPlan::Nothing), acknowledged, offered, &format!("{errno} at {k}"));
            must_come_back(&disk, acknowledged, offered, &format!("{errno} at {k}, alive"));
        }
    }
    assert!(poisoned > 20, "{poisoned}");
}

#[test]
fn a_torn_tail_at_every_byte_of_the_last_frame_is_cut() {
    let disk = MemoryDisk::new();
    let mut opened = open(&disk).unwrap();
    append(&mut opened.log, 4).unwrap();
    opened.log.sync_anchor().unwrap();
    let name = "commit/00000000000000000001.seg";
    let before = disk.files()[name].clone();
    // The last frame was written and never acknowledged: the anchor does not speak of it.
    let anchor = disk.files()["anchor"].clone();
    append(&mut opened.log, 3).unwrap();
    let after = disk.files()[name].clone();
    drop(opened);
    let start = (0..after.len()).find(|at| before[*at] != after[*at]).unwrap();
    let end = (0..after.len()).rfind(|at| after[*at] != 0).unwrap() + 1;
    for cut in start..=end {
        let image = disk.crash_image(&CrashPlan::Everything);
        assert!(image.rot("anchor", |bytes| bytes.clone_from(&anchor)));
        assert!(image.rot(name, |bytes| bytes[cut..].fill(0)));
        let opened = open(&image).unwrap();
        let last = opened.log.durable();
        assert_eq!(last, if cut == end { 7 } else { 4 }, "cut at {cut}");
        assert_eq!(opened.report.findings.len(), usize::from(cut != end && cut != start), "cut at {cut}");
        check(&opened.log.reader(), 1, last);
    }
    assert!(end - start > 100 && quiet().first_segment_bytes > end as u64);
}

/// A killed process leaves in the page cache what a failed operation kept from the disk; the next one reads it there and builds on
/// it. A power cut then must not take the ground away.
#[test]
fn what_a_restart_builds_on_is_durable_whatever_failed_before() {
    let lengthy = || {
        let disk = MemoryDisk::new();
        session(&disk);
        disk.operations()
    };
    for k in 0..lengthy() {
        let disk = MemoryDisk::new();
        disk.fail(Some(FailPlan { after: k, errno: EIO, forever: false }));
        session(&disk);
        disk.fail(None);
        let mut opened = open(&disk).unwrap_or_else(|fault| panic!("operation {k} failed once: {fault}"));
        append(&mut opened.log, 3).unwrap();
        let acknowledged = opened.log.durable();
        drop(opened);
        must_come_back(&disk.crash_image(&CrashPlan::Nothing), acknowledged, acknowledged, &format!("operation {k}"));
    }
}

#[test]
fn a_frame_that_is_longer_than_an_empty_segment_takes_its_place() {
    let disk = MemoryDisk::new();
    let mut opened = open(&disk).unwrap();
    append(&mut opened.log, 200).unwrap();
    check(&opened.log.reader(), 1, 200);
    drop(opened);
    let opened = open(&disk).unwrap();
    check(&opened.log.reader(), 1, 200);
    assert_eq!(disk.files().keys().filter(|name| name.ends_with(".seg")).count(), 1);
}
