//! The store as a second copy of the records. Its runs do not keep the borders of frames, but the time of each batch, so that a
//! frame can be made again, to the byte.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use crate::disk::Disk;
use crate::store::{BucketCopy, bucket_firsts};
use crate::wire::MAX_FRAME_BYTES;
use crate::{Fault, Frame, Seq};

/// The buckets of a store, looked at in copies: one at a time, so that there has to be room for the largest alone.
#[derive(Debug)]
pub(super) struct StoreCopy {
    disk: Arc<dyn Disk>,
    firsts: Vec<Seq>,
    scratch: PathBuf,
    open: Option<(Seq, Result<BucketCopy, String>)>,
}

impl StoreCopy {
    /// The copies are made in `scratch`, an empty directory.
    pub(super) fn new(disk: &Arc<dyn Disk>, scratch: PathBuf) -> Result<Self, Fault> {
        let firsts = bucket_firsts(&**disk)?;
        Ok(Self { disk: Arc::clone(disk), firsts, scratch, open: None })
    }

    /// First record of the bucket that `seq` belongs to.
    pub(super) fn bucket_of(&self, seq: Seq) -> Option<Seq> {
        self.firsts[..self.firsts.partition_point(|first| *first <= seq)].last().copied()
    }

    /// The last record in it, as the last bucket has it; 0 where that is not to be had.
    pub(super) fn last(&mut self) -> Result<Seq, Fault> {
        Ok(self.bucket(Seq::MAX)?.map_or(0, BucketCopy::last))
    }

    /// The records from `next` on that are of one batch, as far as they stand together here.
    pub(super) fn frame(&mut self, next: Seq) -> Result<Option<Frame>, Fault> {
        let Some(bucket) = self.bucket(next)? else { return Ok(None) };
        let Some(mut frame) = bucket.frame(next) else { return Ok(None) };
        while let Some(more) = bucket.frame(frame.next()).filter(|more| more.at() == frame.at())
            && frame.byte_len() + more.byte_len() <= MAX_FRAME_BYTES
        {
            more.records().for_each(|(_, record)| frame.push(record));
        }
        Ok(Some(frame))
    }

    /// One record.
    pub(super) fn record(&mut self, seq: Seq) -> Result<Option<Vec<u8>>, Fault> {
        let frame = self.bucket(seq)?.and_then(|bucket| bucket.frame(seq));
        Ok(frame.and_then(|frame| frame.record(seq).map(<[u8]>::to_vec)))
    }

    /// The bucket that `seq` belongs to, if it can be read.
    fn bucket(&mut self, seq: Seq) -> Result<Option<&BucketCopy>, Fault> {
        match self.bucket_of(seq) {
            Some(first) => Ok(self.open(first)?.as_ref().ok()),
            None => Ok(None),
        }
    }

    /// The bucket that starts with `first`, or what is wrong with it.
    pub(super) fn open(&mut self, first: Seq) -> Result<&Result<BucketCopy, String>, Fault> {
        let opened = match self.open.take() {
            Some((open, bucket)) if open == first => bucket,
            before => {
                drop(before);
                let copy = self.scratch.join("bucket");
                if copy.exists() {
                    fs::remove_dir_all(&copy).map_err(|error| Fault::io("remove", &copy, error))?;
                }
                BucketCopy::open(&*self.disk, first, &copy)?
            }
        };
        Ok(&self.open.insert((first, opened)).1)
    }

    /// First records of all buckets.
    pub(super) fn firsts(&self) -> &[Seq] {
        &self.firsts
    }
}
