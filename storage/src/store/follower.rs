//! The follower: a thread that moves what is durable from the commit log into sled, at its own pace, and mends the
//! store from the commit log where it is damaged.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded, never, select};
use parking_lot::{Condvar, Mutex};

use super::bucket::{BucketDb, Trouble};
use super::buckets::{Bucket, Buckets};
use super::feed::{Feed, bucket_dir};
use super::index::IndexFn;
use super::mark::{Mark, delete, set_aside};
use crate::reader::{FrameReader, LogReader};
use crate::report::{Finding, Findings};
use crate::segment::numbered;
use crate::{Fault, Frame, Seq};

/// Rest between two rounds of feeding: the appender then wakes nobody most of the time, and batches fill up.
const PAUSE: Duration = Duration::from_millis(20);
/// Rest after the disk refused.
const RETRY: Duration = Duration::from_secs(5);
/// The follower yields to everyone else: what it does is never urgent.
const NICENESS: i32 = 10;
/// Frames fed between two looks at what was asked of the follower.
const ROUND_FRAMES: usize = 4096;

/// What is asked of the follower.
#[derive(Debug)]
pub(crate) enum Request {
    /// Feed everything that is durable, whether it fills a run or not.
    Flush,
    /// A reader met trouble in this bucket, and has withdrawn it.
    Mend(Arc<Bucket>, Trouble),
    /// Feed everything, make it durable, end.
    Close,
    /// End now.
    Stop,
}

/// What the follower and the readers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) log: LogReader,
    pub(crate) index: IndexFn,
    pub(crate) index_version: u32,
    pub(crate) buckets: Buckets,
    pub(crate) findings: Findings,
    /// Whether a follower feeds the store; readers of [`Shared::fed_more`] wait on it.
    pub(crate) feeding: Mutex<bool>,
    pub(crate) fed_more: Condvar,
}

impl Shared {
    /// Says that more was fed, or that no more will be.
    fn announce(&self, feeding: bool) {
        *self.feeding.lock() = feeding;
        self.fed_more.notify_all();
    }
}

/// The state of the follower's thread.
pub(crate) struct Follower {
    shared: Arc<Shared>,
    log_dir: PathBuf,
    woken: Receiver<()>,
    requests: Receiver<Request>,
    /// The bucket that takes the newest records.
    feed: Option<Feed>,
    /// The next records of the log; its place is that of the feed.
    frames: Option<FrameReader>,
    /// Stretches that have to be fed again, as first and last record.
    holes: Vec<(Seq, Seq)>,
    /// Up to here the newest bucket is being rebuilt.
    rebuilding: Option<(Seq, Seq)>,
    stalled: bool,
    listed: bool,
}

enum Next {
    Go,
    Flush,
    Close,
    Stop,
}

impl Follower {
    pub(crate) fn new(shared: Arc<Shared>, log_dir: PathBuf, woken: Receiver<()>, requests: Receiver<Request>) -> Self {
        Self {
            shared,
            log_dir,
            woken,
            requests,
            feed: None,
            frames: None,
            holes: Vec::new(),
            rebuilding: None,
            stalled: false,
            listed: false,
        }
    }

    /// Runs until told to end.
    pub(crate) fn run(mut self) {
        // On Linux this concerns the calling thread alone. Where it is refused, the follower is merely less polite.
        let _ = rustix::process::nice(NICENESS);
        let mut flush = false;
        loop {
            let worked = self.work(flush);
            let next = match worked {
                Ok(true) => self.poll(),
                Ok(false) if flush => {
                    flush = false;
                    continue;
                }
                Ok(false) => self.wait(),
                Err(trouble) => self.rest(trouble),
            };
            match next {
                Next::Go => {}
                Next::Flush => flush = true,
                Next::Close => {
                    self.close();
                    break;
                }
                Next::Stop => break,
            }
        }
    }

    /// One round; true when there is more to do at once.
    fn work(&mut self, flush: bool) -> Result<bool, Trouble> {
        if !self.listed {
            self.list()?;
            self.listed = true;
        }
        if let Some((first, last)) = self.holes.last().copied() {
            let reached = self.fill(first, last)?;
            self.holes.pop();
            if reached < last {
                self.holes.push((reached + 1, last));
            }
            self.shared.findings.add(Finding::BucketRebuilt { first, last: reached });
            self.shared.announce(true);
            return Ok(true);
        }
        let newest = self.feed.as_ref().map(|feed| Arc::clone(&feed.bucket));
        // What is being rebuilt is worth a value that is not full.
        let more = match (self.feed_newest(flush || self.rebuilding.is_some()), newest) {
            (Err(trouble @ (Trouble::Damaged(_) | Trouble::Outdated)), Some(bucket)) => {
                self.mend(&bucket, trouble)?;
                true
            }
            (result, _) => result?,
        };
        self.stalled = false;
        self.shared.announce(true);
        if let Some((first, last)) = self.rebuilding
            && self.shared.buckets.fed() >= last
        {
            self.rebuilding = None;
            self.shared.findings.add(Finding::BucketRebuilt { first, last });
        }
        Ok(more)
    }

    /// Finds the buckets on disk: sealed ones are trusted until they are opened, the newest is checked now.
    fn list(&mut self) -> Result<(), Trouble> {
        let mut firsts = Vec::new();
        for entry in std::fs::read_dir(&self.log_dir).map_err(disk)? {
            let entry = entry.map_err(disk)?;
            firsts.extend(numbered(&entry.file_name().to_string_lossy(), ""));
        }
        firsts.sort_unstable();
        firsts.retain(|first| *first > 0);
        let durable = self.shared.log.durable();
        let mut expected = 1;
        for (nth, first) in firsts.iter().copied().enumerate() {
            let dir = bucket_dir(&self.log_dir, first);
            let until = firsts.get(nth + 1).map(|next| next - 1);
            if first < expected || first > durable + 1 {
                // Another log's, or left over from a rebuilding with other limits: of no use.
                self.discard(first, "it is not one of this log")?;
                continue;
            }
            if first > expected {
                self.holes.push((expected, first - 1));
            }
            match (Mark::Sealed.read(&dir), until) {
                (Some((last, at)), Some(until)) if (first..=until).contains(&last) => {
                    self.adopt(Bucket::new(first, dir, last, at, true));
                    expected = last + 1;
                }
                (Some((last, at)), None) if (first..=durable).contains(&last) => {
                    self.adopt(Bucket::new(first, dir, last, at, true));
                    expected = last + 1;
                }
                (_, Some(until)) => {
                    // Never completed, or its seal is gone: not worth telling apart.
                    self.holes.push((first, until));
                    expected = until + 1;
                }
                (_, None) => {
                    expected = first;
                    self.open_newest(first)?;
                    if let Some(feed) = &self.feed {
                        expected = feed.next();
                    }
                }
            }
        }
        self.frames = Some(self.shared.log.frames(expected));
        Ok(())
    }

    fn adopt(&self, bucket: Bucket) {
        self.shared.buckets.insert(Arc::new(bucket));
    }

    /// Opens the newest bucket to go on feeding it; one that is no good is put away and made anew.
    fn open_newest(&mut self, first: Seq) -> Result<(), Trouble> {
        let dir = bucket_dir(&self.log_dir, first);
        let opened = BucketDb::open(&dir).and_then(|db| {
            let note = db.check(first, &self.shared.log, self.shared.index_version)?;
            match Mark::Synced.read(&dir) {
                Some((synced, _)) if note.fed < synced => {
                    Err(Trouble::Damaged(format!("it ends with record {} and was synced with {synced}", note.fed)))
                }
                Some(_) | None => Ok((db, note)),
            }
        });
        match opened {
            Ok((db, note)) => {
                let bucket = Arc::new(Bucket::new(first, dir, first - 1, 0, false));
                self.feed = Some(Feed::new(Arc::clone(&bucket), db, note, self.shared.index));
                self.shared.buckets.insert(bucket);
                Ok(())
            }
            Err(Trouble::Disk(detail)) => Err(Trouble::Disk(detail)),
            Err(Trouble::Damaged(detail)) => {
                self.rebuilding = Some((first, self.shared.log.durable()));
                self.discard(first, &detail)
            }
            Err(Trouble::Outdated) => delete(&dir).map_err(disk),
        }
    }

    /// Puts a bucket's directory out of the way and says so.
    fn discard(&self, first: Seq, detail: &str) -> Result<(), Trouble> {
        let moved_to = set_aside(&bucket_dir(&self.log_dir, first)).map_err(disk)?;
        self.shared.findings.add(Finding::BucketSetAside { moved_to, first, detail: detail.to_owned() });
        Ok(())
    }

    /// Takes a bucket out of use and plans its rebuilding.
    fn mend(&mut self, bucket: &Arc<Bucket>, trouble: Trouble) -> Result<(), Trouble> {
        let first = bucket.first;
        // Several readers may have met the same trouble: the bucket made anew since has nothing to do with it.
        if !self.shared.buckets.get(first).is_some_and(|current| Arc::ptr_eq(&current, bucket)) {
            return Ok(());
        }
        let detail = match trouble {
            Trouble::Damaged(detail) => Some(detail),
            Trouble::Outdated => None,
            Trouble::Disk(detail) => return Err(Trouble::Disk(detail)),
        };
        bucket.withdraw();
        self.shared.buckets.remove(first);
        match detail {
            Some(detail) => self.discard(first, &detail)?,
            None => delete(&bucket.dir).map_err(disk)?,
        }
        match self.shared.buckets.next_after(first) {
            Some(next) => self.holes.push((first, next - 1)),
            None => {
                self.rebuilding = Some((first, self.shared.log.durable()));
                self.feed = None;
                self.frames = Some(self.shared.log.frames(first));
            }
        }
        Ok(())
    }

    /// Feeds a stretch of the past, or as much of it as one bucket takes; says how far it came.
    fn fill(&self, first: Seq, last: Seq) -> Result<Seq, Trouble> {
        let dir = bucket_dir(&self.log_dir, first);
        // What a crash left of an earlier attempt is not worth checking.
        delete(&dir).map_err(disk)?;
        let bucket = Arc::new(Bucket::new(first, dir, first - 1, 0, false));
        let mut feed = self.create(Arc::clone(&bucket))?;
        let mut frames = self.shared.log.frames(first);
        let mut frame = Frame::default();
        while feed.next() <= last && frames.next_into(&mut frame)? && !feed.is_over(frame.at()) {
            feed.add(&frame, frames.chain_hash(), last)?;
        }
        let reached = feed.next() - 1;
        feed.seal(&self.shared.log)?;
        self.shared.buckets.insert(bucket);
        Ok(reached)
    }

    fn create(&self, bucket: Arc<Bucket>) -> Result<Feed, Trouble> {
        let db = BucketDb::open(&bucket.dir)?;
        let note = db.check(bucket.first, &self.shared.log, self.shared.index_version)?;
        Ok(Feed::new(bucket, db, note, self.shared.index))
    }

    /// Feeds the newest records; true when there is more to do at once.
    fn feed_newest(&mut self, flush: bool) -> Result<bool, Trouble> {
        let Some(frames) = &mut self.frames else {
            return Ok(false);
        };
        frames.extend();
        let mut frame = Frame::default();
        let mut more = true;
        for _ in 0..ROUND_FRAMES {
            let Some(frames) = &mut self.frames else {
                break;
            };
            more = frames.next_into(&mut frame)?;
            if !more {
                break;
            }
            let chain = frames.chain_hash();
            self.take(&frame, chain)?;
        }
        if !more
            && flush
            && let Some(feed) = &mut self.feed
        {
            feed.flush()?;
        }
        Ok(more)
    }

    fn take(&mut self, frame: &Frame, chain: crate::ChainHash) -> Result<(), Trouble> {
        if self.feed.as_ref().is_some_and(|feed| feed.is_over(frame.at()))
            && let Some(feed) = self.feed.take()
        {
            let first = feed.bucket.first;
            let next = feed.next();
            if let Err(trouble) = feed.seal(&self.shared.log) {
                self.holes.push((first, next - 1));
                self.shared.buckets.remove(first);
                match trouble {
                    Trouble::Damaged(detail) => self.discard(first, &detail)?,
                    Trouble::Outdated => {}
                    Trouble::Disk(detail) => return Err(Trouble::Disk(detail)),
                }
            }
        }
        if self.feed.is_none() {
            let first = self.next_seq(frame);
            let bucket = Bucket::new(first, bucket_dir(&self.log_dir, first), first - 1, 0, false);
            let bucket = Arc::new(bucket);
            self.feed = Some(self.create(Arc::clone(&bucket))?);
            self.shared.buckets.insert(bucket);
        }
        match &mut self.feed {
            Some(feed) => feed.add(frame, chain, Seq::MAX),
            None => Ok(()),
        }
    }

    /// First record of a frame that no bucket holds yet.
    fn next_seq(&self, frame: &Frame) -> Seq {
        let newest = self.shared.buckets.all().pop();
        newest.map_or(frame.first(), |bucket| frame.first().max(bucket.last() + 1))
    }

    /// Looks for requests without waiting.
    fn poll(&mut self) -> Next {
        self.requests.try_recv().map_or(Next::Go, |request| self.answer(request))
    }

    /// Waits until there is something to do.
    fn wait(&mut self) -> Next {
        select! {
            recv(self.requests) -> request => return request.map_or(Next::Stop, |request| self.answer(request)),
            recv(self.woken) -> woken => if woken.is_err() {
                // The log is closed; requests still come.
                self.woken = never();
            },
        }
        self.pause(PAUSE)
    }

    fn pause(&mut self, time: Duration) -> Next {
        match self.requests.recv_timeout(time) {
            Ok(request) => self.answer(request),
            Err(RecvTimeoutError::Timeout) => Next::Go,
            Err(RecvTimeoutError::Disconnected) => Next::Stop,
        }
    }

    /// The disk refuses: says so once and tries again later from what is on disk.
    fn rest(&mut self, trouble: Trouble) -> Next {
        if !std::mem::replace(&mut self.stalled, true) {
            let detail = match trouble {
                Trouble::Disk(detail) | Trouble::Damaged(detail) => detail,
                Trouble::Outdated => "another index function".to_owned(),
            };
            self.shared.findings.add(Finding::FeedStalled { detail });
        }
        self.shared.announce(false);
        for bucket in self.shared.buckets.all() {
            bucket.withdraw();
            self.shared.buckets.remove(bucket.first);
        }
        (self.feed, self.frames, self.listed) = (None, None, false);
        self.holes.clear();
        self.pause(RETRY)
    }

    fn answer(&mut self, request: Request) -> Next {
        match request {
            Request::Flush => Next::Flush,
            Request::Close => Next::Close,
            Request::Stop => Next::Stop,
            Request::Mend(bucket, trouble) => match self.mend(&bucket, trouble) {
                Ok(()) => Next::Go,
                Err(trouble) => self.rest(trouble),
            },
        }
    }

    fn close(&mut self) {
        while matches!(self.work(true), Ok(true)) {}
        if let Some(feed) = &mut self.feed {
            // Whatever a power cut takes from sled is fed again at the next opening.
            let _ = feed.sync();
        }
    }
}

fn disk(error: io::Error) -> Trouble {
    Trouble::Disk(error.to_string())
}

/// Whatever ends the follower, nobody waits for it any longer.
struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.announce(false);
    }
}

/// The follower's thread.
#[derive(Debug)]
pub(crate) struct Thread {
    pub(crate) handle: std::thread::JoinHandle<()>,
    /// Disconnected when it is about to end.
    pub(crate) ended: Receiver<()>,
}

/// Starts the follower's thread.
pub(crate) fn start(follower: Follower) -> Result<Thread, Fault> {
    let log_dir = follower.log_dir.clone();
    let (ends, ended) = bounded(0);
    std::thread::Builder::new()
        .name("log-follower".to_owned())
        .spawn(move || {
            let _ends = ends;
            let _ended = Ended(Arc::clone(&follower.shared));
            follower.run();
        })
        .map(|handle| Thread { handle, ended })
        .map_err(|error| Fault::io("start the follower of", log_dir, error))
}
