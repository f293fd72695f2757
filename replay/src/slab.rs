//! Values by dense number: a vector whose holes are used again.

use serde::{Deserialize, Serialize};
use std::ops::{Index, IndexMut};

/// Values by dense number.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Slab<T> {
    slots: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Adds a value. The limits of the core keep every slab far below 2^32 values.
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        if let Some(n) = self.free.pop() {
            self.slots[n as usize] = Some(value);
            return n;
        }
        self.slots.push(Some(value));
        u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
    }

    /// Takes a value out; its number is free for the next.
    pub(crate) fn remove(&mut self, n: u32) -> Option<T> {
        let value = self.slots.get_mut(n as usize)?.take()?;
        self.free.push(n);
        Some(value)
    }

    pub(crate) fn get(&self, n: u32) -> Option<&T> {
        self.slots.get(n as usize)?.as_ref()
    }

    /// The values in the order of their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..).zip(&self.slots).filter_map(|(n, slot)| Some((n, slot.as_ref()?)))
    }
}

impl<T> Index<u32> for Slab<T> {
    type Output = T;

    fn index(&self, n: u32) -> &T {
        match &self.slots[n as usize] {
            Some(value) => value,
            None => unreachable!("a dense number outlived its value"),
        }
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, n: u32) -> &mut T {
        match &mut self.slots[n as usize] {
            Some(value) => value,
            None => unreachable!("a dense number outlived its value"),
        }
    }
}
