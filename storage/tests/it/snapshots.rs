//! Snapshots: whole or skipped, and never needed.

use everlog_storage::{CrashPlan, DataDir, Disk, FailPlan, Fault, Finding, MemoryDisk, Options, SNAPSHOT_EVERY, Seq};

use crate::{append, check, open};

fn name(seq: Seq) -> String {
    format!("snapshots/{seq:020}.snap")
}

fn state(seq: Seq) -> Vec<u8> {
    format!("state after {seq}").repeat(40_000).into_bytes()
}

#[test]
fn a_damaged_snapshot_is_skipped_and_reported() {
    let disk = MemoryDisk::new();
    let mut opened = open(&disk).unwrap();
    append(&mut opened.log, 30).unwrap();
    let snapshots = opened.snapshots.clone();
    assert_eq!(snapshots.newest_valid().unwrap(), None);
    for seq in [10, 20, 30] {
        snapshots.write(seq, |out| out.write_all(&state(seq))).unwrap();
    }
    assert_eq!(snapshots.newest_valid().unwrap(), Some((30, state(30))));
    assert_eq!(snapshots.at_or_before(29).unwrap(), Some((20, state(20))));
    assert_eq!(snapshots.at_or_before(9).unwrap(), None);
    let len = disk.files()[&name(30)].len();
    for at in [0, 9, 17, 24, len / 2, len - 1] {
        let disk = disk.crash_image(&CrashPlan::Everything);
        disk.rot(&name(30), |bytes| bytes[at] ^= 1);
        let snapshots = open(&disk).unwrap().snapshots;
        assert_eq!(snapshots.newest_valid().unwrap(), Some((20, state(20))));
        assert!(matches!(&snapshots.take_findings()[..], [Finding::SnapshotDamaged { .. }]));
    }
    // A copy under another name is not what it says.
    let copy = disk.files()[&name(10)].clone();
    disk.rot(&name(30), |bytes| bytes.clone_from(&copy));
    assert_eq!(snapshots.newest_valid().unwrap(), Some((20, state(20))));
    for seq in [10, 20, 30] {
        disk.remove(&name(seq)).unwrap();
    }
    assert_eq!(snapshots.newest_valid().unwrap(), None);
}

#[test]
fn the_newest_three_and_one_for_every_stretch_are_kept() {
    let disk = MemoryDisk::new();
    let snapshots = open(&disk).unwrap().snapshots;
    let step = SNAPSHOT_EVERY / 5;
    for nth in 1..=20 {
        snapshots.write(nth * step, |out| out.write_all(b"x")).unwrap();
    }
    let kept: Vec<_> = snapshots.list().unwrap().into_iter().map(|seq| seq / step).collect();
    assert_eq!(kept, [5, 10, 15, 18, 19, 20]);
}

#[test]
fn a_crash_while_one_is_written_leaves_it_whole_or_absent() {
    for k in 0..20 {
        let disk = MemoryDisk::new();
        let mut opened = open(&disk).unwrap();
        append(&mut opened.log, 30).unwrap();
        opened.snapshots.write(10, |out| out.write_all(&state(10))).unwrap();
        disk.fail(Some(FailPlan { after: k, errno: 28, forever: true }));
        let written = opened.snapshots.write(20, |out| out.write_all(&state(20)));
        assert!(matches!(written, Ok(()) | Err(Fault::Full { .. })));
        for seed in 0..8 {
            let image = disk.crash_image(&CrashPlan::Torn(seed));
            let again = open(&image).unwrap();
            let newest = again.snapshots.newest_valid().unwrap().unwrap();
            assert!(newest == (10, state(10)) && written.is_err() || newest == (20, state(20)), "cut {k}");
            check(&again.log.reader(), 1, 30);
        }
    }
}

#[test]
fn a_log_shorter_than_its_snapshots_is_refused() {
    let disk = MemoryDisk::new();
    let mut opened = open(&disk).unwrap();
    append(&mut opened.log, 5).unwrap();
    let old = disk.files();
    append(&mut opened.log, 5).unwrap();
    opened.snapshots.write(10, |out| out.write_all(b"state")).unwrap();
    drop(opened);
    for (name, content) in old {
        disk.rot(&name, |bytes| bytes.clone_from(&content));
    }
    let fault = open(&disk).unwrap_err();
    assert!(matches!(&fault, Fault::Corrupt { .. }) && fault.to_string().contains("6 to 10"), "{fault}");
    // One that only pretends to know more is no witness.
    disk.rot(&name(10), |bytes| bytes[30] ^= 1);
    check(&open(&disk).unwrap().log.reader(), 1, 5);
}

#[test]
fn the_directory_of_all_snapshots_may_be_deleted_while_the_log_is_open() {
    let dir = tempfile::tempdir().unwrap();
    let opened = DataDir::open(dir.path(), Options { background: false, ..Options::default() }).unwrap();
    std::fs::remove_dir_all(dir.path().join("snapshots")).unwrap();
    assert_eq!(opened.snapshots.newest_valid().unwrap(), None);
    opened.snapshots.write(1, |out| out.write_all(&state(1))).unwrap();
    assert_eq!(opened.snapshots.newest_valid().unwrap(), Some((1, state(1))));
}
