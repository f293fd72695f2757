//! What failures lead to: retries, time limits, the end of pipelines.

use super::{create, id_of, named, pipeline_info, task, task_info};
use crate::harness::{Agent, Server, TASK_INFO, micros, record};
use serde_json::{Value, json};

#[test]
fn a_failure_is_tried_again_as_often_as_asked_and_no_more() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "a");
    let id = task(&mut host, "t", json!({"retry_attempts": 2, "retry": {"backoff": 0.01}}));
    for attempt in 1..=3 {
        let given = agent.next();
        assert_eq!((given.task.as_str(), given.attempt), (id.as_str(), attempt));
        agent.fail(&given, &format!("mistake {attempt}"));
    }
    let info = task_info(&mut host, &id);
    record(&info, TASK_INFO);
    assert_eq!((&info["status"], &info["failures"], &info["result"]), (&json!("failed"), &json!(3), &Value::Null));
    assert!(info["error_info"].to_string().contains("mistake 3"), "{info}");
    let result = host.request("task/result", json!({"task_id": id}));
    assert_eq!((&result["status"], &result["error_info"]), (&json!("failed"), &info["error_info"]));
    agent.expect_idle();
}

#[test]
fn back_off_grows_up_to_its_limit_and_a_late_success_ends_well() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "a");
    let id = task(&mut host, "t", json!({"retry": {"attempts": 3, "backoff": 0.2, "factor": 3, "max_backoff": 0.5}}));
    // Each wait in milliseconds, of which the jitter takes at most a quarter.
    for most in [200, 500, 500] {
        let given = agent.next();
        let before = micros(agent.peer.answered_at());
        agent.fail(&given, "not yet");
        let after = micros(agent.peer.answered_at());
        let waiting = task_info(&mut host, &id);
        assert_eq!(waiting["status"], "pending");
        let until = micros(&waiting["retry_at"]);
        assert!(
            until >= before + most * 750 && until <= after + most * 1_000,
            "{until} is not {most} ms after {before}..{after}"
        );
    }
    let given = agent.next();
    assert_eq!(given.attempt, 4);
    agent.complete(&given, json!("at last"));
    let info = task_info(&mut host, &id);
    assert_eq!(
        (&info["status"], &info["result"], &info["error_info"]),
        (&json!("completed"), &json!("at last"), &Value::Null)
    );
}

#[test]
fn what_is_not_worth_a_retry_gets_none() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "a");
    let id =
        task(&mut host, "t", json!({"retry": {"attempts": 5, "backoff": 0.01, "not_on": ["bad data", "timeout"]}}));
    let given = agent.next();
    agent.fail(&given, "connection reset");
    let given = agent.next();
    assert_eq!(given.attempt, 2);
    agent.fail(&given, "row 7: bad data, no number");
    assert_eq!(task_info(&mut host, &id)["status"], "failed");
}

#[test]
fn errors_may_have_any_form() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "a");
    for (error, part) in [
        (json!("plain words"), "plain words"),
        (json!({"message": "inner words", "code": 7}), "inner words"),
        (json!({"type": "ValueError"}), "ValueError"),
        (json!(["a", "b"]), "a"),
        (json!(7), "7"),
        (Value::Null, "failure"),
    ] {
        let id = task(&mut host, "t", json!({"retry_attempts": 0}));
        agent.next();
        agent.peer.notify(
            "task/completed",
            json!({"task_id": id, "agent_id": "a", "result": null, "success": false, "error": error}),
        );
        agent.sync();
        let info = task_info(&mut host, &id);
        assert_eq!(info["status"], "failed");
        assert!(info["error_info"]["message"].as_str().is_some_and(|message| message.contains(part)), "{info}");
    }
}

#[test]
fn an_attempt_that_takes_too_long_is_taken_back_and_tried_again() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "a");
    let id = task(&mut host, "t", json!({"timeout": 0.05, "retry": {"attempts": 1, "backoff": 0.01}}));
    for attempt in 1..=2 {
        assert_eq!(agent.next().attempt, attempt);
        let told = agent.peer.next_notification("task/cancelled");
        assert_eq!((&told.params()["task_id"], &told.params()["attempt"]), (&json!(id), &json!(attempt)));
    }
    let info = task_info(&mut host, &id);
    assert_eq!((&info["status"], &info["error_info"]["type"]), (&json!("failed"), &json!("timeout")), "{info}");
    agent.peer.refused(-40_013, "task/completed", json!({"task_id": id, "agent_id": "a", "result": "late"}));
}

#[test]
fn a_failure_may_end_the_pipeline() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::register(&server, json!({"id": "a", "name": "a", "slots": 2, "ready": true}));
    let params = json!({"name": "p", "config": {"retry_attempts": 0, "strategy": "parallel"}, "tasks": [
        {"name": "bad"}, {"name": "runs"}, {"name": "after", "depends_on": ["bad"]}, {"name": "waits"}]});
    let id = create(&mut host, params);
    host.request("pipeline/start", json!({"pipeline_id": id}));
    let (bad, runs) = (agent.next(), agent.next());
    assert_eq!((bad.name.as_str(), runs.name.as_str()), ("bad", "runs"));
    agent.fail(&bad, "no such file");
    for (name, status) in [("bad", "failed"), ("runs", "assigned"), ("after", "cancelled"), ("waits", "cancelled")] {
        assert_eq!(named(&mut host, &id, name)["status"], status, "{name}");
    }
    assert_eq!(pipeline_info(&mut host, &id)["status"], "stopping", "what runs may finish");
    agent.expect_idle();
    agent.complete(&runs, json!("finished"));
    assert_eq!(host.next_notification("pipeline/failed").params()["pipeline_id"], json!(id));
    let info = pipeline_info(&mut host, &id);
    assert_eq!(info["status"], "failed");
    assert!(info["error_info"].to_string().contains("no such file"), "{info}");
    assert_eq!(named(&mut host, &id, "runs")["result"], "finished");
    assert_eq!(host.refused(-40_006, "pipeline/start", json!({"pipeline_id": id})).data["status"], "failed");
}

#[test]
fn a_failure_may_be_of_no_consequence() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "a");
    let params = json!({"name": "p", "config": {"retry_attempts": 0}, "tasks": [
        {"name": "bad", "on_failure": "continue"}, {"name": "after", "depends_on": ["bad"]}]});
    let id = create(&mut host, params);
    host.request("pipeline/start", json!({"pipeline_id": id}));
    let bad = agent.next();
    agent.fail(&bad, "no luck");
    let after = agent.next();
    assert_eq!((after.name.as_str(), &after.params["inputs"]), ("after", &json!({"bad": null})));
    agent.complete(&after, json!(1));
    host.next_notification("pipeline/completed");
    let info = pipeline_info(&mut host, &id);
    assert_eq!((&info["status"], &info["metrics"]["tasks_failed"]), (&json!("completed"), &json!(1)));
}

#[test]
fn a_failure_may_skip_only_what_depends_on_it() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "a");
    let params = json!({"name": "p", "config": {"retry_attempts": 0, "on_failure": "skip_downstream", "strategy": "sequential"}, "tasks": [
        {"name": "bad"}, {"name": "after", "depends_on": ["bad"]}, {"name": "further", "depends_on": ["after"]}, {"name": "other"}]});
    let id = create(&mut host, params);
    host.request("pipeline/start", json!({"pipeline_id": id}));
    let bad = agent.next();
    agent.fail(&bad, "no luck");
    for name in ["after", "further"] {
        let skipped = named(&mut host, &id, name);
        assert_eq!(
            (&skipped["status"], &skipped["error_info"]["type"]),
            (&json!("cancelled"), &json!("skipped")),
            "{skipped}"
        );
        assert!(skipped["error_info"]["message"].as_str().is_some_and(|why| why.len() > 10), "{skipped}");
    }
    assert_eq!(agent.work(json!("still")), "other");
    host.next_notification("pipeline/failed");
    let info = pipeline_info(&mut host, &id);
    assert_eq!(
        (&info["status"], &info["metrics"]["tasks_completed"], &info["metrics"]["tasks_cancelled"]),
        (&json!("failed"), &json!(1), &json!(2))
    );
}

#[test]
fn tasks_without_a_pipeline_skip_what_depends_on_them() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "a");
    let made = host.request(
        "task/create",
        json!({"tasks": [{"name": "bad", "retry_attempts": 0}, {"name": "after", "depends_on": ["bad"]}]}),
    );
    let bad = agent.next();
    agent.fail(&bad, "no luck");
    let after = id_of(&json!({"id": made["task_ids"][1]}), "id");
    assert_eq!(task_info(&mut host, &after)["status"], "cancelled");
}
