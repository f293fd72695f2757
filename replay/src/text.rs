//! Texts: JSON that passes through, and times as people write them. The core never looks inside a client's payload: it stays the
//! text that came in, so that no parser can change what is replayed.

use crate::ids::Seq;
use crate::limits::INLINE_BYTES_MAX;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use std::sync::{Arc, LazyLock};

/// A JSON text, checked at the door (well formed, depth, no bare NaN).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Json(pub Arc<str>);

/// In JSON the text itself, in a record a string of bytes.
impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return self.0.serialize(serializer);
        }
        let raw: &RawValue = serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl Json {
    /// The JSON word `null`.
    #[must_use]
    pub fn null() -> Self {
        /// Most tasks have no result yet: one word for all of them.
        static NULL: LazyLock<Arc<str>> = LazyLock::new(|| "null".into());
        Self(Arc::clone(&NULL))
    }

    /// The JSON text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the JSON word `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        &*self.0 == "null"
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

/// A payload as the state holds it: short ones whole, long ones as the place in the log where they stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payload {
    /// The text itself, at most [`INLINE_BYTES_MAX`] bytes.
    Inline(Json),
    /// The payload of an event.
    Logged(Box<Place>),
}

/// Where a payload stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Which event holds the text (see [`crate::Event::payload`]).
    pub seq: Seq,
    /// Length of the text in bytes.
    pub bytes: u64,
}

impl Default for Payload {
    fn default() -> Self {
        Self::null()
    }
}

impl Payload {
    /// How the payload `json` of event `seq` is kept in the state.
    #[must_use]
    pub fn keep(json: &Json, seq: Seq) -> Self {
        if json.0.len() <= INLINE_BYTES_MAX {
            Self::Inline(json.clone())
        } else {
            Self::Logged(Box::new(Place { seq, bytes: json.0.len() as u64 }))
        }
    }

    /// The JSON word `null`.
    #[must_use]
    pub fn null() -> Self {
        Self::Inline(Json::null())
    }
}

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;

/// So many milliseconds as a person writes them: `250 ms`, `1.5 s`, `2 min`, `1 h 30 min`.
pub(crate) fn duration(ms: u64) -> String {
    if ms < SECOND_MS {
        return format!("{ms} ms");
    }
    let (hours, minutes) = (ms / HOUR_MS, ms % HOUR_MS / MINUTE_MS);
    let seconds = (ms % MINUTE_MS) as f64 / SECOND_MS as f64;
    let parts = [(hours as f64, "h"), (minutes as f64, "min"), (seconds, "s")];
    let parts = parts.into_iter().filter(|(amount, _)| *amount > 0.0).map(|(amount, unit)| format!("{amount} {unit}"));
    parts.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_reads_as_people_write_it() {
        for (ms, text) in [
            (0, "0 ms"),
            (250, "250 ms"),
            (1_000, "1 s"),
            (1_500, "1.5 s"),
            (61_001, "1 min 1.001 s"),
            (120_000, "2 min"),
            (5_400_000, "1 h 30 min"),
            (90_000_000, "25 h"),
        ] {
            assert_eq!(duration(ms), text);
        }
    }
}
