//! The commit log: the arbiter of "acknowledged".
//!
//! An append is one positioned write, one sync and one unsynced write of the anchor. The first failure of any of them
//! poisons the log: what the disk holds is then unknown until it is read again, so nothing is retried into an
//! acknowledgement (law 14). Running out of space while a new segment is made is different: nothing of the frame was
//! written, so the log stays usable.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::anchor::{ANCHOR, Anchor, AnchorSync};
use crate::disk::{Access, DirLock, Disk, DiskFile, fault};
use crate::reader::{LogReader, LogShared, WAYMARK_BYTES};
use crate::segment::{COMMIT_DIR, Segment, segment_name};
use crate::spare::{Keeper, KeeperFault, RESERVE_BYTES, Spare, make_spare, reserve_name, spare_name};
use crate::wire::{ChainHash, FRAME_HEADER, MAX_FRAME_BYTES, SEGMENT_HEADER, SegmentHead, encode_frame};
use crate::{Fault, Frame, Frames, Head, Log, Options, Seq};

/// The log of a data directory, open for appending. There is one, and its owner is the only writer.
#[derive(Debug)]
pub struct CommitLog {
    shared: Arc<LogShared>,
    head: Head,
    anchor: Anchor,
    anchor_sync: AnchorSync,
    active: Active,
    first_segment_bytes: u64,
    last_segment_bytes: u64,
    keeper: Option<Keeper>,
    keeper_failed: KeeperFault,
    poisoned: Option<String>,
    reserve: bool,
    scratch: Vec<u8>,
    wake: Sender<()>,
    _lock: Arc<DirLock>,
}

/// The segment that takes the frames now.
#[derive(Debug)]
struct Active {
    file: Arc<dyn DiskFile>,
    name: String,
    head: SegmentHead,
    /// Where the next frame goes.
    offset: u64,
    bytes: u64,
    /// Offset from which the next frame's place is worth remembering.
    remember_at: u64,
}

/// Where an opening found the end of the log.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) segment: Segment,
    pub(crate) offset: u64,
    pub(crate) head: Head,
}

/// When a frame is made durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sync {
    /// Before the append returns.
    Now,
    /// With all others, at the end.
    Later,
}

/// Creates the first segment of a new log.
pub(crate) fn create_first_segment(disk: &dyn Disk, options: &Options) -> Result<(), Fault> {
    let head = SegmentHead { first: 1, previous: 0, chain: ChainHash::default() };
    let spare = make_spare(disk, &spare_name(), options.first_segment_bytes)?;
    install(disk, &spare, &head)
}

/// Turns a spare into a segment: its header is durable before its name is, and its name before any frame.
fn install(disk: &dyn Disk, spare: &Spare, head: &SegmentHead) -> Result<(), Fault> {
    let name = segment_name(head.first);
    let run = || {
        spare.file.write_at(&head.encode(), 0)?;
        spare.file.sync_all()?;
        disk.rename(&spare.name, &name)?;
        disk.sync_dir(COMMIT_DIR)
    };
    run().map_err(fault(disk, "create", &name))
}

impl CommitLog {
    /// Continues a log at its verified end, which is durable.
    pub(crate) fn resume(
        shared: Arc<LogShared>,
        end: End,
        options: &Options,
        lock: Arc<DirLock>,
    ) -> Result<(Self, Receiver<()>), Fault> {
        let disk = Arc::clone(&shared.disk);
        let mut anchor = Anchor::open(&*disk)?;
        anchor.note_twice(end.head).map_err(fault(&*disk, "write", ANCHOR))?;
        let anchor_sync = anchor.syncer();
        anchor_sync.sync().map_err(fault(&*disk, "sync", ANCHOR))?;
        let bytes = end.segment.file.len().map_err(fault(&*disk, "read", &end.segment.name))?;
        let keeper_failed = KeeperFault::default();
        let keeper = if options.background {
            let started = Keeper::start(Arc::clone(&disk), anchor_sync.clone(), Arc::clone(&keeper_failed));
            Some(started.map_err(fault(&*disk, "start the keeper of", COMMIT_DIR))?)
        } else {
            None
        };
        shared.set_durable(end.head.seq);
        let (wake, woken) = bounded(1);
        let mut log = Self {
            shared,
            head: end.head,
            anchor,
            anchor_sync,
            active: Active {
                file: end.segment.file,
                name: end.segment.name,
                head: end.segment.head,
                offset: end.offset,
                bytes,
                remember_at: 0,
            },
            first_segment_bytes: options.first_segment_bytes,
            last_segment_bytes: options.last_segment_bytes,
            keeper,
            keeper_failed,
            poisoned: None,
            reserve: false,
            scratch: Vec::new(),
            wake,
            _lock: lock,
        };
        log.keep_reserve()?;
        Ok((log, woken))
    }

    /// A handle for reading what is durable.
    pub fn reader(&self) -> LogReader {
        LogReader { shared: Arc::clone(&self.shared) }
    }

    /// Appends from the reserve when the disk is full: to write down that it is, and to end cleanly. Otherwise as
    /// [`Log::append`].
    pub fn append_from_reserve(&mut self, frame: &Frame) -> Result<(), Fault> {
        match self.append(frame) {
            Err(Fault::Full { op, path }) if self.reserve && self.poisoned.is_none() => {
                let need = SEGMENT_HEADER + frame.byte_len() + FRAME_HEADER * 2;
                if need as u64 > self.reserve_bytes() {
                    return Err(Fault::Full { op, path });
                }
                self.roll_to_reserve()?;
                self.append(frame)
            }
            result => result,
        }
    }

    /// Makes the reserve again where there is space for it ([`CommitLog::has_reserve`] says). Done at every opening,
    /// and by the owner after the disk was full.
    pub fn keep_reserve(&mut self) -> Result<(), Fault> {
        if self.reserve {
            return Ok(());
        }
        let disk = &*self.shared.disk;
        let name = reserve_name();
        let held = disk.open(&name, Access::Read).and_then(|file| file.len());
        if !held.is_ok_and(|len| len == self.reserve_bytes()) {
            match make_spare(disk, &name, self.reserve_bytes()) {
                Ok(_) => {}
                // A full disk is no reason not to open: reading must go on.
                Err(Fault::Full { .. }) => return Ok(()),
                Err(fault) => return Err(fault),
            }
            disk.sync_dir(COMMIT_DIR).map_err(fault(disk, "sync", COMMIT_DIR))?;
        }
        self.reserve = true;
        Ok(())
    }

    /// Whether room is kept for [`CommitLog::append_from_reserve`].
    pub fn has_reserve(&self) -> bool {
        self.reserve
    }

    /// Makes the anchor durable now. A keeper thread does so every 250 ms; without one ([`Options::background`]) the
    /// owner calls this when its own clock says so.
    pub fn sync_anchor(&mut self) -> Result<(), Fault> {
        self.check_poison()?;
        let synced = self.anchor_sync.sync();
        let result = synced.map_err(fault(&*self.shared.disk, "sync", ANCHOR));
        self.poison_on_error(result)
    }

    /// Ends the log in order: the anchor is durable when this returns.
    pub fn close(mut self) -> Result<(), Fault> {
        self.keeper = None;
        self.check_poison()?;
        self.anchor.note_twice(self.head).map_err(fault(&*self.shared.disk, "write", ANCHOR))?;
        self.sync_anchor()
    }

    /// A small log keeps a small reserve; never more than the constant.
    fn reserve_bytes(&self) -> u64 {
        RESERVE_BYTES.min(self.first_segment_bytes * 4)
    }

    fn check_poison(&mut self) -> Result<(), Fault> {
        if self.poisoned.is_none() {
            self.poisoned = self.keeper_failed.lock().clone();
        }
        match &self.poisoned {
            Some(cause) => Err(Fault::Poisoned { cause: cause.clone() }),
            None => Ok(()),
        }
    }

    fn poison_on_error<T>(&mut self, result: Result<T, Fault>) -> Result<T, Fault> {
        if let Err(fault) = &result {
            self.poisoned.get_or_insert_with(|| fault.to_string());
        }
        result
    }

    /// Appends a frame to a log that is made as a whole, which is durable with [`CommitLog::sync`]: one sync for all of it.
    pub fn append_unsynced(&mut self, frame: &Frame) -> Result<(), Fault> {
        self.put(frame, Sync::Later)
    }

    /// Makes durable what was appended without a sync.
    pub fn sync(&mut self) -> Result<(), Fault> {
        self.check_poison()?;
        let synced = self.active.file.sync_data();
        let result = synced.map_err(fault(&*self.shared.disk, "sync", &self.active.name));
        self.poison_on_error(result)
    }

    fn put(&mut self, frame: &Frame, sync: Sync) -> Result<(), Fault> {
        self.check_poison()?;
        if frame.is_empty() {
            return Ok(());
        }
        let expected = self.head.seq + 1;
        if frame.first() != expected {
            let got = frame.first();
            return Err(Fault::OutOfOrder { expected, got });
        }
        if frame.byte_len() > MAX_FRAME_BYTES {
            return Err(Fault::TooLarge { bytes: frame.byte_len(), limit: MAX_FRAME_BYTES });
        }
        let need = (frame.byte_len() + FRAME_HEADER * 2) as u64;
        if self.active.offset + need > self.active.bytes {
            if sync == Sync::Later {
                self.sync()?;
            }
            self.roll(need)?;
        }
        let written = self.write(frame, sync);
        self.poison_on_error(written)?;
        self.order_spare();
        // A full channel means the follower has not looked since the last append: it will find this one too.
        let _ = self.wake.try_send(());
        Ok(())
    }

    fn write(&mut self, frame: &Frame, sync: Sync) -> Result<(), Fault> {
        let disk = Arc::clone(&self.shared.disk);
        let active = &mut self.active;
        let chain = encode_frame(frame, self.head.chain, active.head.chain.salt(), &mut self.scratch);
        let head = Head { seq: frame.last(), chain };
        let write = active.file.write_at(&self.scratch, active.offset);
        write.map_err(fault(&*disk, "write", &active.name))?;
        if sync == Sync::Now {
            active.file.sync_data().map_err(fault(&*disk, "sync", &active.name))?;
        }
        self.anchor.note(head).map_err(fault(&*disk, "write", ANCHOR))?;
        if active.offset >= active.remember_at {
            self.shared.remember(frame.first(), active.head.first, active.offset);
            active.remember_at = active.offset + WAYMARK_BYTES;
        }
        active.offset += self.scratch.len() as u64;
        self.head = head;
        self.shared.set_durable(head.seq);
        Ok(())
    }

    /// Goes on to a new segment with room for `need` bytes of frame.
    fn roll(&mut self, need: u64) -> Result<(), Fault> {
        let disk = Arc::clone(&self.shared.disk);
        let least = SEGMENT_HEADER as u64 + need;
        let ready = match self.keeper.as_mut().and_then(Keeper::take) {
            Some(Ok(spare)) if spare.bytes >= least => Ok(spare),
            Some(Ok(_)) | None => make_spare(&*disk, &spare_name(), self.next_segment_bytes().max(least)),
            Some(Err(fault)) => Err(fault),
        };
        let spare = match ready {
            // A short disk may still have room for a small segment.
            Err(Fault::Full { .. }) => make_spare(&*disk, &spare_name(), self.first_segment_bytes.max(least)),
            ready => ready,
        };
        let spare = match spare {
            Err(fault) if !fault.is_full() => return self.poison_on_error(Err(fault)),
            spare => spare?,
        };
        self.enter(&spare)
    }

    fn roll_to_reserve(&mut self) -> Result<(), Fault> {
        let disk = Arc::clone(&self.shared.disk);
        let name = reserve_name();
        let opened = disk.open(&name, Access::Write);
        let file = opened.map_err(fault(&*disk, "open", &name))?;
        self.reserve = false;
        self.enter(&Spare { file, name, bytes: self.reserve_bytes() })
    }

    fn enter(&mut self, spare: &Spare) -> Result<(), Fault> {
        let (first, before) = (self.head.seq + 1, self.active.head);
        // One without a frame, too short for the first, gives its place and its name to the new one.
        let replaces = before.first == first;
        let previous = if replaces { before.previous } else { before.first };
        let head = SegmentHead { first, previous, chain: self.head.chain };
        let installed = install(&*self.shared.disk, spare, &head);
        self.poison_on_error(installed)?;
        self.active = Active {
            file: Arc::clone(&spare.file),
            name: segment_name(head.first),
            head,
            offset: SEGMENT_HEADER as u64,
            bytes: spare.bytes,
            remember_at: 0,
        };
        if !replaces {
            self.shared.add_segment(first);
        }
        Ok(())
    }

    fn next_segment_bytes(&self) -> u64 {
        (self.active.bytes * 2).clamp(self.first_segment_bytes, self.last_segment_bytes)
    }

    /// Has the next segment made once half of this one is used: a short session then makes none in vain.
    fn order_spare(&mut self) {
        let bytes = self.next_segment_bytes();
        if self.active.offset * 2 > self.active.bytes
            && let Some(keeper) = &mut self.keeper
        {
            keeper.order(bytes);
        }
    }
}

impl Log for CommitLog {
    fn append(&mut self, frame: &Frame) -> Result<(), Fault> {
        self.put(frame, Sync::Now)
    }

    fn head(&self) -> Head {
        self.head
    }

    fn read_from(&self, from: Seq) -> Result<Frames, Fault> {
        Ok(Box::new(self.reader().frames(from)))
    }
}
