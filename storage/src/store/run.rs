//! A run: the records of one sled value.
//!
//! sled checks little, so a value carries its own checksum (over its key too) and its number of records. Inside are
//! groups of records of the same batch. A record too large for a value stays in the commit log, and a group without
//! content refers to it.
//!
//! Layout: crc32c (u32), number of records (u32), then groups: time (i64), number of records (u32), length of the
//! content (u32, `u32::MAX`: in the commit log), content as in a [`Frame`].

use crate::reader::LogReader;
use crate::wire::field;
use crate::{Fault, Frame, Seq};

/// The most bytes of a value. A leaf of sled holds up to 16 of them and must stay below 128 KiB, or it is spilled
/// into files that sled never syncs.
pub(crate) const VALUE_BYTES: usize = 7 * 1024;
const HEADER: usize = 8;
const GROUP: usize = 16;
const IN_LOG: u32 = u32::MAX;
const LENGTH: usize = 4;

/// Gathers the records of one value.
#[derive(Debug)]
pub(crate) struct RunBuilder {
    pub(crate) first: Seq,
    /// Time of the first record's batch.
    pub(crate) at: i64,
    pub(crate) count: u32,
    value: Vec<u8>,
    /// The group in progress: where it starts, and its time.
    group: Option<(usize, i64)>,
}

impl RunBuilder {
    pub(crate) fn new(first: Seq) -> Self {
        Self { first, at: 0, count: 0, value: vec![0; HEADER], group: None }
    }

    /// Sequence number of the next record.
    pub(crate) fn next(&self) -> Seq {
        self.first + Seq::from(self.count)
    }

    /// Takes a record; false when the run is full and has to be finished first.
    pub(crate) fn push(&mut self, at: i64, record: &[u8]) -> bool {
        let refers = HEADER + GROUP + LENGTH + record.len() > VALUE_BYTES;
        let content = if refers { 0 } else { LENGTH + record.len() };
        let fits = self.value.len() + GROUP + content <= VALUE_BYTES;
        if !fits {
            return false;
        }
        if self.count == 0 {
            self.at = at;
        }
        match self.group {
            Some((_, time)) if time == at && !refers => {}
            Some(_) | None => {
                self.group = (!refers).then_some((self.value.len(), at));
                self.value.extend_from_slice(&at.to_le_bytes());
                self.value.extend_from_slice(&u32::from(refers).to_le_bytes());
                self.value.extend_from_slice(&if refers { IN_LOG } else { 0 }.to_le_bytes());
            }
        }
        if let Some((start, _)) = self.group {
            // Both are below VALUE_BYTES.
            self.value.extend_from_slice(&u32::try_from(record.len()).unwrap_or(0).to_le_bytes());
            self.value.extend_from_slice(record);
            let count = u32::from_le_bytes(field(&self.value, start + 8)) + 1;
            let len = u32::try_from(self.value.len() - start - GROUP).unwrap_or(0);
            self.value[start + 8..start + 12].copy_from_slice(&count.to_le_bytes());
            self.value[start + 12..start + 16].copy_from_slice(&len.to_le_bytes());
        }
        self.count += 1;
        true
    }

    /// The finished value; the builder goes on with the record after it.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        self.value[4..8].copy_from_slice(&self.count.to_le_bytes());
        let crc = checksum(self.first, &self.value);
        self.value[..4].copy_from_slice(&crc.to_le_bytes());
        let next = Self::new(self.next());
        std::mem::replace(self, next).value
    }
}

fn checksum(first: Seq, value: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&first.to_be_bytes()), &value[4..])
}

/// Number of records in a value whose checksum is right; `None` for a damaged one.
pub(crate) fn checked_count(first: Seq, value: &[u8]) -> Option<u32> {
    let whole = value.len() >= HEADER && u32::from_le_bytes(field(value, 0)) == checksum(first, value);
    let count = u32::from_le_bytes(field(value, 4));
    (whole && count > 0).then_some(count)
}

/// One group of a value.
struct Group<'a> {
    first: Seq,
    at: i64,
    count: u32,
    /// `None`: the records are in the commit log.
    content: Option<&'a [u8]>,
}

fn groups(first: Seq, value: &[u8]) -> impl Iterator<Item = Group<'_>> {
    let (mut next, mut rest) = (first, value.get(HEADER..).unwrap_or_default());
    std::iter::from_fn(move || {
        let (head, after) = rest.split_at_checked(GROUP)?;
        let count = u32::from_le_bytes(field(head, 8));
        let len = u32::from_le_bytes(field(head, 12));
        let (content, after) = match len {
            IN_LOG => (None, after),
            len => after.split_at_checked(len as usize).map(|(content, after)| (Some(content), after))?,
        };
        rest = after;
        let group = Group { first: next, at: i64::from_le_bytes(field(head, 0)), count, content };
        next += Seq::from(count);
        Some(group)
    })
}

/// The frames of a checked value from the one that holds `from` on. `None` when the groups do not add up.
pub(crate) fn frames(log: &LogReader, first: Seq, value: &[u8], from: Seq) -> Result<Option<Vec<Frame>>, Fault> {
    let mut frames = Vec::new();
    for group in groups(first, value) {
        if group.first + Seq::from(group.count) <= from {
            continue;
        }
        let mut frame = Frame::default();
        match group.content {
            Some(content) => {
                if !frame.load(group.first, group.at, group.count, content) {
                    return Ok(None);
                }
            }
            None => {
                frame.clear(group.first, group.at);
                match log.record(group.first)? {
                    Some(record) => frame.push(&record),
                    None => return Ok(None),
                }
            }
        }
        frames.push(frame);
    }
    Ok((!frames.is_empty()).then_some(frames))
}

/// The records from `from` on that stand together in a checked value. `None` where it only refers to the commit log: then it is
/// the commit log alone that has them.
pub(crate) fn stored(first: Seq, value: &[u8], from: Seq) -> Option<Frame> {
    let group = groups(first, value).find(|group| from < group.first + Seq::from(group.count))?;
    let mut frame = Frame::default();
    if !frame.load(group.first, group.at, group.count, group.content?) {
        return None;
    }
    frame.trim_start(from);
    Some(frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_fills_up_to_its_limit_and_every_flipped_bit_shows() {
        let mut run = RunBuilder::new(10);
        let mut pushed = 0;
        while run.push(pushed / 4, &[7; 100]) {
            pushed += 1;
        }
        assert_eq!(run.count as i64, pushed);
        let mut value = run.finish();
        assert!(value.len() <= VALUE_BYTES && value.len() > VALUE_BYTES - 120);
        assert_eq!((run.first, run.count), (10 + pushed as Seq, 0));
        assert_eq!(checked_count(10, &value), Some(pushed as u32));
        assert_eq!(checked_count(11, &value), None);
        for bit in 0..value.len() * 8 {
            value[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(checked_count(10, &value), None);
            value[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn a_large_record_leaves_a_reference() {
        let mut run = RunBuilder::new(1);
        assert!(run.push(5, b"small") && run.push(5, &[0; VALUE_BYTES]) && run.push(5, b"after"));
        let value = run.finish();
        let groups: Vec<_> = groups(1, &value).map(|g| (g.first, g.at, g.count, g.content.is_some())).collect();
        assert_eq!(groups, [(1, 5, 1, true), (2, 5, 1, false), (3, 5, 1, true)]);
        let stored = |from| stored(1, &value, from).map(|frame| frame.record(from).map(<[u8]>::to_vec));
        assert_eq!(stored(1), Some(Some(b"small".to_vec())));
        assert_eq!((stored(2), stored(4)), (None, None));
        assert_eq!(stored(3), Some(Some(b"after".to_vec())), "its neighbour is large, and it stands here all the same");
    }
}
