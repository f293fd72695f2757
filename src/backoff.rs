//! How long to wait before trying again: exponential, with jitter so that a restarted coordinator
//! does not meet all its agents in the same instant.

use std::time::Duration;

use uuid::Uuid;

/// The longest first wait for a connection.
const FIRST: Duration = Duration::from_millis(100);

/// The longest wait for a connection: short enough that a restarted coordinator has its agents back soon.
const LONGEST: Duration = Duration::from_secs(5);

/// Counts failures in a row.
#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

/// For connections.
impl Default for Backoff {
    fn default() -> Self {
        Self::new(FIRST, LONGEST)
    }
}

impl Backoff {
    /// Waits that double from `first` to `longest`, each of them at most.
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: 0 }
    }

    /// Notes another failure and returns how long to wait.
    pub(crate) fn next(&mut self) -> Duration {
        let ceiling = self.ceiling(self.failures);
        self.failures = self.failures.saturating_add(1);
        // Between half and all of it: spread out, yet never a busy loop.
        ceiling.mul_f64(0.5 + 0.5 * random_fraction())
    }

    /// Forgets the failures: what was tried has worked.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The longest that so many failures take together.
    pub(crate) fn longest_total(&self, failures: u32) -> Duration {
        let doubling = (0..failures).map(|failure| self.ceiling(failure)).take_while(|wait| *wait < self.longest);
        let (count, sum) = doubling.fold((0, Duration::ZERO), |(count, sum), wait| (count + 1, sum + wait));
        sum.saturating_add(self.longest.saturating_mul(failures - count))
    }

    fn ceiling(&self, failures: u32) -> Duration {
        let doubled = 2_u32.checked_pow(failures).and_then(|factor| self.first.checked_mul(factor));
        doubled.unwrap_or(self.longest).min(self.longest)
    }
}

/// A number in 0..=1, from the random source of the ids.
fn random_fraction() -> f64 {
    let bytes = Uuid::new_v4().into_bytes();
    f64::from(u16::from_be_bytes([bytes[0], bytes[1]])) / f64::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_longest_and_starts_over_after_a_success() {
        let mut backoff = Backoff::default();
        for failures in 0..100 {
            let ceiling = backoff.ceiling(failures);
            let wait = backoff.next();
            assert!(wait >= ceiling / 2 && wait <= ceiling, "{failures}: {wait:?}");
        }
        assert_eq!(backoff.ceiling(1), 2 * backoff.ceiling(0));
        assert_eq!(backoff.ceiling(u32::MAX), LONGEST);
        backoff.reset();
        assert!(backoff.next() <= FIRST);
    }
}
