//! Opening a data directory: lock, anchor, segments, the tail verified, ready.
//!
//! A refused opening changes nothing in `commit/`, the anchor or `snapshots/` (law 15): everything is looked at before
//! anything is touched.
//!
//! A new log is made in an order that leaves no doubt after a crash: the first segment, empty, then the anchor. No
//! anchor and nothing else is a new directory; no anchor beside one empty first segment is a crash in between, and the
//! making goes on; no anchor beside anything more is a log that lost its anchor, and refused.

use std::fmt;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use crate::anchor::{ANCHOR, Anchor, Witness};
use crate::commit::{CommitLog, End, create_first_segment};
use crate::disk::{Access, DirLock, Disk, RealDisk, fault, path_of};
use crate::reader::{FrameReader, LogReader, LogShared};
use crate::report::{Finding, OpenReport};
use crate::segment::{COMMIT_DIR, Cursor, Segment, list_segments, segment_name};
use crate::snapshots::{SNAPSHOT_DIR, Snapshots};
use crate::store::{IndexFn, LOG_DIR, Store, no_index};
use crate::wire::SEGMENT_HEADER;
use crate::{Fault, Frame, Head, Seq};

/// Name of the lock file.
pub(crate) const LOCK: &str = "lock";
/// First segment in bytes: a small log stays a small directory.
const FIRST_SEGMENT_BYTES: u64 = 1024 * 1024;
/// Largest segment in bytes: filled ahead in a second or so, and few enough files for years of log.
const LAST_SEGMENT_BYTES: u64 = 64 * 1024 * 1024;

/// How a data directory is opened.
#[derive(Clone)]
pub struct Options {
    /// Names the index keys of a record; see [`Store::runs_with`].
    pub index: IndexFn,
    /// Number of the index function: a store fed with another one is fed anew.
    pub index_version: u32,
    /// Whether threads beside the log fill segments ahead, sync the anchor and feed the store. Without them, every
    /// operation happens in the caller's thread in a repeatable order, the store answers from the commit log, and the
    /// caller syncs the anchor.
    pub background: bool,
    /// Bytes of the first segment; each next one doubles.
    pub first_segment_bytes: u64,
    /// Bytes of the largest segment.
    pub last_segment_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            index: no_index,
            index_version: 0,
            background: true,
            first_segment_bytes: FIRST_SEGMENT_BYTES,
            last_segment_bytes: LAST_SEGMENT_BYTES,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Options")
            .field("background", &self.background)
            .field("first_segment_bytes", &self.first_segment_bytes)
            .field("last_segment_bytes", &self.last_segment_bytes)
            .finish_non_exhaustive()
    }
}

/// An open data directory. The lock is released when all parts are dropped.
#[derive(Debug)]
pub struct Opened {
    /// Where records are appended.
    pub log: CommitLog,
    /// Where records are read.
    pub store: Store,
    /// Snapshots of whatever the records amount to.
    pub snapshots: Snapshots,
    /// What was found.
    pub report: OpenReport,
}

/// A data directory that is read beside the process that owns it.
#[derive(Debug)]
pub struct ReadOnly {
    /// Reads to the last whole frame.
    pub log: LogReader,
    /// The snapshots.
    pub snapshots: Snapshots,
}

/// The one door to a data directory.
#[derive(Debug)]
pub struct DataDir;

impl DataDir {
    /// Whether something of a data directory is at `path`, be it damaged.
    pub fn is_at(path: impl AsRef<Path>) -> bool {
        let parts = [ANCHOR, COMMIT_DIR, SNAPSHOT_DIR, LOG_DIR];
        parts.iter().any(|part| path.as_ref().join(part).exists())
    }

    /// Opens the directory at `path` for this process alone, making it where there is none.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Opened, Fault> {
        Self::open_on(Arc::new(RealDisk::new(path.as_ref())), options)
    }

    /// The same on any disk. Where it is not a directory of this machine, the store answers from the commit log.
    pub fn open_on(disk: Arc<dyn Disk>, options: Options) -> Result<Opened, Fault> {
        make_root(&*disk)?;
        let lock = Arc::new(disk.lock(LOCK)?);
        let mut report = OpenReport::default();
        let witness = match Anchor::read(&*disk)? {
            Some(witness) => witness,
            None => {
                create(&*disk, &options)?;
                report.created = true;
                Witness::default()
            }
        };
        let snapshots = Snapshots::new(Arc::clone(&disk), Some(Arc::clone(&lock)));
        let shared = Arc::new(LogShared::new(Arc::clone(&disk), list_segments(&*disk)?, false));
        let newest = newest_whole(&snapshots, witness.head.seq)?;
        let end = verify_tail(&shared, &witness, &snapshots, newest + 1, &mut report, |_| ())?;
        // Everything is known to be well: only now is something changed.
        if witness.slot_damaged {
            let file = path_of(&*disk, ANCHOR);
            report.findings.push(Finding::AnchorSlotDamaged { file });
        }
        let end = cut_and_sync(&*disk, end, &mut report)?;
        let (log, woken) = CommitLog::resume(shared, end, &options, Arc::clone(&lock))?;
        let store = Store::start(log.reader(), woken, &options, lock)?;
        Ok(Opened { log, store, snapshots, report })
    }

    /// Opens the directory at `path` for reading alone: no lock, nothing changed, and the owner may go on appending.
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<ReadOnly, Fault> {
        Self::open_read_only_on(Arc::new(RealDisk::new(path.as_ref())))
    }

    /// The same on any disk.
    pub fn open_read_only_on(disk: Arc<dyn Disk>) -> Result<ReadOnly, Fault> {
        // The anchor first: whatever it covers must be found by the reading that comes later.
        let Some(witness) = Anchor::read(&*disk)? else {
            return Err(without_anchor(&*disk)?);
        };
        let segments = list_segments(&*disk)?;
        if segments.is_empty() {
            return Err(lost(&*disk, 1, witness.head.seq));
        }
        let shared = LogShared::new(Arc::clone(&disk), segments, true);
        shared.set_durable(witness.head.seq);
        Ok(ReadOnly { log: LogReader { shared: Arc::new(shared) }, snapshots: Snapshots::new(disk, None) })
    }
}

/// Makes the directory itself, where there is none.
fn make_root(disk: &dyn Disk) -> Result<(), Fault> {
    disk.create_dir("").map_err(|source| {
        let path = path_of(disk, "");
        // The disk is well: the path is wrong.
        let misplaced =
            [ErrorKind::NotFound, ErrorKind::NotADirectory, ErrorKind::AlreadyExists].contains(&source.kind());
        if misplaced { Fault::NoPlace { path, source } } else { Fault::io("create", path, source) }
    })
}

/// Makes a new log, or goes on making one; refuses a directory that holds something else.
fn create(disk: &dyn Disk, options: &Options) -> Result<(), Fault> {
    let names = disk.list("").map_err(fault(disk, "list", ""))?;
    let ours = [LOCK, COMMIT_DIR, SNAPSHOT_DIR, LOG_DIR, "anchor.tmp", "telemetry", "lost+found"];
    if let Some(stranger) = names.iter().find(|name| !ours.contains(&name.as_str())) {
        return Err(Fault::NotADataDir {
            path: path_of(disk, ""),
            detail: format!("it has no anchor and holds {stranger}"),
        });
    }
    let segments = list_segments(disk)?;
    let remains = |dir: &str| disk.list(dir).map(|names| !names.is_empty());
    let remains = |dir| remains(dir).map_err(fault(disk, "list", dir));
    let begun = segments.is_empty() || segments == [1] && is_blank(disk)?;
    if !begun || remains(SNAPSHOT_DIR)? || remains(LOG_DIR)? {
        return Err(anchor_lost(disk));
    }
    for dir in [COMMIT_DIR, SNAPSHOT_DIR, LOG_DIR] {
        disk.create_dir(dir).map_err(fault(disk, "create", dir))?;
    }
    disk.sync_dir("").map_err(fault(disk, "sync", ""))?;
    if segments.is_empty() {
        create_first_segment(disk, options)?;
    } else {
        disk.sync_dir(COMMIT_DIR).map_err(fault(disk, "sync", COMMIT_DIR))?;
    }
    Anchor::create(disk, Head::default())
}

fn anchor_lost(disk: &dyn Disk) -> Fault {
    Fault::Corrupt {
        file: path_of(disk, ANCHOR),
        offset: 0,
        seqs: None,
        detail: "the anchor is missing beside what is left of a log".to_owned(),
    }
}

/// What it means, to whoever only reads, that there is no anchor.
pub(crate) fn without_anchor(disk: &dyn Disk) -> Result<Fault, Fault> {
    for dir in [COMMIT_DIR, SNAPSHOT_DIR, LOG_DIR] {
        if !disk.list(dir).map_err(fault(disk, "list", dir))?.is_empty() {
            return Ok(anchor_lost(disk));
        }
    }
    Ok(Fault::NotADataDir { path: path_of(disk, ""), detail: "it has no anchor".to_owned() })
}

/// Whether the first segment has a header and nothing else.
fn is_blank(disk: &dyn Disk) -> Result<bool, Fault> {
    let segment = Segment::open(disk, 1, Access::Read)?;
    let rest = Cursor::new(segment, SEGMENT_HEADER as u64).rest(disk)?;
    Ok(rest.used_until == 0)
}

/// The end of the log as read, before anything is cut.
pub(crate) struct Tail {
    cursor: Cursor,
    head: Head,
    /// Where the newest frame begins; 0 when the newest segment has none.
    newest: u64,
    /// Bytes after the last frame that belong to no frame.
    torn: u64,
}

impl Tail {
    /// What an opening will cut off, or has cut off.
    pub(crate) fn torn(&self, disk: &dyn Disk) -> Option<Finding> {
        let file = path_of(disk, &self.cursor.segment().name);
        (self.torn > 0).then(|| Finding::TornTail { file, offset: self.cursor.offset(), bytes: self.torn })
    }
}

/// Reads the log from the segment that holds record `from` on, shows every frame, and proves that what was acknowledged is
/// there. Changes nothing.
pub(crate) fn verify_tail(
    shared: &Arc<LogShared>,
    witness: &Witness,
    snapshots: &Snapshots,
    from: Seq,
    report: &mut OpenReport,
    mut show: impl FnMut(&Frame),
) -> Result<Tail, Fault> {
    let disk = &*shared.disk;
    let segments = shared.segments();
    check_headers(disk, &segments, witness.head.seq)?;
    // The anchor's record must be among those that are read, so that its hash can be compared.
    let start = shared.segment_of(from.min(witness.head.seq).max(1)).unwrap_or(1);
    let mut frames = FrameReader::new(Arc::clone(shared), start, None).checking_chain();
    let mut frame = Frame::default();
    let mut met = witness.head.seq == 0;
    while frames.next_into(&mut frame)? {
        show(&frame);
        if frame.last() == witness.head.seq {
            met = frames.chain_hash() == witness.head.chain;
        }
    }
    let (chain, newest) = (frames.chain_hash(), frames.frame_at());
    let (cursor, next, torn) = frames.end();
    let Some(mut cursor) = cursor else {
        return Err(lost(disk, 1, witness.head.seq));
    };
    let (name, offset) = (cursor.segment().name.clone(), cursor.offset());
    let corrupt = |seqs, detail: &str| Fault::Corrupt {
        file: path_of(disk, &name),
        offset,
        seqs: Some(seqs),
        detail: detail.to_owned(),
    };
    if next <= witness.head.seq {
        let detail = torn.unwrap_or("the log stops here");
        let detail = format!("{detail}, and the anchor says that record {} was acknowledged", witness.head.seq);
        return Err(corrupt(next..=witness.head.seq, &detail));
    }
    if !met {
        return Err(corrupt(
            witness.head.seq..=witness.head.seq,
            "the log and the anchor disagree about what was acknowledged",
        ));
    }
    beyond_the_end(snapshots, next).and_then(|beyond| match beyond {
        Some(seq) => Err(corrupt(next..=seq, &format!("the log stops here, and there is a snapshot of record {seq}"))),
        None => Ok(()),
    })?;
    let rest = cursor.rest(disk)?;
    if let Some((offset, first)) = rest.frame {
        return Err(Fault::Corrupt {
            file: path_of(disk, &cursor.segment().name),
            offset: cursor.offset(),
            seqs: Some(next..=first.saturating_sub(1).max(next)),
            detail: format!("there is no whole frame here, and one with record {first} follows at byte {offset}"),
        });
    }
    report.verified_from = start;
    report.last = next - 1;
    let torn = rest.used_until.saturating_sub(cursor.offset());
    Ok(Tail { newest, torn, head: Head { seq: next - 1, chain }, cursor })
}

/// The first segment starts with record 1, and every segment names the one before it.
fn check_headers(disk: &dyn Disk, segments: &[Seq], anchored: Seq) -> Result<(), Fault> {
    if segments.first() != Some(&1) {
        return Err(lost(disk, 1, segments.first().map_or(anchored, |first| first - 1)));
    }
    let mut previous = 0;
    for first in segments {
        let segment = Segment::open(disk, *first, Access::Read)?;
        if segment.head.previous != previous {
            return Err(lost(disk, segment.head.previous, first - 1));
        }
        previous = *first;
    }
    Ok(())
}

/// The newest snapshot up to `head` that is whole, 0 for none. A damaged one stands for nothing: what lies before it is read at
/// this start, and has to be proven before anything is changed.
pub(crate) fn newest_whole(snapshots: &Snapshots, head: Seq) -> Result<Seq, Fault> {
    for seq in snapshots.list()?.into_iter().rev().filter(|seq| *seq <= head) {
        if snapshots.read(seq).is_ok() {
            return Ok(seq);
        }
    }
    Ok(0)
}

/// A snapshot that is whole and knows more than the log does: the log was cut.
fn beyond_the_end(snapshots: &Snapshots, next: Seq) -> Result<Option<Seq>, Fault> {
    for seq in snapshots.list()?.into_iter().rev().take_while(|seq| *seq >= next) {
        if snapshots.read(seq).is_ok() {
            return Ok(Some(seq));
        }
    }
    Ok(None)
}

fn lost(disk: &dyn Disk, first: Seq, last: Seq) -> Fault {
    Fault::Corrupt {
        file: path_of(disk, &segment_name(first)),
        offset: 0,
        seqs: Some(first..=last.max(first)),
        detail: "the segment is missing".to_owned(),
    }
}

/// Clears what is left of a torn frame, and makes durable what a killed process may have left in the page cache. Its last sync may
/// have failed: pages that are clean since then, and not on disk, are written only if they are made dirty again. So the newest
/// frame is written over itself; everything before it was synced before it was written.
fn cut_and_sync(disk: &dyn Disk, tail: Tail, report: &mut OpenReport) -> Result<End, Fault> {
    let offset = tail.cursor.offset();
    let segment = Segment::open(disk, tail.cursor.segment().head.first, Access::Write)?;
    if let Some(finding) = tail.torn(disk) {
        let len = usize::try_from(tail.torn).unwrap_or(usize::MAX);
        let cleared = segment.file.write_at(&vec![0; len], offset);
        cleared.map_err(fault(disk, "clear the torn end of", &segment.name))?;
        report.findings.push(finding);
    }
    if tail.newest > 0 {
        let mut frame = vec![0; usize::try_from(offset - tail.newest).unwrap_or(usize::MAX)];
        let read = segment.file.read_at(&mut frame, tail.newest);
        let written = read.and_then(|read| segment.file.write_at(&frame[..read], tail.newest));
        written.map_err(fault(disk, "write the newest frame again to", &segment.name))?;
    }
    segment.file.sync_data().map_err(fault(disk, "sync", &segment.name))?;
    // The names of the segment and of the anchor, likewise.
    for dir in [COMMIT_DIR, ""] {
        disk.sync_dir(dir).map_err(fault(disk, "sync", dir))?;
    }
    Ok(End { segment, offset, head: tail.head })
}

/// Keeps a directory locked for as long as the value lives.
pub(crate) type Held = Arc<DirLock>;
