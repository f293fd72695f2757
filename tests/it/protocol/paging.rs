//! No frame over 1 MiB unless the peer asked for more (protocol §1). The harness checks the length of every frame.

use super::{create, id_of, run, task, task_info};
use crate::harness::{Agent, Peer, Server};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Reads all pages of a list; the ids and how many pages it took.
fn pages(peer: &mut Peer, method: &str, field: &str, id: &str) -> (BTreeSet<String>, usize) {
    let mut ids = BTreeSet::new();
    let (mut read, mut offset) = (0, 0);
    loop {
        let page = peer.request(method, json!({"offset": offset}));
        let items = page[field].as_array().unwrap();
        if items.is_empty() {
            assert_eq!(page["total"], json!(ids.len()), "{method}");
            return (ids, read);
        }
        ids.extend(items.iter().map(|item| item[id].as_str().or(item.as_str()).unwrap().to_owned()));
        offset += items.len();
        read += 1;
        assert_eq!(ids.len(), offset, "{method}: no entry twice");
    }
}

#[test]
fn a_list_of_three_mebibytes_comes_in_pages() {
    let server = Server::start();
    let mut host = server.peer();
    let filler = "x".repeat(10_000);
    let tasks: Vec<Value> = (0..30).map(|n| json!({"name": format!("t{n}"), "config": {"filler": filler}})).collect();
    for n in 0..10 {
        create(&mut host, json!({"name": format!("p{n}"), "tasks": tasks, "config": {"filler": "y".repeat(300_000)}}));
    }
    // A long configuration is a reference in a list, and whole where the one record is asked for.
    let listed = host.request("pipeline/list", json!({}))["pipelines"][0].clone();
    let target = format!("pipeline:{}/config", listed["id"].as_str().unwrap());
    assert_eq!(listed["config"], json!({"$ref": target}));
    let whole = host.request("pipeline/status", json!({"pipeline_id": listed["id"]}));
    assert_eq!(whole["config"]["filler"].as_str().unwrap().len(), 300_000);
    for n in 0..300 {
        create(&mut host, json!({"name": format!("q{n}"), "config": {"filler": "y".repeat(10_000)}}));
    }
    let (tasks, read) = pages(&mut host, "task/list", "tasks", "id");
    assert!(tasks.len() == 300 && read >= 3, "{} tasks in {read} pages", tasks.len());
    let (pipelines, read) = pages(&mut host, "pipeline/list", "pipelines", "id");
    assert!(pipelines.len() == 310 && read >= 3, "{} pipelines in {read} pages", pipelines.len());
    for n in 0..200 {
        host.request("error/report", json!({"message": format!("e{n}"), "details": {"filler": "z".repeat(15_000)}}));
    }
    let (errors, read) = pages(&mut host, "error/list", "errors", "error_id");
    assert!(errors.len() == 200 && read >= 3, "{} errors in {read} pages", errors.len());
}

#[test]
fn keys_of_three_mebibytes_stay_below_the_limit() {
    let server = Server::start();
    let mut host = server.peer();
    let long = "k".repeat(500);
    for n in 0..6_000 {
        let set = crate::harness::envelope(
            "request",
            &format!("s{n}"),
            "memory/set",
            &json!({"key": format!("{long}{n:05}"), "value": 1}),
        );
        host.queue_text(set).unwrap();
        if n % 1_000 == 999 {
            host.flush().unwrap();
            (n - 999..=n).for_each(|n| drop(host.answer(&format!("s{n}")).granted()));
        }
    }
    let list = host.request("memory/list", json!({"prefix": "k"}));
    let shown = list["keys"].as_array().map_or(0, Vec::len);
    assert!(list["total"] == 6_000 && (1_000..6_000).contains(&shown), "{shown} keys shown");
}

#[test]
fn long_results_are_referred_to_or_come_whole_as_the_peer_wants() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::register(&server, json!({"id": "a", "name": "a", "ready": true}));
    let pipeline =
        run(&mut host, json!([{"name": "one"}, {"name": "two"}, {"name": "join", "depends_on": ["one", "two"]}]));
    let long = "x".repeat(700_000);
    let mut ids = Vec::new();
    for _ in 0..2 {
        let given = agent.next();
        agent.complete(&given, json!(long));
        ids.push(given.task);
    }
    let join = agent.next();
    let inputs = join.params["inputs"].as_object().unwrap();
    let whole = inputs.values().filter(|input| **input == json!(long)).count();
    let referred: Vec<&str> = inputs.values().filter_map(|input| input["$ref"].as_str()).collect();
    assert!(whole + referred.len() == 2 && !referred.is_empty(), "one frame has no room for both");
    assert!(ids.iter().any(|id| referred[0] == format!("task:{id}/result")), "{referred:?}");
    assert_eq!(host.request("task/result", json!({"task_id": ids[0]}))["result"], json!(long), "it can be fetched");
    let list = host.request("task/list", json!({"pipeline_id": pipeline}));
    assert_eq!(list["total"], 3);

    // The same with a peer that takes more.
    let mut wide = server.peer();
    wide.accept_frames_of(8 << 20);
    let running = json!([{"task_id": join.task, "attempt": join.attempt}]);
    wide.request(
        "agent/register",
        json!({"id": "b", "name": "b", "ready": true, "max_frame_bytes": 8 << 20, "running": running}),
    );
    agent.peer.request("agent/unregister", json!({"agent_id": "a"}));
    let again = wide.next_notification("task/assigned");
    let inputs = again.params()["inputs"].as_object().unwrap();
    assert!(inputs.values().all(|input| *input == json!(long)), "both fit now");
    let list = wide.request("task/list", json!({"pipeline_id": pipeline}));
    assert_eq!(list["tasks"].as_array().map(Vec::len), Some(3));
}

#[test]
fn a_result_as_long_as_a_frame_is_referred_to() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "a");
    let id = task(&mut host, "t", json!({}));
    let given = agent.next();
    let long = "x".repeat((1 << 20) - 400);
    agent.complete(&given, json!(long));
    for method in ["task/status", "task/result"] {
        let shown = host.request(method, json!({"task_id": id}))["result"].clone();
        assert_eq!(shown, json!({"$ref": format!("task:{id}/result")}), "{method}");
    }
    let mut wide = server.peer();
    wide.accept_frames_of(4 << 20);
    wide.request("agent/register", json!({"name": "wide", "max_frame_bytes": 4 << 20}));
    assert_eq!(wide.request("task/result", json!({"task_id": id}))["result"], json!(long));
}

#[test]
fn a_long_configuration_reaches_its_agent() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "a");
    let long = "x".repeat(900_000);
    let id = task(&mut host, "t", json!({"data": long}));
    let given = agent.next();
    assert_eq!(given.params["config"]["data"], json!(long));
    agent.complete(&given, json!(1));
    assert_eq!(task_info(&mut host, &id)["status"], "completed");
    let made = host.request("task/create", json!({"name": "u", "config": {"data": long}}));
    assert_eq!(agent.next().task, id_of(&made, "task_id"));
}

#[test]
fn lists_find_what_a_person_calls_by_name_or_by_a_part_of_its_id() {
    let server = Server::start();
    let mut host = server.peer();
    let _agents = ["gpu-box", "cpu-box"].map(|id| Agent::join(&server, id));
    let ids: Vec<String> = (0..3)
        .map(|n| {
            let task = json!({"name": format!("t{n}")});
            let params = json!({"name": if n == 0 { "alone" } else { "twin" }, "tasks": [task]});
            host.request("pipeline/create", params)["pipeline_id"].as_str().unwrap().to_owned()
        })
        .collect();
    let mut found = |method: &str, what: &str| host.request(method, json!({"match": what}))["total"].clone();
    for (what, total) in [("alone", 1), ("twin", 2), ("alo", 0), (&*ids[1], 1), (&ids[1][28..], 1), (&ids[1][33..], 0)]
    {
        assert_eq!(found("pipeline/list", what), total, "{what}");
    }
    assert_eq!(found("pipeline/list", &ids[0][..4]), 3, "ids of one month begin alike");
    assert_eq!(found("task/list", "t1"), 1);
    assert_eq!(
        (found("agent/list", "gpu-"), found("agent/list", "-box"), found("agent/list", "box")),
        (json!(1), json!(2), json!(0))
    );
    host.refused(-32_602, "task/list", json!({"match": 7}));
}
