//! `agent/*`: results, records, several agents a connection.

use super::task;
use crate::harness::{AGENT_INFO, Agent, Server, is_uuid, micros, plain, record};
use serde_json::{Value, json};

#[test]
fn registering_fills_in_what_is_missing() {
    let server = Server::start();
    let mut peer = server.peer();
    let least = peer.request("agent/register", json!({"name": "worker"}));
    assert!(is_uuid(&least["agent_id"]), "{least}");
    assert_eq!(
        (&least["name"], &least["type"], &least["status"]),
        (&json!("worker"), &json!("generic"), &json!("registered"))
    );
    let info = peer.request("agent/status", json!({"agent_id": least["agent_id"]}));
    record(&info, AGENT_INFO);
    assert_eq!((&info["status"], &info["performance_score"]), (&json!("active"), &json!(1.0)));
    assert_eq!(
        (&info["current_task"], &info["current_tasks"], &info["capabilities"]),
        (&Value::Null, &json!([]), &json!([]))
    );
    assert_eq!(info["current_task_details"], Value::Null);
    assert_eq!(info["slots"], 1);
    micros(&info["last_active"]);

    let most = json!({"id": "gpu-1", "name": "g", "type": "trainer", "capabilities": ["gpu", "cpu", "gpu"], "slots": 4,
        "resources": {"cpu": 8, "memory_mb": 16_384, "gpu": 1}, "ready": true, "running": [], "max_frame_bytes": 1_048_576});
    assert_eq!(
        peer.request("agent/register", most),
        json!({"agent_id": "gpu-1", "name": "g", "type": "trainer", "status": "registered"})
    );
    let info = peer.request("agent/status", json!({"agent_id": "gpu-1"}));
    record(&info, AGENT_INFO);
    assert_eq!((&info["type"], &info["capabilities"]), (&json!("trainer"), &json!(["cpu", "gpu"])));
}

#[test]
fn what_makes_no_agent_is_refused_with_the_place_named() {
    let server = Server::start();
    let mut peer = server.peer();
    for (params, place) in [
        (json!({}), "name"),
        (json!({"name": ""}), "name"),
        (json!({"name": "a", "id": ""}), "id"),
        (json!({"name": "a", "id": 7}), "id"),
        (json!({"name": "a", "slots": 0}), "slots"),
        (json!({"name": "a", "slots": -1}), "slots"),
        (json!({"name": "a", "slots": 1.5}), "slots"),
        (json!({"name": "a", "capabilities": "gpu"}), "capabilities"),
        (json!({"name": "a", "capabilities": [null]}), "capabilities[0]"),
        (json!({"name": "a", "resources": {"cpu": -1}}), "resources.cpu"),
        (json!({"name": "a", "resources": []}), "resources"),
        (json!({"name": "a", "ready": "yes"}), "ready"),
        (json!({"name": "a", "running": [{"task_id": super::NOBODY}]}), "running[0].attempt"),
        (json!({"name": "a", "max_frame_bytes": 0}), "max_frame_bytes"),
    ] {
        let refused = peer.refused(-32_602, "agent/register", params.clone());
        assert!(refused.message.contains(place), "{params}: {refused:?}");
    }
    assert_eq!(peer.request("agent/list", json!({}))["total"], 0);
}

#[test]
fn status_shows_what_an_agent_works_on() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::register(&server, json!({"id": "a", "name": "a", "slots": 2, "ready": true}));
    let first = task(&mut host, "first", json!({}));
    let given = agent.next();
    let second = task(&mut host, "second", json!({}));
    agent.next();
    agent.begin(&given);
    let info = host.request("agent/status", json!({"agent_id": "a"}));
    record(&info, AGENT_INFO);
    assert_eq!(
        (&info["current_task"], &info["current_tasks"]),
        (&json!(first), &json!([first, second])),
        "the oldest first"
    );
    let details = &info["current_task_details"];
    assert_eq!((&details["name"], &details["status"]), (&json!("first"), &json!("running")));
    assert_eq!(details["started_at"], super::task_info(&mut host, &first)["started_at"]);
    agent.complete(&given, json!(1));
    let info = host.request("agent/status", json!({"agent_id": "a"}));
    assert_eq!(info["current_tasks"], json!([second]));
    assert_eq!(info["current_task_details"], json!({"name": "second", "status": "assigned", "started_at": null}));
}

#[test]
fn the_score_follows_real_outcomes() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "a");
    for _ in 0..3 {
        task(&mut host, "t", json!({"retry_attempts": 0}));
        let given = agent.next();
        agent.fail(&given, "no luck");
    }
    let info = host.request("agent/status", json!({"agent_id": "a"}));
    assert!(info["performance_score"].as_f64().is_some_and(|score| (0.0..1.0).contains(&score)), "{info}");
    assert_eq!(info["tasks_failed"], 3);
}

#[test]
fn reported_metrics_show_in_the_status() {
    let server = Server::start();
    let mut agent = Agent::join(&server, "a");
    agent.peer.notify(
        "agent/metrics",
        json!({"agent_id": "a", "metrics": {"cpu_usage": 12.5, "own": [1]}, "timestamp": "2026-01-01T00:00:00"}),
    );
    let info = agent.peer.request("agent/status", json!({"agent_id": "a"}));
    assert_eq!(info["metrics"], json!({"cpu_usage": 12.5, "own": [1]}));
    agent.peer.refused(-32_602, "agent/metrics", json!({"agent_id": "a", "metrics": 7}));
    agent.peer.refused(-40_021, "agent/metrics", json!({"agent_id": "b", "metrics": {}}));
}

#[test]
fn a_connection_speaks_only_for_its_own_agents() {
    let server = Server::start();
    let mut host = server.peer();
    let mut both = server.peer();
    both.request("agent/register", plain("a"));
    both.request("agent/register", plain("b"));
    let one = task(&mut host, "one", json!({}));
    let two = task(&mut host, "two", json!({}));
    let mut given: Vec<Value> =
        (0..2).map(|_| both.next_notification("task/assigned").params()["agent_id"].clone()).collect();
    given.sort_by_key(Value::to_string);
    assert_eq!(given, [json!("a"), json!("b")], "one connection, two agents");

    let mut stranger = Agent::join(&server, "c");
    let agent = super::task_info(&mut host, &one)["assigned_agent"].clone();
    stranger.peer.refused(-40_042, "task/completed", json!({"task_id": one, "agent_id": agent, "result": "mine"}));
    stranger.peer.refused(-40_042, "task/progress", json!({"task_id": one, "agent_id": agent, "progress": 1}));
    stranger.peer.refused(-40_042, "agent/metrics", json!({"agent_id": agent, "metrics": {}}));
    stranger.peer.refused(-40_021, "task/completed", json!({"task_id": one, "agent_id": "nobody", "result": 1}));
    stranger.peer.refused(-40_061, "task/completed", json!({"task_id": one, "agent_id": "c", "result": 1}));
    assert_eq!(super::task_info(&mut host, &one)["status"], "assigned");
    for (id, result) in [(&one, 1), (&two, 2)] {
        let agent = super::task_info(&mut host, id)["assigned_agent"].clone();
        both.request("task/completed", json!({"task_id": id, "agent_id": agent, "result": result, "success": true}));
        assert_eq!(super::task_info(&mut host, id)["result"], result);
    }
}

#[test]
fn unregistering_gives_the_work_back() {
    let server = Server::start();
    let mut host = server.peer();
    let mut first = Agent::join(&server, "first");
    let id = task(&mut host, "t", json!({"retry_attempts": 0}));
    let given = first.next();
    first.begin(&given);
    let mut second = Agent::join(&server, "second");
    let gone = first.peer.request("agent/unregister", json!({"agent_id": "first"}));
    assert_eq!(gone, json!({"agent_id": "first", "status": "unregistered"}));
    let again = second.next();
    assert_eq!((again.task.as_str(), again.attempt), (id.as_str(), 2));
    first.peer.refused(-40_021, "agent/status", json!({"agent_id": "first"}));
    first.peer.refused(-40_021, "agent/unregister", json!({"agent_id": "first"}));
    first.peer.refused(-40_021, "task/completed", json!({"task_id": id, "agent_id": "first", "result": "late"}));
    second.complete(&again, json!("second"));
    let info = super::task_info(&mut host, &id);
    assert_eq!((&info["status"], &info["result"]), (&json!("completed"), &json!("second")));
}

#[test]
fn lists_filter_by_type_status_and_capability() {
    let server = Server::start();
    let mut host = server.peer();
    for (id, kind, capabilities) in
        [("a", "trainer", json!(["gpu", "cpu"])), ("b", "trainer", json!(["cpu"])), ("c", "loader", json!([]))]
    {
        host.request("agent/register", json!({"id": id, "name": id, "type": kind, "capabilities": capabilities}));
    }
    let all = host.request("agent/list", json!({}));
    all["agents"].as_array().unwrap().iter().for_each(|info| record(info, AGENT_INFO));
    for (filter, total) in [
        (json!({}), 3),
        (json!({"type": "trainer"}), 2),
        (json!({"capability": "gpu"}), 1),
        (json!({"capability": "cpu", "type": "trainer"}), 2),
        (json!({"status": "active"}), 3),
        (json!({"status": "AgentStatus.ACTIVE"}), 3),
        (json!({"status": "lost"}), 0),
        (json!({"status": "a word nobody uses"}), 0),
        (json!({"type": "", "status": null}), 3),
    ] {
        assert_eq!(host.request("agent/list", filter.clone())["total"], total, "{filter}");
    }
    let page = host.request("agent/list", json!({"limit": 1, "offset": 1}));
    assert_eq!((&page["total"], &page["limit"], &page["offset"]), (&json!(3), &json!(1), &json!(1)));
    assert_eq!(page["agents"].as_array().map(Vec::len), Some(1));
    host.refused(-32_602, "agent/list", json!({"limit": -1}));
}
