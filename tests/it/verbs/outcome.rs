//! `wait`, `result`, `watch`: how it ended.

use super::{everlog_ends, failed, pipeline, prints, start};
use crate::harness::{Agent, Server};
use rustix::process::Signal;
use serde_json::{Value, json};

#[test]
fn a_result_is_printed_as_it_is() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "worker");
    pipeline(&mut host, "p", json!([{"name": "number"}, {"name": "text"}, {"name": "late"}]));
    agent.work(json!(42));
    agent.work(json!("two\nlines"));
    assert_eq!(prints(&server, &["result", "p/number"]), "42\n");
    assert_eq!(prints(&server, &["result", "text"]), "\"two\\nlines\"\n");
    assert_eq!(prints(&server, &["result", "text", "--raw"]), "two\nlines\n");
    let late = agent.next();
    everlog_ends(&server, &["result", "p/late"]).expect_code(75).expect_told(&["is assigned", "everlog wait"]);
    agent.fail(&late, "broke");
    everlog_ends(&server, &["result", "p/late"]).expect_code(1).expect_told(&["late", "failed: broke"]);
    let long = pipeline(&mut host, "long", json!([{"name": "huge"}]));
    let huge = agent.next();
    agent.complete(&huge, json!("x".repeat((1 << 20) - 400)));
    everlog_ends(&server, &["result", "--pipeline", &long, "huge"])
        .expect_code(1)
        .expect_told(&["longer than a frame"]);
}

#[test]
fn waiting_ends_when_all_have_ended_and_the_worst_counts() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "worker");
    pipeline(&mut host, "good", json!([{"name": "t"}]));
    agent.work(json!(1));
    host.next_notification("pipeline/completed");
    let ended = everlog_ends(&server, &["wait", "good"]).expect_code(0);
    assert!(ended.stdout.contains("completed") && ended.stdout.contains("1 of 1 completed"), "{ended:?}");
    failed(&mut host, &mut agent);
    let ended = everlog_ends(&server, &["wait", "good", "nightly"]).expect_code(1);
    assert_eq!(ended.stdout.lines().count(), 2);
    ended.expect_told(&["task 'train' failed", "everlog retry"]);
    everlog_ends(&server, &["wait", "nightly", "--for", "ended"]).expect_code(0);
    host.request("pipeline/create", json!({"name": "idle"}));
    let mut waits = start(&server, &["wait", "idle", "good"]);
    waits.until_told("everlog start");
    prints(&server, &["stop", "idle"]);
    let ended = waits.end().expect_code(1);
    assert!(ended.stdout.contains("stopped"), "{ended:?}");
}

#[test]
fn waiting_has_a_limit() {
    let server = Server::start();
    let mut host = server.peer();
    pipeline(&mut host, "slow", json!([{"name": "t"}]));
    let ended = everlog_ends(&server, &["wait", "slow", "--timeout", "50ms"]).expect_code(124);
    ended.expect_told(&["after 50ms", "slow is running"]);
    for wrong in ["soon", "5", "-5s"] {
        everlog_ends(&server, &["wait", "slow", &format!("--timeout={wrong}")])
            .expect_code(2)
            .expect_told(&["30s, 5m or 1h30m"]);
    }
}

#[test]
fn submit_can_wait_for_the_end() {
    let server = Server::start();
    let _agent = start(&server, &["agent", "--name", "worker"]);
    for (command, code) in [("true", 0), ("false", 1)] {
        let text = format!("name: p\nretry_attempts: 0\ntasks:\n  - {{name: t, command: ['{command}']}}\n");
        std::fs::write(server.home().join("p.yaml"), text).unwrap();
        let ended = everlog_ends(&server, &["submit", "p.yaml", "--wait"]).expect_code(code);
        assert_eq!(ended.stdout.lines().count(), 2, "{ended:?}");
        let ended = everlog_ends(&server, &["submit", "p.yaml", "--wait", "--output", "json"]).expect_code(code);
        let record: Value = serde_json::from_str(&ended.stdout).expect("one document");
        assert_eq!(record["metrics"][["tasks_completed", "tasks_failed"][code as usize]], 1, "{record}");
        let ended = everlog_ends(&server, &["submit", "p.yaml", "--wait", "--output", "ndjson"]).expect_code(code);
        let last: Value = serde_json::from_str(ended.stdout.lines().last().expect("records")).expect("a record");
        assert_eq!(
            (&last["kind"], &last["status"]),
            (&json!("pipeline"), &json!(["completed", "failed"][code as usize]))
        );
    }
}

#[test]
fn leaving_a_watch_leaves_the_pipeline_alone() {
    let server = Server::start();
    let mut host = server.peer();
    let id = pipeline(&mut host, "p", json!([{"name": "t"}]));
    let mut watch = start(&server, &["watch", "p"]);
    watch.until_told("pipeline: running");
    watch.signal(Signal::INT);
    watch.end().expect_code(130).expect_told(&["the pipeline goes on", "everlog watch"]);
    assert_eq!(host.request("pipeline/status", json!({"pipeline_id": id}))["status"], "running");
}

#[test]
fn a_failure_is_told_once() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "worker");
    failed(&mut host, &mut agent);
    let watch = everlog_ends(&server, &["watch", "nightly"]).expect_code(1);
    watch.expect_told(&["train: failed", "everlog retry"]);
    assert_eq!(watch.stderr.matches("no \\u001b[31mdata").count(), 1, "{watch:?}");
    everlog_ends(&server, &["start", "nightly"]).expect_code(5).expect_told(&["is failed", "`everlog retry` runs"]);
}
