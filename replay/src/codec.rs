//! Records: how an envelope becomes bytes and comes back, now and in ten years.
//!
//! `kind: u16 LE · schema: u8 · header (bincode) · body (bincode)`. Integers are variable-length (measured on the design's
//! machine: 167 B instead of 198 B an event for 8 ns more). The size limit keeps a damaged length from asking for memory.
//! An older schema of a kind is read into its own frozen struct and lifted with `From`; there is one schema so far.

pub use crate::binary::DecodeError;
use crate::binary::{damaged, options, write};
use crate::envelope::{Actor, Envelope, RequestKey};
use crate::event::Event;
use crate::ids::{Seq, Timestamp};
use bincode::Options;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What stands before the body. Derived fields (hashes) are not stored.
#[derive(Serialize, Deserialize)]
struct Header {
    seq: Seq,
    at: Timestamp,
    actor: Actor,
    cause: Seq,
    run_seq: u64,
    request: Option<RequestKey>,
    altered: bool,
}

/// Appends the record of `envelope` to `out`.
///
/// # Errors
/// When the record is over [`RECORD_BYTES_MAX`](crate::limits::RECORD_BYTES_MAX); `out` is then as it was.
pub fn encode(envelope: &Envelope, out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let start = out.len();
    let header = Header {
        seq: envelope.seq,
        at: envelope.at,
        actor: envelope.actor,
        cause: envelope.cause,
        run_seq: envelope.run_seq,
        request: envelope.request.clone(),
        altered: envelope.altered,
    };
    out.extend_from_slice(&envelope.event.kind().to_le_bytes());
    out.push(envelope.event.schema());
    let written = write(&header, out).and_then(|()| envelope.event.write_body(out));
    written.map_err(|error| {
        out.truncate(start);
        damaged(&[], &error.to_string())
    })
}

/// Reads a record.
///
/// # Errors
/// When the bytes are not a record, or are one of a newer release.
pub fn decode(record: &[u8]) -> Result<Envelope, DecodeError> {
    let (kind, schema, rest) = split_kind(record)?;
    let (header, event) = Event::read_body(kind, schema, rest)?;
    let Header { seq, at, actor, cause, run_seq, request, altered } = header;
    Ok(Envelope { seq, at, actor, cause, run_seq, request, altered, event })
}

fn split_kind(record: &[u8]) -> Result<(u16, u8, &[u8]), DecodeError> {
    match record.split_first_chunk::<3>() {
        Some((&[low, high, schema], rest)) => Ok((u16::from_le_bytes([low, high]), schema, rest)),
        None => Err(damaged(record, "shorter than its kind")),
    }
}

/// A record with its body as it stands in the log, whatever its kind and schema: what hashes are taken of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawRecord<'a> {
    /// Number of the kind.
    pub kind: u16,
    /// Number of the schema.
    pub schema: u8,
    /// See [`Envelope::seq`].
    pub seq: Seq,
    /// See [`Envelope::at`].
    pub at: Timestamp,
    /// See [`Envelope::actor`].
    pub actor: Actor,
    /// See [`Envelope::cause`].
    pub cause: Seq,
    /// See [`Envelope::run_seq`].
    pub run_seq: u64,
    /// See [`Envelope::request`].
    pub request: Option<RequestKey>,
    /// See [`Envelope::altered`].
    pub altered: bool,
    /// The body of the event.
    pub body: &'a [u8],
}

/// Reads all of a record but its body.
///
/// # Errors
/// When the bytes are not a record.
pub fn split(record: &[u8]) -> Result<RawRecord<'_>, DecodeError> {
    let (kind, schema, mut body) = split_kind(record)?;
    let options = options(record.len() as u64).allow_trailing_bytes();
    let header: Header = options.deserialize_from(&mut body).map_err(|error| damaged(record, &error.to_string()))?;
    let Header { seq, at, actor, cause, run_seq, request, altered } = header;
    Ok(RawRecord { kind, schema, seq, at, actor, cause, run_seq, request, altered, body })
}

/// The kind of a record, without reading the rest.
#[must_use]
pub fn kind_of(record: &[u8]) -> Option<u16> {
    record.first_chunk::<2>().map(|bytes| u16::from_le_bytes(*bytes))
}

/// Form of a snapshot; another form is not read but replaced from the log.
const SNAPSHOT_FORM: u16 = 3;

pub(crate) fn write_snapshot<T: Serialize>(state: &T, mut out: &mut dyn std::io::Write) -> std::io::Result<()> {
    out.write_all(&SNAPSHOT_FORM.to_le_bytes())?;
    bincode::DefaultOptions::new().serialize_into(&mut out, state).map_err(std::io::Error::other)
}

pub(crate) fn read_snapshot<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let Some((form, rest)) = bytes.split_first_chunk::<2>() else {
        return Err(damaged(bytes, "shorter than its form"));
    };
    if u16::from_le_bytes(*form) != SNAPSHOT_FORM {
        return Err(damaged(bytes, "a snapshot of another release"));
    }
    options(rest.len() as u64).deserialize(rest).map_err(|error| damaged(bytes, &error.to_string()))
}
