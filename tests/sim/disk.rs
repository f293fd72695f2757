//! The disk: the storage's disk in memory, with a moment during every sync in which the rest of the world goes on.

use everlog_storage::{Access, DirLock, Disk, DiskFile, Fault, MemoryDisk};
use parking_lot::Mutex;
use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// What a failing disk answers.
pub(super) const EIO: i32 = 5;

thread_local! {
    /// What goes on while a sync is under way.
    static MEANWHILE: RefCell<Option<Box<dyn FnMut()>>> = const { RefCell::new(None) };
}

/// Carries out `work`; at every sync of the disk in it, `other` goes on.
pub(super) fn with_meanwhile<T>(other: impl FnMut() + 'static, work: impl FnOnce() -> T) -> T {
    MEANWHILE.set(Some(Box::new(other)));
    let done = work();
    MEANWHILE.take();
    done
}

fn meanwhile() {
    // Taken out, so that a sync in what goes on does not start it again.
    if let Some(mut other) = MEANWHILE.take() {
        other();
        MEANWHILE.set(Some(other));
    }
}

/// Reads of the disk, counted, and those of them that fail.
#[derive(Clone, Debug, Default)]
pub(super) struct Reads(Arc<Mutex<(u64, Option<Unread>)>>);

/// Reads that fail: the one after so many, or all from that one on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unread {
    pub(super) after: u64,
    pub(super) forever: bool,
}

impl Reads {
    /// Makes reads fail; `None` heals the disk. The count starts now.
    pub(super) fn fail(&self, unread: Option<Unread>) {
        *self.0.lock() = (0, unread);
    }

    /// Reads so far.
    pub(super) fn count(&self) -> u64 {
        self.0.lock().0
    }

    fn step(&self) -> io::Result<()> {
        let (count, unread) = &mut *self.0.lock();
        let nth = *count;
        *count += 1;
        let fails = |unread: &Unread| nth == unread.after || unread.forever && nth > unread.after;
        if unread.as_ref().is_some_and(fails) { Err(io::Error::from_raw_os_error(EIO)) } else { Ok(()) }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct SimDisk {
    pub(super) disk: MemoryDisk,
    pub(super) reads: Reads,
    /// What is written to it is said to be synced and is not: the canary, a bug that has to be found.
    pub(super) lies: bool,
}

#[derive(Debug)]
struct SimFile {
    file: Arc<dyn DiskFile>,
    reads: Reads,
    lies: bool,
}

impl SimFile {
    fn sync(&self, sync: impl FnOnce(&dyn DiskFile) -> io::Result<()>) -> io::Result<()> {
        meanwhile();
        if self.lies { Ok(()) } else { sync(&*self.file) }
    }
}

impl SimDisk {
    fn file(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(SimFile { file, reads: self.reads.clone(), lies: self.lies })
    }
}

impl Disk for SimDisk {
    fn root(&self) -> &Path {
        self.disk.root()
    }

    fn is_real(&self) -> bool {
        self.disk.is_real()
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.file(self.disk.open(name, access)?))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.file(self.disk.create(name)?))
    }

    fn create_dir(&self, name: &str) -> io::Result<()> {
        self.disk.create_dir(name)
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.disk.list(dir)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        meanwhile();
        self.disk.sync_dir(dir)
    }

    fn lock(&self, name: &str) -> Result<DirLock, Fault> {
        self.disk.lock(name)
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.reads.step()?;
        self.file.read_at(buf, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync(|file| file.sync_data())
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync(|file| file.sync_all())
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
}
