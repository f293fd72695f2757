//! The disk: the storage's disk in memory, with a moment during every sync in which the rest of the world goes on.

use everlog_storage::{Access, DirLock, Disk, DiskFile, Fault, MemoryDisk};
use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::sync::Arc;

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

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct SimDisk {
    pub(super) disk: MemoryDisk,
    /// What is written to it is said to be synced and is not: the canary, a bug that has to be found.
    pub(super) lies: bool,
}

#[derive(Debug)]
struct SimFile {
    file: Arc<dyn DiskFile>,
    lies: bool,
}

impl SimFile {
    fn sync(&self, sync: impl FnOnce(&dyn DiskFile) -> io::Result<()>) -> io::Result<()> {
        meanwhile();
        if self.lies { Ok(()) } else { sync(&*self.file) }
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
        Ok(Arc::new(SimFile { file: self.disk.open(name, access)?, lies: self.lies }))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(SimFile { file: self.disk.create(name)?, lies: self.lies }))
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
