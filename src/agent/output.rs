//! What a command prints, kept within bounds: the end of it for people, the last line for results.

use std::collections::VecDeque;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{ChildStderr, ChildStdout};

use crate::client::OUTBOUND_FRAME_BYTES_MAX;

/// How much of each stream is kept for the report of a failure, in bytes: a stack trace's worth.
pub(super) const TAIL_BYTES_MAX: usize = 8 * 1024;

/// A longer last line could not be delivered as a result anyway.
const LINE_BYTES_MAX: usize = OUTBOUND_FRAME_BYTES_MAX;

/// One read; the usual size of a pipe's buffer would hold it eight times.
const READ_BYTES: usize = 8 * 1024;

/// The end of a stream.
#[derive(Debug, Default)]
pub(super) struct Tail(VecDeque<u8>);

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        let kept = &bytes[bytes.len().saturating_sub(TAIL_BYTES_MAX)..];
        let excess = (self.0.len() + kept.len()).saturating_sub(TAIL_BYTES_MAX);
        self.0.drain(..excess);
        self.0.extend(kept);
    }

    /// As text; bytes that are not UTF-8 are replaced.
    pub(super) fn text(&self) -> String {
        let bytes: Vec<u8> = self.0.iter().copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// The last line that is not blank.
#[derive(Debug, Default)]
pub(super) struct LastLine {
    complete: Vec<u8>,
    current: Vec<u8>,
    /// How long the current line really is: only its first [`LINE_BYTES_MAX`] bytes are kept.
    current_bytes: usize,
    complete_bytes: usize,
}

/// A last line that was too long to keep.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong {
    pub(super) bytes: usize,
    pub(super) limit: usize,
}

impl LastLine {
    fn push(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (line, ends) = match piece.strip_suffix(b"\n") {
                Some(line) => (line, true),
                None => (piece, false),
            };
            let room = LINE_BYTES_MAX - self.current.len();
            self.current.extend_from_slice(&line[..line.len().min(room)]);
            self.current_bytes += line.len();
            if ends {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        if !self.current.trim_ascii().is_empty() {
            std::mem::swap(&mut self.complete, &mut self.current);
            self.complete_bytes = self.current_bytes;
        }
        self.current.clear();
        self.current_bytes = 0;
    }

    /// The line as text, `None` if nothing was printed.
    pub(super) fn text(mut self) -> Result<Option<String>, TooLong> {
        self.end_line();
        if self.complete_bytes > LINE_BYTES_MAX {
            return Err(TooLong { bytes: self.complete_bytes, limit: LINE_BYTES_MAX });
        }
        let text = String::from_utf8_lossy(self.complete.trim_ascii()).into_owned();
        Ok((!text.is_empty()).then_some(text))
    }
}

/// Both streams of a command.
#[derive(Debug)]
pub(super) struct Output {
    out: Option<ChildStdout>,
    err: Option<ChildStderr>,
    pub(super) stdout: Tail,
    pub(super) stderr: Tail,
    pub(super) last_line: LastLine,
}

impl Output {
    pub(super) fn new(out: Option<ChildStdout>, err: Option<ChildStderr>) -> Self {
        Self { out, err, stdout: Tail::default(), stderr: Tail::default(), last_line: LastLine::default() }
    }

    /// Reads until every process that could write has closed its end. Cancel-safe: nothing that was
    /// read is lost.
    pub(super) async fn pump(&mut self) {
        let (mut out, mut err) = ([0; READ_BYTES], [0; READ_BYTES]);
        while self.out.is_some() || self.err.is_some() {
            tokio::select! {
                bytes = read(&mut self.out, &mut out) => {
                    self.stdout.push(&out[..bytes]);
                    self.last_line.push(&out[..bytes]);
                }
                bytes = read(&mut self.err, &mut err) => self.stderr.push(&err[..bytes]),
            }
        }
    }
}

/// Reads once; at the end, or on an error, closes the pipe. Waits for ever on a closed one.
async fn read(pipe: &mut Option<impl AsyncRead + Unpin>, buffer: &mut [u8]) -> usize {
    let Some(open) = pipe else {
        return std::future::pending().await;
    };
    let bytes = open.read(buffer).await.unwrap_or(0);
    if bytes == 0 {
        *pipe = None;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last_line(pieces: &[&str]) -> Result<Option<String>, TooLong> {
        let mut line = LastLine::default();
        pieces.iter().for_each(|piece| line.push(piece.as_bytes()));
        line.text()
    }

    #[test]
    fn the_last_line_is_found_across_reads() {
        let found = |pieces| last_line(pieces).expect("short").unwrap_or_default();
        assert_eq!(found(&["one\ntw", "o\n"]), "two");
        assert_eq!(found(&["one\ntwo"]), "two");
        assert_eq!(found(&["one\n", "\n  \n"]), "one");
        assert_eq!(found(&["one\r\n"]), "one");
        assert_eq!(last_line(&["\n"]), Ok(None));
    }

    #[test]
    fn a_line_over_the_limit_is_reported_with_its_length() {
        let long = "x".repeat(LINE_BYTES_MAX);
        let too_long = TooLong { bytes: LINE_BYTES_MAX + 1, limit: LINE_BYTES_MAX };
        assert_eq!(last_line(&[&long, "y\n"]), Err(too_long));
        assert_eq!(last_line(&[&long, "y\n", "short"]), Ok(Some("short".to_owned())));
        assert_eq!(last_line(&[&long]).map(|line| line.map(|line| line.len())), Ok(Some(LINE_BYTES_MAX)));
    }

    #[test]
    fn the_tail_is_the_end_and_bounded() {
        let mut tail = Tail::default();
        tail.push(b"first ");
        tail.push(&vec![b'x'; TAIL_BYTES_MAX]);
        tail.push(b"last");
        let text = tail.text();
        assert_eq!(text.len(), TAIL_BYTES_MAX);
        assert!(text.ends_with("xlast") && !text.contains("first"), "{text}");
    }
}
