//! Index keys and the layout of a bucket's one tree.
//!
//! sled applies a batch atomically within one tree only, so runs, index entries and the note of what was fed share a
//! tree and are told apart by the first byte of their keys.

use crate::Seq;
use crate::wire::field;

/// Runs: `r`, first sequence number → value.
pub(crate) const RUN: u8 = b'r';
/// Time index: `t`, time, first sequence number of a batch → nothing.
pub(crate) const TIME: u8 = b't';
/// Index: `i`, kind, length of the id, id, first sequence number of a batch → the runs of that batch.
pub(crate) const INDEX: u8 = b'i';
/// The note of what was fed.
pub(crate) const NOTE: &[u8] = b"m";
/// Ids are cut to this many bytes: two that agree so far share their entries.
const MAX_ID_BYTES: usize = 255;
const SEQ_BYTES: usize = 8;

/// Names the index keys of one record.
pub type IndexFn = fn(record: &[u8], keys: &mut IndexKeys);

/// The function for records that nobody looks up.
pub(crate) fn no_index(_record: &[u8], _keys: &mut IndexKeys) {}

/// The keys that an [`IndexFn`] names; the same key twice counts once.
#[derive(Debug, Default)]
pub struct IndexKeys {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl IndexKeys {
    /// Adds a key: `kind` says what sort of id this is (its meaning is the caller's), `id` is compared by its first
    /// 255 bytes.
    pub fn add(&mut self, kind: u8, id: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&index_prefix(kind, id)[1..]);
        // Neighbours often name the same pipeline and agent: a look back at a few saves sorting them later.
        let added = &self.bytes[start..];
        if self.iter_rev().take(4).any(|key| key == added) {
            self.bytes.truncate(start);
        } else {
            self.ends.push(self.bytes.len());
        }
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    pub(crate) fn contains(&self, prefix: &[u8]) -> bool {
        self.iter_rev().any(|key| key == &prefix[1..])
    }

    /// Every key once, without the tree's first byte.
    pub(crate) fn distinct(&self) -> Vec<&[u8]> {
        let mut keys: Vec<_> = self.iter_rev().collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    fn iter_rev(&self) -> impl Iterator<Item = &[u8]> {
        let start = |nth: usize| nth.checked_sub(1).map_or(0, |before| self.ends[before]);
        (0..self.ends.len()).rev().map(move |nth| &self.bytes[start(nth)..self.ends[nth]])
    }
}

/// What all entries of an index key begin with.
pub(crate) fn index_prefix(kind: u8, id: &[u8]) -> Vec<u8> {
    let id = &id[..id.len().min(MAX_ID_BYTES)];
    let mut prefix = Vec::with_capacity(3 + id.len() + SEQ_BYTES);
    prefix.extend_from_slice(&[INDEX, kind, u8::try_from(id.len()).unwrap_or(u8::MAX)]);
    prefix.extend_from_slice(id);
    prefix
}

pub(crate) fn run_key(first: Seq) -> [u8; 9] {
    let mut key = [RUN; 9];
    key[1..].copy_from_slice(&first.to_be_bytes());
    key
}

pub(crate) fn time_key(at: i64, first: Seq) -> [u8; 17] {
    let mut key = [TIME; 17];
    // With the sign bit flipped, the bytes of a time sort as the time does.
    key[1..9].copy_from_slice(&(at.cast_unsigned() ^ (1 << 63)).to_be_bytes());
    key[9..].copy_from_slice(&first.to_be_bytes());
    key
}

/// The sequence number that ends a key.
pub(crate) fn seq_of(key: &[u8]) -> Option<Seq> {
    key.last_chunk().map(|bytes| Seq::from_be_bytes(*bytes))
}

/// Bytes of one run in the value of an index entry: first sequence number and number of records.
const INDEXED_RUN_BYTES: usize = 12;

/// Adds a run to the value of an index entry.
pub(crate) fn push_indexed_run(value: &mut Vec<u8>, first: Seq, count: u32) {
    value.extend_from_slice(&first.to_le_bytes());
    value.extend_from_slice(&count.to_le_bytes());
}

/// The runs in the value of an index entry, as first and last record.
pub(crate) fn indexed_runs(value: &[u8]) -> impl Iterator<Item = (Seq, Seq)> {
    value.chunks_exact(INDEXED_RUN_BYTES).map(|run| {
        let (first, count) = (Seq::from_le_bytes(field(run, 0)), u32::from_le_bytes(field(run, 8)));
        (first, first.saturating_add(Seq::from(count)).saturating_sub(1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_count_once_and_no_id_is_the_prefix_of_another() {
        let mut keys = IndexKeys::default();
        for id in [&b"a"[..], b"b", b"c", b"d", b"e", b"f", b"a", b"f"] {
            keys.add(1, id);
        }
        assert_eq!(keys.distinct().len(), 6);
        assert!(keys.contains(&index_prefix(1, b"a")));
        assert!(!keys.contains(&index_prefix(2, b"a")) && !keys.contains(&index_prefix(1, b"ab")));
        assert!(!index_prefix(1, b"ab").starts_with(&index_prefix(1, b"a")));
        keys.clear();
        assert!(keys.distinct().is_empty());
    }

    #[test]
    fn times_sort_by_their_bytes() {
        let times = [i64::MIN, -5, 0, 1, 256, i64::MAX];
        assert!(times.map(|at| time_key(at, 1)).is_sorted());
    }
}
