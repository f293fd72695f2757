//! What failed runs again: as new tasks, with the results that the others gave.

use super::{create, named, task, task_info};
use crate::harness::{Agent, Peer, Server};
use serde_json::{Value, json};

/// A configuration longer than what the state keeps of one.
fn long() -> String {
    "x".repeat(2_000)
}

/// A pipeline of two tasks, of which the second has failed.
fn failed(host: &mut Peer, agent: &mut Agent) -> String {
    let params = json!({"name": "p", "config": {"retry_attempts": 0}, "tasks": [
        {"name": "load"},
        {"name": "train", "depends_on": ["load"], "script": long()},
        {"name": "check", "depends_on": ["load", "train"]},
    ]});
    let id = create(host, params);
    host.request("pipeline/start", json!({"pipeline_id": id}));
    assert_eq!(agent.work(json!({"rows": 150})), "load");
    let train = agent.next();
    agent.fail(&train, "diverged");
    host.next_notification("pipeline/failed");
    id
}

#[test]
fn a_pipeline_that_failed_goes_on_where_it_did() {
    let mut server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "a");
    let old = failed(&mut host, &mut agent);
    let retried = host.request("pipeline/retry", json!({"pipeline_id": old}));
    let new = retried["pipeline_id"].as_str().unwrap().to_owned();
    assert_eq!((&retried["status"], retried["task_ids"].as_array().map(Vec::len)), (&json!("retried"), Some(2)));
    let again = agent.next();
    assert_eq!((again.name.as_str(), &again.params["inputs"]), ("train", &json!({"load": {"rows": 150}})));
    assert_eq!(again.params["config"]["script"], long());
    host.refused(-40_005, "pipeline/delete", json!({"pipeline_id": old}));

    server.kill();
    server.restart();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "a");
    let again = agent.next();
    assert_eq!((again.name.as_str(), &again.params["config"]["script"]), ("train", &json!(long())));
    agent.complete(&again, json!("well"));
    let check = agent.next();
    assert_eq!(check.params["inputs"], json!({"load": {"rows": 150}, "train": "well"}));
    agent.complete(&check, Value::Null);
    let info = host.request("pipeline/status", json!({"pipeline_id": new}));
    assert_eq!((&info["status"], &info["name"]), (&json!("completed"), &json!("p")));
    assert_eq!(info["config"]["retry_of"], json!(old));
    let first = named(&mut host, &old, "train");
    assert_eq!((&first["status"], &first["id"]), (&json!("failed"), &named(&mut host, &new, "train")["retry_of"]));
    assert_eq!(task_info(&mut host, &again.task)["config"]["script"], long());
    host.request("pipeline/delete", json!({"pipeline_id": old}));
}

#[test]
fn one_task_is_tried_again_alone_or_released_from_its_back_off() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "a");
    let retry = json!({"attempts": 1, "backoff": 3_600, "max_backoff": 3_600});
    let id = task(&mut host, "t", json!({"retry": retry, "x": 1}));
    let given = agent.next();
    agent.fail(&given, "no luck");
    let released = host.request("task/retry", json!({"task_id": id}));
    assert_eq!(released, json!({"status": "released", "task_ids": [id]}));
    let given = agent.next();
    assert_eq!((given.task.as_str(), given.attempt), (id.as_str(), 2));
    host.refused(-40_022, "task/retry", json!({"task_id": id}));
    agent.fail(&given, "no luck");
    let retried = host.request("task/retry", json!({"task_id": id}));
    assert_eq!((&retried["status"], &retried["pipeline_id"]), (&json!("retried"), &json!("")));
    let again = agent.next();
    assert_eq!((&json!([again.task]), &again.params["config"]["x"]), (&retried["task_ids"], &json!(1)));
    agent.complete(&again, json!("at last"));
    host.refused(-40_013, "task/retry", json!({"task_id": again.task}));
    assert_eq!(task_info(&mut host, &id)["status"], "failed", "an outcome is final");
}

#[test]
fn a_repeated_request_retries_once() {
    const ID: &str = "3f0a6f0e-5f0f-4b52-9a35-0123456789ab";
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "a");
    let params = json!({"pipeline_id": failed(&mut host, &mut agent)});
    let mut answers = (0..2).map(|_| {
        host.send("request", ID, "pipeline/retry", &params);
        host.answer(ID).granted()
    });
    assert_eq!(answers.next(), answers.next());
    assert_eq!(host.request("pipeline/list", json!({}))["total"], 2);
}
