//! Reading the commit log: by the process that writes it, up to what is durable, and by others beside it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use crate::disk::{Access, Disk, path_of};
use crate::segment::{ChainCheck, Cursor, Segment, Step, list_segments, segment_name};
use crate::wire::{ChainHash, SEGMENT_HEADER};
use crate::{Fault, Frame, Seq};

/// A place in the log is remembered every this many bytes: 16 bytes of memory buy a look-up that reads at most this.
pub(crate) const WAYMARK_BYTES: u64 = 64 * 1024;

/// What the writer and the readers of a log share.
#[derive(Debug)]
pub(crate) struct LogShared {
    pub(crate) disk: Arc<dyn Disk>,
    segments: RwLock<Vec<Seq>>,
    durable: AtomicU64,
    /// First sequence number of a frame → (segment, offset), sparse.
    waymarks: Mutex<BTreeMap<Seq, (Seq, u64)>>,
    /// A log that another process may be writing to: its end is where its last whole frame ends.
    foreign: bool,
}

impl LogShared {
    pub(crate) fn new(disk: Arc<dyn Disk>, segments: Vec<Seq>, foreign: bool) -> Self {
        Self {
            disk,
            segments: RwLock::new(segments),
            durable: AtomicU64::new(0),
            waymarks: Mutex::new(BTreeMap::new()),
            foreign,
        }
    }

    pub(crate) fn durable(&self) -> Seq {
        self.durable.load(Ordering::Acquire)
    }

    pub(crate) fn set_durable(&self, seq: Seq) {
        self.durable.store(seq, Ordering::Release);
    }

    pub(crate) fn add_segment(&self, first: Seq) {
        self.segments.write().push(first);
    }

    pub(crate) fn segments(&self) -> Vec<Seq> {
        self.segments.read().clone()
    }

    /// The segment that holds `seq`, or would.
    pub(crate) fn segment_of(&self, seq: Seq) -> Option<Seq> {
        let segments = self.segments.read();
        let after = segments.partition_point(|first| *first <= seq);
        after.checked_sub(1).map(|nth| segments[nth])
    }

    pub(crate) fn remember(&self, seq: Seq, segment: Seq, offset: u64) {
        let mut marks = self.waymarks.lock();
        let near = |mark: Option<(&Seq, &(Seq, u64))>| {
            mark.is_some_and(|(_, (in_segment, at))| *in_segment == segment && at.abs_diff(offset) < WAYMARK_BYTES)
        };
        if !near(marks.range(..=seq).next_back()) && !near(marks.range(seq..).next()) {
            marks.insert(seq, (segment, offset));
        }
    }

    fn nearest(&self, seq: Seq, segment: Seq) -> u64 {
        let marks = self.waymarks.lock();
        match marks.range(..=seq).next_back() {
            Some((_, (in_segment, offset))) if *in_segment == segment => *offset,
            Some(_) | None => SEGMENT_HEADER as u64,
        }
    }
}

/// A handle for reading the commit log; cheap to clone, and never in the writer's way.
#[derive(Debug, Clone)]
pub struct LogReader {
    pub(crate) shared: Arc<LogShared>,
}

impl LogReader {
    /// The last durable sequence number, 0 for an empty log. Of a log opened read-only: as of its opening.
    pub fn durable(&self) -> Seq {
        self.shared.durable()
    }

    /// Frames from the one that holds `from` (whole, so it may start earlier) to what is durable now; read-only: to
    /// the last whole frame, even one that was appended since the opening.
    pub fn frames(&self, from: Seq) -> FrameReader {
        let limit = (!self.shared.foreign).then(|| self.shared.durable());
        FrameReader::new(Arc::clone(&self.shared), from, limit)
    }

    /// The same with the chain of hashes checked, from the first frame of the segment that holds `from`.
    pub fn frames_checked(&self, from: Seq) -> FrameReader {
        self.frames(self.shared.segment_of(from).unwrap_or(from)).checking_chain()
    }

    /// First record of the segment behind the one that holds `seq`.
    pub fn segment_after(&self, seq: Seq) -> Option<Seq> {
        let segments = self.shared.segments.read();
        segments.get(segments.partition_point(|first| *first <= seq)).copied()
    }

    /// One record, or `None` beyond the end.
    pub fn record(&self, seq: Seq) -> Result<Option<Vec<u8>>, Fault> {
        Ok(self.frame(seq)?.and_then(|frame| frame.record(seq).map(<[u8]>::to_vec)))
    }

    /// The frame that holds `seq`, or `None` beyond the end.
    pub fn frame(&self, seq: Seq) -> Result<Option<Frame>, Fault> {
        if seq == 0 {
            return Ok(None);
        }
        self.frames(seq).next().transpose()
    }

    /// The first record of the first frame whose time is at least `time` (microseconds); `None` when all are older.
    /// Needs times that never decrease (law 3).
    pub fn first_seq_at(&self, time: i64) -> Result<Option<Seq>, Fault> {
        self.first_seq_at_from(time, 1)
    }

    /// The same, when everything before `from` is known to be older.
    pub(crate) fn first_seq_at_from(&self, time: i64, from: Seq) -> Result<Option<Seq>, Fault> {
        let segments = self.shared.segments();
        let (mut low, mut high) = (segments.partition_point(|first| *first <= from), segments.len());
        // Find the first segment that starts at or after the time: the answer lies in the one before it, or starts it.
        while low < high {
            let middle = low.midpoint(high);
            match self.frame(segments[middle])? {
                Some(frame) if frame.at() < time => low = middle + 1,
                Some(_) | None => high = middle,
            }
        }
        let start = low.checked_sub(1).map_or(from, |nth| segments[nth].max(from));
        let mut frames = self.frames(start);
        let mut frame = Frame::default();
        while frames.next_into(&mut frame)? {
            if frame.at() >= time {
                return Ok(Some(frame.first()));
            }
        }
        Ok(None)
    }

    /// Chain hash after the frame that holds `seq`, with the last sequence number of that frame.
    pub(crate) fn chain_at(&self, seq: Seq) -> Result<Option<(Seq, ChainHash)>, Fault> {
        let mut frames = self.frames(seq);
        let mut frame = Frame::default();
        Ok(frames.next_into(&mut frame)?.then(|| (frame.last(), frames.chain_hash())))
    }

    /// Checks every frame that holds a record of `from..=to` (and those before them in the same segment): checksums,
    /// numbers, the chain of hashes and the headers of the segments. Changes nothing.
    pub fn verify(&self, from: Seq, to: Seq) -> Result<Verified, Fault> {
        let mut start = from.max(1);
        if let Some(first) = self.shared.segment_of(start) {
            start = first;
        }
        let mut frames = self.frames(start).checking_chain();
        let mut frame = Frame::default();
        let mut verified = Verified { first: start, ..Verified::default() };
        while frames.next < to.saturating_add(1) && frames.next_into(&mut frame)? {
            verified.last = frame.last();
            verified.frames += 1;
            verified.bytes += frame.byte_len() as u64;
            verified.chain = frames.chain_hash();
        }
        Ok(verified)
    }
}

/// What a verification covered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Verified {
    /// First record checked.
    pub first: Seq,
    /// Last record checked, 0 for none.
    pub last: Seq,
    /// Frames checked.
    pub frames: u64,
    /// Bytes of records checked.
    pub bytes: u64,
    /// Chain hash after the last one.
    pub chain: ChainHash,
}

/// Iterator over frames; [`FrameReader::next_into`] is the form that does not allocate.
#[derive(Debug)]
pub struct FrameReader {
    shared: Arc<LogShared>,
    cursor: Option<Cursor>,
    /// The caller's first record: frames before it are stepped over.
    from: Seq,
    /// The next record in reading order.
    next: Seq,
    limit: Option<Seq>,
    check: Option<ChainCheck>,
    chain: ChainHash,
    /// Offset of the frame read last in its segment.
    at: u64,
    done: bool,
    /// Offset in this segment from which the next waymark is due.
    remember_at: u64,
    /// What stood behind the last frame, when the end was found by reading.
    torn: Option<&'static str>,
}

impl FrameReader {
    pub(crate) fn new(shared: Arc<LogShared>, from: Seq, limit: Option<Seq>) -> Self {
        Self {
            shared,
            cursor: None,
            from,
            next: from.max(1),
            limit,
            check: None,
            chain: ChainHash::default(),
            at: 0,
            done: false,
            remember_at: 0,
            torn: None,
        }
    }

    /// Checks the chain of hashes too. Only for a reader that starts at the first record of a segment.
    pub(crate) fn checking_chain(mut self) -> Self {
        self.check = Some(ChainCheck(ChainHash::default()));
        self
    }

    /// Chain hash after the frame read last.
    pub(crate) fn chain_hash(&self) -> ChainHash {
        self.chain
    }

    /// Offset of the frame read last in its segment; 0 for none in the segment at hand.
    pub(crate) fn frame_at(&self) -> u64 {
        self.at
    }

    /// Where the reading stopped: the cursor there, the next sequence number, and what was found there.
    pub(crate) fn end(self) -> (Option<Cursor>, Seq, Option<&'static str>) {
        (self.cursor, self.next, self.torn)
    }

    /// Goes on to what has become durable since.
    pub(crate) fn extend(&mut self) {
        self.limit = Some(self.shared.durable());
        self.done = false;
        if let Some(cursor) = &mut self.cursor {
            cursor.refresh();
        }
    }

    /// Reads the next frame; false at the end. After an error there is nothing more.
    pub fn next_into(&mut self, frame: &mut Frame) -> Result<bool, Fault> {
        if self.done {
            return Ok(false);
        }
        let result = self.advance(frame);
        self.done = !matches!(result, Ok(true));
        result
    }

    fn advance(&mut self, frame: &mut Frame) -> Result<bool, Fault> {
        let mut read_again = true;
        loop {
            if self.limit.is_some_and(|limit| self.next > limit) {
                return Ok(false);
            }
            let disk = Arc::clone(&self.shared.disk);
            let Some(cursor) = &mut self.cursor else {
                if !self.enter_segment()? {
                    return Ok(false);
                }
                continue;
            };
            let offset = cursor.offset();
            let detail = match self.find(&*disk, frame)? {
                Step::Frame(head) => {
                    self.at = offset;
                    if offset >= self.remember_at {
                        let segment = self.segment_first();
                        self.shared.remember(head.first, segment, offset);
                        self.remember_at = offset + WAYMARK_BYTES;
                    }
                    if head.last() < self.from {
                        continue;
                    }
                    return Ok(true);
                }
                Step::Blank => "the log stops here",
                Step::Invalid(detail) => {
                    self.torn = Some(detail);
                    detail
                }
            };
            if self.shared.foreign && self.limit.is_none() {
                self.relist()?;
            }
            match self.segment_after() {
                Some(first) if first == self.next => {
                    self.torn = None;
                    self.cursor = None;
                }
                // A live writer may have appended here and moved on between our two looks: look once more.
                Some(_) if self.shared.foreign && read_again => {
                    read_again = false;
                    if let Some(cursor) = &mut self.cursor {
                        cursor.refresh();
                    }
                }
                Some(first) => return Err(self.gap(detail, Some(first.saturating_sub(1)))),
                None if self.limit.is_some() => return Err(self.gap(detail, self.limit)),
                None if self.next <= self.shared.durable() => {
                    return Err(self.gap(detail, Some(self.shared.durable())));
                }
                None => return Ok(false),
            }
        }
    }

    /// The next frame at the cursor, checked to be the one that comes next.
    fn find(&mut self, disk: &dyn Disk, frame: &mut Frame) -> Result<Step, Fault> {
        let Some(cursor) = &mut self.cursor else {
            return Ok(Step::Blank);
        };
        // Frames before the wanted one are stepped over by their headers alone, unless the chain is checked.
        if self.check.is_none()
            && let Step::Frame(head) = cursor.head(disk)?
            && head.first == self.next
            && head.last() < self.from
        {
            cursor.skip(&head);
            self.chain = head.chain;
            self.next = head.last() + 1;
            return Ok(Step::Frame(head));
        }
        let offset = cursor.offset();
        let step = cursor.next(disk, frame)?;
        if let Step::Frame(head) = &step {
            let corrupt = |detail: &str| Fault::Corrupt {
                file: path_of(disk, &cursor.segment().name),
                offset,
                seqs: Some(self.next..=head.last().max(self.next)),
                detail: detail.to_owned(),
            };
            if head.first != self.next {
                return Err(corrupt(&format!("a frame starts with record {} here", head.first)));
            }
            if let Some(check) = &mut self.check
                && !check.follow(head, frame)
            {
                return Err(corrupt("the chain of hashes is broken"));
            }
            self.chain = head.chain;
            self.next = head.last() + 1;
        }
        Ok(step)
    }

    /// Opens the segment that holds the next record; false when there is none.
    fn enter_segment(&mut self) -> Result<bool, Fault> {
        let disk = Arc::clone(&self.shared.disk);
        let Some(first) = self.shared.segment_of(self.next) else {
            return Ok(false);
        };
        let segment = Segment::open(&*disk, first, Access::Read)?;
        // The first segment entered gives the hash to start from, every later one must agree: one of another log shows here.
        if self.chain != ChainHash::default() && self.chain != segment.head.chain {
            return Err(Fault::Corrupt {
                file: path_of(&*disk, &segment.name),
                offset: 32,
                seqs: Some(first..=Seq::MAX),
                detail: "it does not continue the segment before it".to_owned(),
            });
        }
        if let Some(check) = &mut self.check {
            check.0 = segment.head.chain;
        }
        self.chain = segment.head.chain;
        let mut cursor = Cursor::new(segment, SEGMENT_HEADER as u64);
        if first < self.next && self.check.is_none() {
            cursor = Cursor::new(cursor.segment().clone(), self.shared.nearest(self.next, first));
            // The waymark names a frame at or before the wanted one; its header says which.
            if let Step::Frame(head) = cursor.head(&*disk)? {
                self.next = head.first.min(self.next);
            } else {
                self.next = first;
            }
        } else {
            self.next = first;
        }
        self.cursor = Some(cursor);
        self.remember_at = 0;
        self.at = 0;
        Ok(true)
    }

    fn relist(&self) -> Result<(), Fault> {
        *self.shared.segments.write() = list_segments(&*self.shared.disk)?;
        Ok(())
    }

    fn segment_first(&self) -> Seq {
        self.cursor.as_ref().map_or(0, |cursor| cursor.segment().head.first)
    }

    fn segment_after(&self) -> Option<Seq> {
        let current = self.segment_first();
        let segments = self.shared.segments.read();
        segments.get(segments.partition_point(|first| *first <= current)).copied()
    }

    fn gap(&self, detail: &str, until: Option<Seq>) -> Fault {
        let (name, offset) = match &self.cursor {
            Some(cursor) => (cursor.segment().name.clone(), cursor.offset()),
            None => (segment_name(self.next), 0),
        };
        Fault::Corrupt {
            file: path_of(&*self.shared.disk, &name),
            offset,
            seqs: Some(self.next..=until.unwrap_or(Seq::MAX)),
            detail: detail.to_owned(),
        }
    }
}

impl Iterator for FrameReader {
    type Item = Result<Frame, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut frame = Frame::default();
        match self.next_into(&mut frame) {
            Ok(true) => Some(Ok(frame)),
            Ok(false) => None,
            Err(fault) => Some(Err(fault)),
        }
    }
}
