//! Clients as they are in the field, quirk by quirk: they must be served unchanged.

use crate::harness::{Agent, Deadline, Gone, Legacy, Server, now};
use serde_json::{Value, json};
use std::io::Read;
use std::time::Duration;

#[test]
fn a_client_in_the_field_works_from_start_to_end() {
    let server = Server::start();
    let mut host = Legacy::connect(&server);
    let mut worker = Legacy::connect(&server);
    let created = host.request(
        "pipeline/create",
        &json!({"name": "p", "config": {"strategy": "parallel", "tasks": [{"name": "one"}, {"name": "two"}]}}),
    );
    host.request("pipeline/start", &json!({"pipeline_id": created["pipeline_id"]}));
    let registered = worker.request("agent/register", &json!({"id": "legacy", "name": "legacy", "type": "worker", "capabilities": []}));
    assert_eq!(registered["status"], "registered");
    // The handler is there only now: the assignment has waited for it.
    worker.on("task/assigned", |params| Some(json!({"did": params["name"]})));
    for _ in 0..2 {
        while worker.turn() != "task/assigned" {}
    }
    assert!(worker.lost.iter().all(|frame| frame.method() != "task/assigned"), "{:?}", worker.lost);
    host.on("pipeline/completed", |_| None);
    while host.turn() != "pipeline/completed" {}
    let tasks = host.request("task/list", &json!({"pipeline_id": created["pipeline_id"], "status": "completed"}));
    let mut results: Vec<String> = tasks["tasks"].as_array().unwrap().iter().map(|task| task["result"].to_string()).collect();
    results.sort_unstable();
    assert_eq!(results, [r#"{"did":"one"}"#, r#"{"did":"two"}"#]);
}

#[test]
fn a_handler_that_blocks_its_read_loop_is_not_flooded() {
    let server = Server::start();
    let mut host = server.peer();
    let mut worker = Legacy::connect(&server);
    worker.request("agent/register", &json!({"id": "legacy", "name": "legacy"}));
    let task = host.request("task/create", json!({"name": "long"}))["task_id"].clone();
    // While the handler runs nothing is read, and everybody else goes on: as in a minute of traffic.
    worker.on("task/assigned", move |_| {
        for n in 0..100 {
            let id = host.request("pipeline/create", json!({"name": format!("p{n}"), "tasks": [{"name": "t", "required_capabilities": ["x"]}]}))["pipeline_id"].clone();
            for method in ["start", "pause", "resume", "stop", "delete"] {
                host.request(&format!("pipeline/{method}"), json!({"pipeline_id": id}));
            }
        }
        Some(json!("done at last"))
    });
    while worker.turn() != "task/assigned" {}
    // Its acknowledgement and its completion are words, after which it may hear up to eight more, and after the completion all:
    // but nothing happens any more, so all that it hears now was sent while it was deaf.
    worker.lost.clear();
    let result = worker.request("task/result", &json!({"task_id": task}));
    assert_eq!((&result["status"], &result["result"]), (&json!("completed"), &json!("done at last")));
    assert!(worker.lost.len() <= 8, "{} other frames: {:?}", worker.lost.len(), worker.lost);
    assert!(!worker.lost.is_empty(), "it is not cut off from the broadcast either");
}

#[test]
fn who_answers_pings_stays_and_who_does_not_goes() {
    let server = Server::start();
    let begun = now();
    let mut deaf = server.peer();
    let mut quiet = server.peer();
    // The deaf one reads bytes and answers nothing; the quiet one answers pings and says nothing.
    let stream = deaf.raw().try_clone().unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(50))).unwrap();
    let gone = std::thread::spawn(move || {
        let mut stream = stream;
        let mut buffer = [0; 4_096];
        while matches!(stream.read(&mut buffer), Ok(bytes) if bytes > 0) {}
        begun.elapsed()
    });
    let listened = quiet.read(Deadline::after(Duration::from_secs(32)));
    assert!(!matches!(listened, Err(Gone::Closed(_))), "who answers pings stays: {listened:?}");
    quiet.request("pipeline/list", json!({}));
    let silent = gone.join().unwrap();
    assert!(silent >= Duration::from_secs(28), "dropped after {silent:?}, before ping and grace were over");
    assert!(silent < Duration::from_secs(48), "dropped only after {silent:?}");
}

#[test]
fn numbers_that_json_does_not_know_do_not_lose_a_completion() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "a");
    let id = host.request("task/create", json!({"name": "t"}))["task_id"].as_str().unwrap().to_owned();
    agent.next();
    agent.peer.send_text(format!(
        r#"{{"id": "1", "type": "MCPMessageType.NOTIFICATION", "method": "task/completed", "timestamp": "2026-01-01T00:00:00",
            "params": {{"task_id": "{id}", "agent_id": "a", "success": true,
            "result": {{"loss": NaN, "best": Infinity, "worst": -Infinity, "huge": 1e999, "fine": 1.5, "text": "NaN"}}}}}}"#
    ));
    agent.sync();
    let result = host.request("task/result", json!({"task_id": id}));
    assert_eq!(result["status"], "completed");
    assert_eq!(
        result["result"],
        json!({"loss": null, "best": null, "worst": null, "huge": null, "fine": 1.5, "text": "NaN"})
    );
    agent.peer.send_text(
        r#"{"id": "m", "type": "request", "method": "model/metrics", "params": {"model_id": "m", "accuracy": NaN, "loss": 0.5}}"#,
    );
    assert_eq!(agent.peer.answer("m").granted()["status"], "recorded");
    let model = host.request("model/metrics", json!({"model_id": "m"}));
    assert_eq!((&model["accuracy"], &model["loss"]), (&Value::Null, &json!(0.5)));
}

#[test]
fn of_duplicate_keys_the_last_counts() {
    let server = Server::start();
    let mut peer = server.peer();
    peer.send_text(
        r#"{"id": "a", "id": "b", "type": "notification", "type": "request", "method": "no", "method": "memory/set",
            "params": {"key": "x"}, "params": {"key": "lost", "key": "kept", "value": 1, "value": 2}}"#,
    );
    assert_eq!(peer.answer("b").granted(), json!({"key": "kept", "status": "stored"}));
    assert_eq!(peer.request("memory/get", json!({"key": "kept"}))["value"], 2);
    assert_eq!(peer.request("memory/get", json!({"key": "lost"}))["exists"], false);
}

#[test]
fn lone_surrogates_are_replaced_and_pairs_kept() {
    let server = Server::start();
    let mut peer = server.peer();
    peer.send_text(
        r#"{"id": "1", "type": "request", "method": "memory/set", "params": {"key": "k\ud800", "value": ["\udc00x", "\ud83d\ude00"]}}"#,
    );
    assert_eq!(peer.answer("1").granted()["key"], "k\u{fffd}");
    assert_eq!(peer.request("memory/get", json!({"key": "k\u{fffd}"}))["value"], json!(["\u{fffd}x", "\u{1f600}"]));
    peer.send_text(r#"{"id": "\ud800", "type": "request", "method": "pipeline/list"}"#);
    peer.answer("\u{fffd}").granted();
}

#[test]
fn acknowledgements_of_what_wants_none_change_nothing() {
    let server = Server::start();
    let mut peer = server.peer();
    for kind in ["response", "MCPMessageType.RESPONSE", "error"] {
        peer.send_text(format!(
            r#"{{"id": "whatever", "type": "{kind}", "method": "", "params": {{}}, "result": {{"status": "acknowledged"}}, "error": null}}"#
        ));
        peer.send_text(format!(r#"{{"id": null, "type": "{kind}", "result": NaN}}"#));
    }
    assert!(peer.drain().is_empty());
}

#[test]
fn a_registration_without_running_is_a_fresh_start() {
    let server = Server::start();
    let mut host = server.peer();
    let register = json!({"id": "legacy", "name": "legacy", "type": "worker", "capabilities": []});
    let mut before = Legacy::connect(&server);
    before.request("agent/register", &register);
    let task = host.request("task/create", json!({"name": "t"}))["task_id"].clone();
    before.on("task/assigned", |_| None);
    while before.turn() != "task/assigned" {}
    // It forgets everything and comes back under its name.
    let mut after = Legacy::connect(&server);
    after.request("agent/register", &register);
    after.on("task/assigned", |params| Some(json!({"attempt": params["attempt"]})));
    while after.turn() != "task/assigned" {}
    // What the old one still says in the agent's name counts no more.
    before.notify("task/completed", &json!({"task_id": task, "agent_id": "legacy", "result": "stale", "success": true}));
    before.request("agent/list", &json!({}));
    after.request("agent/list", &json!({}));
    let result = host.request("task/result", json!({"task_id": task}));
    assert_eq!((&result["status"], &result["result"]), (&json!("completed"), &json!({"attempt": 2})));
}

#[test]
fn any_path_and_any_case_of_host_will_do() {
    let server = Server::start();
    for path in ["/", "/ws", "/mcp/v1?x=1", ""] {
        let (status, _) = crate::bad_input::handshake(server.address(), path, &[("Host", "LOCALHOST")]);
        assert_eq!(status, 101, "{path}");
    }
}
