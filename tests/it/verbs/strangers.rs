//! What speaks the protocol, and is no coordinator of this version.

use super::unreachable::{VERBS, ends};
use serde_json::{Value, json};
use std::net::TcpListener;
use tokio_tungstenite::tungstenite::{Message, accept};

/// Something that gives every request the same answer: a result, or else an error.
fn stranger(result: Value, error: Value) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut socket) = accept(stream.unwrap()) else { continue };
            while let Ok(Message::Text(text)) = socket.read() {
                let request: Value = serde_json::from_str(&text).unwrap();
                let answer = json!({
                    "id": request["id"], "type": "response", "method": "", "timestamp": "2026-01-01T00:00:00.000000+00:00",
                    "params": null, "result": result, "error": error,
                });
                if socket.send(Message::text(answer.to_string())).is_err() {
                    break;
                }
            }
        }
    });
    url
}

const SUBMIT: &[&str] = &["submit", concat!(env!("CARGO_MANIFEST_DIR"), "/examples/fanout.yaml")];
const AGENT: &[&str] = &["agent", "--name", "worker"];
const GET: &[&str] = &["memory", "get", "k"];

/// The verbs whose answers are looked at: not `call`, which shows what it gets, nor `health`, which speaks HTTP.
fn verbs() -> impl Iterator<Item = &'static [&'static str]> {
    VERBS.into_iter().filter(|args| !matches!(args[0], "call" | "health"))
}

#[test]
fn an_old_coordinator_is_told_as_one_whatever_is_asked_of_it() {
    let url = stranger(Value::Null, json!({"code": -32_601, "message": "there is no method 'x'; did you mean y?"}));
    for args in verbs().chain([SUBMIT, AGENT]) {
        let ended = ends(&url, args).expect_code(4);
        ended.expect_told(&["no method", "older than this `everlog`", "update it"]);
        assert_eq!(ended.stdout, "", "{args:?}");
    }
    ends(&url, &["call", "x"]).expect_code(4).expect_told(&["there is no method 'x'; did you mean y?"]);
}

#[test]
fn an_answer_that_says_nothing_is_never_shown_as_an_empty_one() {
    let url = stranger(json!({}), Value::Null);
    for args in verbs().filter(|args| args[0] != "wait").chain([SUBMIT, GET]) {
        let ended = ends(&url, args).expect_code(4);
        ended.expect_told(&["the coordinator at", &url, "answered without", "another version"]);
        assert_eq!(ended.stdout, "", "{args:?}");
    }
}
