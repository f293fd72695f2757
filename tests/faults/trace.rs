//! What a session did to the disk, in order, as the shim recorded it; and a disk in memory that does it again, up to any point.

use everlog_storage::{Access, CrashPlan, Disk, DiskFile, MemoryDisk};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The head of a record in shim.c: kind, descriptor, offset, two lengths.
const HEAD: usize = 24;

/// One record. Names are relative to the data directory.
#[derive(Debug)]
pub(super) enum Event {
    Begin,
    Open {
        fd: i32,
        flags: i64,
        name: String,
    },
    Write {
        fd: i32,
        offset: u64,
        bytes: Vec<u8>,
    },
    Sync {
        fd: i32,
    },
    SetLen {
        fd: i32,
        len: u64,
    },
    Rename {
        from: String,
        to: String,
    },
    Unlink {
        name: String,
    },
    MakeDir {
        name: String,
    },
    RemoveDir {
        name: String,
    },
    /// Bytes that left through a socket.
    Sent {
        bytes: Vec<u8>,
    },
}

/// Reads the trace of a session over `data`.
pub(super) fn read(trace: &Path, data: &Path) -> Vec<Event> {
    let whole = std::fs::read(trace).unwrap();
    let mut rest = &whole[..];
    let mut events = Vec::new();
    while !rest.is_empty() {
        let (head, after) = rest.split_at(HEAD);
        let word = |at: usize| u32::from_ne_bytes(head[at..at + 4].try_into().unwrap());
        let (first, after) = after.split_at(word(16) as usize);
        let (second, after) = after.split_at(word(20) as usize);
        rest = after;
        let fd = i32::from_ne_bytes(head[4..8].try_into().unwrap());
        let number = i64::from_ne_bytes(head[8..16].try_into().unwrap());
        let offset = u64::try_from(number).unwrap_or_default();
        let name = |bytes: &[u8]| {
            let path = Path::new(std::str::from_utf8(bytes).unwrap());
            path.strip_prefix(data).unwrap().to_str().unwrap().to_owned()
        };
        events.push(match word(0) {
            0 => Event::Begin,
            1 => Event::Open { fd, flags: number, name: name(first) },
            2 => Event::Write { fd, offset, bytes: first.to_vec() },
            3 => Event::Sync { fd },
            4 => Event::SetLen { fd, len: offset },
            5 => Event::Rename { from: name(first), to: name(second) },
            6 => Event::Unlink { name: name(first) },
            7 => Event::MakeDir { name: name(first) },
            8 => Event::RemoveDir { name: name(first) },
            9 => Event::Sent { bytes: first.to_vec() },
            kind => panic!("the shim has no record of kind {kind}"),
        });
    }
    events
}

/// What a descriptor stands for.
enum Handle {
    File(Arc<dyn DiskFile>),
    Directory(String),
}

/// A disk on which the events happen again.
pub(super) struct Replay {
    pub(super) disk: MemoryDisk,
    open: BTreeMap<i32, Handle>,
    directories: BTreeSet<String>,
    /// Whether the sled store is replayed too: most of the bytes, and nothing that decides.
    with_store: bool,
}

impl Replay {
    pub(super) fn new(with_store: bool) -> Self {
        Self { disk: MemoryDisk::new(), open: BTreeMap::new(), directories: BTreeSet::new(), with_store }
    }

    fn leaves_out(&self, name: &str) -> bool {
        !self.with_store && name.starts_with("log/")
    }

    /// Does what the event says.
    pub(super) fn step(&mut self, event: &Event) {
        match event {
            Event::Begin => self.open.clear(),
            Event::Open { fd, name, .. } if self.leaves_out(name) => drop(self.open.remove(fd)),
            Event::Open { fd, flags, name } => drop(self.open.insert(*fd, self.open_file(name, *flags))),
            Event::Write { fd, offset, bytes } => self.on(*fd, |file| file.write_at(bytes, *offset)),
            Event::SetLen { fd, len } => self.on(*fd, |file| file.set_len(*len)),
            Event::Sync { fd } => match self.open.get(fd) {
                Some(Handle::File(file)) => file.sync_data().unwrap(),
                Some(Handle::Directory(name)) => self.disk.sync_dir(name).unwrap(),
                None => {}
            },
            Event::Rename { from, .. } if self.leaves_out(from) => {}
            Event::Rename { from, to } => self.disk.rename(from, to).unwrap(),
            Event::Unlink { name } => self.disk.remove(name).unwrap(),
            Event::MakeDir { name } => {
                self.disk.create_dir(name).unwrap();
                self.directories.insert(name.clone());
            }
            Event::RemoveDir { name } => drop(self.directories.remove(name)),
            Event::Sent { .. } => {}
        }
    }

    fn open_file(&self, name: &str, flags: i64) -> Handle {
        let flag = |wanted: rustix::fs::OFlags| flags & i64::from(wanted.bits()) != 0;
        let file = match self.disk.open(name, Access::Write) {
            Err(_) if flag(rustix::fs::OFlags::CREATE) => self.disk.create(name).unwrap(),
            Err(_) => return Handle::Directory(name.to_owned()),
            Ok(file) => file,
        };
        if flag(rustix::fs::OFlags::TRUNC) {
            file.set_len(0).unwrap();
        }
        Handle::File(file)
    }

    fn on(&self, fd: i32, change: impl FnOnce(&dyn DiskFile) -> io::Result<()>) {
        if let Some(Handle::File(file)) = self.open.get(&fd) {
            change(&**file).unwrap();
        }
    }

    /// Puts the disk as a power cut would leave it into a real directory.
    pub(super) fn put_image(&self, plan: &CrashPlan, into: &Path) {
        for name in &self.directories {
            std::fs::create_dir_all(into.join(name)).unwrap();
        }
        for (name, bytes) in self.disk.crash_image(plan).files() {
            let path = into.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    }
}
