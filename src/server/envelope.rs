//! Frames as they leave: exactly seven fields in a fixed order, put together by hand from texts that are JSON already.

use std::fmt::Write;

/// Writes the answer to a request; `result` is JSON.
pub(super) fn result(out: &mut String, id: &str, at: &str, result: &str) {
    start(out, id, "response", "", at);
    push(out, &[r#","params":null,"result":"#, result, r#","error":null}"#]);
}

/// Writes the refusal of a request; `error` is JSON.
pub(super) fn error(out: &mut String, id: &str, at: &str, error: &str) {
    start(out, id, "response", "", at);
    push(out, &[r#","params":null,"result":null,"error":"#, error, "}"]);
}

/// Writes a notification, the `number`th to this connection; `params` is JSON.
pub(super) fn notification(out: &mut String, connection: u64, number: u64, method: &str, at: &str, params: &str) {
    out.clear();
    // Writing into a String never fails.
    let _ = write!(out, r#"{{"id":"{connection}-{number}","#);
    head(out, "notification", method, at);
    push(out, &[r#","params":"#, params, r#","result":null,"error":null}"#]);
}

fn start(out: &mut String, id: &str, frame_type: &str, method: &str, at: &str) {
    out.clear();
    out.push_str(r#"{"id":"#);
    text(out, id);
    out.push(',');
    head(out, frame_type, method, at);
}

/// The methods that the server names need no escape.
fn head(out: &mut String, frame_type: &str, method: &str, at: &str) {
    push(out, &[r#""type":""#, frame_type, r#"","method":""#, method, r#"","timestamp":""#, at, "\""]);
}

fn push(out: &mut String, pieces: &[&str]) {
    for piece in pieces {
        out.push_str(piece);
    }
}

/// A text as JSON: nearly every id is a UUID and needs no escape.
pub(super) fn text(out: &mut String, text: &str) {
    let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    if text.bytes().all(is_plain) {
        push(out, &["\"", text, "\""]);
    } else {
        let _ = write!(out, "{}", serde_json::Value::from(text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const AT: &str = "2000-02-29T00:00:00.000001+00:00";
    const FIELDS: [&str; 7] = ["id", "type", "method", "timestamp", "params", "result", "error"];

    fn frame(text: &str) -> Value {
        let frame: Value = serde_json::from_str(text).unwrap();
        let mut keys: Vec<&str> = frame.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        let mut fields = FIELDS;
        fields.sort_unstable();
        assert_eq!(keys, fields, "existing clients build an object from exactly these keys");
        frame
    }

    #[test]
    fn every_frame_has_the_seven_fields() {
        let mut out = "left over".to_owned();
        result(&mut out, "one", AT, r#"{"a":1}"#);
        assert_eq!(
            frame(&out),
            json!({"id": "one", "type": "response", "method": "", "timestamp": AT, "params": null, "result": {"a": 1}, "error": null})
        );
        error(&mut out, "two", AT, r#"{"code":-1,"message":"no"}"#);
        assert_eq!((&frame(&out)["error"]["code"], &frame(&out)["result"]), (&json!(-1), &Value::Null));
        notification(&mut out, 7, 3, "server/heartbeat", AT, "{}");
        assert_eq!(
            frame(&out),
            json!({"id": "7-3", "type": "notification", "method": "server/heartbeat", "timestamp": AT, "params": {}, "result": null, "error": null})
        );
    }

    #[test]
    fn odd_ids_come_back_as_they_were() {
        let mut out = String::new();
        for id in ["", "é\u{1f600}", "\"quoted\\\"", "line\nfeed\u{1}", "\u{7f}\u{2028}"] {
            result(&mut out, id, AT, "{}");
            assert_eq!(frame(&out)["id"], id);
        }
    }

    #[test]
    fn the_envelope_of_the_worst_id_fits_the_room_that_is_left_for_it() {
        let mut out = String::new();
        result(&mut out, &"\u{1}".repeat(crate::protocol::frame::ID_CHARS_MAX), AT, "");
        assert!(out.len() <= super::super::limits::ENVELOPE_BYTES_MAX, "{}", out.len());
    }
}
