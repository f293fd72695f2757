//! Protocol §1: what a frame may look like on its way in.

use crate::harness::Server;
use serde_json::{Value, json};

#[test]
fn the_type_may_be_spelt_as_clients_do() {
    let server = Server::start();
    let mut peer = server.peer();
    let spellings = ["request", "REQUEST", "Request", "MCPMessageType.REQUEST", "mcp.MCPMessageType.Request"];
    for (n, spelling) in spellings.iter().enumerate() {
        peer.send(spelling, &n.to_string(), "pipeline/list", &json!({}));
        assert_eq!(peer.answer(&n.to_string()).granted()["total"], 0, "{spelling}");
    }
    for kind in ["MCPMessageType.NOTIFICATION", "response", "MCPMessageType.ERROR", "Error"] {
        peer.send(kind, "unanswered", "anything/at-all", &json!({"a": 1}));
    }
    peer.expect_silence("anything/at-all");
}

#[test]
fn any_text_up_to_128_characters_is_an_id() {
    let server = Server::start();
    let mut peer = server.peer();
    for id in ["1", "\"quoted\\\"", "zeile\n\u{1}", "ü\u{1f600}", &"ü".repeat(128)] {
        peer.send("request", id, "pipeline/list", &json!({}));
        peer.answer(id).granted();
    }
    peer.send("request", &"i".repeat(129), "pipeline/list", &json!({}));
    let refused = peer.next_answer().refused();
    assert_eq!(refused.code, -32_600);
    assert!(refused.message.contains("128"), "{refused:?}");
}

#[test]
fn what_is_no_message_is_refused_and_the_connection_stays() {
    let server = Server::start();
    let mut peer = server.peer();
    for text in ["", "{", "[]", "[1, 2]", "null", "\"text\"", "{\"id\": \"1\"", "{'id': '1'}", "\u{0}", "{}{}"] {
        peer.send_text(text);
        let answer = peer.next_answer();
        assert_eq!((answer.id(), answer.refused().code), ("unknown", -32_600), "{text}");
    }
    for (text, id) in [
        (r#"{"id": "a", "method": "pipeline/list"}"#, "a"),
        (r#"{"id": "b", "type": "question", "method": "pipeline/list"}"#, "b"),
        (r#"{"id": "c", "type": 7, "method": "pipeline/list"}"#, "c"),
        (r#"{"id": "d", "type": "request"}"#, "d"),
        (r#"{"id": "e", "type": "request", "method": ""}"#, "e"),
        (r#"{"id": "f", "type": "request", "method": ["pipeline/list"]}"#, "f"),
        (r#"{"type": "request", "method": "pipeline/list"}"#, "unknown"),
        (r#"{"id": null, "type": "request", "method": "pipeline/list"}"#, "unknown"),
        (r#"{"id": {"a": 1}, "type": "request", "method": "pipeline/list"}"#, "unknown"),
    ] {
        peer.send_text(text);
        assert_eq!(peer.answer(id).refused().code, -32_600, "{text}");
    }
    assert_eq!(peer.request("pipeline/list", json!({}))["total"], 0);
}

#[test]
fn unknown_methods_are_named_and_the_nearest_known_one_too() {
    let server = Server::start();
    let mut peer = server.peer();
    let refused = peer.refused(-32_601, "pipelines/create", json!({"name": "p"}));
    assert!(refused.message.contains("pipeline/create"), "{refused:?}");
    assert_eq!(refused.data["method"], "pipelines/create");
    peer.refused(-32_601, "no/such/thing", json!(null));
}

#[test]
fn params_may_be_missing_or_null_but_nothing_else_than_an_object() {
    let server = Server::start();
    let mut peer = server.peer();
    peer.send_text(r#"{"id": "1", "type": "request", "method": "pipeline/list"}"#);
    peer.answer("1").granted();
    peer.request("pipeline/list", Value::Null);
    for params in [json!([]), json!("text"), json!(1), json!(true)] {
        assert!(peer.refused(-32_602, "pipeline/list", params).message.contains("params"));
    }
}

#[test]
fn further_fields_and_odd_timestamps_are_no_error() {
    let server = Server::start();
    let mut peer = server.peer();
    for timestamp in ["\"2026-01-01T00:00:00\"", "\"2026-01-01T00:00:00.123456789Z\"", "\"yesterday\"", "null", "17"] {
        let text = format!(
            r#"{{"id": "1", "type": "request", "method": "agent/list", "timestamp": {timestamp}, "jsonrpc": "2.0", "extra": [1]}}"#
        );
        peer.send_text(text);
        assert_eq!(peer.answer("1").granted()["total"], 0, "{timestamp}");
    }
}

#[test]
fn notifications_that_nobody_knows_are_no_error() {
    let server = Server::start();
    let mut peer = server.peer();
    peer.notify("client/connected", json!({"anything": [1, 2]}));
    peer.notify("pipeline/create", json!({"name": "only a request creates"}));
    peer.notify("task/progress", json!({"task_id": 7}));
    assert!(peer.drain().is_empty());
    assert_eq!(peer.request("pipeline/list", json!({}))["total"], 0);
}

#[test]
fn what_clients_notify_may_also_be_asked_and_is_answered_then() {
    let server = Server::start();
    let mut peer = server.peer();
    peer.request("agent/register", json!({"id": "a", "name": "a", "ready": true}));
    let task = peer.request("task/create", json!({"name": "t"}))["task_id"].clone();
    peer.next_notification("task/assigned");
    let begun = json!({"task_id": task, "agent_id": "a", "progress": 0.5});
    assert_eq!(peer.request("task/progress", begun)["status"], "recorded");
    assert_eq!(peer.request("task/status", json!({"task_id": task}))["status"], "running");
    assert_eq!(peer.request("agent/metrics", json!({"agent_id": "a", "metrics": {"x": 1}}))["status"], "recorded");
    assert_eq!(peer.request("claude-flow/hook", json!({"type": "pre-task"}))["status"], "recorded");
    let done = json!({"task_id": task, "agent_id": "a", "result": 1, "success": true});
    assert_eq!(peer.request("task/completed", done)["status"], "recorded");
    assert_eq!(peer.request("task/status", json!({"task_id": task}))["status"], "completed");
}
