//! What holds for every frame of the server, whatever the test is about: seven fields, canonical words, timestamps in one exact
//! form; and the records of protocol §5 as tables of names and types.

use serde_json::{Map, Value};

/// The fields of every frame, sorted.
const FIELDS: [&str; 7] = ["error", "id", "method", "params", "result", "timestamp", "type"];
/// Fields that hold a client's own words, where anything goes.
const CLIENTS_OWN: [&str; 8] = ["config", "value", "details", "context", "result", "inputs", "metrics", "data"];

/// Checks a frame; its parsed form.
#[track_caller]
pub(super) fn frame(text: &str) -> Map<String, Value> {
    let Ok(Value::Object(frame)) = serde_json::from_str(text) else { panic!("no JSON object: {text}") };
    let mut keys: Vec<&str> = frame.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, FIELDS, "existing clients build an object from exactly these keys: {text}");
    assert!(is_time(&frame["timestamp"]), "timestamp: {text}");
    assert!(frame["id"].is_string(), "id: {text}");
    match frame["type"].as_str() {
        Some("response") => response(&frame, text),
        Some("notification") => notification(&frame, text),
        _ => panic!("type: {text}"),
    }
    frame
}

#[track_caller]
fn response(frame: &Map<String, Value>, text: &str) {
    assert_eq!(frame["method"], "", "method: {text}");
    assert!(frame["result"].is_null() != frame["error"].is_null(), "one of result and error: {text}");
    if let Some(result) = frame["result"].as_object() {
        times(result, text);
    }
    if frame["error"].is_null() {
        return;
    }
    let error = frame["error"].as_object().unwrap_or_else(|| panic!("error: {text}"));
    let message = error["message"].as_str().unwrap_or_default();
    assert!(message.contains(' ') && message.len() < 2_000, "message: {text}");
    assert!(error.keys().all(|key| matches!(key.as_str(), "code" | "message" | "data")), "error: {text}");
}

#[track_caller]
fn notification(frame: &Map<String, Value>, text: &str) {
    assert!(frame["method"].as_str().is_some_and(|method| method.contains('/')), "method: {text}");
    assert!(frame["result"].is_null() && frame["error"].is_null(), "a notification: {text}");
    let params = frame["params"].as_object().unwrap_or_else(|| panic!("params: {text}"));
    if frame["method"] != "claude-flow/hook" {
        times(params, text);
    }
}

/// Every time that the server itself says has the one form.
#[track_caller]
fn times(object: &Map<String, Value>, text: &str) {
    for (key, value) in object {
        let named = key == "timestamp" || key == "last_active" || key.ends_with("_at");
        assert!(!named || value.is_null() || is_time(value), "{key}: {text}");
        if CLIENTS_OWN.contains(&key.as_str()) {
            continue;
        }
        if let Some(inner) = value.as_object() {
            times(inner, text);
        }
        let items = value.as_array().into_iter().flatten();
        items.filter_map(Value::as_object).for_each(|item| times(item, text));
    }
}

/// `YYYY-MM-DDTHH:MM:SS.ffffff+00:00`.
fn is_time(value: &Value) -> bool {
    const FORM: &[u8] = b"0000-00-00T00:00:00.000000+00:00";
    let text = value.as_str().unwrap_or_default().as_bytes();
    let digits_match = |(at, (c, form)): (usize, (&u8, &u8))| {
        if *form == b'0' && at < 26 { c.is_ascii_digit() } else { c == form }
    };
    text.len() == FORM.len() && text.iter().zip(FORM).enumerate().all(digits_match)
}

/// Microseconds within the day of a time of the server, for differences.
#[track_caller]
pub(crate) fn micros(time: &Value) -> i64 {
    assert!(is_time(time), "{time}");
    let text = time.as_str().unwrap_or_default();
    let part = |from: usize, to: usize| text[from..to].parse::<i64>().unwrap();
    ((part(8, 10) * 24 + part(11, 13)) * 3_600 + part(14, 16) * 60 + part(17, 19)) * 1_000_000 + part(20, 26)
}

pub(crate) fn is_uuid(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.len() == 36 && uuid::Uuid::try_parse(text).is_ok())
}

/// A record's promised fields, each with its type; `?` allows null, words with `|` list the values.
pub(crate) const PIPELINE_INFO: &[(&str, &str)] = &[
    ("id", "uuid"),
    ("name", "text"),
    ("status", "idle|starting|running|paused|stopping|completed|failed|error"),
    ("created_at", "time"),
    ("updated_at", "time"),
    ("config", "object"),
    ("metrics", "object"),
    ("error_info", "any"),
];
/// See [`PIPELINE_INFO`].
pub(crate) const TASK_INFO: &[(&str, &str)] = &[
    ("id", "uuid"),
    ("pipeline_id", "text"),
    ("name", "text"),
    ("status", "pending|assigned|running|completed|failed|cancelled"),
    ("assigned_agent", "text?"),
    ("created_at", "time"),
    ("started_at", "time?"),
    ("completed_at", "time?"),
    ("config", "object"),
    ("result", "any"),
    ("error_info", "any"),
];
/// See [`PIPELINE_INFO`].
pub(crate) const AGENT_INFO: &[(&str, &str)] = &[
    ("id", "text"),
    ("name", "text"),
    ("type", "text"),
    ("status", "active|lost|disconnected"),
    ("capabilities", "texts"),
    ("current_task", "uuid?"),
    ("current_tasks", "texts"),
    ("performance_score", "number"),
    ("last_active", "time?"),
];
/// See [`PIPELINE_INFO`].
pub(crate) const MODEL_METRICS: &[(&str, &str)] = &[
    ("model_id", "text"),
    ("accuracy", "number?"),
    ("precision", "number?"),
    ("recall", "number?"),
    ("f1_score", "number?"),
    ("loss", "number?"),
    ("training_time", "number?"),
    ("memory_usage", "number?"),
    ("cpu_usage", "number?"),
    ("timestamp", "time"),
];

/// Checks a record against its table.
#[track_caller]
pub(crate) fn record(value: &Value, fields: &[(&str, &str)]) {
    for (name, kind) in fields {
        let field = value.get(name).unwrap_or_else(|| panic!("{name} is missing in {value}"));
        assert!(is_a(field, kind), "{name} is no {kind} in {value}");
    }
}

fn is_a(value: &Value, kind: &str) -> bool {
    if let Some(kind) = kind.strip_suffix('?') {
        return value.is_null() || is_a(value, kind);
    }
    match kind {
        "any" => true,
        "uuid" => is_uuid(value),
        "text" => value.is_string(),
        "time" => is_time(value),
        "object" => value.is_object(),
        "number" => value.is_number(),
        "texts" => value.as_array().is_some_and(|all| all.iter().all(Value::is_string)),
        words => value.as_str().is_some_and(|word| words.split('|').any(|known| known == word)),
    }
}
