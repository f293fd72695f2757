//! What goes over the wire, as an [AsyncAPI 3.0](https://www.asyncapi.com/docs/reference/specification/v3.0.0) document.
//!
//! It takes the coordinator's side: the coordinator *receives* what clients send. Parameters are described as the
//! coordinator reads them, results and its notifications as it writes them.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::notices::{NOTICES, Notice, Sender};
use crate::api::methods::{Entry, METHODS};
use crate::client::{Envelope, ErrorObject};
use crate::protocol::frame::ID_CHARS_MAX;

/// Where the document keeps schemas, as schemas point to them.
const SCHEMAS: &str = "/components/schemas";
/// The one channel: a connection.
const CHANNEL: &str = "#/channels/connection";
/// The reply to every request that is not granted.
const REFUSAL: &str = "refusal";

const ABOUT: &str = "\
Pipelines of tasks, and the agents that do them. Every message is one JSON object in a text frame of a WebSocket \
connection, at any path. Requests are answered under their id, with a result or a refusal. A parameter that is null counts \
as missing, except the value of `memory/set`. Objects may have further fields: those of a record come with later versions, \
those of a configuration are kept as they are.";

/// The document.
pub(crate) fn document() -> Value {
    Describer::of_everything().finish()
}

/// The parts of the document as they come together.
pub(super) struct Describer {
    /// Of what the coordinator reads.
    read: SchemaGenerator,
    /// Of what it writes.
    written: SchemaGenerator,
    /// Any frame.
    envelope: Schema,
    messages: Map<String, Value>,
    operations: Map<String, Value>,
}

impl Describer {
    pub(super) fn of_everything() -> Self {
        let mut this = Self::new();
        METHODS.iter().for_each(|method| this.method(method));
        NOTICES.iter().for_each(|notice| this.notice(notice));
        this
    }

    fn new() -> Self {
        // AsyncAPI's own dialect is this draft of JSON Schema, and more.
        let mut settings = SchemaSettings::draft07().with(|settings| settings.definitions_path = SCHEMAS.into());
        settings.transforms.insert(0, Box::new(RecursiveTransform(only_what_is_common)));
        let read = settings.clone().for_deserialize().into_generator();
        settings.transforms.insert(0, Box::new(RecursiveTransform(without_default)));
        let mut written = settings.for_serialize().into_generator();
        let mut envelope = Envelope::json_schema(&mut written);
        envelope.remove("description");
        let refusal = answer(nothing(), json!(written.subschema_for::<ErrorObject>()));
        let mut this = Self { read, written, envelope, messages: Map::new(), operations: Map::new() };
        this.message(REFUSAL, REFUSAL, "Why a request is not granted. Nothing has changed.", this.frame(refusal));
        this
    }

    fn method(&mut self, entry: &Entry) {
        let Entry { method, summary, params, result, .. } = entry;
        let id = entry.id.to_lowercase();
        let (request, reply) = (format!("{id}_request"), format!("{id}_reply"));
        let asked = self.frame_of_client("request", &["id", "type", "method"], method, *params);
        self.message(&request, method, summary, asked);
        let answer = answer(json!(result(&mut self.written)), nothing());
        self.message(&reply, &format!("{method} reply"), &format!("The result of `{method}`."), self.frame(answer));
        let replies = json!({"channel": reference(CHANNEL), "messages": refer_to(&[&reply, REFUSAL])});
        let mut operation = operation("receive", summary, &request);
        operation["reply"] = replies;
        self.operations.insert(id, operation);
    }

    fn notice(&mut self, notice: &Notice) {
        let Notice { sender, method, summary, params } = notice;
        let name = method.replace(['/', '-'], "_");
        let (id, action, payload) = match sender {
            Sender::Client => {
                let payload = self.frame_of_client("notification", &["type", "method"], method, *params);
                (format!("notify_{name}"), "receive", payload)
            }
            Sender::Coordinator => {
                let params = params(&mut self.written);
                let fields = said("notification", method, &params);
                (format!("on_{name}"), "send", self.frame(fields))
            }
        };
        self.message(&id, method, summary, payload);
        let operation = operation(action, summary, &id);
        self.operations.insert(id, operation);
    }

    fn message(&mut self, id: &str, name: &str, summary: &str, mut payload: Value) {
        payload["title"] = json!(title(id));
        let correlation = reference("#/components/correlationIds/id");
        let message =
            json!({"name": name, "summary": summary.trim(), "correlationId": correlation, "payload": payload});
        self.messages.insert(id.to_owned(), message);
    }

    /// A frame of which these fields are known.
    fn frame(&self, fields: Value) -> Value {
        let mut frame = json!(self.envelope);
        if let (Some(known), Value::Object(fields)) = (frame["properties"].as_object_mut(), fields) {
            known.extend(fields);
        }
        frame
    }

    /// A frame of a client, of which only so much is needed.
    fn frame_of_client(
        &mut self,
        kind: &str,
        needed: &[&str],
        method: &str,
        params: fn(&mut SchemaGenerator) -> Schema,
    ) -> Value {
        let params = params(&mut self.read);
        let mut needed = needed.to_vec();
        if self.needs_fields(&params) {
            needed.push("params");
        }
        let mut frame = self.frame(said(kind, method, &params));
        frame["properties"]["id"]["maxLength"] = json!(ID_CHARS_MAX);
        frame["required"] = json!(needed);
        frame
    }

    fn needs_fields(&self, params: &Schema) -> bool {
        let name = params.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next());
        name.and_then(|name| self.read.definitions().get(name)).is_some_and(|schema| schema.get("required").is_some())
    }

    /// The schemas of what the coordinator reads, and of what it writes. Where both have a name it means the same.
    pub(super) fn schemas(&mut self) -> (Map<String, Value>, Map<String, Value>) {
        (self.read.take_definitions(true), self.written.take_definitions(true))
    }

    fn finish(mut self) -> Value {
        let (mut schemas, written) = self.schemas();
        schemas.extend(written);
        json!({
            "asyncapi": "3.0.0",
            "info": {
                "title": "everlog",
                "version": env!("CARGO_PKG_VERSION"),
                "description": ABOUT,
                "license": {"name": env!("CARGO_PKG_LICENSE")},
            },
            "defaultContentType": "application/json",
            "servers": {"coordinator": {"host": "localhost:8700", "protocol": "ws"}},
            "channels": {"connection": {"address": "/", "messages": self.messages}},
            "operations": self.operations,
            "components": {
                "schemas": schemas,
                "correlationIds": {
                    "id": {"location": "$message.payload#/id", "description": "A reply has its request's id."},
                },
            },
        })
    }
}

fn operation(action: &str, summary: &str, message: &str) -> Value {
    let messages = refer_to(&[message]);
    json!({"action": action, "channel": reference(CHANNEL), "summary": summary.trim(), "messages": messages})
}

/// What generators of code name a type after: `task_create_reply` is `TaskCreateReply`.
fn title(id: &str) -> String {
    let words = id.split('_').filter_map(|word| word.split_at_checked(1));
    words.map(|(first, rest)| first.to_uppercase() + rest).collect()
}

/// The schema of null.
fn nothing() -> Value {
    json!({"type": "null"})
}

/// The fields of a request or a notification.
fn said(kind: &str, method: &str, params: &Schema) -> Value {
    let (kind, method) = (json!({"const": kind}), json!({"const": method}));
    json!({"type": kind, "method": method, "params": params, "result": nothing(), "error": nothing()})
}

/// The fields of a response.
fn answer(result: Value, error: Value) -> Value {
    let (kind, method) = (json!({"const": "response"}), json!({"const": ""}));
    json!({"type": kind, "method": method, "params": nothing(), "result": result, "error": error})
}

fn reference(target: &str) -> Value {
    json!({"$ref": target})
}

fn refer_to(messages: &[&str]) -> Vec<Value> {
    messages.iter().map(|id| reference(&format!("{CHANNEL}/messages/{id}"))).collect()
}

/// Leaves out what only Rust knows: formats of its numbers, links of its documentation; and what goes without saying.
fn only_what_is_common(schema: &mut Schema) {
    if schema.get("default").is_some_and(Value::is_null) {
        schema.remove("default");
    }
    if schema.get("format").is_some_and(|format| format != "date-time") {
        schema.remove("format");
    }
    // A reference stands alone in this draft, and what it refers to says what it is.
    if schema.get("$ref").is_some() && schema.get("default").is_none() {
        schema.remove("description");
    }
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = description.replace("[`", "`").replace("`]", "`").replace("`None`", "null");
    }
}

/// Defaults are for readers; the coordinator leaves nothing out.
fn without_default(schema: &mut Schema) {
    schema.remove("default");
}
