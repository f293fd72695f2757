//! The scrub: reads what nobody reads, slowly, so that rot is known while another copy is still good.
//!
//! A start verifies the log from the newest snapshot on; what lies before it may not be looked at for years.

use everlog_storage::{Fault, Frame, FrameReader, LogReader, Seq};
use std::collections::BTreeSet;
use std::time::Duration;

/// Time between two pieces.
pub(super) const SCRUB_EVERY: Duration = Duration::from_secs(1);
/// Bytes of records of a piece: some milliseconds of a disk's second, and a gigabyte in four minutes.
const PIECE_BYTES: usize = 4 << 20;
/// Pieces left out between two rounds: six hours.
const REST: u32 = 6 * 60 * 60;

/// Goes round the log without an end.
pub(super) struct Scrub {
    frames: Option<FrameReader>,
    /// The next record to be read.
    next: Seq,
    rest: u32,
    /// What was found is told once.
    told: BTreeSet<String>,
}

impl Default for Scrub {
    fn default() -> Self {
        Self { frames: None, next: 1, rest: 0, told: BTreeSet::new() }
    }
}

impl Scrub {
    /// Reads the next piece; damage that was not told before. What lies behind it in its segment is not reached: the log goes on
    /// to be read with the next one.
    pub(super) fn piece(&mut self, log: &LogReader) -> Option<Fault> {
        if self.rest > 0 {
            self.rest -= 1;
            return None;
        }
        let frames = self.frames.get_or_insert_with(|| log.frames_checked(self.next));
        let mut frame = Frame::default();
        let mut bytes = 0;
        while bytes < PIECE_BYTES {
            match frames.next_into(&mut frame) {
                Ok(true) => {
                    bytes += frame.byte_len();
                    self.next = frame.next();
                }
                Ok(false) => {
                    self.go_on(None);
                    return None;
                }
                Err(fault) => {
                    self.go_on(log.segment_after(self.next));
                    return self.told.insert(fault.to_string()).then_some(fault);
                }
            }
        }
        None
    }

    /// At once with the segment that starts with this record, or with the first after a rest.
    fn go_on(&mut self, segment: Option<Seq>) {
        self.frames = None;
        (self.next, self.rest) = segment.map_or((1, REST), |first| (first, 0));
    }
}
