//! Entities by dense number, with one look-up table by identity.
//!
//! Inside the state everything is a `u32`: an access costs a few nanoseconds, where an ordered map of a million UUIDs costs half
//! a microsecond. The table answers look-ups only and is never walked, so its order can not leak into a decision.

use crate::slab::Slab;
use hashbrown::HashTable;
use serde::{Deserialize, Serialize};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::marker::PhantomData;
use std::ops::{Index, IndexMut};
use uuid::Uuid;

/// A dense number of an entity of one kind.
pub trait Ix: Copy + Eq {
    /// The number `n`.
    fn new(n: u32) -> Self;
    /// As an index.
    fn get(self) -> u32;
}

macro_rules! ix {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub struct $name(pub u32);

        impl Ix for $name {
            fn new(n: u32) -> Self {
                Self(n)
            }
            fn get(self) -> u32 {
                self.0
            }
        }
    };
}

ix! {
    /// Dense number of a task; reused after the task has left the state.
    TaskIx
}
ix! {
    /// Dense number of a pipeline; reused likewise.
    PipelineIx
}
ix! {
    /// Dense number of an agent; reused likewise.
    AgentIx
}

/// Something with an identity.
pub trait Entity: Clone {
    /// Its dense number.
    type Ix: Ix;
    /// Its identity.
    type Key: ?Sized + Eq + TableHash;
    /// Its identity.
    fn key(&self) -> &Self::Key;
}

/// The hash of an identity. Not `Hash` alone: the random half of a UUID is its own best hash.
pub trait TableHash {
    /// A well spread 64-bit number.
    fn table_hash(&self) -> u64;
}

impl TableHash for Uuid {
    fn table_hash(&self) -> u64 {
        // Odd constant near 2^64/φ: spreads what a client-made UUID may leave unspread.
        (self.as_u64_pair().1 ^ self.as_u64_pair().0).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }
}

impl TableHash for str {
    fn table_hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }
}

/// Entities of one kind.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound(serialize = "T: Serialize", deserialize = "T: Deserialize<'de>"))]
pub struct Registry<T: Entity> {
    slab: Slab<T>,
    /// Derived: made anew by [`Registry::rebuild`] after a snapshot was read.
    #[serde(skip)]
    table: HashTable<u32>,
    #[serde(skip)]
    ix: PhantomData<T::Ix>,
}

impl<T: Entity> Default for Registry<T> {
    fn default() -> Self {
        Self { slab: Slab::default(), table: HashTable::new(), ix: PhantomData }
    }
}

impl<T: Entity> Registry<T> {
    /// Number of entities.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of the entity with this identity.
    #[must_use]
    pub fn find(&self, key: &T::Key) -> Option<T::Ix> {
        let is_it = |n: &u32| self.slab.get(*n).is_some_and(|entity| entity.key() == key);
        self.table.find(key.table_hash(), is_it).map(|n| T::Ix::new(*n))
    }

    /// The entity with this identity.
    #[must_use]
    pub fn by_key(&self, key: &T::Key) -> Option<&T> {
        self.find(key).map(|ix| &self[ix])
    }

    /// The entities in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (T::Ix, &T)> {
        self.slab.iter().map(|(n, entity)| (T::Ix::new(n), entity))
    }

    /// The entities in the order of their numbers; their identities must stay.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slab.values_mut()
    }

    /// Adds an entity; its identity must be new.
    pub(crate) fn insert(&mut self, entity: T) -> T::Ix {
        let n = self.slab.insert(entity);
        self.enter(n);
        T::Ix::new(n)
    }

    /// Takes an entity out; its number is free for the next.
    pub(crate) fn remove(&mut self, ix: T::Ix) -> Option<T> {
        let n = ix.get();
        let hash = self.slab.get(n)?.key().table_hash();
        if let Ok(entry) = self.table.find_entry(hash, |other| *other == n) {
            entry.remove();
        }
        self.slab.remove(n)
    }

    /// The entities as they are now, without the table: to be written, not to be looked into.
    pub(crate) fn frozen(&self) -> Self {
        Self { slab: self.slab.clone(), ..Self::default() }
    }

    /// Makes the look-up table anew.
    pub(crate) fn rebuild(&mut self) {
        self.table.clear();
        let numbers: Vec<u32> = self.slab.iter().map(|(n, _)| n).collect();
        for n in numbers {
            self.enter(n);
        }
    }

    fn enter(&mut self, n: u32) {
        let slab = &self.slab;
        let hash = |n: &u32| slab.get(*n).map_or(0, |entity| entity.key().table_hash());
        self.table.insert_unique(hash(&n), n, hash);
    }
}

impl<T: Entity> Index<T::Ix> for Registry<T> {
    type Output = T;

    fn index(&self, ix: T::Ix) -> &T {
        &self.slab[ix.get()]
    }
}

impl<T: Entity> IndexMut<T::Ix> for Registry<T> {
    fn index_mut(&mut self, ix: T::Ix) -> &mut T {
        &mut self.slab[ix.get()]
    }
}
