//! Time enters here and nowhere else.

use everlog_replay::Timestamp;
use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};

/// Time as the coordinator needs it; a simulator brings its own.
pub(crate) trait Clock: Send + Sync {
    /// Log time: never decreases, also across restarts.
    fn now(&self) -> Timestamp;
    /// Milliseconds since some fixed point, suspend included; what leases and silences are measured with.
    fn mono_ms(&self) -> i64;
}

/// Where a [`SystemClock`] reads: the operating system, or a test.
pub(crate) trait TimeSource: Send + Sync {
    /// Nanoseconds since some fixed point, suspend included; never decreases.
    fn mono_ns(&self) -> i64;
    /// Nanoseconds since 1970-01-01T00:00:00Z; people and time servers set it at will.
    fn wall_ns(&self) -> i64;
}

/// The clocks of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OsTime;

impl OsTime {
    /// Monotonic time that goes on while the machine sleeps: leases and time limits end in real time.
    #[cfg(target_os = "linux")]
    const MONOTONIC: ClockId = ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    const MONOTONIC: ClockId = ClockId::Monotonic;

    fn read(clock: ClockId) -> i64 {
        let time = clock_gettime(clock);
        time.tv_sec.saturating_mul(SECOND_NS).saturating_add(time.tv_nsec)
    }
}

impl TimeSource for OsTime {
    fn mono_ns(&self) -> i64 {
        Self::read(Self::MONOTONIC)
    }

    fn wall_ns(&self) -> i64 {
        Self::read(ClockId::Realtime)
    }
}

/// Nanoseconds in a second.
const SECOND_NS: i64 = 1_000_000_000;
/// Nanoseconds in a millisecond.
const MILLISECOND_NS: i64 = 1_000_000;
/// Nanoseconds in a microsecond.
const MICROSECOND_NS: i64 = 1_000;
/// Log time gains or loses at most one part in so many on the monotonic clock (5 %): slow enough that no duration in the log is
/// nonsense, fast enough to make good a minute in twenty.
const SLEW_SHARE: i64 = 20;
/// How far the wall clock may be behind the log at a start without a warning, in nanoseconds: what slewing itself explains.
const BEHIND_TOLERATED_NS: i64 = SECOND_NS;

/// The wall clock is behind the newest event of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the wall clock is {seconds} s behind the newest event of the log; log time goes on from there, slowed by 5 % until the wall \
     clock has caught up; check the machine's time"
)]
pub(crate) struct ClockWarning {
    /// By how many seconds.
    pub seconds: i64,
}

/// Log time from the clocks of the machine: the wall clock's time at the start plus the monotonic time since, slewed towards the
/// wall clock by at most 5 %. A wall clock that jumps makes no jump in the log.
#[derive(Debug)]
pub(crate) struct SystemClock<S = OsTime> {
    source: S,
    newest: Mutex<Reading>,
}

/// The same moment on both scales, in nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Reading {
    mono: i64,
    log: i64,
}

impl SystemClock {
    /// A clock that goes on from the newest event of the log; [`Timestamp::default`] where there is none.
    #[must_use]
    pub(crate) fn start(log_last: Timestamp) -> (Self, Option<ClockWarning>) {
        Self::with_source(OsTime, log_last)
    }
}

impl<S: TimeSource> SystemClock<S> {
    /// As [`SystemClock::start`], with another source of time.
    #[must_use]
    pub(crate) fn with_source(source: S, log_last: Timestamp) -> (Self, Option<ClockWarning>) {
        let (mono, wall) = (source.mono_ns(), source.wall_ns());
        let last = log_last.0.saturating_mul(MICROSECOND_NS);
        let behind = last.saturating_sub(wall);
        let warning = (behind > BEHIND_TOLERATED_NS).then_some(ClockWarning { seconds: behind / SECOND_NS });
        let newest = Mutex::new(Reading { mono, log: wall.max(last) });
        (Self { source, newest }, warning)
    }
}

impl<S: TimeSource> Clock for SystemClock<S> {
    fn now(&self) -> Timestamp {
        let mut newest = self.newest.lock();
        let mono = self.source.mono_ns().max(newest.mono);
        let passed = mono - newest.mono;
        let even = newest.log.saturating_add(passed);
        let slew = passed / SLEW_SHARE;
        let off = self.source.wall_ns().saturating_sub(even);
        *newest = Reading { mono, log: even.saturating_add(off.clamp(-slew, slew)) };
        Timestamp(newest.log / MICROSECOND_NS)
    }

    fn mono_ms(&self) -> i64 {
        self.source.mono_ns() / MILLISECOND_NS
    }
}

/// Milliseconds on the scale of every [`SystemClock::mono_ms`], also before there is one.
#[must_use]
pub(crate) fn mono_ms() -> i64 {
    OsTime.mono_ns() / MILLISECOND_NS
}

/// The present moment of the wall clock: for what clients and agents write and show, never for log time.
#[must_use]
pub(crate) fn wall_now() -> Timestamp {
    Timestamp(OsTime.wall_ns() / MICROSECOND_NS)
}

/// The same as protocol text.
#[must_use]
pub(crate) fn now_text() -> String {
    wall_now().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::atomic::{AtomicI64, Ordering};

    /// Hands that a test moves, in nanoseconds.
    #[derive(Default)]
    struct Hands {
        mono: AtomicI64,
        wall: AtomicI64,
    }

    impl TimeSource for &Hands {
        fn mono_ns(&self) -> i64 {
            self.mono.load(Ordering::Relaxed)
        }

        fn wall_ns(&self) -> i64 {
            self.wall.load(Ordering::Relaxed)
        }
    }

    impl Hands {
        fn at(seconds: i64) -> Self {
            Self { mono: AtomicI64::new(0), wall: AtomicI64::new(seconds * SECOND_NS) }
        }

        fn pass(&self, mono_ns: i64, wall_ns: i64) {
            self.mono.fetch_add(mono_ns, Ordering::Relaxed);
            self.wall.fetch_add(wall_ns, Ordering::Relaxed);
        }
    }

    fn seconds(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1_000_000)
    }

    #[test]
    fn it_starts_at_the_wall_clock_and_follows_the_monotonic_one() {
        let hands = Hands::at(1_000);
        let (clock, warning) = SystemClock::with_source(&hands, Timestamp::default());
        assert_eq!((clock.now(), warning), (seconds(1_000), None));
        hands.pass(3 * SECOND_NS, 3 * SECOND_NS);
        assert_eq!(clock.now(), seconds(1_003));
        assert_eq!(clock.mono_ms(), 3_000);
    }

    #[test]
    fn a_jump_of_the_wall_clock_is_made_good_at_five_percent() {
        for (jump, after_20_s, at_last) in [(10, 1_021, 1_410), (-10, 1_019, 1_390)] {
            let hands = Hands::at(1_000);
            let (clock, _) = SystemClock::with_source(&hands, Timestamp::default());
            hands.pass(0, jump * SECOND_NS);
            assert_eq!(clock.now(), seconds(1_000), "no time passed, so none is made good");
            hands.pass(20 * SECOND_NS, 20 * SECOND_NS);
            assert_eq!(clock.now(), seconds(after_20_s));
            hands.pass(380 * SECOND_NS, 380 * SECOND_NS);
            assert_eq!(clock.now(), seconds(at_last));
        }
    }

    #[test]
    fn a_wall_clock_behind_the_log_is_a_warning_and_log_time_goes_on() {
        let hands = Hands::at(1_000);
        let (clock, warning) = SystemClock::with_source(&hands, seconds(1_060));
        assert_eq!(warning, Some(ClockWarning { seconds: 60 }));
        assert_eq!(clock.now(), seconds(1_060));
        hands.pass(20 * SECOND_NS, 20 * SECOND_NS);
        assert_eq!(clock.now(), seconds(1_079));
    }

    #[test]
    fn the_clocks_of_this_machine_are_read() {
        let (clock, warning) = SystemClock::start(Timestamp::default());
        let (first, second) = (clock.now(), clock.now());
        assert!(first <= second && first > seconds(1_700_000_000), "{first} {second}");
        assert_eq!(warning, None);
    }

    proptest! {
        #[test]
        fn it_never_goes_back_and_never_runs_off(
            steps in prop::collection::vec((0..5 * SECOND_NS, -3_600 * SECOND_NS..3_600 * SECOND_NS), 1..100),
        ) {
            let hands = Hands::at(1_000_000);
            let (clock, _) = SystemClock::with_source(&hands, Timestamp::default());
            let mut last = clock.now();
            for (passed, wall) in steps {
                hands.pass(passed, wall);
                let now = clock.now();
                prop_assert!(now >= last);
                // A microsecond more for the rounding of either time.
                prop_assert!((now.0 - last.0) * MICROSECOND_NS <= passed + passed / SLEW_SHARE + MICROSECOND_NS);
                prop_assert!((now.0 - last.0) * MICROSECOND_NS >= passed - passed / SLEW_SHARE - MICROSECOND_NS);
                last = now;
            }
        }
    }
}
