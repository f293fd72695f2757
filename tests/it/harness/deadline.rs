//! Waits that end: a test that hangs tells nothing, one that fails says what it had seen.

use std::time::{Duration, Instant};

/// The longest that anything here may take. Far beyond what it takes on a busy machine, far below a person's patience.
const PATIENCE: Duration = Duration::from_secs(30);

/// The present moment, for deadlines.
#[expect(clippy::disallowed_methods, reason = "a test waits by the machine's clock; no product code is timed by it")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// When a wait has failed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    /// The usual one.
    pub(crate) fn usual() -> Self {
        Self::after(PATIENCE)
    }

    pub(crate) fn after(wait: Duration) -> Self {
        Self(now() + wait)
    }

    /// What is left; `None` when it is over.
    pub(crate) fn left(self) -> Option<Duration> {
        let left = self.0.saturating_duration_since(now());
        (!left.is_zero()).then_some(left)
    }
}
