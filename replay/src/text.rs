//! JSON that passes through. The core never looks inside a client's payload: it stays the text that came in, so that no parser
//! can change what is replayed.

use crate::ids::Seq;
use crate::limits::INLINE_BYTES_MAX;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use std::sync::Arc;

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
        Self("null".into())
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
    /// The payload of the event with this seq.
    Logged {
        /// Which event holds the text (see [`crate::Event::payload`]).
        seq: Seq,
        /// Length of the text in bytes.
        bytes: u64,
    },
}

impl Payload {
    /// How the payload `json` of event `seq` is kept in the state.
    #[must_use]
    pub fn keep(json: &Json, seq: Seq) -> Self {
        if json.0.len() <= INLINE_BYTES_MAX {
            Self::Inline(json.clone())
        } else {
            Self::Logged { seq, bytes: json.0.len() as u64 }
        }
    }

    /// The JSON word `null`.
    #[must_use]
    pub fn null() -> Self {
        Self::Inline(Json::null())
    }
}
