//! `ps`, `tasks`, `agents`, `errors`, `status`.

use super::{everlog_ends, failed, json_of, pipeline, prints, short};
use crate::harness::{Agent, Server};
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[test]
fn where_nothing_is_the_next_step_is_told() {
    let server = Server::start();
    for (args, step) in [
        (&["ps"][..], "everlog submit examples/iris/pipeline.yaml"),
        (&["ps", "--all"], "everlog submit examples/iris/pipeline.yaml"),
        (&["ps", "--status", "failed"], "everlog ps --all"),
        (&["tasks"], "everlog submit examples/iris/pipeline.yaml"),
        (&["agents"], "everlog agent --name worker"),
        (&["agents", "--capability", "gpu"], "everlog agents"),
        (&["errors"], "everlog tasks --status failed"),
    ] {
        let ended = everlog_ends(&server, args).expect_code(0);
        ended.expect_told(&[step]);
        assert_eq!(ended.stdout, "", "{args:?}");
    }
    assert_eq!(json_of(&server, &["tasks", "--output", "json"]), json!({"tasks": [], "total": 0}));
    assert_eq!(prints(&server, &["agents", "--output", "ndjson"]), "");
}

#[test]
fn ps_shows_what_is_under_way_and_with_all_what_ended() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "worker");
    let old = failed(&mut host, &mut agent);
    let new = host.request("pipeline/create", json!({"name": "mine", "tasks": [{"name": "t"}]}))["pipeline_id"].clone();
    let ended = everlog_ends(&server, &["ps"]).expect_code(0);
    assert!(ended.stdout.contains("mine") && ended.stdout.contains(short(new.as_str().unwrap())), "{ended:?}");
    assert!(ended.stdout.contains("0/1") && !ended.stdout.contains("nightly"), "{ended:?}");
    ended.expect_told(&["1 ended: see with --all"]);
    let ids = |args: &[&str]| {
        let all = json_of(&server, args);
        let ids = all["pipelines"].as_array().unwrap().iter().map(|pipeline| pipeline["id"].clone());
        (ids.collect::<Vec<_>>(), all["total"].clone())
    };
    let old = json!(old);
    assert_eq!(ids(&["ps", "--output", "json"]), (vec![new.clone()], json!(1)));
    assert_eq!(
        ids(&["ps", "--all", "--output", "json"]),
        (vec![new.clone(), old.clone()], json!(2)),
        "the newest first"
    );
    assert_eq!(ids(&["ps", "--all", "--limit", "1", "--output", "json"]), (vec![new.clone()], json!(2)));
    assert_eq!(ids(&["ps", "--status", "failed", "--output", "json"]), (vec![old], json!(1)));
    host.request("pipeline/delete", json!({"pipeline_id": new}));
    everlog_ends(&server, &["ps"]).expect_code(0).expect_told(&["nothing is under way; 1 ended"]);
}

#[test]
fn listings_come_whole_in_as_many_pages_as_it_takes() {
    const PIPELINES: usize = 1_203;
    let server = Server::start();
    let mut host = server.peer();
    let asked: Vec<String> = (0..PIPELINES)
        .map(|n| host.ask("pipeline/create", json!({"name": format!("p{n}"), "pad": "x".repeat(800)})))
        .collect();
    for id in asked {
        host.answer(&id).granted();
    }
    let lines = prints(&server, &["ps", "--all", "--output", "ndjson"]);
    let name = |line: &str| serde_json::from_str::<Value>(line).unwrap()["name"].as_str().unwrap().to_owned();
    let names: BTreeSet<String> = lines.lines().map(name).collect();
    assert_eq!((lines.lines().count(), names.len()), (PIPELINES, PIPELINES), "each once");
    let tasks: Vec<Value> = (0..PIPELINES).map(|n| json!({"name": format!("t{n}")})).collect();
    pipeline(&mut host, "many", json!(tasks));
    assert_eq!(
        json_of(&server, &["tasks", "many", "--output", "json"])["tasks"].as_array().map(Vec::len),
        Some(PIPELINES)
    );
    let first = everlog_ends(&server, &["tasks", "many", "--limit", "3", "--output", "ndjson"]).expect_code(0);
    assert_eq!(first.stdout.lines().count(), 3);
    first.expect_told(&["1200 more: see all with --limit 1203"]);
}

#[test]
fn tasks_are_told_with_why_and_by_whom() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "worker");
    failed(&mut host, &mut agent);
    let table = prints(&server, &["tasks", "nightly"]);
    let line = |name: &str| table.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(line("load").contains("completed") && line("load").contains("worker"), "{table}");
    assert!(line("train").contains("no \\u001b[31mdata"), "what acts on a terminal is shown: {table}");
    assert!(line("check").contains("'train', which it depends on"), "{table}");
    let names = |args: &[&str]| {
        let all = json_of(&server, args);
        all["tasks"].as_array().unwrap().iter().map(|task| task["name"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&["tasks", "@last", "--status", "failed", "--output", "json"]), ["train"]);
    assert_eq!(names(&["tasks", "--agent", "worker", "--output", "json"]), ["load", "train"]);
    everlog_ends(&server, &["tasks", "--agent", "nobody"]).expect_code(3).expect_told(&["no agent `nobody`"]);
    everlog_ends(&server, &["tasks", "--status", "fialed"]).expect_code(2).expect_told(&["similar value", "failed"]);
}

#[test]
fn agents_and_errors_can_be_narrowed_down() {
    let server = Server::start();
    let mut host = server.peer();
    let _gpu = Agent::register(&server, json!({"id": "g", "name": "gpu-box", "capabilities": ["gpu"], "ready": true}));
    let _cpu = Agent::join(&server, "cpu-box");
    host.request("error/report", json!({"component": "loader", "error_type": "OSError", "message": "gone"}));
    host.request("error/report", json!({"component": "trainer", "error_type": "ValueError", "message": "nan"}));
    let table = prints(&server, &["agents", "--capability", "gpu"]);
    assert!(table.contains("gpu-box") && table.contains("0/1") && !table.contains("cpu-box"), "{table}");
    assert_eq!(json_of(&server, &["agents", "--output", "json"])["total"], 2);
    assert_eq!(prints(&server, &["agents", "--output", "ndjson"]).lines().count(), 2);
    let table = prints(&server, &["errors", "--component", "loader"]);
    assert!(table.contains("OSError") && !table.contains("ValueError"), "{table}");
    let newest = json_of(&server, &["errors", "--limit", "1", "--output", "json"]);
    assert_eq!((&newest["errors"][0]["message"], &newest["total"]), (&json!("nan"), &json!(2)));
}

#[test]
fn status_tells_what_the_thing_is() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "worker");
    let id = failed(&mut host, &mut agent);
    let view = prints(&server, &["status", "nightly"]);
    for words in ["nightly  failed", &id, "1 of 3 completed, 1 failed, 1 cancelled", "no \\u001b[31mdata"] {
        assert!(view.contains(words), "{words}: {view}");
    }
    let view = prints(&server, &["status", "nightly/load"]);
    assert!(view.contains("load  completed") && view.contains(r#"{"rows":150}"#), "{view}");
    assert!(prints(&server, &["status", "worker"]).contains("1 completed, 1 failed"));
    assert_eq!(json_of(&server, &["status", &id, "--output", "json"])["id"], json!(id));
    assert_eq!(json_of(&server, &["status", "load", "--output", "ndjson"])["result"], json!({"rows": 150}));
    everlog_ends(&server, &["status", "nothing"]).expect_code(3).expect_told(&["no pipeline, task or agent `nothing`"]);
}

#[test]
fn colours_are_for_terminals_unless_they_are_asked_for() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "worker");
    failed(&mut host, &mut agent);
    for verb in [&["tasks", "nightly"][..], &["status", "nightly"], &["ps", "--all"]] {
        assert!(!prints(&server, verb).contains('\u{1b}'), "{verb:?}");
        let coloured = prints(&server, &[verb, &["--color", "always"]].concat());
        assert!(coloured.contains("\u{1b}["), "{verb:?}");
        assert!(!coloured.contains("[31mdata") || coloured.contains("\\u001b[31mdata"), "{verb:?}");
    }
}
