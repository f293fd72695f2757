//! Lists that fit a frame: as many entries as were asked for and find room (protocol §1).

use super::text;
use crate::protocol::Page;
use serde::Serialize;

/// Entries of a page when the client names no limit; further ones come with `offset`.
const ENTRIES_MAX: usize = 10_000;

/// A list on its way into a frame.
pub(super) struct Listing {
    name: &'static str,
    items: String,
    count: usize,
    limit: usize,
    room: usize,
}

impl Listing {
    /// A list `name` of at most `page.limit` entries in `room` bytes.
    pub(super) fn new(name: &'static str, page: Page, room: usize) -> Self {
        Self { name, items: String::new(), count: 0, limit: page.limit.unwrap_or(ENTRIES_MAX), room }
    }

    /// Adds an entry; `false` when the list is full.
    pub(super) fn add(&mut self, item: &impl Serialize) -> bool {
        let item = text(item);
        if self.count >= self.limit || self.items.len() + item.len() + 1 > self.room {
            return false;
        }
        if self.count > 0 {
            self.items.push(',');
        }
        self.items.push_str(&item);
        self.count += 1;
        true
    }

    /// The result: the entries, the number of all that match, and which part of them this is.
    pub(super) fn finish(self, total: usize, page: Page) -> String {
        let Self { name, items, count, .. } = self;
        let limit = page.limit.unwrap_or(count);
        format!(r#"{{"{name}":[{items}],"total":{total},"limit":{limit},"offset":{}}}"#, page.offset)
    }
}

/// The entries of a page of `all`, in the order of `key`, without sorting more than the page.
pub(super) fn part<T, K: Ord>(mut all: Vec<T>, page: Page, key: impl Fn(&T) -> K) -> Vec<T> {
    let from = page.offset.min(all.len());
    let to = from.saturating_add(page.limit.unwrap_or(ENTRIES_MAX)).min(all.len());
    if to < all.len() {
        all.select_nth_unstable_by_key(to, &key);
        all.truncate(to);
    }
    all.sort_unstable_by_key(&key);
    all.drain(..from);
    all
}
