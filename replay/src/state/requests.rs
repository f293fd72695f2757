//! The requests that were answered, for those that are repeated (law 11). There are hundreds of thousands within the time that one
//! is remembered, so they stand in a queue of chunks, which a snapshot shares, and are found by a table of their places.

use crate::envelope::{Actor, Envelope, RequestKey, Stamp};
use crate::ids::{ConnectionNo, Seq, Timestamp};
use crate::limits::{REQUEST_MEMORY_MS, REQUESTS_MAX};
use crate::refusal::Refusal;
use crate::registry::TableHash;
use hashbrown::HashTable;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use uuid::Uuid;

/// Answers in a chunk: copying one for a change costs microseconds.
const CHUNK: usize = 1_024;

/// Answers given.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Requests {
    /// Oldest first; all but the last are full.
    chunks: VecDeque<Arc<Vec<Answered>>>,
    /// How many of the first chunk are forgotten.
    forgotten: usize,
    /// Derived: number of the first answer in the first chunk. Numbers go on when chunks go.
    #[serde(skip)]
    first: usize,
    /// Derived: the numbers of those that are remembered, by identity.
    #[serde(skip)]
    table: HashTable<usize>,
}

/// A request, and the answer to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Answered {
    scope: Scope,
    body: [u8; 16],
    at: Timestamp,
    events: Repeat,
}

/// An id in UUID form means the same on every connection; any other only on its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Scope {
    Everywhere(Uuid),
    Connection(Box<(Option<ConnectionNo>, String)>),
}

/// The events of an answered request; the reply is a function of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repeat {
    /// The first.
    pub first: Seq,
    /// The last.
    pub last: Seq,
}

/// Whether a request of that time is no longer remembered.
fn is_over(at: Timestamp, now: Timestamp) -> bool {
    at.plus_ms(REQUEST_MEMORY_MS) < now
}

impl Scope {
    fn of(key: &RequestKey, actor: Actor) -> Self {
        match Uuid::try_parse(&key.id) {
            Ok(id) => Self::Everywhere(id),
            Err(_) => Self::Connection(Box::new((actor.connection(), key.id.clone()))),
        }
    }
}

impl TableHash for Scope {
    fn table_hash(&self) -> u64 {
        match self {
            Self::Everywhere(id) => id.table_hash(),
            Self::Connection(_) => {
                let mut hasher = DefaultHasher::new();
                self.hash(&mut hasher);
                hasher.finish()
            }
        }
    }
}

impl Requests {
    pub(crate) fn find(&self, stamp: &Stamp) -> Result<Option<Repeat>, Refusal> {
        let Some(key) = &stamp.request else { return Ok(None) };
        let scope = Scope::of(key, stamp.actor);
        let is_it = |n: &usize| self.get(*n).is_some_and(|known| known.scope == scope);
        match self.table.find(scope.table_hash(), is_it).and_then(|n| self.get(*n)) {
            None => Ok(None),
            Some(known) if is_over(known.at, stamp.at) => Ok(None),
            Some(known) if known.body == key.body => Ok(Some(known.events)),
            Some(_) => Err(Refusal::RequestReused(key.id.clone())),
        }
    }

    /// Takes note of an event: the first of a command brings its request, the further ones name the first as their cause.
    pub(crate) fn note(&mut self, envelope: &Envelope) {
        self.forget(envelope.at);
        if let Some(key) = &envelope.request {
            let events = Repeat { first: envelope.seq, last: envelope.seq };
            let scope = Scope::of(key, envelope.actor);
            self.push(Answered { scope, body: key.body, at: envelope.at, events });
        } else if envelope.actor.connection().is_some()
            && envelope.cause != 0
            && let Some(newest) = self.chunks.back_mut()
            && newest.last().is_some_and(|newest| newest.events.first == envelope.cause)
            && let Some(newest) = Arc::make_mut(newest).last_mut()
        {
            newest.events.last = envelope.seq;
        }
    }

    /// The answers as they are now, without the table: to be written, not to be looked into.
    pub(crate) fn frozen(&self) -> Self {
        Self { chunks: self.chunks.clone(), forgotten: self.forgotten, ..Self::default() }
    }

    /// Makes the table anew.
    pub(crate) fn rebuild(&mut self) {
        (self.first, self.table) = (0, HashTable::new());
        (self.forgotten..self.end()).for_each(|n| self.enter(n));
    }

    fn get(&self, n: usize) -> Option<&Answered> {
        let n = n.checked_sub(self.first)?;
        self.chunks.get(n / CHUNK)?.get(n % CHUNK)
    }

    /// The number that the next one gets.
    fn end(&self) -> usize {
        self.first + self.chunks.back().map_or(0, |last| (self.chunks.len() - 1) * CHUNK + last.len())
    }

    fn push(&mut self, answered: Answered) {
        let n = self.end();
        if self.chunks.back().is_none_or(|last| last.len() == CHUNK) {
            self.chunks.push_back(Arc::new(Vec::with_capacity(CHUNK)));
        }
        if let Some(last) = self.chunks.back_mut() {
            Arc::make_mut(last).push(answered);
        }
        self.enter(n);
    }

    fn enter(&mut self, n: usize) {
        let Self { chunks, first, table, .. } = self;
        let hash = |n: &usize| {
            let n = n - *first;
            chunks.get(n / CHUNK).and_then(|chunk| chunk.get(n % CHUNK)).map_or(0, |known| known.scope.table_hash())
        };
        table.insert_unique(hash(&n), n, hash);
    }

    fn forget(&mut self, now: Timestamp) {
        loop {
            let oldest = self.first + self.forgotten;
            let Some(known) = self.get(oldest) else { return };
            if self.end() - oldest <= REQUESTS_MAX && !is_over(known.at, now) {
                return;
            }
            if let Ok(entry) = self.table.find_entry(known.scope.table_hash(), |n| *n == oldest) {
                entry.remove();
            }
            self.forgotten += 1;
            if self.forgotten == CHUNK {
                self.chunks.pop_front();
                self.first += CHUNK;
                self.forgotten = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event;

    fn key(n: usize) -> RequestKey {
        let id = if n.is_multiple_of(2) { Uuid::from_u128(n as u128).to_string() } else { format!("r{n}") };
        RequestKey { id, body: [0; 16] }
    }

    fn known(requests: &Requests, n: usize, at: Timestamp) -> Option<Seq> {
        let stamp = Stamp { at, actor: Actor::Connection(1), cause: 0, request: Some(key(n)), altered: false };
        requests.find(&stamp).unwrap().map(|events| events.first)
    }

    #[test]
    fn the_newest_are_remembered_also_by_what_was_frozen() {
        let mut requests = Requests::default();
        let last = REQUESTS_MAX + 2 * CHUNK + 5;
        let note = |requests: &mut Requests, n: usize, at| {
            let event = event::AgentUnregistered { agent: "a".into() }.into();
            let (actor, request) = (Actor::Connection(1), Some(key(n)));
            let seq = n as Seq;
            requests.note(&Envelope { seq, at, actor, cause: 0, run_seq: 0, request, altered: false, event });
        };
        (1..=last).for_each(|n| note(&mut requests, n, Timestamp(0)));
        let mut copy = requests.frozen();
        copy.rebuild();
        let later = Timestamp(0).plus_ms(REQUEST_MEMORY_MS + 1);
        note(&mut requests, last + 1, later);
        for n in 1..=last {
            // Each is forgotten as the next is noted.
            let remembered = (n > last - REQUESTS_MAX - 1).then_some(n as Seq);
            assert_eq!(known(&copy, n, Timestamp(0)), remembered, "{n}");
            assert_eq!(known(&requests, n, later), None, "{n}");
        }
        assert_eq!(known(&requests, last + 1, later), Some(last as Seq + 1));
    }
}
