//! Snapshots: plain files beside the log, each a whole in itself, none of them needed.
//!
//! Layout: magic (8 bytes), format (u32), four zeros, sequence number (u64), the payload, then its SHA-256 (over all
//! that came before). Written to a temporary name, synced, renamed, and the directory synced: a snapshot that has its
//! name is complete. Deleting them at any time is harmless (law 7).

use std::io::{self, Write};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::disk::{Access, DirLock, Disk, DiskFile, fault, path_of, read_all};
use crate::report::{Finding, Findings};
use crate::segment::numbered;
use crate::wire::field;
use crate::{Fault, Seq};

/// One snapshot is kept for every so many records, so that a state in the past is never far.
pub const SNAPSHOT_EVERY: Seq = 250_000;
/// The newest snapshots are kept whatever their number: two may be damaged.
const KEEP_NEWEST: usize = 3;
pub(crate) const SNAPSHOT_DIR: &str = "snapshots";
const SUFFIX: &str = ".snap";
const TMP: &str = "snapshots/new.tmp";
const MAGIC: &[u8; 8] = b"everlogN";
const FORMAT: u32 = 1;
const HEADER: usize = 24;
const HASH: usize = 32;
/// Payload is written in pieces of this many bytes.
const WRITE_BYTES: usize = 256 * 1024;

/// The snapshots of a data directory; cheap to clone.
#[derive(Debug, Clone)]
pub struct Snapshots {
    disk: Arc<dyn Disk>,
    findings: Findings,
    _lock: Option<Arc<DirLock>>,
}

impl Snapshots {
    pub(crate) fn new(disk: Arc<dyn Disk>, lock: Option<Arc<DirLock>>) -> Self {
        Self { disk, findings: Findings::default(), _lock: lock }
    }

    /// Writes the snapshot of the state after record `seq`, durable when this returns, and drops those that are no
    /// longer to be kept. One at a time: the caller is a single thread.
    pub fn write(&self, seq: Seq, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Fault> {
        let disk = &*self.disk;
        let name = snapshot_name(seq);
        let fill = || {
            // Snapshots may be deleted at any time, the directory that holds them included.
            disk.create_dir(SNAPSHOT_DIR)?;
            disk.remove(TMP)?;
            let mut out = Hashed::new(disk.create(TMP)?);
            out.write_all(&header(seq))?;
            write(&mut out)?;
            out.finish()?;
            disk.rename(TMP, &name)?;
            disk.sync_dir(SNAPSHOT_DIR)?;
            disk.sync_dir("")
        };
        fill().map_err(|error| {
            // A half-written file would keep the space that may just have run out.
            let _ = disk.remove(TMP);
            fault(disk, "write", &name)(error)
        })?;
        self.prune()
    }

    /// Sequence numbers of all snapshots, oldest first; they may turn out to be damaged.
    pub fn list(&self) -> Result<Vec<Seq>, Fault> {
        let names = self.disk.list(SNAPSHOT_DIR);
        let names = names.map_err(fault(&*self.disk, "list", SNAPSHOT_DIR))?;
        Ok(names.iter().filter_map(|name| numbered(name, SUFFIX)).collect())
    }

    /// The newest snapshot that is whole. Those that are not become findings.
    pub fn newest_valid(&self) -> Result<Option<(Seq, Vec<u8>)>, Fault> {
        self.at_or_before(Seq::MAX)
    }

    /// The newest whole snapshot of record `seq` or an earlier one.
    pub fn at_or_before(&self, seq: Seq) -> Result<Option<(Seq, Vec<u8>)>, Fault> {
        for candidate in self.list()?.into_iter().rev().filter(|at| *at <= seq) {
            match self.read(candidate) {
                Ok(payload) => return Ok(Some((candidate, payload))),
                Err(detail) => self.pass_over(candidate, detail),
            }
        }
        Ok(None)
    }

    /// Makes a finding of a snapshot that is done without.
    pub fn pass_over(&self, seq: Seq, detail: &str) {
        let file = path_of(&*self.disk, &snapshot_name(seq));
        self.findings.add(Finding::SnapshotDamaged { file, detail: detail.to_owned() });
    }

    /// Takes the findings gathered so far.
    pub fn take_findings(&self) -> Vec<Finding> {
        self.findings.take()
    }

    /// Reads one snapshot.
    ///
    /// # Errors
    /// What is wrong with it. That the disk cannot read it is no fault: it is not needed.
    pub fn read(&self, seq: Seq) -> Result<Vec<u8>, &'static str> {
        let name = snapshot_name(seq);
        let mut bytes = match self.disk.open(&name, Access::Read).and_then(|file| read_all(&*file)) {
            Ok(bytes) => bytes,
            // Deleted since it was listed: as good as never written.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err("it is gone"),
            Err(_) => return Err("the disk cannot read it"),
        };
        let Some(body_len) = bytes.len().checked_sub(HASH).filter(|len| *len >= HEADER) else {
            return Err("it is shorter than any snapshot");
        };
        let (body, hash) = bytes.split_at(body_len);
        if Sha256::digest(body)[..] != *hash {
            return Err("its hash is wrong");
        }
        let format = u32::from_le_bytes(field(body, 8));
        match (body.starts_with(MAGIC), format) {
            (true, FORMAT) if Seq::from_le_bytes(field(body, 16)) == seq => {
                bytes.truncate(body_len);
                bytes.drain(..HEADER);
                Ok(bytes)
            }
            (true, FORMAT) => Err("its name is that of another snapshot"),
            // A snapshot of a newer release is no harm: the log is all there.
            (true, _) => Err("it was written by another release"),
            (false, _) => Err("it is not a snapshot"),
        }
    }

    /// Drops what is neither one of the newest nor the first of its [`SNAPSHOT_EVERY`] records.
    fn prune(&self) -> Result<(), Fault> {
        let all = self.list()?;
        let older = &all[..all.len().saturating_sub(KEEP_NEWEST)];
        let mut kept_step = None;
        for seq in older {
            let step = seq / SNAPSHOT_EVERY;
            if kept_step == Some(step) || step == 0 {
                let name = snapshot_name(*seq);
                self.disk.remove(&name).map_err(fault(&*self.disk, "remove", &name))?;
            } else {
                kept_step = Some(step);
            }
        }
        Ok(())
    }
}

fn snapshot_name(seq: Seq) -> String {
    format!("{SNAPSHOT_DIR}/{seq:020}{SUFFIX}")
}

fn header(seq: Seq) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&FORMAT.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&seq.to_le_bytes());
    out
}

/// Writes to a file in large pieces and hashes on the way.
struct Hashed {
    file: Arc<dyn DiskFile>,
    at: u64,
    buffer: Vec<u8>,
    hash: Sha256,
}

impl Hashed {
    fn new(file: Arc<dyn DiskFile>) -> Self {
        Self { file, at: 0, buffer: Vec::with_capacity(WRITE_BYTES), hash: Sha256::new() }
    }

    fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        let hash = std::mem::take(&mut self.hash).finalize();
        self.file.write_at(&hash, self.at)?;
        self.file.sync_all()
    }
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= WRITE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.hash.update(&self.buffer);
        self.file.write_at(&self.buffer, self.at)?;
        self.at += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}
