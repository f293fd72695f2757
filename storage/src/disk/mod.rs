//! The disk as a trait at the edge: the few operations the log needs, so that the same code runs on a real directory
//! and on one in memory that loses, tears and refuses what a bad day would.
//!
//! Names are relative to the data directory, with `/` between the parts.

mod memory;
mod patient;
mod real;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use memory::{CrashPlan, FailPlan, MemoryDisk};
pub(crate) use patient::PatientDisk;
pub use real::RealDisk;

use crate::Fault;

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading alone.
    Read,
    /// Reading and writing.
    Write,
}

/// A directory tree and what can be done to it. Nothing is durable before the sync that belongs to it.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Where the tree lies; used in messages, and by what needs a real directory.
    fn root(&self) -> &Path;

    /// Whether `root` exists in the file system of this machine (sled needs that).
    fn is_real(&self) -> bool;

    /// Opens a file that exists.
    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn DiskFile>>;

    /// Creates an empty file for reading and writing; fails when the name is taken.
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Creates a directory (`""`: the root itself) with its parents; one that exists is fine.
    fn create_dir(&self, name: &str) -> io::Result<()>;

    /// Names in a directory, sorted; an empty list when there is no such directory.
    fn list(&self, dir: &str) -> io::Result<Vec<String>>;

    /// Renames a file, replacing what had the new name.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file; one that does not exist is fine.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &str) -> io::Result<()>;

    /// Locks the whole tree for this process until the returned lock is dropped; [`Fault::Locked`] when another one
    /// has it.
    fn lock(&self, name: &str) -> Result<DirLock, Fault>;
}

/// One open file.
pub trait DiskFile: Send + Sync + fmt::Debug {
    /// Reads at an offset into `buf`; fewer bytes than asked for only at the end of the file.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at an offset.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes the content durable (and the length, where it changed).
    fn sync_data(&self) -> io::Result<()>;

    /// Makes the content and everything known about the file durable.
    fn sync_all(&self) -> io::Result<()>;

    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file holds nothing.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts the file, or extends it with zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;
}

/// The lock over a data directory; dropping it releases the directory.
pub struct DirLock {
    _held: Box<dyn Send + Sync>,
}

impl DirLock {
    /// Wraps whatever holds the lock while it lives.
    pub fn new(held: impl Send + Sync + 'static) -> Self {
        Self { _held: Box::new(held) }
    }
}

impl fmt::Debug for DirLock {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("DirLock")
    }
}

/// The full path of a name, for messages.
pub(crate) fn path_of(disk: &dyn Disk, name: &str) -> PathBuf {
    if name.is_empty() { disk.root().to_path_buf() } else { disk.root().join(name) }
}

/// Turns an error of the operating system into a fault that names the operation and the file.
pub(crate) fn fault<'a>(disk: &'a dyn Disk, op: &'static str, name: &'a str) -> impl FnOnce(io::Error) -> Fault + 'a {
    move |source| Fault::io(op, path_of(disk, name), source)
}

/// Reads a whole file.
pub(crate) fn read_all(file: &dyn DiskFile) -> io::Result<Vec<u8>> {
    let len = usize::try_from(file.len()?).map_err(io::Error::other)?;
    let mut bytes = vec![0; len];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}
