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
pub(super) struct SimDisk(pub(super) MemoryDisk);

#[derive(Debug)]
struct SimFile(Arc<dyn DiskFile>);

impl Disk for SimDisk {
    fn root(&self) -> &Path {
        self.0.root()
    }

    fn is_real(&self) -> bool {
        self.0.is_real()
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(SimFile(self.0.open(name, access)?)))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(SimFile(self.0.create(name)?)))
    }

    fn create_dir(&self, name: &str) -> io::Result<()> {
        self.0.create_dir(name)
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.0.list(dir)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        meanwhile();
        self.0.sync_dir(dir)
    }

    fn lock(&self, name: &str) -> Result<DirLock, Fault> {
        self.0.lock(name)
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buf, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        meanwhile();
        self.0.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        meanwhile();
        self.0.sync_all()
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
}
