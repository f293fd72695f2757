//! A disk with sectors that can not be read, read all the same: what stands in them becomes bytes that are no record of anything,
//! so that whoever reads finds damage there, and goes on behind it. For those who look at an ill directory; a coordinator that
//! starts is told of the first such error instead.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::fs::{FlockOperation, flock};

use super::{Access, DirLock, Disk, DiskFile, path_of};
use crate::Fault;
use crate::fault::EIO;

/// What is given up at once, in bytes: disks read and write whole pages.
const PAGE: usize = 4096;
/// Stands in for a byte that can not be read. Not zero: zeros are what nobody has written to yet.
const UNREAD: u8 = 0xff;

/// Pages that could not be read, by file.
type Unreadable = Arc<Mutex<BTreeMap<String, u64>>>;

/// A disk that is only read, whatever state it is in.
#[derive(Debug)]
pub(crate) struct PatientDisk {
    disk: Arc<dyn Disk>,
    unreadable: Unreadable,
}

impl PatientDisk {
    pub(crate) fn new(disk: Arc<dyn Disk>) -> Self {
        Self { disk, unreadable: Arc::default() }
    }

    /// The files of which something could not be read so far, with the first such byte.
    pub(crate) fn unreadable(&self) -> Vec<(String, u64)> {
        self.unreadable.lock().iter().map(|(name, offset)| (name.clone(), *offset)).collect()
    }
}

impl Disk for PatientDisk {
    fn root(&self) -> &Path {
        self.disk.root()
    }

    fn is_real(&self) -> bool {
        self.disk.is_real()
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.disk.open(name, access)?;
        Ok(Arc::new(PatientFile { file, name: name.to_owned(), unreadable: Arc::clone(&self.unreadable) }))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.disk.create(name)
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
        self.disk.sync_dir(dir)
    }

    /// Also where nothing may be written, as on a file system that was mounted read-only because it is ill: a lock needs no
    /// writing, and where there is no file to lock nobody can work either.
    fn lock(&self, name: &str) -> Result<DirLock, Fault> {
        match self.disk.lock(name) {
            Err(Fault::ReadOnly { .. }) => {}
            locked => return locked,
        }
        let path = path_of(&*self.disk, name);
        match File::open(&path) {
            Ok(file) => match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => Ok(DirLock::new(file)),
                Err(rustix::io::Errno::WOULDBLOCK) => Err(Fault::Locked { path, pid: None }),
                Err(error) => Err(Fault::io("lock", path, error.into())),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(DirLock::new(())),
            Err(error) => Err(Fault::io("lock", path, error)),
        }
    }
}

#[derive(Debug)]
struct PatientFile {
    file: Arc<dyn DiskFile>,
    name: String,
    unreadable: Unreadable,
}

impl PatientFile {
    /// Page by page, where one of them can not be read.
    fn read_pages(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let len = self.file.len()?;
        let want = usize::try_from(len.saturating_sub(offset)).unwrap_or(usize::MAX).min(buf.len());
        let mut read = 0;
        while read < want {
            let at = offset + read as u64;
            let to_border = PAGE - usize::try_from(at % PAGE as u64).unwrap_or(0);
            let page = &mut buf[read..want.min(read + to_border)];
            match self.file.read_at(page, at) {
                Err(error) if error.raw_os_error() == Some(EIO) => {
                    page.fill(UNREAD);
                    let mut unreadable = self.unreadable.lock();
                    let first = unreadable.entry(self.name.clone()).or_insert(at);
                    *first = at.min(*first);
                }
                Ok(_) => {}
                Err(error) => return Err(error),
            }
            read += page.len();
        }
        Ok(want)
    }
}

impl DiskFile for PatientFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        match self.file.read_at(buf, offset) {
            Err(error) if error.raw_os_error() == Some(EIO) => self.read_pages(buf, offset),
            read => read,
        }
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
}
