//! The scrub: reads what nobody reads, slowly, so that rot is known while another copy is still good.
//!
//! A start verifies the log from the newest snapshot on; what lies before it may not be looked at for years.

use everlog_storage::{Fault, Frame, FrameReader, LogReader};
use std::time::Duration;

/// Time between two pieces.
pub(super) const SCRUB_EVERY: Duration = Duration::from_secs(1);
/// Bytes of records of a piece: some milliseconds of a disk's second, and a gigabyte in four minutes.
const PIECE_BYTES: usize = 4 << 20;
/// Pieces left out between two rounds: six hours.
const REST: u32 = 6 * 60 * 60;

/// Goes round the log without an end.
#[derive(Default)]
pub(super) struct Scrub {
    frames: Option<FrameReader>,
    rest: u32,
    /// What was found is told once.
    told: Option<String>,
}

impl Scrub {
    /// Reads the next piece; damage that was not told before.
    pub(super) fn piece(&mut self, log: &LogReader) -> Option<Fault> {
        if self.rest > 0 {
            self.rest -= 1;
            return None;
        }
        let frames = self.frames.get_or_insert_with(|| log.frames(1));
        let mut frame = Frame::default();
        let mut bytes = 0;
        while bytes < PIECE_BYTES {
            match frames.next_into(&mut frame) {
                Ok(true) => bytes += frame.byte_len(),
                Ok(false) => {
                    self.end_round();
                    return None;
                }
                Err(fault) => {
                    self.end_round();
                    let told = self.told.replace(fault.to_string());
                    return (told != self.told).then_some(fault);
                }
            }
        }
        None
    }

    fn end_round(&mut self) {
        (self.frames, self.rest) = (None, REST);
    }
}
