//! Segments made ahead: files full of zeros, so that appending changes no file size and a sync is one write.
//!
//! A keeper thread fills the next one while the current one is in use, and syncs the anchor when that is due. A
//! reserve of the same kind is kept for the day the disk is full: renaming it needs no space, so there is always room
//! to write down that there is none.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select, tick};
use parking_lot::Mutex;

use crate::Fault;
use crate::anchor::{ANCHOR, AnchorSync};
use crate::disk::{Disk, DiskFile, fault};
use crate::segment::COMMIT_DIR;

/// How much later than a frame the anchor may reach the disk: it bounds how much a lost tail can go unnoticed.
const ANCHOR_SYNC_EVERY: Duration = Duration::from_millis(250);
/// Room kept for the day the disk is full, in bytes: some thousand records to say so and to end cleanly.
pub const RESERVE_BYTES: u64 = 4 * 1024 * 1024;
/// Zeros are written in pieces of this many bytes, so that a sync of the log need not wait behind a long write.
const FILL_BYTES: usize = 256 * 1024;
static ZEROS: [u8; FILL_BYTES] = [0; FILL_BYTES];

/// A file of zeros, ready to become a segment.
#[derive(Debug)]
pub(crate) struct Spare {
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) name: String,
    pub(crate) bytes: u64,
}

pub(crate) fn spare_name() -> String {
    format!("{COMMIT_DIR}/spare")
}

pub(crate) fn reserve_name() -> String {
    format!("{COMMIT_DIR}/reserve")
}

/// Makes a durable file of zeros in place of what had the name; takes it away again when there is no room.
pub(crate) fn make_spare(disk: &dyn Disk, name: &str, bytes: u64) -> Result<Spare, Fault> {
    let fill = || -> io::Result<Arc<dyn DiskFile>> {
        disk.remove(name)?;
        let file = disk.create(name)?;
        let mut at = 0;
        while at < bytes {
            let piece = usize::try_from(bytes - at).unwrap_or(FILL_BYTES).min(FILL_BYTES);
            file.write_at(&ZEROS[..piece], at)?;
            at += piece as u64;
        }
        file.sync_all()?;
        Ok(file)
    };
    match fill() {
        Ok(file) => Ok(Spare { file, name: name.to_owned(), bytes }),
        Err(error) => {
            // A half-filled file would keep the last free bytes; failing to remove it changes nothing about the fault.
            let _ = disk.remove(name);
            Err(fault(disk, "preallocate", name)(error))
        }
    }
}

/// What the keeper tells the appender: the first failure of an anchor sync.
pub(crate) type KeeperFault = Arc<Mutex<Option<String>>>;

/// Does the log's chores beside it.
#[derive(Debug)]
pub(crate) struct Keeper {
    wanted: Option<Sender<u64>>,
    made: Receiver<Result<Spare, Fault>>,
    pending: bool,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    pub(crate) fn start(disk: Arc<dyn Disk>, anchor: AnchorSync, failed: KeeperFault) -> io::Result<Self> {
        let (wanted, orders) = bounded::<u64>(1);
        let (deliver, made) = bounded(1);
        let thread = std::thread::Builder::new().name("log-keeper".to_owned()).spawn(move || {
            let due = tick(ANCHOR_SYNC_EVERY);
            loop {
                select! {
                    recv(orders) -> order => match order {
                        // Two channels of one place each, one order at a time: this cannot block.
                        Ok(bytes) => if deliver.send(make_spare(&*disk, &spare_name(), bytes)).is_err() { return },
                        Err(_) => return,
                    },
                    recv(due) -> _ => if let Err(error) = anchor.sync() {
                        let fault = fault(&*disk, "sync", ANCHOR)(error);
                        failed.lock().get_or_insert_with(|| fault.to_string());
                        return;
                    },
                }
            }
        })?;
        Ok(Self { wanted: Some(wanted), made, pending: false, thread: Some(thread) })
    }

    /// Asks for a spare of so many bytes, to be taken later.
    pub(crate) fn order(&mut self, bytes: u64) {
        if !self.pending
            && let Some(wanted) = &self.wanted
        {
            self.pending = wanted.send(bytes).is_ok();
        }
    }

    /// Takes what was ordered, waiting for it where needed; `None` when nothing was, or the keeper has ended.
    pub(crate) fn take(&mut self) -> Option<Result<Spare, Fault>> {
        if !std::mem::take(&mut self.pending) {
            return None;
        }
        self.made.recv().ok()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.wanted = None;
        if let Some(thread) = self.thread.take() {
            // A keeper that panicked has nothing left to give back.
            let _ = thread.join();
        }
    }
}
