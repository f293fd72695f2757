//! Any bytes as damage: changes of a data directory that was whole, which is then opened.

use super::feed::Feed;
use everlog_storage::{CrashPlan, DataDir, Disk, Fault, Frame, FrameReader, Log, MemoryDisk, Opened, Options, Seq};
use sha2::{Digest, Sha256};
use std::sync::{Arc, OnceLock};

/// Changes of one input: more than a few hide each other.
const CHANGES_MAX: usize = 6;
/// Bytes of one change.
const BYTES_MAX: usize = 256;
/// Records in each frame of the directory; its first half is what stale files come from.
const FRAMES: [Seq; 10] = [1, 9, 4, 20, 1, 30, 2, 16, 7, 1];

/// What a directory was before it was changed.
struct Whole {
    disk: MemoryDisk,
    /// The same half-way.
    stale: MemoryDisk,
    records: Vec<Vec<u8>>,
}

/// It opens with everything that was acknowledged, as it was, takes a record and opens again; or it is refused with the place named,
/// and nothing on it is changed.
pub fn recovery(bytes: &[u8]) {
    let whole = whole();
    let disk = whole.disk.crash_image(&CrashPlan::Everything);
    let forged = change(&disk, whole, &mut Feed(bytes));
    let before = disk.files();
    let vouched = look(&disk);
    match open(&disk) {
        Err(fault) => {
            named(&fault);
            assert_eq!(disk.files(), before, "changed by a refused opening: {fault}");
        }
        Ok(opened) => {
            let head = opened.log.head();
            if let Some(found) = read(opened.log.reader().frames(1)).filter(|_| !forged) {
                assert!(found.len() as Seq >= vouched, "{} records of {vouched}: {}", found.len(), opened.report);
                assert_eq!(found, whole.records[..found.len()], "a record is another one: {}", opened.report);
            }
            goes_on(&disk, opened, head.seq + 1);
        }
    }
}

fn whole() -> &'static Whole {
    static WHOLE: OnceLock<Whole> = OnceLock::new();
    WHOLE.get_or_init(|| {
        let disk = MemoryDisk::new();
        let mut stale = None;
        let mut opened = open(&disk).expect("a new directory");
        for (nth, count) in FRAMES.into_iter().enumerate() {
            opened.log.append(&frame(opened.log.durable() + 1, count)).expect("it has room");
            if nth == FRAMES.len() / 2 {
                let seq = opened.log.durable();
                opened.snapshots.write(seq, |out| out.write_all(b"a state")).expect("it has room");
                stale = Some(disk.crash_image(&CrashPlan::Everything));
            }
        }
        let records = read(opened.log.reader().frames(1)).expect("it was just written");
        opened.log.close().expect("it has room");
        Whole { disk, stale: stale.expect("there is a half"), records }
    })
}

/// Small segments and no threads: several files, and every operation in a repeatable order.
fn open(disk: &MemoryDisk) -> Result<Opened, Fault> {
    let quiet = Options {
        background: false,
        first_segment_bytes: 6 * 1024,
        last_segment_bytes: 8 * 1024,
        ..Options::default()
    };
    DataDir::open_on(Arc::new(disk.clone()), quiet)
}

fn frame(first: Seq, count: Seq) -> Frame {
    let mut frame = Frame::new(first, first.cast_signed());
    (first..first + count).for_each(|seq| frame.push(format!("record {seq}").as_bytes()));
    frame
}

/// The records as far as they can be read; `None` where one can not.
fn read(frames: FrameReader) -> Option<Vec<Vec<u8>>> {
    let mut records = Vec::new();
    for frame in frames {
        let frame = frame.inspect_err(named).ok()?;
        records.extend(frame.records().map(|(_, record)| record.to_vec()));
    }
    Some(records)
}

/// What somebody beside the owner sees: how far the anchor vouches for the log.
fn look(disk: &MemoryDisk) -> Seq {
    let opened = DataDir::open_read_only_on(Arc::new(disk.clone())).inspect_err(named);
    opened.map_or(0, |opened| {
        read(opened.log.frames(1));
        opened.log.durable()
    })
}

/// The fault says which file it is about.
fn named(fault: &Fault) {
    match fault {
        Fault::Corrupt { detail, .. } | Fault::NotADataDir { detail, .. } => assert!(!detail.is_empty()),
        Fault::FutureFormat { found, known, .. } => assert_ne!(found, known),
        Fault::Io { .. }
        | Fault::Unreadable { .. }
        | Fault::Locked { .. }
        | Fault::NoPlace { .. }
        | Fault::Poisoned { .. }
        | Fault::Full { .. }
        | Fault::ReadOnly { .. }
        | Fault::OutOfOrder { .. }
        | Fault::TooLarge { .. } => panic!("damage is told as something else: {fault}"),
    }
}

fn goes_on(disk: &MemoryDisk, mut opened: Opened, next: Seq) {
    opened.log.append(&frame(next, 1)).expect("an open log takes records");
    drop(opened);
    let opened = open(disk).expect("what was opened opens again");
    let record = opened.log.reader().record(next).expect("it was just written");
    assert_eq!(record, Some(format!("record {next}").into_bytes()));
}

/// Carries out what the input says; whether a checksum was made right again, so that what it guards can be anything.
fn change(disk: &MemoryDisk, whole: &Whole, feed: &mut Feed<'_>) -> bool {
    let mut forged = false;
    for _ in 0..CHANGES_MAX {
        if feed.is_empty() {
            break;
        }
        let kind = feed.byte() % 10;
        let names: Vec<String> = disk.files().into_keys().collect();
        let Some(name) = feed.pick(&names) else { break };
        let at = feed.number();
        match kind {
            0 => change_bytes(disk, name, at, feed.take(1)),
            1 => {
                let length = feed.below(BYTES_MAX);
                change_bytes(disk, name, at, feed.take(length));
            }
            2 => {
                let zeros = vec![0; feed.number()];
                change_bytes(disk, name, at, &zeros);
            }
            3 => drop(disk.rot(name, |bytes| bytes.truncate(at))),
            4 => disk.remove(name).expect("it is there"),
            5 => {
                let other = feed.pick(&names).expect("there is one");
                disk.rename(name, other).expect("it is there");
            }
            6 => {
                let other = disk.files()[feed.pick(&names).expect("there is one")].clone();
                disk.rot(name, |bytes| *bytes = other);
            }
            7 => {
                let before = whole.stale.files().get(name).cloned().unwrap_or_default();
                disk.rot(name, |bytes| *bytes = before);
            }
            8 => {
                let name = if at.is_multiple_of(2) {
                    format!("commit/{:020}.seg", at / 2)
                } else {
                    format!("snapshots/{:020}.snap", at / 2)
                };
                let length = feed.below(BYTES_MAX);
                let content = feed.take(length);
                if let Ok(file) = disk.create(&name) {
                    file.write_at(content, 0).expect("it has room");
                }
            }
            _ => {
                disk.rot(name, |bytes| seal(bytes, at));
                forged = true;
            }
        }
    }
    forged
}

/// Bytes that are written over those of a file, within its length.
fn change_bytes(disk: &MemoryDisk, name: &str, at: usize, by: &[u8]) {
    disk.rot(name, |bytes| {
        let at = at % bytes.len().max(1);
        bytes.iter_mut().skip(at).zip(by).for_each(|(byte, by)| *byte = *by);
    });
}

/// Makes the checksum of what begins at a place right: of a segment's header, a slot of the anchor, a frame, or a snapshot.
fn seal(bytes: &mut [u8], at: usize) {
    let number = |bytes: &[u8], at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    let place = at % bytes.len().max(1);
    match bytes.get(place..).and_then(<[u8]>::first_chunk::<8>) {
        Some(b"everlogS") => put(bytes, place + 64, crc(0, bytes.get(place..place + 64))),
        Some(b"everlogA") => put(bytes, place + 56, crc(0, bytes.get(place..place + 56))),
        Some(b"everlogN") if bytes.len() >= place + 32 => {
            let end = bytes.len() - 32;
            let hash = Sha256::digest(&bytes[place..end]);
            bytes[end..].copy_from_slice(&hash);
        }
        Some([b'e', b'L', b'f', b'R', ..]) => {
            let salt = number(bytes, 32).unwrap_or(0);
            let length = number(bytes, place + 8).unwrap_or(0) as usize;
            put(bytes, place + 4, crc(salt, bytes.get(place + 8..place + 72 + length)));
        }
        _ => {}
    }
}

fn put(bytes: &mut [u8], at: usize, crc: Option<u32>) {
    if let (Some(place), Some(crc)) = (bytes.get_mut(at..at + 4), crc) {
        place.copy_from_slice(&crc.to_le_bytes());
    }
}

/// CRC-32C, bit by bit: a second implementation.
fn crc(before: u32, bytes: Option<&[u8]>) -> Option<u32> {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0x82F6_3B78 } else { crc >> 1 };
    let byte = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), step);
    Some(!bytes?.iter().fold(!before, byte))
}
