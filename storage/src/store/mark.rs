//! What stands beside a bucket: how far it is known to go, and its directory as a whole, put aside or deleted.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::Seq;

/// What is noted beside a bucket, for sled forgets without a word what it lost.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mark {
    /// The bucket is complete.
    Sealed,
    /// The bucket was synced and will grow.
    Synced,
}

impl Mark {
    fn path(self, dir: &Path) -> PathBuf {
        dir.with_extension(match self {
            Self::Sealed => "sealed",
            Self::Synced => "synced",
        })
    }

    /// Notes how far the bucket goes (its last record) and the time of its first batch.
    pub(crate) fn write(self, dir: &Path, last: Seq, at: i64) -> io::Result<()> {
        let tmp = dir.with_extension("tmp");
        let mut file = File::create(&tmp)?;
        let text = format!("{last} {at}");
        writeln!(file, "{text} {:08x}", crc32c::crc32c(text.as_bytes()))?;
        file.sync_all()?;
        fs::rename(&tmp, self.path(dir))?;
        dir.parent().map_or(Ok(()), |log| File::open(log)?.sync_all())
    }

    /// Reads a mark; `None` when there is none that can be read.
    pub(crate) fn read(self, dir: &Path) -> Option<(Seq, i64)> {
        let text = fs::read_to_string(self.path(dir)).ok()?;
        let (text, crc) = text.trim().rsplit_once(' ')?;
        let (last, at) = text.split_once(' ')?;
        let whole = u32::from_str_radix(crc, 16) == Ok(crc32c::crc32c(text.as_bytes()));
        Some((last.parse().ok()?, at.parse().ok()?)).filter(|_| whole)
    }
}

fn remove_marks(dir: &Path) -> io::Result<()> {
    for mark in [Mark::Sealed, Mark::Synced] {
        match fs::remove_file(mark.path(dir)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => result?,
        }
    }
    Ok(())
}

/// Moves a damaged bucket out of the way and says where to.
pub(crate) fn set_aside(dir: &Path) -> io::Result<PathBuf> {
    remove_marks(dir)?;
    let free = (1..).map(|nth: u32| dir.with_extension(format!("damaged-{nth}"))).find(|path| !path.exists());
    let moved_to = free.ok_or(io::ErrorKind::AlreadyExists)?;
    match fs::rename(dir, &moved_to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(moved_to),
        result => result.map(|()| moved_to),
    }
}

/// Deletes a bucket that is of no use any more.
pub(crate) fn delete(dir: &Path) -> io::Result<()> {
    remove_marks(dir)?;
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
