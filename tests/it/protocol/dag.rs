//! Tasks that wait for each other.

use super::{create, id_of, named, run, task, task_info};
use crate::harness::{Agent, Server};
use serde_json::{Value, json};

#[test]
fn results_become_inputs_by_name() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "a");
    let pipeline = run(
        &mut host,
        json!([
            {"name": "join", "depends_on": ["left", "right"]},
            {"name": "left", "config": {"depends_on": ["load"]}},
            {"name": "right", "depends_on": ["load"]},
            {"name": "load"},
        ]),
    );
    let load = agent.next();
    assert_eq!((load.name.as_str(), &load.params["inputs"]), ("load", &json!({})));
    agent.complete(&load, json!({"rows": 150}));
    for _ in 0..2 {
        let side = agent.next();
        assert!(matches!(side.name.as_str(), "left" | "right"), "{side:?}");
        assert_eq!(side.params["inputs"], json!({"load": {"rows": 150}}));
        assert_eq!(named(&mut host, &pipeline, "join")["status"], "pending");
        agent.complete(&side, json!([side.name]));
    }
    let join = agent.next();
    assert_eq!(join.params["inputs"], json!({"left": ["left"], "right": ["right"]}));
    agent.complete(&join, Value::Null);
    host.next_notification("pipeline/completed");
}

#[test]
fn dependencies_may_be_ids_of_tasks_that_exist() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "a");
    let first = task(&mut host, "first", json!({}));
    let given = agent.next();
    let second = host.request("task/create", json!({"name": "second", "depends_on": [first]}));
    agent.complete(&given, json!("from the first"));
    let next = agent.next();
    assert_eq!(next.task, id_of(&second, "task_id"));
    assert_eq!(next.params["inputs"], json!({"first": "from the first"}));
    agent.complete(&next, json!(2));

    let third = host.request("task/create", json!({"name": "third", "config": {"depends_on": [first]}}));
    let next = agent.next();
    assert_eq!(next.task, id_of(&third, "task_id"), "what has ended need not be waited for");
    assert_eq!(next.params["inputs"], json!({"first": "from the first"}));
}

#[test]
fn tasks_join_a_pipeline_that_runs() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "a");
    let pipeline = run(&mut host, json!([{"name": "one"}]));
    let one = agent.next();
    host.request("task/create", json!({"pipeline_id": pipeline, "name": "two", "depends_on": ["one"]}));
    agent.complete(&one, json!(1));
    let two = agent.next();
    assert_eq!((two.name.as_str(), &two.params["inputs"]), ("two", &json!({"one": 1})));
    agent.complete(&two, json!(2));
    host.next_notification("pipeline/completed");
}

#[test]
fn circles_are_refused_and_named() {
    let server = Server::start();
    let mut host = server.peer();
    for (tasks, names) in [
        (json!([{"name": "self", "depends_on": ["self"]}]), ["self", "self"]),
        (
            json!([{"name": "ok"}, {"name": "hen", "depends_on": ["egg", "ok"]}, {"name": "egg", "depends_on": ["hen"]}]),
            ["hen", "egg"],
        ),
    ] {
        let params = json!({"name": "p", "tasks": tasks});
        let refused = host.refused(-32_602, "pipeline/create", params);
        assert!(names.iter().all(|name| refused.message.contains(name)), "{refused:?}");
        host.refused(-32_602, "task/create", json!({"tasks": tasks}));
    }
    assert_eq!(host.request("pipeline/list", json!({}))["total"], 0);
    assert_eq!(host.request("task/list", json!({}))["total"], 0);
}

#[test]
fn unknown_and_unclear_dependencies_are_refused_and_named() {
    let server = Server::start();
    let mut host = server.peer();
    let elsewhere = create(&mut host, json!({"name": "other", "tasks": [{"name": "theirs"}]}));
    let theirs = named(&mut host, &elsewhere, "theirs")["id"].clone();
    for (tasks, name) in [
        (json!([{"name": "a", "depends_on": ["nobody"]}]), "nobody"),
        (json!([{"name": "a", "depends_on": [super::NOBODY]}]), super::NOBODY),
        (json!([{"name": "a", "depends_on": [theirs]}]), theirs.as_str().unwrap()),
        (json!([{"name": "a", "depends_on": ["twin"]}, {"name": "twin"}, {"name": "twin"}]), "twin"),
        (json!([{"name": "a", "depends_on": "b"}, {"name": "b"}]), "depends_on"),
        (json!([{"name": "a", "depends_on": [7]}]), "depends_on[0]"),
    ] {
        let refused = host.refused(-32_602, "pipeline/create", json!({"name": "p", "tasks": tasks}));
        assert!(refused.message.contains(name), "{refused:?}");
    }
}

#[test]
fn a_chain_of_ten_thousand_is_accepted_and_begins_at_its_start() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "a");
    let chain: Vec<Value> = (0..10_000_u32)
        .map(|n| match n {
            0 => json!({"name": "t0"}),
            n => json!({"name": format!("t{n}"), "depends_on": [format!("t{}", n - 1)]}),
        })
        .collect();
    let pipeline = run(&mut host, Value::from(chain));
    for n in 0..5 {
        assert_eq!(agent.work(json!(n)), format!("t{n}"));
    }
    let info = super::pipeline_info(&mut host, &pipeline);
    assert_eq!((&info["metrics"]["tasks_total"], &info["metrics"]["tasks_completed"]), (&json!(10_000), &json!(5)));
    host.request("pipeline/stop", json!({"pipeline_id": pipeline}));
    assert_eq!(super::pipeline_info(&mut host, &pipeline)["metrics"]["tasks_cancelled"], 9_995);
}

#[test]
fn cancelling_a_task_skips_what_depends_on_it() {
    let server = Server::start();
    let mut host = server.peer();
    let pipeline = run(
        &mut host,
        json!([{"name": "a"}, {"name": "b", "depends_on": ["a"]}, {"name": "c", "depends_on": ["b"]}, {"name": "d"}]),
    );
    let a = id_of(&named(&mut host, &pipeline, "a"), "id");
    host.request("task/cancel", json!({"task_id": a}));
    for (name, status) in [("a", "cancelled"), ("b", "cancelled"), ("c", "cancelled"), ("d", "pending")] {
        assert_eq!(named(&mut host, &pipeline, name)["status"], status, "{name}");
    }
    let skipped = named(&mut host, &pipeline, "b");
    assert!(skipped["error_info"].to_string().contains("'a'"), "it says why: {skipped}");
    assert_eq!(task_info(&mut host, skipped["id"].as_str().unwrap())["error_info"]["type"], "skipped");
}
