//! One suite for every disk: what a log promises does not depend on where it lies.

use std::sync::Arc;

use everlog_storage::{Access, DataDir, Disk, Fault, Log, MemoryDisk, Options, RealDisk};

use crate::{append, check, frame, quiet, record};

fn on_both(test: fn(Arc<dyn Disk>)) {
    test(Arc::new(MemoryDisk::new()));
    let dir = tempfile::tempdir().unwrap();
    test(Arc::new(RealDisk::new(dir.path().join("data"))));
}

#[test]
fn a_disk_keeps_files_by_name() {
    on_both(|disk| {
        disk.create_dir("").unwrap();
        disk.create_dir("dir").unwrap();
        let file = disk.create("dir/a").unwrap();
        file.write_at(b"hello", 3).unwrap();
        file.sync_data().unwrap();
        assert_eq!(file.len().unwrap(), 8);
        assert!(disk.create("dir/a").is_err());
        disk.rename("dir/a", "dir/b").unwrap();
        disk.sync_dir("dir").unwrap();
        assert_eq!(disk.list("dir").unwrap(), ["b"]);
        assert_eq!(disk.list("nowhere").unwrap(), Vec::<String>::new());
        let file = disk.open("dir/b", Access::Read).unwrap();
        let mut bytes = [9; 10];
        assert_eq!(file.read_at(&mut bytes, 0).unwrap(), 8);
        assert_eq!(&bytes[..8], b"\0\0\0hello");
        assert_eq!(file.read_at(&mut bytes, 100).unwrap(), 0);
        let file = disk.open("dir/b", Access::Write).unwrap();
        file.set_len(4).unwrap();
        file.sync_all().unwrap();
        assert!(!file.is_empty().unwrap());
        assert_eq!(file.read_at(&mut bytes, 0).unwrap(), 4);
        disk.remove("dir/b").unwrap();
        disk.remove("dir/b").unwrap();
        let missing = disk.open("dir/b", Access::Read).unwrap_err();
        assert_eq!(missing.kind(), std::io::ErrorKind::NotFound);
    });
}

#[test]
fn what_was_appended_is_there_after_every_reopening() {
    on_both(|disk| {
        let mut last = 0;
        for round in 0..4 {
            let mut opened = DataDir::open_on(Arc::clone(&disk), quiet()).unwrap();
            assert_eq!(opened.report.created, round == 0);
            assert_eq!((opened.log.durable(), opened.report.last), (last, last));
            assert_eq!(opened.report.findings, []);
            for count in [1, 7, 1, 64, 3, 20] {
                append(&mut opened.log, count).unwrap();
                last += count;
                assert_eq!(opened.log.durable(), last);
            }
            check(&opened.log.reader(), 1, last);
            let read: u64 = opened.log.read_from(1).unwrap().map(|frame| frame.unwrap().len() as u64).sum();
            assert_eq!(read, last);
            let verified = opened.log.reader().verify(1, last).unwrap();
            assert_eq!((verified.first, verified.last), (1, last));
            assert_eq!(verified.chain, opened.log.head().chain);
        }
        assert!(disk.list("commit").unwrap().iter().filter(|name| name.ends_with(".seg")).count() > 2);
    });
}

#[test]
fn every_record_can_be_looked_up_and_every_time_found() {
    on_both(|disk| {
        let mut opened = DataDir::open_on(Arc::clone(&disk), quiet()).unwrap();
        for count in [1, 9, 30, 2, 50, 8, 100, 1] {
            append(&mut opened.log, count).unwrap();
        }
        let last = opened.log.durable();
        for seq in 1..=last {
            assert_eq!(opened.store.record(seq).unwrap(), Some(record(seq)));
        }
        assert_eq!(opened.store.record(0).unwrap(), None);
        assert_eq!(opened.store.record(last + 1).unwrap(), None);
        let firsts = [1, 2, 11, 41, 43, 93, 101, 201];
        for (nth, first) in firsts.iter().enumerate() {
            let at = i64::try_from(first * 1000).unwrap();
            assert_eq!(opened.store.first_seq_at(at).unwrap(), Some(*first));
            assert_eq!(opened.store.first_seq_at(at + 1).unwrap(), firsts.get(nth + 1).copied());
        }
        check(&opened.log.reader(), 77, last);
    });
}

#[test]
fn one_process_at_a_time_and_the_message_names_it() {
    on_both(|disk| {
        let opened = DataDir::open_on(Arc::clone(&disk), quiet()).unwrap();
        match DataDir::open_on(Arc::clone(&disk), quiet()) {
            Err(fault @ Fault::Locked { .. }) => {
                assert!(fault.to_string().contains(&format!("process {}", std::process::id())), "{fault}");
            }
            other => panic!("{other:?}"),
        }
        let store = opened.store.clone();
        drop(opened);
        assert!(matches!(DataDir::open_on(Arc::clone(&disk), quiet()), Err(Fault::Locked { .. })));
        drop(store);
        DataDir::open_on(disk, quiet()).unwrap();
    });
}

#[test]
fn a_reader_beside_the_writer_sees_whole_frames_and_changes_nothing() {
    on_both(|disk| {
        let missing = DataDir::open_read_only_on(Arc::clone(&disk)).unwrap_err();
        assert!(matches!(missing, Fault::NotADataDir { .. }));
        let mut opened = DataDir::open_on(Arc::clone(&disk), quiet()).unwrap();
        append(&mut opened.log, 5).unwrap();
        let beside = DataDir::open_read_only_on(Arc::clone(&disk)).unwrap();
        check(&beside.log, 1, 5);
        let mut frames = beside.log.frames(1);
        assert_eq!(frames.next().unwrap().unwrap().last(), 5);
        for _ in 0..20 {
            append(&mut opened.log, 30).unwrap();
        }
        // Segments made since are found too, also by an iterator that had begun before.
        assert_eq!(frames.map(|frame| frame.unwrap().len()).sum::<usize>(), 600);
        check(&beside.log, 3, 605);
    });
}

#[test]
fn a_frame_that_does_not_follow_is_refused_and_an_empty_one_is_nothing() {
    on_both(|disk| {
        let mut log = DataDir::open_on(disk, quiet()).unwrap().log;
        append(&mut log, 2).unwrap();
        let wrong = log.append(&frame(5, 1)).unwrap_err();
        assert!(matches!(wrong, Fault::OutOfOrder { expected: 3, got: 5 }));
        log.append(&frame(3, 0)).unwrap();
        append(&mut log, 1).unwrap();
        assert_eq!(log.durable(), 3);
    });
}

#[test]
fn a_record_larger_than_any_segment_gets_a_segment_of_its_own() {
    on_both(|disk| {
        let mut opened = DataDir::open_on(Arc::clone(&disk), quiet()).unwrap();
        append(&mut opened.log, 1).unwrap();
        let large: Vec<u8> = (0..1024 * 1024u32).map(|n| (n % 251) as u8).collect();
        let mut big = frame(2, 0);
        big.push(&large);
        opened.log.append(&big).unwrap();
        append(&mut opened.log, 1).unwrap();
        drop(opened);
        let opened = DataDir::open_on(disk, quiet()).unwrap();
        assert_eq!(opened.store.record(2).unwrap(), Some(large));
        assert_eq!(opened.store.record(3).unwrap(), Some(record(3)));
    });
}

#[test]
fn a_directory_with_something_else_in_it_is_left_alone() {
    on_both(|disk| {
        disk.create_dir("").unwrap();
        disk.create("thesis.tex").unwrap();
        let fault = DataDir::open_on(Arc::clone(&disk), quiet()).unwrap_err();
        assert!(matches!(&fault, Fault::NotADataDir { .. }) && fault.to_string().contains("thesis.tex"));
        assert_eq!(disk.list("commit").unwrap(), Vec::<String>::new());
    });
}

#[test]
fn a_path_that_leads_nowhere_is_not_the_fault_of_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    for path in [file.clone(), file.join("data")] {
        let fault = DataDir::open(&path, quiet()).unwrap_err();
        assert!(matches!(fault, Fault::NoPlace { .. }), "{fault}");
    }
}

#[test]
fn threads_beside_the_log_change_nothing_about_it() {
    let dir = tempfile::tempdir().unwrap();
    let options = || Options { first_segment_bytes: 8 * 1024, last_segment_bytes: 32 * 1024, ..Options::default() };
    let mut last = 0;
    for _ in 0..3 {
        let mut opened = DataDir::open(dir.path(), options()).unwrap();
        for count in [40, 1, 80, 300, 2, 90] {
            append(&mut opened.log, count).unwrap();
            last += count;
        }
        check(&opened.log.reader(), 1, last);
        opened.log.close().unwrap();
        opened.store.close();
    }
}
