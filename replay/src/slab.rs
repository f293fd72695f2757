//! Values by dense number: a vector whose holes are used again. It stands in chunks that a copy shares with the original until one
//! of them is changed, so that a copy of a million tasks costs some thousand words.

use serde::{Deserialize, Serialize};
use std::ops::{Index, IndexMut};
use std::sync::Arc;

/// Values in a chunk: few enough that copying one for a change costs microseconds, and enough that a copy of all is short.
const CHUNK: usize = 256;

/// Values by dense number.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Slab<T> {
    chunks: Vec<Arc<Vec<Option<T>>>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    pub(crate) fn len(&self) -> usize {
        self.slots() - self.free.len()
    }

    /// Values and holes: all chunks but the last are full.
    fn slots(&self) -> usize {
        self.chunks.last().map_or(0, |last| (self.chunks.len() - 1) * CHUNK + last.len())
    }

    pub(crate) fn get(&self, n: u32) -> Option<&T> {
        let n = n as usize;
        self.chunks.get(n / CHUNK)?.get(n % CHUNK)?.as_ref()
    }

    /// The values in the order of their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let slots = self.chunks.iter().flat_map(|chunk| chunk.iter());
        (0..).zip(slots).filter_map(|(n, slot)| Some((n, slot.as_ref()?)))
    }
}

impl<T: Clone> Slab<T> {
    /// Adds a value. The limits of the core keep every slab far below 2^32 values.
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        if let Some(n) = self.free.pop() {
            *self.slot(n) = Some(value);
            return n;
        }
        let n = self.slots();
        if n.is_multiple_of(CHUNK) {
            self.chunks.push(Arc::new(Vec::with_capacity(CHUNK)));
        }
        if let Some(last) = self.chunks.last_mut() {
            Arc::make_mut(last).push(Some(value));
        }
        u32::try_from(n).unwrap_or(u32::MAX)
    }

    /// Takes a value out; its number is free for the next.
    pub(crate) fn remove(&mut self, n: u32) -> Option<T> {
        self.get(n)?;
        let value = self.slot(n).take();
        self.free.push(n);
        value
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.chunks.iter_mut().flat_map(|chunk| Arc::make_mut(chunk).iter_mut().flatten())
    }

    fn slot(&mut self, n: u32) -> &mut Option<T> {
        let n = n as usize;
        &mut Arc::make_mut(&mut self.chunks[n / CHUNK])[n % CHUNK]
    }
}

impl<T> Index<u32> for Slab<T> {
    type Output = T;

    fn index(&self, n: u32) -> &T {
        match self.get(n) {
            Some(value) => value,
            None => unreachable!("a dense number outlived its value"),
        }
    }
}

impl<T: Clone> IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, n: u32) -> &mut T {
        match self.slot(n) {
            Some(value) => value,
            None => unreachable!("a dense number outlived its value"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_used_again_and_a_copy_stays_as_it_was() {
        let mut slab = Slab::default();
        let last = 3 * CHUNK as u32;
        (0..=last).for_each(|n| assert_eq!(slab.insert(n), n));
        let copy = slab.clone();
        for n in [0, 255, 256, last] {
            assert_eq!(slab.remove(n), Some(n));
            assert_eq!((slab.remove(n), slab.get(n)), (None, None));
        }
        slab[300] += 1;
        assert_eq!(slab.len(), 3 * CHUNK - 3);
        // The number that was freed last is given first.
        for n in [last, 256, 255, 0, last + 1] {
            assert_eq!(slab.insert(n), n);
        }
        assert_eq!(copy.len(), 3 * CHUNK + 1);
        assert!(copy.iter().all(|(n, value)| n == *value), "the copy has changed");
        let changed: Vec<u32> = slab.iter().filter(|(n, value)| n != *value).map(|(n, _)| n).collect();
        assert_eq!(changed, [300]);
    }
}
