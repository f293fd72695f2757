//! The sled store: always the same answers as the log, whatever state it is in.

use std::fs;
use std::path::{Path, PathBuf};

use everlog_storage::{DataDir, Finding, Frame, IndexKeys, Log, Opened, Options, Seq};
use proptest::prelude::*;

/// A day in microseconds, and a bit: frames this far apart land in different buckets.
const DAY: i64 = 86_400_000_001;

/// Records here are `pipeline agent filler`: the first two bytes are ids.
fn index(record: &[u8], keys: &mut IndexKeys) {
    keys.add(1, &record[..1]);
    keys.add(2, &record[1..2]);
}

fn open(dir: &Path) -> Opened {
    let options =
        Options { index, first_segment_bytes: 64 * 1024, last_segment_bytes: 128 * 1024, ..Options::default() };
    DataDir::open(dir, options).unwrap()
}

fn record(seq: Seq) -> Vec<u8> {
    let len = usize::try_from(seq * 131 % 400).unwrap();
    let mut record = vec![(seq / 50 % 7) as u8, (seq * 13 % 5) as u8];
    record.extend(format!("{seq}").into_bytes());
    record.resize(record.len() + len, b'x');
    if seq % 997 == 500 {
        // Too large for a value of sled.
        record.resize(20_000, b'L');
    }
    record
}

fn grow(opened: &mut Opened, frames: Seq, days: i64) {
    for nth in 0..frames {
        let first = opened.log.durable() + 1;
        let mut frame = Frame::new(first, i64::try_from(first).unwrap() + days * DAY);
        (first..first + 1 + nth * 7 % 40).for_each(|seq| frame.push(&record(seq)));
        opened.log.append(&frame).unwrap();
    }
}

/// Every way of reading gives what was written.
fn check(opened: &Opened) {
    let (store, last) = (&opened.store, opened.log.durable());
    for from in [1, 2, last / 2, last] {
        let mut next = from;
        for frame in store.read_from(from) {
            for (seq, found) in frame.unwrap().records_from(from) {
                assert_eq!((seq, found), (next, &record(next)[..]));
                next += 1;
            }
        }
        assert_eq!(next, last + 1);
    }
    for seq in (1..=last).step_by(41).chain([last]) {
        assert_eq!(store.record(seq).unwrap(), Some(record(seq)));
    }
    assert_eq!(store.record(last + 1).unwrap(), None);
    for (kind, id, from) in [(1, 0, 1), (1, 6, last / 3), (2, 4, last / 2), (2, 200, 1), (3, 0, 1)] {
        let has = |seq: &Seq| kind < 3 && record(*seq)[kind - 1] == id;
        let want: Vec<Seq> = (from..=last).filter(has).collect();
        let found = store.records_with(kind as u8, &[id], from);
        let found: Vec<Seq> = found
            .map(|found| found.unwrap())
            .inspect(|(seq, bytes)| assert_eq!(*bytes, record(*seq)))
            .map(|(seq, _)| seq)
            .collect();
        assert_eq!(found, want, "kind {kind}, id {id}");
        let runs: Vec<_> = store.runs_with(kind as u8, &[id], from).map(|run| run.unwrap()).collect();
        assert!(want.iter().all(|seq| runs.iter().any(|run| (run.first..=run.last).contains(seq))));
        assert!(runs.is_sorted_by(|a, b| a.last < b.first));
    }
}

fn buckets(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir.join("log")).unwrap();
    let mut dirs: Vec<_> =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir() && path.extension().is_none()).collect();
    dirs.sort();
    dirs
}

/// A closed data directory with three buckets.
fn three_days(dir: &Path) -> Seq {
    let mut opened = open(dir);
    for day in 0..3 {
        grow(&mut opened, 60, day);
    }
    let last = opened.log.durable();
    opened.log.close().unwrap();
    opened.store.close();
    assert_eq!(opened.store.fed(), last);
    assert_eq!(buckets(dir).len(), 3);
    last
}

/// Opens, waits for the follower, checks, and gives back what was found.
fn reopen(dir: &Path, last: Seq) -> Vec<Finding> {
    let opened = open(dir);
    check(&opened);
    assert!(opened.store.wait_fed(last));
    check(&opened);
    let mut findings = opened.store.take_findings();
    // Reading opens the older buckets: what that found is mended too.
    assert!(opened.store.wait_fed(last));
    check(&opened);
    findings.extend(opened.store.take_findings());
    findings
}

#[test]
fn the_store_answers_as_the_log_does_at_any_time() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(dir.path());
    for round in 1..=4 {
        grow(&mut opened, 30 * round, 0);
        check(&opened);
        if round % 2 == 0 {
            assert!(opened.store.wait_fed(opened.log.durable()));
            check(&opened);
        }
    }
    let last = opened.log.durable();
    assert!(!opened.store.wait_fed(last + 1), "there is no such record");
    drop(opened);
    assert_eq!(reopen(dir.path(), last), []);
}

#[test]
fn times_are_found_across_buckets() {
    let dir = tempfile::tempdir().unwrap();
    let last = three_days(dir.path());
    let opened = open(dir.path());
    for fed in [false, true] {
        assert!(!fed || opened.store.wait_fed(last));
        let firsts: Vec<_> = opened.log.reader().frames(1).map(|frame| frame.unwrap()).collect();
        for (nth, frame) in firsts.iter().enumerate().step_by(7) {
            assert_eq!(opened.store.first_seq_at(frame.at()).unwrap(), Some(frame.first()));
            let next = firsts.get(nth + 1).map(Frame::first);
            assert_eq!(opened.store.first_seq_at(frame.at() + 1).unwrap(), next);
        }
        assert_eq!(opened.store.first_seq_at(i64::MIN).unwrap(), Some(1));
        assert_eq!(opened.store.first_seq_at(i64::MAX).unwrap(), None);
    }
}

#[test]
fn a_deleted_store_is_rebuilt() {
    let dir = tempfile::tempdir().unwrap();
    let last = three_days(dir.path());
    fs::remove_dir_all(dir.path().join("log")).unwrap();
    assert_eq!(reopen(dir.path(), last), []);
    assert_eq!(buckets(dir.path()).len(), 3);
}

#[test]
fn a_deleted_bucket_is_rebuilt() {
    for nth in 0..3 {
        let dir = tempfile::tempdir().unwrap();
        let last = three_days(dir.path());
        fs::remove_dir_all(&buckets(dir.path())[nth]).unwrap();
        let _ = reopen(dir.path(), last);
        assert_eq!(reopen(dir.path(), last), [], "bucket {nth}");
        assert_eq!(buckets(dir.path()).len(), 3, "bucket {nth}");
    }
}

#[test]
fn a_damaged_bucket_is_set_aside_and_rebuilt() {
    for nth in 0..3 {
        let dir = tempfile::tempdir().unwrap();
        let last = three_days(dir.path());
        let db = buckets(dir.path())[nth].join("db");
        let mut bytes = fs::read(&db).unwrap();
        let len = bytes.len();
        for at in (len / 10..len).step_by(len / 40) {
            bytes[at..(at + 64).min(len)].fill(0xA5);
        }
        fs::write(&db, bytes).unwrap();
        let findings = reopen(dir.path(), last);
        let aside = findings.iter().filter(|finding| matches!(finding, Finding::BucketSetAside { .. })).count();
        let rebuilt = findings.iter().filter(|finding| matches!(finding, Finding::BucketRebuilt { .. })).count();
        assert_eq!((aside, rebuilt), (1, 1), "bucket {nth}: {findings:?}");
        assert_eq!(reopen(dir.path(), last), [], "bucket {nth}");
        assert_eq!(buckets(dir.path()).len(), 3, "bucket {nth}");
    }
}

#[test]
fn a_half_written_snapshot_of_sled_does_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let last = three_days(dir.path());
    for bucket in buckets(dir.path()) {
        fs::write(bucket.join("snap.0000000000001234.generating"), b"half").unwrap();
    }
    assert_eq!(reopen(dir.path(), last), []);
}

#[test]
fn another_index_function_is_fed_anew() {
    fn other(record: &[u8], keys: &mut IndexKeys) {
        keys.add(9, &record[..1]);
    }
    let dir = tempfile::tempdir().unwrap();
    let last = three_days(dir.path());
    let options = Options { index: other, index_version: 1, ..Options::default() };
    let opened = DataDir::open(dir.path(), options).unwrap();
    assert!(opened.store.wait_fed(last));
    for _ in 0..2 {
        let found = opened.store.records_with(9, &[3], 1).map(|found| found.unwrap().0);
        assert!(found.eq((1..=last).filter(|seq| record(*seq)[0] == 3)));
        assert!(opened.store.wait_fed(last));
    }
}

#[test]
fn a_store_of_another_log_is_not_believed() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let last = three_days(one.path());
    let mut opened = open(other.path());
    let mut frame = Frame::new(1, 0);
    (1..=last).for_each(|_| frame.push(b"\x01\x01another log"));
    opened.log.append(&frame).unwrap();
    assert!(opened.store.wait_fed(last));
    drop(opened);
    fs::remove_dir_all(one.path().join("log")).unwrap();
    fs::rename(other.path().join("log"), one.path().join("log")).unwrap();
    let findings = reopen(one.path(), last);
    assert!(matches!(findings[0], Finding::BucketSetAside { .. }), "{findings:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(12) })]

    /// Look-ups by index equal a scan of everything, however the records fall into frames, runs and buckets, and
    /// however much of them was fed.
    #[test]
    fn look_ups_equal_a_scan(sizes in prop::collection::vec((1..80_u64, 0..3_i64), 1..25), fed_at in 0..25_usize) {
        let dir = tempfile::tempdir().unwrap();
        let mut opened = open(dir.path());
        let mut at = 0;
        for (nth, (size, hours)) in sizes.into_iter().enumerate() {
            let first = opened.log.durable() + 1;
            at += hours * DAY / 5;
            let mut frame = Frame::new(first, at);
            (first..first + size).for_each(|seq| frame.push(&record(seq)));
            opened.log.append(&frame).unwrap();
            if nth == fed_at {
                prop_assert!(opened.store.wait_fed(opened.log.durable()));
            }
        }
        check(&opened);
        prop_assert!(opened.store.wait_fed(opened.log.durable()));
        check(&opened);
    }
}

/// What may happen to a file of sled.
fn damage(path: &Path, at: usize, how: u8) {
    let mut bytes = fs::read(path).unwrap();
    let at = at % bytes.len().max(1);
    match how % 5 {
        0 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << (how >> 5)),
        1 => bytes.iter_mut().skip(at / 512 * 512).take(4096).for_each(|byte| *byte = 0),
        2 => bytes.truncate(at),
        3 => bytes.iter_mut().skip(at).take(64).for_each(|byte| *byte = how),
        _ => return fs::remove_file(path).unwrap(),
    }
    fs::write(path, bytes).unwrap();
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    /// Whatever happens to the files of sled, every answer is right, and the store is whole again afterwards.
    #[test]
    fn no_damage_to_sled_changes_an_answer(picks in prop::collection::vec((any::<u16>(), any::<u32>(), any::<u8>()), 1..3)) {
        let dir = tempfile::tempdir().unwrap();
        let mut opened = open(dir.path());
        for day in 0..2 {
            grow(&mut opened, 25, day);
        }
        let last = opened.log.durable();
        opened.log.close().unwrap();
        opened.store.close();
        drop((opened.store, opened.snapshots));
        for (file, at, how) in picks {
            let files = files_below(&dir.path().join("log"));
            damage(&files[usize::from(file) % files.len()], at as usize, how);
        }
        reopen(dir.path(), last);
        prop_assert_eq!(reopen(dir.path(), last), []);
        prop_assert_eq!(buckets(dir.path()).len(), 2);
    }
}
