//! The store: the event log that is read.
//!
//! Records are moved into sled behind the commit log, many to a value, with a coarse index. Nothing rests on sled
//! alone: what is not fed yet, or is damaged, is answered from the commit log, so every answer is whole at any time
//! and `log/` may be deleted between two runs (law 7).

mod bucket;
mod buckets;
mod check;
mod feed;
mod follower;
mod index;
mod mark;
mod query;
mod run;

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use parking_lot::{Condvar, Mutex};

pub use bucket::is_fenced;
use bucket::{BucketDb, Trouble};
use buckets::{Bucket, Buckets};
pub(crate) use check::{BucketCopy, bucket_firsts};
use follower::{Follower, Request, Shared};
pub(crate) use index::no_index;
pub use index::{IndexFn, IndexKeys};
pub use query::{History, RecordsWith, Run, RunsWith};

use crate::data_dir::Held;
use crate::disk::path_of;
use crate::reader::LogReader;
use crate::report::{Finding, Findings};
use crate::{Fault, Options, Seq};

/// Directory of the buckets inside the data directory.
pub(crate) const LOG_DIR: &str = "log";

/// How long the follower may take to end. On a disk that fails sled may wait for ever for what it wrote; nothing rests on it, and
/// what was not fed is fed after the next opening.
const END_MAX: Duration = Duration::from_secs(10);

/// A handle on the store; cheap to clone, and for any thread.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    requests: Sender<Request>,
    thread: Mutex<Option<follower::Thread>>,
    _lock: Held,
}

impl Store {
    /// Starts the follower on a real disk; otherwise the commit log answers everything.
    pub(crate) fn start(log: LogReader, woken: Receiver<()>, options: &Options, lock: Held) -> Result<Self, Fault> {
        let disk = Arc::clone(&log.shared.disk);
        let feeds = options.background && disk.is_real();
        let shared = Arc::new(Shared {
            log,
            index: options.index,
            index_version: options.index_version,
            buckets: Buckets::default(),
            findings: Findings::default(),
            feeding: Mutex::new(feeds),
            fed_more: Condvar::new(),
        });
        let (requests, asked) = unbounded();
        let log_dir = path_of(&*disk, LOG_DIR);
        let thread = if feeds {
            let made = std::fs::create_dir_all(&log_dir);
            made.map_err(|error| Fault::io("create", &log_dir, error))?;
            Some(follower::start(Follower::new(Arc::clone(&shared), log_dir, woken, asked))?)
        } else {
            None
        };
        Ok(Self { inner: Arc::new(Inner { shared, requests, thread: Mutex::new(thread), _lock: lock }) })
    }

    /// Last record up to which the store is fed without a gap. What comes after is read from the commit log.
    pub fn fed(&self) -> Seq {
        self.inner.shared.buckets.fed()
    }

    /// Waits until the store is fed up to `seq`, full values or not. False when that will not be: nothing feeds it (a
    /// disk in memory, a closed store), the disk refuses, or the log does not reach that far.
    pub fn wait_fed(&self, seq: Seq) -> bool {
        let shared = &self.inner.shared;
        let mut feeding = shared.feeding.lock();
        loop {
            if shared.buckets.fed() >= seq {
                return true;
            }
            if !*feeding || shared.log.durable() < seq || self.inner.requests.send(Request::Flush).is_err() {
                return false;
            }
            shared.fed_more.wait(&mut feeding);
        }
    }

    /// Feeds what is durable, makes it durable in sled too, and ends the follower. Reading goes on. The log should be
    /// closed first.
    pub fn close(&self) {
        self.inner.end(Request::Close);
    }

    /// Takes what was found and mended since the last call: warnings for whoever runs the process.
    pub fn take_findings(&self) -> Vec<Finding> {
        self.inner.shared.findings.take()
    }

    /// Reads straight from the commit log.
    pub fn log(&self) -> &LogReader {
        &self.inner.shared.log
    }

    /// A bucket that holds `seq`, ready to be read; `None` where the commit log has to answer.
    fn ready(&self, seq: Seq) -> Option<(Arc<Bucket>, BucketDb)> {
        let shared = &self.inner.shared;
        let bucket = shared.buckets.holding(seq)?;
        match shared.buckets.open(&bucket, &shared.log, shared.index_version) {
            Ok(db) => db.map(|db| (bucket, db)),
            Err(trouble) => {
                self.hand_over(&bucket, trouble);
                None
            }
        }
    }

    /// Leaves a bucket that made trouble to the follower; the commit log answers meanwhile.
    fn hand_over(&self, bucket: &Arc<Bucket>, trouble: Trouble) {
        if !matches!(trouble, Trouble::Disk(_)) {
            bucket.withdraw();
            // A closed follower mends nothing; the next opening will.
            let _ = self.inner.requests.send(Request::Mend(Arc::clone(bucket), trouble));
        }
    }
}

impl Inner {
    fn end(&self, how: Request) {
        if let Some(thread) = self.thread.lock().take() {
            // A follower that has ended already hears nothing and needs nothing.
            let _ = self.requests.send(how);
            if thread.ended.recv_timeout(END_MAX) == Err(RecvTimeoutError::Timeout) {
                let detail = format!("sled does not let go of it within {} s", END_MAX.as_secs());
                return self.shared.findings.add(Finding::FeedStalled { detail });
            }
            let _ = thread.handle.join();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.end(Request::Stop);
    }
}
