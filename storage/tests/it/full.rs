//! The disk is full: it is said, nothing is lost, and the log goes on when there is space again.

use everlog_storage::{Fault, Log, MemoryDisk};

use crate::{append, check, frame, open};

#[test]
fn a_full_disk_is_said_from_the_reserve_and_the_log_goes_on_after_space_is_freed() {
    let disk = MemoryDisk::new();
    let mut opened = open(&disk).unwrap();
    assert!(opened.log.has_reserve());
    disk.set_capacity(Some(disk.used()));
    let full = loop {
        if let Err(fault) = append(&mut opened.log, 10) {
            break fault;
        }
    };
    assert!(matches!(full, Fault::Full { .. }) && full.is_full(), "{full}");
    let last = opened.log.durable();
    assert!(last > 10);
    check(&opened.log.reader(), 1, last);
    // Again and again the same answer, and nothing is poisoned.
    assert!(append(&mut opened.log, 10).unwrap_err().is_full());
    // Room for the last words.
    opened.log.append_from_reserve(&frame(last + 1, 10)).unwrap();
    assert!(!opened.log.has_reserve());
    assert_eq!(opened.log.durable(), last + 10);
    // Reading goes on, also after a restart on the full disk.
    drop(opened);
    let mut opened = open(&disk).unwrap();
    assert!(!opened.log.has_reserve());
    check(&opened.log.reader(), 1, last + 10);
    disk.set_capacity(None);
    opened.log.keep_reserve().unwrap();
    assert!(opened.log.has_reserve());
    append(&mut opened.log, 500).unwrap();
    check(&opened.log.reader(), 1, last + 510);
}
