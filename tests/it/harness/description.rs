//! The description of the protocol, held against what the server really sends: all that is described, and nothing else.

use jsonschema::Validator;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::LazyLock;

static DESCRIPTION: LazyLock<Description> = LazyLock::new(|| {
    Description::of(&serde_json::from_str(include_str!("../../../docs/asyncapi.json")).expect("JSON"))
});

/// What the server may send.
struct Description {
    /// Results by the method that was asked.
    results: BTreeMap<String, Validator>,
    /// Parameters of notifications by their method.
    notices: BTreeMap<String, Validator>,
    refusal: Validator,
}

impl Description {
    fn of(document: &Value) -> Self {
        let mut document = document.clone();
        close(&mut document);
        let validator = |choices: Vec<&Value>| {
            let schema = json!({"anyOf": choices, "components": document["components"]});
            jsonschema::draft7::options().should_validate_formats(true).build(&schema).expect("a schema")
        };
        // What a message says in a field.
        let field = |message: &Value, name: &str| {
            let message = message["$ref"].as_str().expect("a reference").trim_start_matches('#');
            document.pointer(&format!("{message}/payload/properties/{name}")).expect("a schema")
        };
        let mut results: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
        let mut notices = BTreeMap::new();
        for operation in document["operations"].as_object().expect("operations").values() {
            let message = &operation["messages"][0];
            let method = field(message, "method")["const"].as_str().expect("a method").to_owned();
            if operation["action"] == "send" {
                notices.insert(method, validator(vec![field(message, "params")]));
            } else if let [reply, _refusal] = operation["reply"]["messages"].as_array().map_or(&[][..], Vec::as_slice) {
                results.entry(method).or_default().push(field(reply, "result"));
            }
        }
        Self {
            results: results.into_iter().map(|(method, choices)| (method, validator(choices))).collect(),
            notices,
            refusal: validator(vec![&document["components"]["schemas"]["ErrorObject"]]),
        }
    }
}

/// Allows no field that is not described. The document does, for versions to come.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.values_mut().for_each(close);
            if fields.contains_key("properties") && fields.get("type").is_some_and(|kind| kind == "object") {
                fields.entry("additionalProperties").or_insert(json!(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Checks what the server says in a frame; `asked` are the methods to which a response may belong.
#[track_caller]
pub(super) fn check(frame: &Map<String, Value>, asked: &[String]) {
    let Description { results, notices, refusal } = &*DESCRIPTION;
    let method = frame["method"].as_str().unwrap_or_default();
    if frame["type"] == "notification" {
        let described = notices.get(method).unwrap_or_else(|| panic!("{method} is not described"));
        fits(described, &frame["params"], method);
    } else if !frame["error"].is_null() {
        fits(refusal, &frame["error"], "a refusal");
    } else if let [method] = asked {
        let described = results.get(method).unwrap_or_else(|| panic!("{method} is not described"));
        fits(described, &frame["result"], method);
    }
}

#[track_caller]
fn fits(described: &Validator, value: &Value, what: &str) {
    if let Err(error) = described.validate(value) {
        panic!("{what} is not as docs/asyncapi.json has it: {error} at {} in {value}", error.instance_path());
    }
}

#[test]
fn what_is_not_described_is_noticed() {
    let Description { results, notices, refusal } = &*DESCRIPTION;
    let cancelled = |result: Value| results["task/cancel"].is_valid(&result);
    assert!(cancelled(json!({"task_id": "t", "status": "cancelled"})));
    assert!(!cancelled(json!({"task_id": "t", "status": "cancelled", "more": 1})), "a field more");
    assert!(!cancelled(json!({"task_id": "t"})), "a field less");
    assert!(!cancelled(json!({"task_id": "t", "status": "assigned"})), "another word");
    assert!(!notices["pipeline/created"].is_valid(&json!({"pipeline_id": 7, "name": "p"})), "another type");
    assert!(!refusal.is_valid(&json!({"code": -1, "message": "no"})), "a code that nobody knows");
}
