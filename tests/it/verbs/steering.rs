//! `submit`, `start`, `pause`, `resume`, `stop`, `delete`, `cancel`, `retry`.

use super::{everlog_ends, failed, json_of, pipeline, prints, short};
use crate::harness::{Agent, Server};
use serde_json::{Value, json};

const FILE: &str =
    "name: made\ntasks:\n  - {name: a, command: ['true']}\n  - {name: b, command: ['true'], depends_on: [a]}\n";

#[test]
fn a_file_is_submitted_and_started_or_not() {
    let server = Server::start();
    let mut host = server.peer();
    std::fs::write(server.home().join("p.yaml"), FILE).unwrap();
    let status = |host: &mut crate::harness::Peer, id: &str| {
        host.request("pipeline/status", json!({"pipeline_id": id}))["status"].clone()
    };
    let quiet = prints(&server, &["submit", "-q", "p.yaml"]);
    assert_eq!((quiet.lines().count(), status(&mut host, quiet.trim())), (1, json!("running")));
    let idle = json_of(&server, &["submit", "p.yaml", "--no-start", "--output", "json"]);
    assert_eq!((&idle["name"], &idle["status"]), (&json!("made"), &json!("idle")));
    assert_eq!(idle["metrics"]["tasks_total"], 2);
    assert_eq!(status(&mut host, idle["id"].as_str().unwrap()), "idle");
    let told = everlog_ends(&server, &["submit", "p.yaml"]).expect_code(0);
    assert!(told.stdout.contains("started: 2 tasks"), "{told:?}");
    told.expect_told(&["no agent is connected", "everlog agent --name worker"]);
    let _agent = Agent::join(&server, "worker");
    assert_eq!(everlog_ends(&server, &["submit", "p.yaml"]).expect_code(0).stderr, "");
}

#[test]
fn a_faulty_file_is_exit_code_2_and_makes_nothing() {
    let server = Server::start();
    for (name, text, words) in [
        ("key.yaml", "name: p\ntasks:\n  - {name: a, comand: x}\n", "comand"),
        ("circle.yaml", "name: p\ntasks:\n  - {name: a, depends_on: [b]}\n  - {name: b, depends_on: [a]}\n", "circle"),
    ] {
        std::fs::write(server.home().join(name), text).unwrap();
        everlog_ends(&server, &["submit", name]).expect_code(2).expect_told(&[words]);
    }
    everlog_ends(&server, &["submit", "not-there.yaml"]).expect_code(2).expect_told(&["not-there.yaml"]);
    assert_eq!(server.peer().request("pipeline/list", json!({}))["total"], 0);
}

#[test]
fn pipelines_are_steered_one_line_each_and_the_worst_counts() {
    let server = Server::start();
    let mut host = server.peer();
    let [one, two] = ["one", "two"].map(|name| {
        let made = host.request("pipeline/create", json!({"name": name, "tasks": [{"name": "t"}]}));
        made["pipeline_id"].as_str().unwrap().to_owned()
    });
    let line = |name: &str, id: &str, done: &str| format!("{name} ({}) {done}\n", short(id));
    let both = |done: &str| line("one", &one, done) + &line("two", &two, done);
    assert_eq!(prints(&server, &["start", "one", "two"]), both("started"));
    assert_eq!(prints(&server, &["pause", "one", "two"]), both("paused; what runs may finish"));
    assert_eq!(prints(&server, &["resume", "one"]), line("one", &one, "resumed"));
    let mixed = everlog_ends(&server, &["pause", "two", "one", "nothing"]).expect_code(5);
    assert_eq!(mixed.stdout, line("one", &one, "paused; what runs may finish"), "one that fails keeps back no other");
    mixed.expect_told(&["is paused, not running", "there is no pipeline `nothing`"]);
    everlog_ends(&server, &["start", "one"]).expect_code(5).expect_told(&["is paused already"]);
    everlog_ends(&server, &["delete", "one"]).expect_code(5).expect_told(&["stop it first"]);
    assert_eq!(prints(&server, &["stop", "one", "--reason", "done with it"]), line("one", &one, "stopped"));
    everlog_ends(&server, &["resume", "one"]).expect_code(5).expect_told(&["not paused"]);
    assert_eq!(prints(&server, &["delete", "one"]), line("one", &one, "deleted"));
    assert_eq!(prints(&server, &["delete", "--force", "two"]), line("two", &two, "stopped and deleted"));
    assert_eq!(host.request("pipeline/list", json!({}))["total"], 0);
    everlog_ends(&server, &["stop"]).expect_code(2).expect_told(&["PIPELINE"]);
}

#[test]
fn a_pause_can_take_back_what_runs() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "worker");
    pipeline(&mut host, "p", json!([{"name": "t"}]));
    let given = agent.next();
    prints(&server, &["pause", "p", "--running", "cancel"]);
    assert_eq!(agent.peer.next_notification("task/cancelled").params()["task_id"], json!(given.task));
}

#[test]
fn tasks_are_cancelled_once() {
    let server = Server::start();
    let mut host = server.peer();
    let id = pipeline(&mut host, "p", json!([{"name": "a"}, {"name": "b"}]));
    let lines = prints(&server, &["cancel", "--pipeline", "p", "a", "b", "--reason", "too slow"]);
    assert_eq!(lines.lines().filter(|line| line.ends_with(" cancelled")).count(), 2, "{lines}");
    let tasks = host.request("task/list", json!({"pipeline_id": id}))["tasks"].clone();
    assert_eq!(tasks[0]["error_info"]["message"], "too slow");
    everlog_ends(&server, &["cancel", "p/a"]).expect_code(5).expect_told(&["has ended as cancelled"]);
}

#[test]
fn what_failed_is_retried_with_what_was_there() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "worker");
    let id = failed(&mut host, &mut agent);
    let told = prints(&server, &["retry", "nightly"]);
    assert!(told.starts_with(&format!("nightly ({}) retried: 2 tasks run again, as pipeline ", short(&id))), "{told}");
    let again = agent.next();
    assert_eq!((again.name.as_str(), &again.params["inputs"]), ("train", &json!({"load": {"rows": 150}})));
    agent.fail(&again, "again");
    host.next_notification("pipeline/failed");
    let answer = &json_of(&server, &["retry", "@last/train", "--output", "json"])["retries"][0];
    assert_eq!((&answer["status"], answer["task_ids"].as_array().map(Vec::len)), (&json!("retried"), Some(2)));
    let again = agent.next();
    agent.complete(&again, json!(1));
    agent.work(Value::Null);
    host.next_notification("pipeline/completed");
    everlog_ends(&server, &["retry", "@last"]).expect_code(5).expect_told(&["is completed"]);
    everlog_ends(&server, &["retry", "worker"]).expect_code(2).expect_told(&["is an agent"]);
    everlog_ends(&server, &["retry", "--pipeline", short(&id), "load"]).expect_code(5);
}
