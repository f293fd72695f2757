//! The anchor: a small witness outside the log that says how far the log has been acknowledged.
//!
//! No log can tell a torn tail from lost acknowledged records by itself. The anchor holds two slots, written in turn
//! after each frame, each in a sector of its own 4096 bytes from the other, so that a power cut leaves at least one
//! whole. It is synced a little later than the frame it speaks of: it may know too little, never too much.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::disk::{Access, Disk, DiskFile, fault, path_of};
use crate::fault::EIO;
use crate::wire::field;
use crate::{ChainHash, Fault, Head, Seq};

/// Name of the anchor inside the data directory.
pub(crate) const ANCHOR: &str = "anchor";
const ANCHOR_TMP: &str = "anchor.tmp";
const ANCHOR_FORMAT: u32 = 1;
const ANCHOR_MAGIC: &[u8; 8] = b"everlogA";
/// Distance of the slots in bytes: two pages, so that no write touches both.
const SLOT_STRIDE: usize = 4096;
/// Length of a slot in bytes: one sector, which a disk writes as a whole.
const SLOT_BYTES: usize = 512;
/// Bytes of a slot that its checksum covers.
const SLOT_USED: usize = 56;
const SLOTS: u64 = 2;

/// The open anchor of a log.
#[derive(Debug)]
pub(crate) struct Anchor {
    file: Arc<dyn DiskFile>,
    writes: u64,
    dirty: Arc<AtomicBool>,
}

/// What an anchor on disk says.
#[derive(Debug, PartialEq, Eq, Default)]
pub(crate) struct Witness {
    pub(crate) head: Head,
    /// A slot that had been written is unreadable; the other one stands in for it.
    pub(crate) slot_damaged: bool,
}

impl Anchor {
    /// Creates the anchor of a new log: from its rename on, the directory is one that once held a log.
    pub(crate) fn create(disk: &dyn Disk, head: Head) -> Result<(), Fault> {
        let run = || {
            disk.remove(ANCHOR_TMP)?;
            let file = disk.create(ANCHOR_TMP)?;
            let mut bytes = slot(head);
            bytes.resize(SLOT_STRIDE, 0);
            bytes.extend_from_slice(&slot(head));
            file.write_at(&bytes, 0)?;
            file.sync_all()?;
            disk.rename(ANCHOR_TMP, ANCHOR)?;
            disk.sync_dir("")
        };
        run().map_err(fault(disk, "create", ANCHOR))
    }

    /// Reads what the anchor says; `None` when there is no anchor.
    pub(crate) fn read(disk: &dyn Disk) -> Result<Option<Witness>, Fault> {
        let slots = match disk.open(ANCHOR, Access::Read).and_then(|file| read_slots(&*file)) {
            Ok(slots) => slots,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fault(disk, "read", ANCHOR)(error)),
        };
        if let Some(found) = slots.iter().find_map(|slot| match slot {
            Slot::Future(found) => Some(*found),
            Slot::Good(_) | Slot::Damaged => None,
        }) {
            return Err(Fault::FutureFormat { file: path_of(disk, ANCHOR), found, known: ANCHOR_FORMAT });
        }
        let good = slots.iter().filter_map(|slot| match slot {
            Slot::Good(head) => Some(*head),
            Slot::Future(_) | Slot::Damaged => None,
        });
        match good.clone().max_by_key(|head| head.seq) {
            Some(head) => Ok(Some(Witness { head, slot_damaged: good.count() < slots.len() })),
            None => Err(Fault::Corrupt {
                file: path_of(disk, ANCHOR),
                offset: 0,
                seqs: None,
                detail: "neither of its two slots can be read, so nothing says how far the log was acknowledged"
                    .to_owned(),
            }),
        }
    }

    /// Opens the anchor for writing. The next write goes to the slot that does not hold `witness`.
    pub(crate) fn open(disk: &dyn Disk) -> Result<Self, Fault> {
        let run = || {
            let file = disk.open(ANCHOR, Access::Write)?;
            let slots = read_slots(&*file)?;
            Ok((file, slots))
        };
        let (file, slots) = run().map_err(fault(disk, "open", ANCHOR))?;
        let [first, second] = slots.map(|slot| match slot {
            Slot::Good(head) => Some(head.seq),
            Slot::Future(_) | Slot::Damaged => None,
        });
        let writes = u64::from(first > second);
        Ok(Self { file, writes, dirty: Arc::new(AtomicBool::new(false)) })
    }

    /// Notes a frame that is durable. Not synced: see [`AnchorSync`].
    pub(crate) fn note(&mut self, head: Head) -> std::io::Result<()> {
        let at = (self.writes % SLOTS) * SLOT_STRIDE as u64;
        self.file.write_at(&slot(head), at)?;
        self.writes += 1;
        self.dirty.store(true, Ordering::Release);
        Ok(())
    }

    /// Notes the same in both slots: then each of them tells all, should the other rot.
    pub(crate) fn note_twice(&mut self, head: Head) -> std::io::Result<()> {
        self.note(head)?;
        self.note(head)
    }

    /// The part that syncs, which may live in another thread.
    pub(crate) fn syncer(&self) -> AnchorSync {
        AnchorSync { file: Arc::clone(&self.file), dirty: Arc::clone(&self.dirty) }
    }
}

/// Syncs the anchor when it was written since.
#[derive(Debug, Clone)]
pub(crate) struct AnchorSync {
    file: Arc<dyn DiskFile>,
    dirty: Arc<AtomicBool>,
}

impl AnchorSync {
    pub(crate) fn sync(&self) -> std::io::Result<()> {
        if self.dirty.swap(false, Ordering::AcqRel) {
            self.file.sync_data()?;
        }
        Ok(())
    }
}

enum Slot {
    Good(Head),
    Future(u32),
    Damaged,
}

fn slot(head: Head) -> Vec<u8> {
    let mut out = Vec::with_capacity(SLOT_BYTES);
    out.extend_from_slice(ANCHOR_MAGIC);
    out.extend_from_slice(&ANCHOR_FORMAT.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&head.seq.to_le_bytes());
    out.extend_from_slice(&head.chain.0);
    let crc = crc32c::crc32c(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out.resize(SLOT_BYTES, 0);
    out
}

/// Each by itself: the disk may give up one of them.
fn read_slots(file: &dyn DiskFile) -> std::io::Result<[Slot; 2]> {
    let read = |at: usize| {
        let mut bytes = [0; SLOT_BYTES];
        match file.read_at(&mut bytes, at as u64) {
            Ok(SLOT_BYTES) => Ok(parse(&bytes)),
            Ok(_) => Ok(Slot::Damaged),
            Err(error) if error.raw_os_error() == Some(EIO) => Ok(Slot::Damaged),
            Err(error) => Err(error),
        }
    };
    Ok([read(0)?, read(SLOT_STRIDE)?])
}

fn parse(bytes: &[u8; SLOT_BYTES]) -> Slot {
    let crc = u32::from_le_bytes(field(bytes, SLOT_USED));
    if &bytes[..8] != ANCHOR_MAGIC || crc32c::crc32c(&bytes[..SLOT_USED]) != crc {
        return Slot::Damaged;
    }
    match u32::from_le_bytes(field(bytes, 8)) {
        ANCHOR_FORMAT => {
            Slot::Good(Head { seq: Seq::from_le_bytes(field(bytes, 16)), chain: ChainHash(field(bytes, 24)) })
        }
        future => Slot::Future(future),
    }
}
