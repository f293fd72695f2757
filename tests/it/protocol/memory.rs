//! `memory/*`: values under keys, and the key that the coordinator keeps itself.

use super::task;
use crate::harness::{Agent, Server, micros};
use serde_json::{Value, json};

#[test]
fn values_come_back_as_they_were_stored() {
    let server = Server::start();
    let mut peer = server.peer();
    for value in [
        json!(null),
        json!(0),
        json!(-1.5e-300),
        json!("é\u{1f600}\n"),
        json!([]),
        json!({"a": {"b": [1, null]}}),
        json!("x".repeat(100_000)),
    ] {
        let stored = peer.request("memory/set", json!({"key": "models/one", "value": value}));
        assert_eq!(stored, json!({"key": "models/one", "status": "stored"}));
        let got = peer.request("memory/get", json!({"key": "models/one"}));
        assert_eq!(got, json!({"key": "models/one", "value": value, "exists": true}));
    }
    let unknown = peer.request("memory/get", json!({"key": "unknown"}));
    assert_eq!(unknown, json!({"key": "unknown", "value": null, "exists": false}));
}

#[test]
fn numbers_keep_every_digit() {
    let server = Server::start();
    let mut peer = server.peer();
    peer.send_text(r#"{"id": "1", "type": "request", "method": "memory/set", "params": {"key": "k", "value": [12345678901234567890123, 0.1000, 1E5]}}"#);
    peer.answer("1").granted();
    let shown = peer.request("memory/get", json!({"key": "k"}))["value"].clone();
    assert_eq!(shown[1], 0.1);
    assert!(shown[0].as_f64().is_some_and(|number| number > 1.2e22), "{shown}");
}

#[test]
fn deleting_says_whether_there_was_something() {
    let server = Server::start();
    let mut peer = server.peer();
    peer.request("memory/set", json!({"key": "k", "value": null}));
    assert_eq!(peer.request("memory/delete", json!({"key": "k"})), json!({"key": "k", "status": "deleted"}));
    assert_eq!(peer.request("memory/delete", json!({"key": "k"})), json!({"key": "k", "status": "not_found"}));
    assert_eq!(peer.request("memory/get", json!({"key": "k"}))["exists"], false);
}

#[test]
fn lists_go_by_prefix() {
    let server = Server::start();
    let mut peer = server.peer();
    for key in ["b/2", "a/1", "b/1", "b", "é/1"] {
        peer.request("memory/set", json!({"key": key, "value": 1}));
    }
    assert_eq!(
        peer.request("memory/list", json!({"prefix": "b/"})),
        json!({"keys": ["b/1", "b/2"], "total": 2, "prefix": "b/"})
    );
    assert_eq!(
        peer.request("memory/list", json!({"prefix": "b", "limit": 2})),
        json!({"keys": ["b", "b/1"], "total": 3, "prefix": "b"})
    );
    assert_eq!(peer.request("memory/list", json!({"prefix": "zz"}))["keys"], json!([]));
    let all = peer.request("memory/list", json!({}));
    let mut keys: Vec<&str> = all["keys"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["a/1", "b", "b/1", "b/2", "server/metrics", "é/1"]);
    assert_eq!((&all["total"], &all["prefix"]), (&json!(6), &json!("")));
}

#[test]
fn keys_are_names() {
    let server = Server::start();
    let mut peer = server.peer();
    for method in ["memory/get", "memory/set", "memory/delete"] {
        for key in [json!(null), json!(""), json!(7), json!(["k"]), json!("k".repeat(513))] {
            assert!(peer.refused(-32_602, method, json!({"key": key, "value": 1})).message.contains("key"));
        }
        peer.refused(-32_602, method, json!({"value": 1}));
    }
    assert!(peer.refused(-32_602, "memory/set", json!({"key": "k"})).message.contains("value"));
    peer.refused(-32_602, "memory/list", json!({"prefix": 7}));
    peer.refused(-32_602, "memory/list", json!({"limit": -1}));
}

#[test]
fn the_server_keeps_its_own_figures_current() {
    let server = Server::start();
    let mut host = server.peer();
    let figures = |host: &mut crate::harness::Peer| {
        let got = host.request("memory/get", json!({"key": "server/metrics"}));
        assert_eq!(got["exists"], true);
        micros(&got["value"]["timestamp"]);
        let value = &got["value"];
        ["connected_clients", "active_pipelines", "active_tasks", "registered_agents"].map(|name| value[name].as_u64())
    };
    assert_eq!(figures(&mut host), [Some(1), Some(0), Some(0), Some(0)]);
    let mut agent = Agent::join(&server, "a");
    super::run(&mut host, json!([{"name": "t"}]));
    let given = agent.next();
    assert_eq!(figures(&mut host), [Some(2), Some(1), Some(1), Some(1)]);
    agent.complete(&given, json!(1));
    host.next_notification("pipeline/completed");
    assert_eq!(figures(&mut host), [Some(2), Some(0), Some(0), Some(1)]);
    task(&mut host, "t", json!({}));
    agent.next();
    assert_eq!(figures(&mut host), [Some(2), Some(0), Some(1), Some(1)]);
}
