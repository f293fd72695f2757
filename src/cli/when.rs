//! Time for people: `3m ago`, `1h 10m`, and durations as they are typed.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::clock;

/// Seconds of the larger units.
const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Below so many seconds a thousandth matters, and a tenth.
const THOUSANDTHS_BELOW_S: f64 = 1.0;
const TENTHS_BELOW_S: f64 = 10.0;

/// The present moment.
pub(super) fn now() -> Timestamp {
    // The wall clock of a machine is within the range of a timestamp by some eight thousand years.
    Timestamp::from_microsecond(clock::wall_now().0).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// A time as records have it.
pub(super) fn moment(text: &Value) -> Option<Timestamp> {
    text.as_str()?.parse().ok()
}

/// How long ago that was, in one unit; the clocks of two machines may differ, so the future is now.
pub(super) fn ago(then: Timestamp, now: Timestamp) -> String {
    match now.duration_since(then).as_secs() {
        ..=0 => "now".to_owned(),
        seconds => format!("{} ago", in_one_unit(seconds.unsigned_abs())),
    }
}

fn in_one_unit(seconds: u64) -> String {
    match seconds {
        0..MINUTE => format!("{seconds}s"),
        MINUTE..HOUR => format!("{}m", seconds / MINUTE),
        HOUR..DAY => format!("{}h", seconds / HOUR),
        DAY.. => format!("{}d", seconds / DAY),
    }
}

/// A duration in the one or two units that matter.
pub(super) fn took(seconds: f64) -> String {
    if seconds < THOUSANDTHS_BELOW_S {
        return format!("{:.0}ms", seconds.max(0.0) * 1e3);
    }
    if seconds < TENTHS_BELOW_S {
        return format!("{seconds:.1}s");
    }
    let whole = seconds as u64;
    match whole {
        0..MINUTE => format!("{whole}s"),
        MINUTE..HOUR => format!("{}m {}s", whole / MINUTE, whole % MINUTE),
        HOUR..DAY => format!("{}h {}m", whole / HOUR, whole % HOUR / MINUTE),
        DAY.. => format!("{}d {}h", whole / DAY, whole % DAY / HOUR),
    }
}

/// The time from a record's start to its end, or until now; `None` before the start, and of a task that waits to be started again.
pub(super) fn span(record: &Value, now: Timestamp) -> Option<String> {
    if record["status"] == "pending" {
        return None;
    }
    let started = moment(&record["started_at"])?;
    let until = moment(&record["completed_at"]).unwrap_or(now);
    Some(took(until.duration_since(started).as_secs_f64()))
}

/// Reads `30s`, `5m` or `1h30m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let expected = "write for example 30s, 5m or 1h30m";
    let read: SignedDuration = text.parse().map_err(|_| expected.to_owned())?;
    Duration::try_from(read).map_err(|_| format!("it is negative; {expected}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_past_is_told_in_one_unit_and_the_future_is_now() {
        let now: Timestamp = "2026-01-02T00:00:00Z".parse().expect("a time");
        let ago = |seconds: i64| ago(now - SignedDuration::from_secs(seconds), now);
        let told = [0, -5, 1, 59, 60, 3_599, 3_600, 86_399, 86_400, 864_000].map(ago);
        assert_eq!(
            told,
            ["now", "now", "1s ago", "59s ago", "1m ago", "59m ago", "1h ago", "23h ago", "1d ago", "10d ago"]
        );
    }

    #[test]
    fn durations_are_told_in_the_units_that_matter() {
        let told = [-1.0, 0.04, 9.94, 10.0, 61.0, 3_600.0, 90_000.0].map(took);
        assert_eq!(told, ["0ms", "40ms", "9.9s", "10s", "1m 1s", "1h 0m", "1d 1h"]);
    }

    #[test]
    fn only_what_runs_or_ran_takes_time() {
        let now: Timestamp = "2026-01-01T00:01:00Z".parse().expect("a time");
        let took = |status: &str, ended: Option<&str>| {
            span(&json!({"status": status, "started_at": "2026-01-01T00:00:00Z", "completed_at": ended}), now)
        };
        for status in ["assigned", "running", "paused"] {
            assert_eq!(took(status, None).as_deref(), Some("1m 0s"), "{status}");
        }
        assert_eq!(took("failed", Some("2026-01-01T00:00:30Z")).as_deref(), Some("30s"));
        // Its agent left, and it waits for the next one.
        assert_eq!(took("pending", None), None);
    }

    #[test]
    fn durations_are_read_as_people_type_them() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5_400)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        for wrong in ["", "soon", "5", "-5s", "1 fortnight"] {
            assert!(duration(wrong).is_err_and(|told| told.contains("30s")), "{wrong}");
        }
    }
}
