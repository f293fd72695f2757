//! What can still be read of a damaged data directory, from whichever copy is sound: the frames of the commit log, and for
//! the records between them the store. Nothing is changed; the records go into a new directory.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::anchor::Anchor;
use crate::data_dir::LOCK;
use crate::disk::{Access, DirLock, Disk, RealDisk};
use crate::segment::{Cursor, Segment, Step, list_segments};
use crate::snapshots::Snapshots;
use crate::store::{BucketCopy, bucket_firsts};
use crate::wire::SEGMENT_HEADER;
use crate::{Fault, Frame, Seq};

/// A damaged directory, looked through for sound frames.
#[derive(Debug)]
pub struct Salvage {
    disk: Arc<dyn Disk>,
    /// Sound frames by their first record.
    places: BTreeMap<Seq, Place>,
    buckets: Vec<BucketCopy>,
    snapshots: Snapshots,
    /// What the anchor and the snapshots say that there was.
    witnessed: Seq,
    _lock: Arc<DirLock>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    last: Seq,
    segment: Seq,
    offset: u64,
}

/// Where a frame was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// In the commit log.
    CommitLog,
    /// In the store's copy.
    Store,
}

impl Salvage {
    /// Looks through the directory at `path`; copies of the store's buckets are made in `scratch`, an empty directory.
    ///
    /// # Errors
    /// When another process works on it, or it cannot be read.
    pub fn new(path: impl AsRef<Path>, scratch: &Path) -> Result<Self, Fault> {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::new(path.as_ref()));
        let lock = Arc::new(disk.lock(LOCK)?);
        let segments = list_segments(&*disk)?;
        let mut places = BTreeMap::new();
        for first in &segments {
            scan(&*disk, *first, &mut places)?;
        }
        // A damaged anchor is part of what is to be mended. A log without one had a record, as far as anybody knows.
        let anchored = Anchor::read(&*disk).ok().flatten().map_or(1, |witness| witness.head.seq);
        let mut buckets = Vec::new();
        for first in bucket_firsts(&*disk)? {
            buckets.extend(BucketCopy::open(&*disk, first, scratch)?);
        }
        let snapshots = Snapshots::new(Arc::clone(&disk), Some(Arc::clone(&lock)));
        let newest = snapshots.newest_valid().ok().flatten().map_or(0, |(seq, _)| seq);
        Ok(Self { disk, places, buckets, snapshots, witnessed: anchored.max(newest), _lock: lock })
    }

    /// The last record that is known to have been there.
    pub fn last_known(&self) -> Seq {
        let placed = self.places.values().map(|place| place.last);
        placed.chain(self.buckets.iter().map(BucketCopy::last)).chain([self.witnessed]).max().unwrap_or(0)
    }

    /// The records from `next` on as far as they stand together somewhere; `None` where no copy is sound.
    pub fn frame(&self, next: Seq) -> Option<(Origin, Frame)> {
        let from_log = || self.read(next).map(|frame| (Origin::CommitLog, frame));
        let from_store = || self.buckets.iter().rev().find_map(|bucket| bucket.frame(next));
        from_log().or_else(|| from_store().map(|frame| (Origin::Store, frame)))
    }

    /// The snapshots, damaged or not.
    pub fn snapshots(&self) -> &Snapshots {
        &self.snapshots
    }

    fn read(&self, next: Seq) -> Option<Frame> {
        let (_, place) = self.places.range(..=next).next_back().filter(|(_, place)| place.last >= next)?;
        let disk = &*self.disk;
        let segment = Segment::open(disk, place.segment, Access::Read).ok()?;
        let mut frame = Frame::default();
        match Cursor::new(segment, place.offset).next(disk, &mut frame) {
            Ok(Step::Frame(_)) => {
                frame.trim_start(next);
                Some(frame)
            }
            Ok(Step::Blank | Step::Invalid(_)) | Err(_) => None,
        }
    }
}

/// Finds the sound frames of a segment, also behind damage. One whose header is damaged has none: its salt is gone.
fn scan(disk: &dyn Disk, first: Seq, places: &mut BTreeMap<Seq, Place>) -> Result<(), Fault> {
    let segment = match Segment::open(disk, first, Access::Read) {
        Err(Fault::Corrupt { .. }) => return Ok(()),
        segment => segment?,
    };
    let mut cursor = Cursor::new(segment.clone(), SEGMENT_HEADER as u64);
    let mut frame = Frame::default();
    loop {
        let offset = cursor.offset();
        match cursor.next(disk, &mut frame)? {
            Step::Frame(head) => {
                places.insert(head.first, Place { last: head.last(), segment: first, offset });
            }
            Step::Blank | Step::Invalid(_) => match cursor.rest(disk)?.frame {
                Some((offset, _)) => cursor = Cursor::new(segment.clone(), offset),
                None => return Ok(()),
            },
        }
    }
}
