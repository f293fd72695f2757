//! Laws 1 and 7 from outside: what was acknowledged is there after a kill -9, in the same words.

use super::{create, id_of, pipeline_info, task, task_info};
use crate::harness::{Agent, Assignment, Server};
use serde_json::{Value, json};

#[test]
fn everything_acknowledged_survives_a_kill() {
    let mut server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "a");
    let done = task(&mut host, "done", json!({"x": 1}));
    let given = agent.next();
    agent.complete(&given, json!({"long": "x".repeat(50_000)}));
    let failed = task(&mut host, "failed", json!({"retry_attempts": 0}));
    let given = agent.next();
    agent.fail(&given, "no luck");
    let paused = create(&mut host, json!({"name": "paused", "tasks": [{"name": "a"}, {"name": "b", "depends_on": ["a"]}]}));
    host.request("pipeline/start", json!({"pipeline_id": paused}));
    let given = agent.next();
    host.request("pipeline/pause", json!({"pipeline_id": paused}));
    agent.complete(&given, json!([1]));
    let deleted = create(&mut host, json!({"name": "deleted"}));
    host.request("pipeline/delete", json!({"pipeline_id": deleted}));
    host.request("memory/set", json!({"key": "k", "value": {"a": [1, null]}}));
    host.request("model/metrics", json!({"model_id": "m", "accuracy": 0.5}));
    host.request("error/report", json!({"message": "m", "task_id": failed}));

    let questions = [
        ("task/status", json!({"task_id": done})),
        ("task/result", json!({"task_id": done})),
        ("task/status", json!({"task_id": failed})),
        ("pipeline/list", json!({})),
        ("task/list", json!({})),
        ("memory/get", json!({"key": "k"})),
        ("model/metrics", json!({"model_id": "m"})),
        ("model/performance", json!({"model_id": "m"})),
        ("error/list", json!({})),
    ];
    let answers = |server: &Server| -> Vec<Value> {
        let mut peer = server.peer();
        questions.iter().map(|(method, params)| timeless(peer.request(method, params.clone()))).collect()
    };
    let before = answers(&server);
    server.kill();
    server.restart();
    assert_eq!(answers(&server), before, "after a kill");
    assert_eq!(server.terminate().code, 0);
    server.restart();
    assert_eq!(answers(&server), before, "after a clean end");
    let mut host = server.peer();
    host.refused(-40_001, "pipeline/status", json!({"pipeline_id": deleted}));
    assert_eq!(pipeline_info(&mut host, &paused)["status"], "paused");
    host.request("pipeline/resume", json!({"pipeline_id": paused}));
    let mut agent = Agent::join(&server, "a");
    assert_eq!(agent.next().params["inputs"], json!({"a": [1]}));
}

/// Without the figures that go on while a pipeline lives, and the progress that is only in memory.
fn timeless(mut answer: Value) -> Value {
    for list in ["pipelines", "tasks"] {
        for record in answer[list].as_array_mut().into_iter().flatten() {
            record["metrics"]["duration"] = Value::Null;
        }
    }
    answer
}

#[test]
fn agents_that_name_their_work_go_on_and_the_rest_is_given_anew() {
    let mut server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::register(&server, json!({"id": "a", "name": "a", "slots": 3, "ready": true}));
    let ids: Vec<String> = (0..5).map(|n| task(&mut host, &format!("t{n}"), json!({"retry_attempts": 0}))).collect();
    let given = [agent.next(), agent.next(), agent.next()];
    agent.begin(&given[0]);
    server.kill();
    server.restart();
    let mut host = server.peer();
    let status = host.request("agent/status", json!({"agent_id": "a"}))["status"].clone();
    assert_ne!(status, "active", "nobody is connected yet");
    let running = json!([{"task_id": given[0].task, "attempt": 1}]);
    let mut agent = Agent::register(&server, json!({"id": "a", "name": "a", "slots": 5, "ready": true, "running": running}));
    let mut again: Vec<Assignment> = (0..4).map(|_| agent.next()).collect();
    again.sort_by(|a, b| a.name.cmp(&b.name));
    let again_ids: Vec<(&str, u64)> = again.iter().map(|given| (given.task.as_str(), given.attempt)).collect();
    let expected = [(&ids[1], 2), (&ids[2], 2), (&ids[3], 1), (&ids[4], 1)].map(|(id, attempt)| (id.as_str(), attempt));
    assert_eq!(again_ids, expected, "what is not named is a new attempt, and queued work continues");
    let info = task_info(&mut host, &ids[0]);
    assert_eq!((&info["status"], &info["attempt"]), (&json!("running"), &json!(1)));
    agent.peer.request("task/completed", json!({"task_id": ids[0], "agent_id": "a", "attempt": 1, "result": "first", "success": true}));
    for given in &again {
        agent.complete(given, json!(given.attempt));
    }
    let results = [json!("first"), json!(2), json!(2), json!(1), json!(1)];
    for (id, result) in ids.iter().zip(&results) {
        let info = task_info(&mut host, id);
        assert_eq!((&info["status"], &info["result"], &info["failures"]), (&json!("completed"), result, &json!(0)));
    }
}

#[test]
fn a_back_off_goes_on_after_a_restart() {
    let mut server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "a");
    let made = host.request("task/create", json!({"name": "t", "config": {"retry": {"attempts": 1, "backoff": 0.3}}}));
    let given = agent.next();
    agent.fail(&given, "once");
    server.kill();
    server.restart();
    let mut agent = Agent::join(&server, "a");
    let again = agent.next();
    assert_eq!((again.task, again.attempt), (id_of(&made, "task_id"), 2));
}
