//! How far a long piece of work is: one living line, on a terminal only.

use super::grid::{self, Look};
use super::live::Live;
use super::when;
use crate::clock;

/// Between two looks at the line, in milliseconds: as often as an eye follows.
const SHOWN_EVERY_MS: i64 = 100;

/// See the module. The line is gone when this is dropped.
pub(super) struct Progress {
    live: Option<Live>,
    /// What is counted.
    things: &'static str,
    began_ms: i64,
    shown_ms: i64,
}

impl Progress {
    pub(super) fn start(things: &'static str) -> Self {
        let now_ms = clock::mono_ms();
        Self { live: Live::on_stderr(), things, began_ms: now_ms, shown_ms: now_ms }
    }

    /// `done` of `of` are done.
    pub(super) fn show(&mut self, done: u64, of: u64) {
        let (Some(live), now_ms) = (&mut self.live, clock::mono_ms()) else { return };
        if now_ms - self.shown_ms >= SHOWN_EVERY_MS {
            self.shown_ms = now_ms;
            // A line that cannot be drawn keeps back no work.
            drop(live.show(&[line(done, of, self.things, now_ms - self.began_ms, Look::of_stderr())]));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(live) = &mut self.live {
            drop(live.clear());
        }
    }
}

/// `3000 of 9000 records, 20s left  [=====     ]`.
fn line(done: u64, of: u64, things: &str, spent_ms: i64, look: Look) -> String {
    let part = if of == 0 { 0.0 } else { done as f64 / of as f64 };
    let left = if part > 0.0 {
        format!(", {} left", when::took(spent_ms as f64 / 1e3 * (1.0 / part - 1.0)))
    } else {
        String::new()
    };
    grid::with_bar(&format!("{done} of {of} {things}{left}"), part, look)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_once_something_is_done() {
        let line = |done, of| line(done, of, "records", 10_000, Look { colors: false, width: Some(45) });
        assert_eq!(line(0, 0), "0 of 0 records  [                           ]");
        assert_eq!(line(3_000, 9_000), "3000 of 9000 records, 20s left  [===        ]");
    }
}
