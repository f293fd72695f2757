//! A frame: one batch of whole commands, the unit of append, of checksum and of atomicity (law 4).
//!
//! Records are opaque here. They are written in place, one after the other, each behind its length, so that a batch
//! goes from the encoder to the disk without being taken apart again.

use crate::Seq;

/// Bytes in front of every record: its length as a little-endian `u32`.
const LENGTH_BYTES: usize = 4;

/// A gapless run of records with the time of their batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frame {
    first: Seq,
    at: i64,
    count: u32,
    content: Vec<u8>,
}

impl Frame {
    /// An empty frame whose first record will be `first`; `at` is the batch's time in microseconds, which the store
    /// uses as an order key and never interprets.
    pub fn new(first: Seq, at: i64) -> Self {
        Self { first, at, count: 0, content: Vec::new() }
    }

    /// Appends one record, encoded in place: `write` may only append to the vector it is given.
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let length_at = self.content.len();
        self.content.extend_from_slice(&[0; LENGTH_BYTES]);
        write(&mut self.content);
        let length = self.content.len() - length_at - LENGTH_BYTES;
        // A record beyond 4 GiB makes the frame fail its size limit at the append, whatever is noted here.
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        self.content[length_at..length_at + LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
        self.count += 1;
    }

    /// Appends one record that already is bytes.
    pub fn push(&mut self, record: &[u8]) {
        self.push_with(|out| out.extend_from_slice(record));
    }

    /// Empties the frame for the next batch and keeps its memory.
    pub fn clear(&mut self, first: Seq, at: i64) {
        self.first = first;
        self.at = at;
        self.count = 0;
        self.content.clear();
    }

    /// Sequence number of the first record.
    pub fn first(&self) -> Seq {
        self.first
    }

    /// Sequence number of the last record; one less than [`Frame::first`] while the frame is empty.
    pub fn last(&self) -> Seq {
        self.next().saturating_sub(1)
    }

    /// Sequence number that the next record would get.
    pub fn next(&self) -> Seq {
        self.first + Seq::from(self.count)
    }

    /// Time of the batch, in microseconds.
    pub fn at(&self) -> i64 {
        self.at
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there is no record in it.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Length of the records with their length prefixes, in bytes.
    pub fn byte_len(&self) -> usize {
        self.content.len()
    }

    /// The records with their sequence numbers.
    pub fn records(&self) -> Records<'_> {
        Records { next: self.first, left: self.count, content: &self.content }
    }

    /// The records from `seq` on: all of them when `seq` lies before the frame.
    pub fn records_from(&self, seq: Seq) -> impl Iterator<Item = (Seq, &[u8])> {
        self.records().skip_while(move |(at, _)| *at < seq)
    }

    /// One record, if the frame holds it.
    pub fn record(&self, seq: Seq) -> Option<&[u8]> {
        let nth = usize::try_from(seq.checked_sub(self.first)?).ok()?;
        self.records().nth(nth).map(|(_, record)| record)
    }

    /// Drops the records before `seq`.
    pub(crate) fn trim_start(&mut self, seq: Seq) {
        let mut records = self.records();
        while records.next < seq && records.next().is_some() {}
        let (first, count, left) = (records.next, records.left, records.content.len());
        self.content.drain(..self.content.len() - left);
        (self.first, self.count) = (first, count);
    }

    pub(crate) fn content(&self) -> &[u8] {
        &self.content
    }

    /// Takes over bytes that were read back; false when they are not `count` well-formed records.
    pub(crate) fn load(&mut self, first: Seq, at: i64, count: u32, content: &[u8]) -> bool {
        self.clear(first, at);
        self.content.extend_from_slice(content);
        self.count = count;
        let mut records = self.records();
        records.by_ref().count() == self.len() && records.content.is_empty()
    }
}

/// Iterator over the records of a frame.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    next: Seq,
    left: u32,
    content: &'a [u8],
}

impl<'a> Iterator for Records<'a> {
    type Item = (Seq, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let (length, rest) = self.content.split_first_chunk::<LENGTH_BYTES>()?;
        let (record, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        let seq = self.next;
        self.next += 1;
        self.left -= 1;
        self.content = rest;
        Some((seq, record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_numbered_and_whole() {
        let mut frame = Frame::new(7, -3);
        frame.push(b"one");
        frame.push(b"");
        frame.push_with(|out| out.extend_from_slice(b"three"));
        let records: Vec<_> = frame.records().collect();
        assert_eq!(records, [(7, &b"one"[..]), (8, b""), (9, b"three")]);
        assert_eq!((frame.last(), frame.next(), frame.len()), (9, 10, 3));
        assert_eq!(frame.record(9), Some(&b"three"[..]));
        assert_eq!((frame.record(6), frame.record(10)), (None, None));
        assert_eq!(frame.records_from(9).count(), 1);
        let mut rest = frame.clone();
        rest.trim_start(6);
        assert_eq!(rest, frame);
        rest.trim_start(9);
        assert_eq!(rest.records().collect::<Vec<_>>(), [(9, &b"three"[..])]);
        rest.trim_start(11);
        assert!(rest.is_empty());
    }

    #[test]
    fn content_that_is_not_count_records_is_refused() {
        let mut frame = Frame::new(1, 0);
        frame.push(b"abc");
        let content = frame.content().to_vec();
        let mut loaded = Frame::default();
        assert!(loaded.load(1, 0, 1, &content));
        assert_eq!(loaded, frame);
        assert!(!loaded.load(1, 0, 2, &content));
        assert!(!loaded.load(1, 0, 0, &content));
        assert!(!loaded.load(1, 0, 1, &content[..6]));
    }
}
