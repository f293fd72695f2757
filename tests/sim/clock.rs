//! Time that the run moves: the product's own clock reads these hands.

use crate::clock::TimeSource;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Nanoseconds in a millisecond.
const MS: i64 = 1_000_000;
/// Where the wall clock starts: 2026-11-23.
const WALL_START_NS: i64 = 1_795_392_000_000_000_000;

/// The hands of the machine's clocks; they outlive the coordinator.
#[derive(Clone)]
pub(super) struct Hands(Arc<(AtomicI64, AtomicI64)>);

impl Hands {
    pub(super) fn new() -> Self {
        Self(Arc::new((AtomicI64::new(0), AtomicI64::new(WALL_START_NS))))
    }

    /// Time passes.
    pub(super) fn advance(&self, ms: u64) {
        self.0.0.fetch_add(ms as i64 * MS, Ordering::Relaxed);
        self.jump(ms as i64);
    }

    /// Somebody sets the wall clock.
    pub(super) fn jump(&self, ms: i64) {
        self.0.1.fetch_add(ms * MS, Ordering::Relaxed);
    }

    /// Monotonic milliseconds.
    pub(super) fn now(&self) -> u64 {
        (self.mono_ns() / MS) as u64
    }
}

impl TimeSource for Hands {
    fn mono_ns(&self) -> i64 {
        self.0.0.load(Ordering::Relaxed)
    }

    fn wall_ns(&self) -> i64 {
        self.0.1.load(Ordering::Relaxed)
    }
}
