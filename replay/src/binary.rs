//! Values as bytes, and back: what the codec and the events have in common.

use crate::limits::RECORD_BYTES_MAX;
use bincode::Options;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A record that can not be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Written by a newer release.
    #[error(
        "event kind {kind} with schema {schema} is not known to this release: open the log with the release that wrote it, or a newer one"
    )]
    Unknown {
        /// Number of the kind.
        kind: u16,
        /// Number of the schema.
        schema: u8,
    },
    /// Not a record.
    #[error("a record of {bytes} bytes can not be decoded ({detail}): verify the log")]
    Damaged {
        /// Length of the record.
        bytes: usize,
        /// What the decoder said.
        detail: String,
    },
}

/// No length inside a record can be larger than `limit`: what keeps a damaged one from asking for memory.
pub(crate) fn options(limit: u64) -> impl Options {
    bincode::DefaultOptions::new().with_limit(limit)
}

pub(crate) fn write<T: Serialize>(value: &T, out: &mut Vec<u8>) -> bincode::Result<()> {
    options(RECORD_BYTES_MAX).serialize_into(out, value)
}

/// Reads what was written, all of it.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let limit = RECORD_BYTES_MAX.min(bytes.len() as u64);
    options(limit).deserialize(bytes).map_err(|error| damaged(bytes, &error.to_string()))
}

pub(crate) fn damaged(bytes: &[u8], detail: &str) -> DecodeError {
    DecodeError::Damaged { bytes: bytes.len(), detail: detail.to_owned() }
}
