//! A disk in memory that keeps apart what is durable and what a power cut may still take.
//!
//! Every write, cut and change of a name is pending until the sync that covers it. [`MemoryDisk::crash_image`] hands
//! out a disk as some power cut could leave it; [`MemoryDisk::fail`] makes an operation fail the way a real one does.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Access, DirLock, Disk, DiskFile};
use crate::Fault;

/// A power cut is atomic in units of this many bytes.
const SECTOR_BYTES: usize = 512;

/// Which of the pending changes a power cut leaves behind. Changes of one file take effect in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CrashPlan {
    /// Nothing that was not synced.
    Nothing,
    /// All of it: a killed process rather than a power cut.
    Everything,
    /// Those pending changes (see [`MemoryDisk::pending`]) whose place holds `true`.
    Subset(Vec<bool>),
    /// Every 512-byte sector of every write, and every other change, by the toss of a coin from this seed.
    Torn(u64),
}

/// An operation to fail: counted over everything that changes the disk, syncs included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailPlan {
    /// How many operations succeed first.
    pub after: u64,
    /// What the failing ones answer: an `errno`, such as 5 (EIO) or 28 (ENOSPC).
    pub errno: i32,
    /// Whether every later one fails too.
    pub forever: bool,
}

/// A disk in memory; clones share it.
#[derive(Debug, Clone, Default)]
pub struct MemoryDisk {
    inner: Arc<Mutex<Inner>>,
}

type FileId = usize;
type Names = BTreeMap<String, FileId>;

#[derive(Debug, Default)]
struct Inner {
    /// Contents now and contents that are safe, by file.
    now: Vec<Vec<u8>>,
    safe: Vec<Vec<u8>>,
    names: Names,
    safe_names: Names,
    dirs: BTreeSet<String>,
    pending: Vec<Change>,
    locked: bool,
    operations: u64,
    fail: Option<FailPlan>,
    /// Bytes the disk holds at most; `None` for no limit.
    capacity: Option<usize>,
    /// Nobody will ask what a power cut leaves: nothing is kept twice.
    no_power_cuts: bool,
}

#[derive(Debug, Clone)]
enum Change {
    Write(FileId, u64, Vec<u8>),
    SetLen(FileId, u64),
    Link(String, FileId),
    Rename(String, String, FileId),
    Unlink(String),
}

impl Change {
    fn file(&self) -> Option<FileId> {
        match self {
            Self::Write(file, ..) | Self::SetLen(file, _) => Some(*file),
            Self::Link(..) | Self::Rename(..) | Self::Unlink(_) => None,
        }
    }

    fn touches_dir(&self, dir: &str) -> bool {
        let inside = |name: &str| parent(name) == dir;
        match self {
            Self::Write(..) | Self::SetLen(..) => false,
            Self::Link(name, _) | Self::Unlink(name) => inside(name),
            Self::Rename(from, to, _) => inside(from) || inside(to),
        }
    }

    fn apply(&self, files: &mut [Vec<u8>], names: &mut Names) {
        match self {
            Self::Write(file, offset, bytes) => write_into(&mut files[*file], *offset, bytes),
            Self::SetLen(file, len) => files[*file].resize(index(*len), 0),
            Self::Link(name, file) => {
                names.insert(name.clone(), *file);
            }
            Self::Rename(from, to, file) => {
                names.remove(from);
                names.insert(to.clone(), *file);
            }
            Self::Unlink(name) => {
                names.remove(name);
            }
        }
    }
}

fn parent(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(dir, _)| dir)
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

fn write_into(content: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let start = index(offset);
    let end = start + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[start..end].copy_from_slice(bytes);
}

impl Inner {
    /// Counts an operation and fails it when its turn has come.
    fn step(&mut self) -> io::Result<()> {
        let nth = self.operations;
        self.operations += 1;
        match self.fail {
            Some(plan) if nth == plan.after || (plan.forever && nth > plan.after) => {
                Err(io::Error::from_raw_os_error(plan.errno))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.now, &mut self.names);
        if !self.no_power_cuts {
            self.pending.push(change);
        }
    }

    fn settle(&mut self, covered: impl Fn(&Change) -> bool) {
        for change in std::mem::take(&mut self.pending) {
            if covered(&change) {
                change.apply(&mut self.safe, &mut self.safe_names);
            } else {
                self.pending.push(change);
            }
        }
    }

    fn find(&self, name: &str) -> io::Result<FileId> {
        self.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn check_space(&self, file: FileId, end: usize) -> io::Result<()> {
        let used: usize = self.names.values().map(|file| self.now[*file].len()).sum();
        let grows = end.saturating_sub(self.now[file].len());
        match self.capacity {
            Some(capacity) if grows > 0 && used + grows > capacity => Err(io::ErrorKind::StorageFull.into()),
            Some(_) | None => Ok(()),
        }
    }
}

impl MemoryDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty disk that stands for no other: it keeps what is on it now, and nothing to tell what a power cut would take.
    pub fn without_power_cuts() -> Self {
        let inner = Inner { no_power_cuts: true, ..Inner::default() };
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    /// Number of pending changes: what a power cut now could lose.
    pub fn pending(&self) -> usize {
        self.inner.lock().pending.len()
    }

    /// Number of operations that changed the disk, or tried to, so far.
    pub fn operations(&self) -> u64 {
        self.inner.lock().operations
    }

    /// Makes operations fail; `None` heals the disk. The count starts now.
    pub fn fail(&self, plan: Option<FailPlan>) {
        let mut inner = self.inner.lock();
        inner.operations = 0;
        inner.fail = plan;
    }

    /// Sets how many bytes the disk holds at most.
    pub fn set_capacity(&self, bytes: Option<usize>) {
        self.inner.lock().capacity = bytes;
    }

    /// Bytes in use now.
    pub fn used(&self) -> usize {
        let inner = self.inner.lock();
        inner.names.values().map(|file| inner.now[*file].len()).sum()
    }

    /// Changes bytes behind the log's back, as rot does: durable at once. False when there is no such file.
    pub fn rot(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> bool {
        let mut inner = self.inner.lock();
        let Ok(file) = inner.find(name) else {
            return false;
        };
        change(&mut inner.now[file]);
        inner.safe[file] = inner.now[file].clone();
        true
    }

    /// Every file with its content now: two equal maps are two equal disks.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let inner = self.inner.lock();
        let content = |(name, file): (&String, &FileId)| (name.clone(), inner.now[*file].clone());
        inner.names.iter().map(content).collect()
    }

    /// A disk as a power cut at this moment could leave it, with everything on it durable and nobody's lock.
    pub fn crash_image(&self, plan: &CrashPlan) -> Self {
        let inner = self.inner.lock();
        let mut files = inner.safe.clone();
        let mut names = inner.safe_names.clone();
        let mut coin = Coin::new(plan);
        for (nth, change) in inner.pending.iter().enumerate() {
            match (plan, change) {
                (CrashPlan::Nothing, _) => {}
                (CrashPlan::Everything, _) => change.apply(&mut files, &mut names),
                (CrashPlan::Subset(kept), _) => {
                    if kept.get(nth).copied().unwrap_or(false) {
                        change.apply(&mut files, &mut names);
                    }
                }
                (CrashPlan::Torn(_), Change::Write(file, offset, bytes)) => {
                    for (offset, sector) in sectors(*offset, bytes) {
                        if coin.toss() {
                            write_into(&mut files[*file], offset, sector);
                        }
                    }
                }
                (CrashPlan::Torn(_), _) => {
                    if coin.toss() {
                        change.apply(&mut files, &mut names);
                    }
                }
            }
        }
        let image = Inner {
            now: files.clone(),
            safe: files,
            names: names.clone(),
            safe_names: names,
            dirs: inner.dirs.clone(),
            capacity: inner.capacity,
            ..Inner::default()
        };
        Self { inner: Arc::new(Mutex::new(image)) }
    }
}

/// Cuts a write at the sectors of the disk.
fn sectors(offset: u64, bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let first = (SECTOR_BYTES - index(offset) % SECTOR_BYTES).min(bytes.len());
    let (head, tail) = bytes.split_at(first);
    let tails = tail
        .chunks(SECTOR_BYTES)
        .enumerate()
        .map(move |(nth, sector)| (offset + (first + nth * SECTOR_BYTES) as u64, sector));
    std::iter::once((offset, head)).chain(tails)
}

/// Repeatable coin tosses (xorshift64).
struct Coin(u64);

impl Coin {
    fn new(plan: &CrashPlan) -> Self {
        let seed = match plan {
            CrashPlan::Torn(seed) => *seed,
            CrashPlan::Nothing | CrashPlan::Everything | CrashPlan::Subset(_) => 0,
        };
        // An odd multiplier spreads small seeds; the state must not be zero.
        Self(seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn toss(&mut self) -> bool {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 63 == 1
    }
}

impl Disk for MemoryDisk {
    fn root(&self) -> &Path {
        Path::new("memory:")
    }

    fn is_real(&self) -> bool {
        false
    }

    fn open(&self, name: &str, _access: Access) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.inner.lock().find(name)?;
        Ok(Arc::new(MemoryFile { inner: Arc::clone(&self.inner), file }))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut inner = self.inner.lock();
        inner.step()?;
        if inner.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = inner.now.len();
        inner.now.push(Vec::new());
        inner.safe.push(Vec::new());
        inner.change(Change::Link(name.to_owned(), file));
        drop(inner);
        Ok(Arc::new(MemoryFile { inner: Arc::clone(&self.inner), file }))
    }

    fn create_dir(&self, name: &str) -> io::Result<()> {
        let mut inner = self.inner.lock();
        inner.step()?;
        inner.dirs.insert(name.to_owned());
        Ok(())
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let inner = self.inner.lock();
        let inside = |name: &&String| parent(name) == dir && !name.is_empty();
        let base = |name: &String| name.rsplit('/').next().unwrap_or_default().to_owned();
        let mut names: Vec<_> = inner.names.keys().chain(inner.dirs.iter()).filter(inside).map(base).collect();
        names.sort_unstable();
        Ok(names)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut inner = self.inner.lock();
        inner.step()?;
        let file = inner.find(from)?;
        inner.change(Change::Rename(from.to_owned(), to.to_owned(), file));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut inner = self.inner.lock();
        inner.step()?;
        if inner.names.contains_key(name) {
            inner.change(Change::Unlink(name.to_owned()));
        }
        Ok(())
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        let mut inner = self.inner.lock();
        inner.step()?;
        inner.settle(|change| change.touches_dir(dir));
        Ok(())
    }

    fn lock(&self, name: &str) -> Result<DirLock, Fault> {
        let mut inner = self.inner.lock();
        if inner.locked {
            return Err(Fault::Locked { path: PathBuf::from("memory:").join(name), pid: Some(std::process::id()) });
        }
        inner.locked = true;
        drop(inner);
        Ok(DirLock::new(MemoryLock(Arc::clone(&self.inner))))
    }
}

struct MemoryLock(Arc<Mutex<Inner>>);

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.0.lock().locked = false;
    }
}

#[derive(Debug)]
struct MemoryFile {
    inner: Arc<Mutex<Inner>>,
    file: FileId,
}

impl MemoryFile {
    /// A sync. One that fails on a disk that goes on working loses what it was to make durable: the pages count as clean from
    /// then on, so that no later sync writes them, although reading goes on to show them (what Linux does).
    fn settle(&self) -> io::Result<()> {
        let mut inner = self.inner.lock();
        let step = inner.step();
        let covered = |change: &Change| change.file() == Some(self.file);
        if step.is_ok() {
            inner.settle(covered);
        } else if inner.fail.is_some_and(|plan| !plan.forever) {
            inner.pending.retain(|change| !covered(change));
        }
        step
    }
}

impl DiskFile for MemoryFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let inner = self.inner.lock();
        let rest = inner.now[self.file].get(index(offset)..).unwrap_or_default();
        let read = rest.len().min(buf.len());
        buf[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut inner = self.inner.lock();
        if let Err(error) = inner.step() {
            // A write that fails may have got half way.
            let half = bytes[..bytes.len() / 2].to_vec();
            inner.change(Change::Write(self.file, offset, half));
            return Err(error);
        }
        inner.check_space(self.file, index(offset) + bytes.len())?;
        inner.change(Change::Write(self.file, offset, bytes.to_vec()));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.settle()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.settle()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.inner.lock().now[self.file].len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut inner = self.inner.lock();
        inner.step()?;
        inner.check_space(self.file, index(len))?;
        inner.change(Change::SetLen(self.file, len));
        Ok(())
    }
}
