//! Segments: the files of the commit log, their names, and a cursor that walks one frame by frame.

use std::sync::Arc;

use crate::disk::{Access, Disk, DiskFile, fault, path_of};
use crate::wire::{
    BadHead, ChainHash, FRAME_ALIGN, FRAME_HEADER, FrameHead, SEGMENT_FORMAT, SEGMENT_HEADER, SegmentHead,
};
use crate::{Fault, Frame, Seq};

/// Directory of the segments inside the data directory.
pub(crate) const COMMIT_DIR: &str = "commit";
const SUFFIX: &str = ".seg";
/// Digits of a sequence number in a file name: enough for any `u64`, so that names sort as numbers do.
const NAME_DIGITS: usize = 20;
/// First read of a cursor in bytes: a look-up of one record wants little.
const WINDOW_MIN: usize = 32 * 1024;
/// Largest read ahead of a cursor in bytes: beyond a mebibyte, longer reads are not faster.
const WINDOW_MAX: usize = 1024 * 1024;
static ZEROS: [u8; WINDOW_MIN] = [0; WINDOW_MIN];

/// Name of the segment that starts at `first`, inside the data directory.
pub(crate) fn segment_name(first: Seq) -> String {
    format!("{COMMIT_DIR}/{first:0NAME_DIGITS$}{SUFFIX}")
}

/// Reads `<20 digits><suffix>` back. Records are numbered from 1: what is numbered 0 is none of ours.
pub(crate) fn numbered(name: &str, suffix: &str) -> Option<Seq> {
    let digits = name.strip_suffix(suffix)?;
    let whole = digits.len() == NAME_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    whole.then(|| digits.parse().ok()).flatten().filter(|seq| *seq > 0)
}

/// First sequence numbers of all segments, in order.
pub(crate) fn list_segments(disk: &dyn Disk) -> Result<Vec<Seq>, Fault> {
    let names = disk.list(COMMIT_DIR).map_err(fault(disk, "list", COMMIT_DIR))?;
    Ok(names.iter().filter_map(|name| numbered(name, SUFFIX)).collect())
}

/// An open segment with its header checked.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) name: String,
    pub(crate) head: SegmentHead,
}

impl Segment {
    pub(crate) fn open(disk: &dyn Disk, first: Seq, access: Access) -> Result<Self, Fault> {
        let name = segment_name(first);
        let corrupt = |offset, detail: &str| Fault::Corrupt {
            file: path_of(disk, &name),
            offset,
            seqs: Some(first..=Seq::MAX),
            detail: detail.to_owned(),
        };
        let mut page = vec![0; SEGMENT_HEADER];
        let mut run = || {
            let file = disk.open(&name, access)?;
            let read = file.read_at(&mut page, 0)?;
            Ok((file, read))
        };
        let (file, read) = run().map_err(fault(disk, "open", &name))?;
        if read < SEGMENT_HEADER {
            return Err(corrupt(0, "the file is shorter than a segment's header"));
        }
        let head = SegmentHead::parse(&page).map_err(|bad| match bad {
            BadHead::Damaged(detail) => corrupt(0, detail),
            BadHead::Future(found) => Fault::FutureFormat { file: path_of(disk, &name), found, known: SEGMENT_FORMAT },
        })?;
        if head.first != first {
            return Err(corrupt(16, "its header names another first record than its file name does"));
        }
        Ok(Self { file, name, head })
    }
}

/// What a cursor finds at its place.
#[derive(Debug)]
pub(crate) enum Step {
    /// A whole frame, its checksum right.
    Frame(FrameHead),
    /// Nothing was written here yet: zeros, or the end of the file.
    Blank,
    /// Something that is no frame.
    Invalid(&'static str),
}

/// Walks the frames of one segment.
#[derive(Debug)]
pub(crate) struct Cursor {
    segment: Segment,
    /// Where the next frame starts.
    offset: u64,
    window: Vec<u8>,
    window_at: u64,
    window_len: usize,
    next_read: usize,
}

impl Cursor {
    pub(crate) fn new(segment: Segment, offset: u64) -> Self {
        Self { segment, offset, window: Vec::new(), window_at: 0, window_len: 0, next_read: WINDOW_MIN }
    }

    pub(crate) fn segment(&self) -> &Segment {
        &self.segment
    }

    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Forgets what was read ahead: a live segment may have grown since.
    pub(crate) fn refresh(&mut self) {
        self.window_len = 0;
    }

    /// Reads the next frame into `frame` and steps over it; stays where it is when there is none.
    pub(crate) fn next(&mut self, disk: &dyn Disk, frame: &mut Frame) -> Result<Step, Fault> {
        let salt = self.segment.head.chain.salt();
        let head = match self.head(disk)? {
            Step::Frame(head) => head,
            blank_or_invalid @ (Step::Blank | Step::Invalid(_)) => return Ok(blank_or_invalid),
        };
        let content = self.bytes(disk, self.offset + FRAME_HEADER as u64, head.len)?;
        if content.len() < head.len {
            return Ok(Step::Invalid("a frame reaches beyond the end of the file"));
        }
        if !head.crc_matches(content, salt) {
            return Ok(Step::Invalid("a frame's checksum is wrong"));
        }
        if !head.codec_known() {
            return Err(Fault::FutureFormat {
                file: path_of(disk, &self.segment.name),
                found: u32::from(head.codec),
                known: SEGMENT_FORMAT,
            });
        }
        if !frame.load(head.first, head.at, head.count, content) {
            return Ok(Step::Invalid("a frame's records do not add up"));
        }
        self.offset += head.span() as u64;
        Ok(Step::Frame(head))
    }

    /// Reads the header of the next frame without its content: its checksum is not known to be right.
    pub(crate) fn head(&mut self, disk: &dyn Disk) -> Result<Step, Fault> {
        let bytes = self.bytes(disk, self.offset, FRAME_HEADER)?;
        Ok(match FrameHead::parse(bytes) {
            Some(head) => Step::Frame(head),
            None if bytes.iter().all(|byte| *byte == 0) => Step::Blank,
            None => Step::Invalid("there is no frame where one should start"),
        })
    }

    /// Steps over a frame whose header was read.
    pub(crate) fn skip(&mut self, head: &FrameHead) {
        self.offset += head.span() as u64;
    }

    /// Whether `head`, found at the cursor's place by [`Cursor::head`], is a whole frame after all.
    fn whole_frame_at(&mut self, disk: &dyn Disk, offset: u64, head: &FrameHead) -> Result<bool, Fault> {
        let salt = self.segment.head.chain.salt();
        let content = self.bytes(disk, offset + FRAME_HEADER as u64, head.len)?;
        Ok(content.len() == head.len && head.crc_matches(content, salt))
    }

    /// Looks at everything from the cursor's place to the end of the file.
    pub(crate) fn rest(&mut self, disk: &dyn Disk) -> Result<Rest, Fault> {
        let mut rest = Rest::default();
        let mut at = self.offset;
        loop {
            let bytes = self.bytes(disk, at, WINDOW_MIN)?;
            if bytes.is_empty() {
                return Ok(rest);
            }
            let len = bytes.len();
            if bytes != &ZEROS[..len] {
                let last = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0);
                rest.used_until = at + last as u64 + 1;
                let starts: Vec<usize> =
                    (0..len).step_by(FRAME_ALIGN).filter(|start| FrameHead::starts(&bytes[*start..])).collect();
                for start in starts {
                    let offset = at + start as u64;
                    let head = FrameHead::parse(self.bytes(disk, offset, FRAME_HEADER)?);
                    if let Some(head) = head.filter(|_| offset > self.offset)
                        && self.whole_frame_at(disk, offset, &head)?
                    {
                        rest.frame = Some((offset, head.first));
                        return Ok(rest);
                    }
                }
            }
            at += len as u64;
        }
    }

    /// Up to `len` bytes at `offset`, fewer at the end of the file; read ahead in growing steps.
    fn bytes(&mut self, disk: &dyn Disk, offset: u64, len: usize) -> Result<&[u8], Fault> {
        let inside = |at: u64, held: usize| {
            let skip = usize::try_from(offset.checked_sub(at)?).ok()?;
            (skip + len <= held).then_some(skip)
        };
        if let Some(skip) = inside(self.window_at, self.window_len) {
            return Ok(&self.window[skip..skip + len]);
        }
        let file_len = self.segment.file.len().map_err(fault(disk, "read", &self.segment.name))?;
        let left = usize::try_from(file_len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let want = self.next_read.max(len).min(left);
        if self.window.len() < want {
            self.window.resize(want, 0);
        }
        self.next_read = (self.next_read * 2).min(WINDOW_MAX);
        self.window_at = offset;
        self.window_len = self.segment.file.read_at(&mut self.window[..want], offset).map_err(fault(
            disk,
            "read",
            &self.segment.name,
        ))?;
        Ok(&self.window[..len.min(self.window_len)])
    }
}

/// What follows the last good frame of a segment.
#[derive(Debug, Default)]
pub(crate) struct Rest {
    /// Offset behind the last byte that is not zero; 0 when all of them are.
    pub(crate) used_until: u64,
    /// A whole frame that follows, by offset and first sequence number.
    pub(crate) frame: Option<(u64, Seq)>,
}

/// Checks a chain of frames against the hash before them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChainCheck(pub(crate) ChainHash);

impl ChainCheck {
    /// Whether the frame follows; moves on when it does.
    pub(crate) fn follow(&mut self, head: &FrameHead, frame: &Frame) -> bool {
        let follows = head.chain_matches(self.0, frame.content());
        if follows {
            self.0 = head.chain;
        }
        follows
    }
}
