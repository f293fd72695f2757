//! Attempts: given once, taken over, taken back, and never mixed up.

use super::{task, task_info};
use crate::harness::{Agent, Assignment, Deadline, Server, micros, plain};
use serde_json::json;

#[test]
fn the_first_assignment_waits_for_late_handlers() {
    let server = Server::start();
    let mut host = server.peer();
    let id = task(&mut host, "t", json!({}));
    let mut peer = server.peer();
    let asked = peer.ask("agent/register", json!({"id": "late", "name": "late"}));
    let registered = peer.answer(&asked);
    registered.granted();
    let given = Assignment::of(&peer.next_notification("task/assigned"));
    assert_eq!(given.task, id);
    let between = micros(&given.sent_at) - micros(registered.timestamp());
    // A clock that is being set may run 5 % slow.
    assert!(between >= 47_500, "the assignment left {between} µs after the reply");
}

#[test]
fn who_is_ready_does_not_wait() {
    let server = Server::start();
    let mut host = server.peer();
    task(&mut host, "t", json!({}));
    let mut peer = server.peer();
    peer.request("agent/register", plain("early"));
    // What is asked after the reply is answered after the assignment, which had left together with the reply.
    assert!(peer.drain_methods().contains(&"task/assigned".to_owned()));
}

#[test]
fn an_attempt_that_is_named_must_be_the_live_one() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "a");
    let id = task(&mut host, "t", json!({}));
    let given = agent.next();
    let done =
        |attempt: i64| json!({"task_id": id, "agent_id": "a", "result": attempt, "success": true, "attempt": attempt});
    let refused = agent.peer.refused(-40_061, "task/completed", done(2));
    assert_eq!(
        (&refused.data["task_id"], &refused.data["attempt"], &refused.data["live"]),
        (&json!(id), &json!(2), &json!(1))
    );
    agent.peer.refused(-32_602, "task/completed", done(0));
    agent.peer.refused(-32_602, "task/completed", done(-1));
    agent.peer.notify("task/completed", done(7));
    agent.sync();
    assert_eq!(task_info(&mut host, &id)["status"], "assigned", "a stale completion changes nothing");
    assert_eq!(given.attempt, 1);
    agent.peer.request("task/completed", done(1));
    let info = task_info(&mut host, &id);
    assert_eq!((&info["status"], &info["result"]), (&json!("completed"), &json!(1)));
    agent.peer.refused(-40_013, "task/completed", done(1));
}

#[test]
fn a_take_over_that_names_its_work_keeps_it() {
    let server = Server::start();
    let mut host = server.peer();
    let mut before = Agent::join(&server, "a");
    let id = task(&mut host, "t", json!({}));
    let given = before.next();
    before.begin(&given);
    let running = json!([{"task_id": id, "attempt": given.attempt}]);
    let mut after = Agent::register(&server, json!({"id": "a", "name": "a", "ready": true, "running": running}));
    after.expect_idle();
    let info = task_info(&mut host, &id);
    assert_eq!(
        (&info["status"], &info["assigned_agent"], &info["attempt"]),
        (&json!("running"), &json!("a"), &json!(1))
    );
    before.peer.refused(-40_042, "task/completed", json!({"task_id": id, "agent_id": "a", "result": "old"}));
    after.complete(&given, json!("new"));
    assert_eq!(task_info(&mut host, &id)["result"], "new");
}

#[test]
fn a_take_over_that_names_nothing_gets_a_new_attempt_at_once() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "a");
    let id = task(&mut host, "t", json!({"retry_attempts": 0}));
    let mut attempts = vec![agent.next().attempt];
    for running in [None, Some(json!([])), Some(json!(null))] {
        let mut params = plain("a");
        if let Some(running) = running {
            params["running"] = running;
        }
        agent = Agent::register(&server, params);
        let given = agent.next();
        assert_eq!(given.task, id);
        attempts.push(given.attempt);
    }
    assert_eq!(attempts, [1, 2, 3, 4], "each is delivered once, and none counts as a failure");
    let info = task_info(&mut host, &id);
    assert_eq!((&info["status"], &info["failures"]), (&json!("assigned"), &json!(0)));
    agent.peer.refused(
        -40_061,
        "task/completed",
        json!({"task_id": id, "agent_id": "a", "result": "late", "attempt": 3}),
    );
    agent.peer.request("task/completed", json!({"task_id": id, "agent_id": "a", "result": "live", "attempt": 4}));
    assert_eq!(task_info(&mut host, &id)["result"], "live");
}

#[test]
fn naming_a_stale_attempt_is_answered_with_its_cancellation() {
    let server = Server::start();
    let mut host = server.peer();
    let mut first = Agent::join(&server, "a");
    let id = task(&mut host, "t", json!({}));
    assert_eq!(first.next().attempt, 1);
    let mut second = Agent::register(&server, plain("a"));
    assert_eq!(second.next().attempt, 2);
    let running = json!([{"task_id": id, "attempt": 1}, {"task_id": super::NOBODY, "attempt": 5}]);
    let mut third = Agent::register(&server, json!({"id": "a", "name": "a", "ready": true, "running": running}));
    let told = third.peer.drain();
    let cancelled = told.iter().filter(|frame| frame.method() == "task/cancelled");
    let cancelled: Vec<_> = cancelled.map(|frame| (&frame.params()["task_id"], &frame.params()["attempt"])).collect();
    assert!(cancelled.contains(&(&json!(id), &json!(1))), "{told:?}");
    assert!(cancelled.contains(&(&json!(super::NOBODY), &json!(5))), "{told:?}");
    let given: Vec<_> = told.iter().filter(|frame| frame.method() == "task/assigned").map(Assignment::of).collect();
    assert_eq!(given.iter().map(|given| given.attempt).collect::<Vec<_>>(), [3]);
}

#[test]
fn a_take_over_on_the_same_connection_works_too() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "a");
    let id = task(&mut host, "t", json!({}));
    assert_eq!(agent.next().attempt, 1);
    agent.peer.request("agent/register", plain("a"));
    let given = agent.next();
    assert_eq!((given.task.as_str(), given.attempt), (id.as_str(), 2));
    agent.complete(&given, json!(2));
    assert_eq!(task_info(&mut host, &id)["result"], 2);
}

#[test]
fn an_agent_that_is_away_keeps_its_lease_and_gets_nothing_new() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::register(&server, json!({"id": "a", "name": "a", "slots": 2, "ready": true}));
    let id = task(&mut host, "t", json!({}));
    let given = agent.next();
    agent.begin(&given);
    agent.peer.try_close();
    agent.peer.until_closed();
    // The peer knows that it is gone; the coordinator may not have heard yet.
    let deadline = Deadline::usual();
    while host.request("agent/status", json!({"agent_id": "a"}))["status"] != "disconnected" {
        assert!(deadline.left().is_some(), "the agent is never disconnected");
    }
    let waiting = task(&mut host, "waiting", json!({}));
    assert_eq!(task_info(&mut host, &id)["status"], "running", "it has the term of a lease to come back");
    assert_eq!(task_info(&mut host, &waiting)["status"], "pending");
    let running = json!([{"task_id": id, "attempt": 1}]);
    let mut back =
        Agent::register(&server, json!({"id": "a", "name": "a", "slots": 2, "ready": true, "running": running}));
    assert_eq!(back.next().task, waiting);
    back.complete(&given, json!("kept"));
    assert_eq!(task_info(&mut host, &id)["result"], "kept");
}
