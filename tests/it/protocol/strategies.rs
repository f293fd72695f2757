//! Protocol §7, as far as a client can see it: who gets what, in which order, and how many at a time.

use super::{create, task};
use crate::harness::{Agent, Server};
use serde_json::{Value, json};

/// The names in which the tasks of a pipeline come to one agent with these slots, each completed as it comes.
fn order(strategy: &str, slots: u32, tasks: Value) -> Vec<String> {
    let server = Server::start();
    let mut host = server.peer();
    let count = tasks.as_array().map_or(0, Vec::len);
    let mut agent = Agent::register(&server, json!({"id": "a", "name": "a", "slots": slots, "ready": true}));
    let id = create(&mut host, json!({"name": "p", "strategy": strategy, "tasks": tasks}));
    host.request("pipeline/start", json!({"pipeline_id": id}));
    let names = (0..count).map(|_| agent.work(json!(1))).collect();
    host.next_notification("pipeline/completed");
    names
}

#[test]
fn sequential_is_one_at_a_time_in_order_of_creation() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::register(&server, json!({"id": "a", "name": "a", "slots": 8, "ready": true}));
    let id = create(
        &mut host,
        json!({"name": "p", "strategy": "sequential", "tasks": [{"name": "b", "priority": 1}, {"name": "c", "priority": 9}, {"name": "a"}]}),
    );
    host.request("pipeline/start", json!({"pipeline_id": id}));
    for name in ["b", "c", "a"] {
        let given = agent.next();
        assert_eq!(given.name, name);
        agent.expect_idle();
        agent.complete(&given, json!(1));
    }
    host.next_notification("pipeline/completed");
}

#[test]
fn parallel_is_all_at_once_up_to_the_limit() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::register(&server, json!({"id": "a", "name": "a", "slots": 64, "ready": true}));
    for (limit, expected) in [(json!(3), 3), (json!(null), 10), (json!(20), 20)] {
        let tasks: Vec<Value> = (0..25).map(|n| json!({"name": format!("t{n}")})).collect();
        let config = json!({"max_concurrent_tasks": limit});
        let id = create(&mut host, json!({"name": "p", "strategy": "parallel", "tasks": tasks, "config": config}));
        host.request("pipeline/start", json!({"pipeline_id": id}));
        let at_once = agent.peer.drain_methods().iter().filter(|method| *method == "task/assigned").count();
        assert_eq!(at_once, expected);
        host.request("pipeline/stop", json!({"pipeline_id": id}));
        agent.peer.drain();
    }
}

#[test]
fn priority_based_takes_the_highest_first() {
    let tasks = json!([{"name": "low", "priority": -5}, {"name": "none"}, {"name": "high", "config": {"priority": 900}}, {"name": "middle", "priority": 10}]);
    assert_eq!(order("priority_based", 1, tasks), ["high", "middle", "none", "low"]);
}

#[test]
fn resource_aware_never_starts_what_does_not_fit() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::register(
        &server,
        json!({"id": "a", "name": "a", "slots": 8, "ready": true, "resources": {"cpu": 2, "memory_mb": 1_000}}),
    );
    let need = |name: &str, mb: u32| json!({"name": name, "config": {"memory_requirement": mb, "cpu_requirement": 10}});
    let tasks = json!([need("half", 500), need("other half", 500), need("third half", 500), need("never", 5_000)]);
    let id = create(&mut host, json!({"name": "p", "strategy": "resource_aware", "tasks": tasks}));
    host.request("pipeline/start", json!({"pipeline_id": id}));
    let first = agent.next();
    agent.next();
    agent.expect_idle();
    agent.complete(&first, json!(1));
    agent.next();
    agent.expect_idle();
}

#[test]
fn capabilities_decide_who_gets_what() {
    let server = Server::start();
    let mut host = server.peer();
    let mut plain = Agent::join(&server, "plain");
    let mut able =
        Agent::register(&server, json!({"id": "able", "name": "able", "capabilities": ["gpu", "cuda"], "ready": true}));
    task(&mut host, "needs both", json!({"required_capabilities": ["cuda", "gpu"]}));
    assert_eq!(able.next().name, "needs both");
    task(&mut host, "needs more", json!({"required_capabilities": ["gpu", "tpu"]}));
    plain.expect_idle();
    task(&mut host, "needs nothing", json!({}));
    assert_eq!(plain.next().name, "needs nothing");
}

#[test]
fn the_better_agent_goes_first() {
    let server = Server::start();
    let mut host = server.peer();
    let mut bad = Agent::join(&server, "bad");
    for _ in 0..3 {
        task(&mut host, "t", json!({"retry_attempts": 0}));
        let given = bad.next();
        bad.fail(&given, "no luck");
    }
    let mut good = Agent::join(&server, "good");
    task(&mut host, "important", json!({}));
    assert_eq!(good.next().name, "important");
    bad.expect_idle();
}

#[test]
fn too_many_kinds_of_tasks_are_refused_with_the_limit_named() {
    let server = Server::start();
    let mut host = server.peer();
    let tasks: Vec<Value> =
        (0..4_200).map(|n| json!({"name": "t", "required_capabilities": [format!("c{n}")]})).collect();
    let refused = host.refused(-40_051, "task/create", json!({"tasks": tasks}));
    assert!(refused.message.contains("4096"), "{refused:?}");
    assert_eq!(host.request("task/list", json!({}))["total"], 0);
}
