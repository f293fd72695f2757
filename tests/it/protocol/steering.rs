//! Pause, resume and stop while agents work.

use super::{create, named, pipeline_info, run};
use crate::harness::{Agent, Server};
use serde_json::json;

#[test]
fn a_pause_lets_what_runs_finish_and_starts_nothing() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "a");
    let id = run(&mut host, json!([{"name": "one"}, {"name": "two", "depends_on": ["one"]}, {"name": "three"}]));
    let this = json!({"pipeline_id": id});
    let one = agent.next();
    host.request("pipeline/pause", this.clone());
    agent.expect_idle();
    agent.complete(&one, json!(1));
    assert_eq!(named(&mut host, &id, "one")["status"], "completed");
    agent.expect_idle();
    assert_eq!(pipeline_info(&mut host, &id)["status"], "paused");
    host.request("pipeline/resume", this);
    let mut names = vec![agent.work(json!(2)), agent.work(json!(3))];
    names.sort_unstable();
    assert_eq!(names, ["three", "two"]);
    host.next_notification("pipeline/completed");
}

#[test]
fn a_pause_may_take_back_what_runs() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "a");
    let id = create(&mut host, json!({"name": "p", "config": {"retry_attempts": 0}, "tasks": [{"name": "one"}]}));
    let this = json!({"pipeline_id": id});
    host.request("pipeline/start", this.clone());
    let one = agent.next();
    agent.begin(&one);
    host.request("pipeline/pause", json!({"pipeline_id": id, "running": "cancel"}));
    let told = agent.peer.next_notification("task/cancelled");
    assert_eq!((&told.params()["task_id"], &told.params()["attempt"]), (&json!(one.task), &json!(1)));
    assert_eq!(named(&mut host, &id, "one")["status"], "pending");
    agent.peer.refused(-40_061, "task/completed", json!({"task_id": one.task, "agent_id": "a", "result": "late"}));
    host.request("pipeline/resume", this);
    let again = agent.next();
    assert_eq!((again.task.as_str(), again.attempt), (one.task.as_str(), 2));
    agent.complete(&again, json!("second"));
    host.next_notification("pipeline/completed");
    assert_eq!(named(&mut host, &id, "one")["result"], "second");
    host.refused(-32_602, "pipeline/pause", json!({"pipeline_id": id, "running": "explode"}));
}

#[test]
fn a_pause_outlasts_the_last_task_and_the_pipeline_still_ends() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "a");
    let id = run(&mut host, json!([{"name": "one"}]));
    let one = agent.next();
    host.request("pipeline/pause", json!({"pipeline_id": id}));
    agent.complete(&one, json!(1));
    host.next_notification("pipeline/completed");
    assert_eq!(pipeline_info(&mut host, &id)["status"], "completed");
}

#[test]
fn a_stop_cancels_everything_and_reaches_the_agents() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::register(&server, json!({"id": "a", "name": "a", "slots": 2, "ready": true}));
    let params =
        json!({"name": "p", "strategy": "parallel", "tasks": [{"name": "one"}, {"name": "two"}, {"name": "three"}]});
    let id = create(&mut host, params);
    host.request("pipeline/start", json!({"pipeline_id": id}));
    let given = [agent.next(), agent.next()];
    agent.begin(&given[0]);
    host.request("pipeline/stop", json!({"pipeline_id": id, "reason": "no longer needed"}));
    let told = [agent.peer.next_notification("task/cancelled"), agent.peer.next_notification("task/cancelled")];
    let mut told: Vec<&str> = told.iter().filter_map(|frame| frame.params()["task_id"].as_str()).collect();
    let mut tasks: Vec<&str> = given.iter().map(|given| given.task.as_str()).collect();
    told.sort_unstable();
    tasks.sort_unstable();
    assert_eq!(told, tasks);
    for name in ["one", "two", "three"] {
        assert_eq!(named(&mut host, &id, name)["status"], "cancelled", "{name}");
    }
    let late = json!({"task_id": given[0].task, "agent_id": "a", "result": "late"});
    agent.peer.refused(-40_013, "task/completed", late);
    assert_eq!(named(&mut host, &id, "one")["result"], serde_json::Value::Null);
    host.request("pipeline/delete", json!({"pipeline_id": id}));
    let late = json!({"task_id": given[1].task, "agent_id": "a", "result": "late"});
    agent.peer.refused(-40_011, "task/completed", late);
}
