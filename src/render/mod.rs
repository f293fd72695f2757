//! JSON for the wire: replies, refusals, answers to questions, notifications.
//!
//! The record types and the tables behind them live in `everlog-replay`; here they become text, with long payloads fetched from
//! the log and the limits of a frame kept.

mod models;
mod notice;
mod page;
mod read;
mod reply;
pub(crate) mod told;

pub(crate) use notice::{notice, progress};
pub(crate) use read::read;
pub(crate) use reply::{refusal, reply};

use crate::failure::Failure;
use crate::shared::Shared;
use everlog_replay::record::Reference;
use everlog_replay::{Json, Payload, Refusal};
use serde::Serialize;
use serde_json::value::RawValue;

/// The text of a value that can always be written.
pub(crate) fn text(value: &impl Serialize) -> String {
    match serde_json::to_string(value) {
        Ok(text) => text,
        // Only a map with keys that are no strings, or a broken payload, could end here; both are excluded at the door.
        Err(error) => {
            tracing::error!(%error, "a record can not be written as JSON");
            "null".to_owned()
        }
    }
}

/// What the log says; a log that can not be read is the server's trouble, which the client is told as such.
fn archived<T>(found: Result<T, Failure>) -> Result<T, Refusal> {
    found.map_err(|failure| {
        tracing::error!(%failure, "the log can not be read");
        Refusal::Internal("the log can not be read at the moment; the server's log says why".to_owned())
    })
}

/// The text of a payload, from the log where it is long.
fn resolve(shared: &Shared, payload: &Payload) -> Result<Json, Refusal> {
    match payload {
        Payload::Inline(json) => Ok(json.clone()),
        Payload::Logged(place) => archived(shared.payload(place.seq)),
    }
}

/// Puts the text of a payload in its place, or a reference when it is longer than `room`.
fn fetch_within(
    shared: &Shared,
    payload: &mut Payload,
    room: usize,
    target: impl FnOnce() -> String,
) -> Result<(), Refusal> {
    let long = matches!(payload, Payload::Logged(place) if usize::try_from(place.bytes).unwrap_or(usize::MAX) > room);
    if long {
        *payload = Payload::Inline(text(&Reference { target: target() }).into());
    } else {
        *payload = Payload::Inline(resolve(shared, payload)?);
    }
    Ok(())
}

/// A JSON text as a part of a larger one.
fn raw(json: &Json) -> Box<RawValue> {
    RawValue::from_string(json.as_str().to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}
