//! The envelope of protocol §1: the seven fields that every frame has, and no eighth.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::code;
use crate::clock;

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// Wants a response with the same id.
    Request,
    /// Answers a request.
    Response,
    /// Wants no answer.
    Notification,
    /// A failure that belongs to no request.
    Error,
}

/// The `error` object of a response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ErrorObject {
    /// Which kind of refusal.
    #[schemars(schema_with = "codes")]
    pub(crate) code: i64,
    /// One sentence a person can act on.
    #[serde(default)]
    pub(crate) message: String,
    /// Details: the id, the current status, the allowed ones.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    #[schemars(with = "Map<String, Value>")]
    pub(crate) data: Value,
}

fn codes(_: &mut SchemaGenerator) -> Schema {
    let known = code::ALL.iter().map(|(code, meaning)| json_schema!({"const": code, "description": meaning.trim()}));
    json_schema!({"oneOf": known.collect::<Vec<_>>()})
}

/// One frame, as read and as written.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("additionalProperties" = false))]
pub(crate) struct Envelope {
    /// Pairs a response with its request.
    #[serde(default)]
    pub(crate) id: String,
    /// What the frame is for.
    #[serde(rename = "type")]
    #[schemars(with = "String")]
    pub(crate) kind: Kind,
    /// The method, empty in a response.
    #[serde(default)]
    pub(crate) method: String,
    /// When the sender wrote it; for people, never ordered by.
    #[serde(default)]
    pub(crate) timestamp: String,
    /// The arguments of a request or notification.
    #[serde(default)]
    pub(crate) params: Value,
    /// What a successful response carries.
    #[serde(default)]
    pub(crate) result: Value,
    /// What a refusal carries.
    #[serde(default)]
    pub(crate) error: Option<ErrorObject>,
}

/// A request as it is written: its parameters need not be a tree of values, which for a large pipeline would cost most.
#[derive(Debug, Serialize)]
pub(super) struct Request<'a, P> {
    id: Uuid,
    #[serde(rename = "type")]
    kind: Kind,
    method: &'a str,
    timestamp: String,
    params: P,
    result: (),
    error: (),
}

impl<'a, P: Serialize> Request<'a, P> {
    pub(super) fn new(id: Uuid, method: &'a str, params: P) -> Self {
        Self { id, kind: Kind::Request, method, timestamp: clock::now_text(), params, result: (), error: () }
    }
}

impl Envelope {
    fn new(id: String, kind: Kind, method: &str, params: Value, result: Value) -> Self {
        Self { id, kind, method: method.to_owned(), timestamp: clock::now_text(), params, result, error: None }
    }

    pub(crate) fn notification(id: String, method: &str, params: Value) -> Self {
        Self::new(id, Kind::Notification, method, params, Value::Null)
    }

    pub(crate) fn response(id: String, result: Value) -> Self {
        Self::new(id, Kind::Response, "", Value::Null, result)
    }
}
