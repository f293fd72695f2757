//! Names of things: sequence numbers, points in time, identities.
//!
//! Identities are made at the door (`src/`) and travel inside the command, so that deciding the same command twice gives the
//! same events.

use serde::{Deserialize, Serialize, Serializer};
use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;
use uuid::Uuid;

/// Position of an event in the log; the first event has 1, and there are no gaps.
pub type Seq = u64;

/// Number of a client connection; grows for ever, also across restarts.
pub type ConnectionNo = u64;

/// A point in log time: microseconds since 1970-01-01T00:00:00Z. Never decreases along the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
pub struct Timestamp(pub i64);

/// In JSON its text, in a record its number.
impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
    }
}

impl Timestamp {
    /// This time moved by `ms` milliseconds, stopping at the ends of the range instead of wrapping.
    #[must_use]
    pub fn plus_ms(self, ms: u64) -> Self {
        let micros = i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(1_000);
        Self(self.0.saturating_add(micros))
    }

    /// Microseconds from `earlier` to this time; 0 when `earlier` is not earlier.
    #[must_use]
    pub fn micros_since(self, earlier: Self) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }
}

impl Timestamp {
    /// Number of the time bucket (of [`crate::limits::BUCKET_MS`]) that this time is in.
    #[must_use]
    pub fn bucket(self) -> i64 {
        self.0.div_euclid(BUCKET_US)
    }

    /// Begin of the time bucket with this number.
    #[must_use]
    pub fn of_bucket(number: i64) -> Self {
        Self(number.saturating_mul(BUCKET_US))
    }
}

/// Length of a time bucket in microseconds.
const BUCKET_US: i64 = crate::limits::BUCKET_MS as i64 * 1_000;

/// `YYYY-MM-DDTHH:MM:SS.ffffff+00:00`, the one form that every client of the protocol parses (protocol §1).
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAY_US: i64 = 86_400_000_000;
        let (year, month, day) = civil_date(self.0.div_euclid(DAY_US));
        let within = self.0.rem_euclid(DAY_US);
        let (seconds, micros) = (within / 1_000_000, within % 1_000_000);
        let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}+00:00")
    }
}

/// Days since 1970-01-01 to (year, month, day) in the proleptic Gregorian calendar, counting in 400-year eras that begin on a
/// 1 March, so that the leap day is the last of its year.
fn civil_date(days: i64) -> (i64, i64, i64) {
    const DAYS_TO_ERA: i64 = 719_468; // from 0000-03-01 to 1970-01-01
    const ERA_DAYS: i64 = 146_097;
    let shifted = days + DAYS_TO_ERA;
    let era = shifted.div_euclid(ERA_DAYS);
    let day_of_era = shifted.rem_euclid(ERA_DAYS);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

uuid_id! {
    /// Identity of a task; a version 7 UUID, so that it also tells when to look in the log.
    TaskId
}
uuid_id! {
    /// Identity of a pipeline; a version 7 UUID.
    PipelineId
}
uuid_id! {
    /// Identity of an entry in the error register.
    ErrorId
}

/// Identity of an agent: chosen by the client, at most [`crate::limits::NAME_CHARS_MAX`] characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AgentId(pub Arc<str>);

impl AgentId {
    /// The text of the identity.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for AgentId {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl Borrow<str> for AgentId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_printed_as_python_3_10_reads_them() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00.000000+00:00"),
            (951_782_400_000_001, "2000-02-29T00:00:00.000001+00:00"),
            (1_795_420_799_999_999, "2026-11-23T07:59:59.999999+00:00"),
            (-1, "1969-12-31T23:59:59.999999+00:00"),
            (4_107_542_400_000_000, "2100-03-01T00:00:00.000000+00:00"),
        ] {
            assert_eq!(Timestamp(micros).to_string(), text);
        }
    }
}
