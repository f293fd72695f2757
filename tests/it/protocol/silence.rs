//! Agents that fall silent: their leases end, which counts against the task.

use super::{task, task_info};
use crate::harness::{Agent, Assignment, Server};
use serde_json::json;

/// The shortest lease there is.
const SHORT: &str = "orchestration:\n  lease_term: 1\n";

/// The next attempt of an agent that keeps talking, so that it is not taken for lost itself.
fn next(agent: &mut Agent) -> Assignment {
    let deadline = crate::harness::Deadline::usual();
    loop {
        let told = agent.peer.drain();
        if let Some(given) = told.iter().find(|frame| frame.method() == "task/assigned") {
            return Assignment::of(given);
        }
        assert!(deadline.left().is_some(), "it is given nothing");
    }
}

#[test]
fn the_work_of_an_agent_that_is_gone_goes_to_another() {
    let server = Server::configured(SHORT);
    let mut host = server.peer();
    let mut gone = Agent::join(&server, "gone");
    let id = task(&mut host, "t", json!({"retry": {"attempts": 1, "backoff": 0.01}}));
    assert_eq!(gone.next().attempt, 1);
    drop(gone);
    let mut other = Agent::join(&server, "other");
    let given = next(&mut other);
    assert_eq!((given.task.as_str(), given.attempt), (id.as_str(), 2));
    assert_eq!(host.request("agent/status", json!({"agent_id": "gone"}))["status"], "lost");
    assert_eq!(host.request("agent/list", json!({"status": "lost"}))["total"], 1);
    assert_eq!(task_info(&mut host, &id)["failures"], 1, "silence counts");
    other.complete(&given, json!("rescued"));
    assert_eq!(task_info(&mut host, &id)["result"], "rescued");

    // It comes back, names what it had, and hears that this is over.
    let running = json!([{"task_id": id, "attempt": 1}]);
    let mut back = Agent::register(&server, json!({"id": "gone", "name": "gone", "ready": true, "running": running}));
    assert_eq!(back.peer.next_notification("task/cancelled").params()["task_id"], json!(id));
    assert_eq!(host.request("agent/status", json!({"agent_id": "gone"}))["status"], "active");
}

#[test]
fn a_task_that_takes_its_agents_down_is_quarantined() {
    let server = Server::configured(SHORT);
    let mut host = server.peer();
    let id = task(&mut host, "t", json!({"retry": {"attempts": 1, "backoff": 0.01}}));
    for n in 1..=2 {
        let mut victim = Agent::join(&server, &format!("victim{n}"));
        assert_eq!(next(&mut victim).attempt, n);
    }
    let mut survivor = Agent::join(&server, "survivor");
    loop {
        let info = task_info(&mut host, &id);
        if info["status"] == "failed" {
            assert_eq!(info["error_info"]["type"], "quarantined", "{info}");
            assert!(info["error_info"]["message"].as_str().is_some_and(|why| why.contains("victim2")), "{info}");
            break;
        }
        survivor.sync();
    }
    survivor.expect_idle();
}

#[test]
fn any_word_of_an_agent_renews_its_leases() {
    let server = Server::configured(SHORT);
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "a");
    let id = task(&mut host, "t", json!({}));
    let given = agent.next();
    // Twice the term, during which nothing is said about the task itself.
    let until = crate::harness::Deadline::after(std::time::Duration::from_millis(2_200));
    while until.left().is_some() {
        agent.sync();
        agent.read(crate::harness::Deadline::after(std::time::Duration::from_millis(100)));
    }
    assert_eq!(task_info(&mut host, &id)["attempt"], 1);
    agent.complete(&given, json!("slow and steady"));
    assert_eq!(task_info(&mut host, &id)["result"], "slow and steady");
}
