//! What clients are told without asking, and what spares them.

use super::{create, run, task};
use crate::harness::{Agent, Server};
use serde_json::{Value, json};

#[test]
fn every_step_of_a_pipeline_is_broadcast() {
    let server = Server::start();
    let mut host = server.peer();
    let mut watcher = server.peer();
    let id = create(&mut host, json!({"name": "p", "tasks": [{"name": "t"}]}));
    let this = json!({"pipeline_id": id});
    for method in ["start", "pause", "resume", "stop", "delete"] {
        host.request(&format!("pipeline/{method}"), this.clone());
    }
    let told = watcher.drain();
    let methods: Vec<&str> = told.iter().map(|frame| frame.method()).collect();
    let steps = ["created", "started", "paused", "resumed", "stopped", "deleted"];
    assert_eq!(methods, steps.map(|step| format!("pipeline/{step}")));
    for frame in &told {
        assert_eq!(frame.params()["pipeline_id"], json!(id));
        assert!(frame.params()["name"].is_string(), "{frame:?}");
    }
    assert_eq!(told[0].params()["name"], "p");
    let mine = host.drain_methods();
    assert_eq!(mine, methods, "who asked is told as well");
}

#[test]
fn without_a_subscription_there_is_nothing_about_tasks_and_hooks() {
    let server = Server::start();
    let mut host = server.peer();
    let mut watcher = server.peer();
    let mut agent = Agent::join(&server, "a");
    task(&mut host, "t", json!({}));
    let given = agent.next();
    agent.begin(&given);
    agent.peer.notify("claude-flow/hook", json!({"type": "post-task"}));
    agent.complete(&given, json!(1));
    assert_eq!(watcher.drain_methods(), Vec::<String>::new());
}

#[test]
fn a_subscription_replaces_the_broadcast() {
    let server = Server::start();
    let mut host = server.peer();
    let mut watcher = server.peer();
    let topics = watcher.request("subscribe", json!({"topics": ["task/*", "server/heartbeat"]}))["topics"].clone();
    let mut topics: Vec<&str> = topics.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    topics.sort_unstable();
    assert_eq!(topics, ["server/heartbeat", "task/*"]);
    let mut agent = Agent::join(&server, "a");
    run(&mut host, json!([{"name": "t"}]));
    let given = agent.next();
    agent.begin(&given);
    agent.complete(&given, json!(1));
    let told = watcher.drain();
    assert!(told.iter().all(|frame| frame.method().starts_with("task/")), "{told:?}");
    assert!(
        told.iter().any(|frame| frame.method() == "task/progress" && frame.params()["task_id"] == json!(given.task))
    );
    assert!(told.iter().all(|frame| frame.method() != "task/assigned"), "an assignment is for the one agent");

    let left = watcher.request("unsubscribe", json!({"topics": ["task/*"]}))["topics"].clone();
    assert_eq!(left, json!(["server/heartbeat"]));
    run(&mut host, json!([{"name": "t"}]));
    agent.work(json!(2));
    assert_eq!(watcher.drain_methods(), Vec::<String>::new());
}

#[test]
fn a_short_result_is_told_with_the_end() {
    let server = Server::start();
    let mut host = server.peer();
    host.request("subscribe", json!({"topics": ["task/changed"]}));
    let mut agent = Agent::join(&server, "a");
    for (result, told) in
        [(json!({"loss": 0.2}), true), (json!("-".repeat(510)), true), (json!("-".repeat(511)), false)]
    {
        task(&mut host, "t", json!({}));
        agent.work(result.clone());
        let changes = host.drain();
        let (end, before) = changes.split_last().unwrap();
        assert_eq!(end.params()["status"], "completed");
        assert_eq!(end.params().get("result"), told.then_some(&result), "{} bytes", result.to_string().len());
        assert!(before.iter().all(|frame| frame.params().get("result").is_none()), "{before:?}");
    }
}

#[test]
fn one_pipeline_can_be_followed_alone() {
    let server = Server::start();
    let mut host = server.peer();
    let mut watcher = server.peer();
    let mine = create(&mut host, json!({"name": "mine"}));
    let other = create(&mut host, json!({"name": "other"}));
    watcher.drain();
    watcher.request("subscribe", json!({"topics": [format!("pipeline:{mine}")]}));
    for id in [&other, &mine] {
        host.request("pipeline/start", json!({"pipeline_id": id}));
        host.request("pipeline/stop", json!({"pipeline_id": id}));
    }
    let told = watcher.drain();
    assert!(told.len() >= 2 && told.iter().all(|frame| frame.params()["pipeline_id"] == json!(mine)), "{told:?}");
}

#[test]
fn topics_are_checked() {
    let server = Server::start();
    let mut peer = server.peer();
    for topics in [
        json!(null),
        json!("task/*"),
        json!([7]),
        json!(["tasks"]),
        json!(["pipeline:no-uuid"]),
        json!([""]),
        json!(["/"]),
    ] {
        peer.refused(-32_602, "subscribe", json!({"topics": topics}));
    }
    let many: Vec<String> = (0..1_000).map(|n| format!("group{n}/*")).collect();
    peer.request("subscribe", json!({"topics": many}));
    let more: Vec<String> = (0..1_000).map(|n| format!("another{n}/*")).collect();
    assert!(peer.refused(-40_051, "subscribe", json!({"topics": more})).message.contains("1024"));
    assert_eq!(peer.request("unsubscribe", json!({"topics": many}))["topics"], json!([]));
    assert_eq!(peer.request("subscribe", json!({"topics": ["*"]}))["topics"], json!(["*"]));
}

#[test]
fn hooks_reach_those_who_subscribed_as_they_were_sent() {
    let server = Server::start();
    let mut agent = Agent::join(&server, "a");
    let mut watcher = server.peer();
    watcher.request("subscribe", json!({"topics": ["claude-flow/hook"]}));
    let hook = json!({"type": "pre-task", "task_id": "t", "agent_id": "a", "own": {"deep": [1, null]}, "timestamp": "2026-01-01"});
    agent.peer.notify("claude-flow/hook", hook.clone());
    assert_eq!(watcher.next_notification("claude-flow/hook").params(), &hook);
}

#[test]
fn a_worker_that_does_not_speak_gets_eight_others_at_most() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::register(&server, json!({"id": "a", "name": "a", "slots": 8, "ready": true}));
    // What the agent hears of 20 steps of pipelines; a new task for it says that it has heard all of them.
    let hears = |host: &mut crate::harness::Peer, agent: &mut Agent| {
        for _ in 0..10 {
            let id = create(host, json!({"name": "p"}));
            host.request("pipeline/delete", json!({"pipeline_id": id}));
        }
        let id = task(host, "t", json!({}));
        let (given, others) = agent.peer.until("task/assigned");
        assert_eq!(given.params()["task_id"], json!(id));
        let steps = others.iter().filter(|frame| !frame.comes_by_the_clock()).count();
        (crate::harness::Assignment::of(&given), steps, others.len())
    };
    let (first, steps, _) = hears(&mut host, &mut agent);
    assert_eq!(steps, 20, "it does not work yet");
    let (second, _, others) = hears(&mut host, &mut agent);
    assert_eq!(others, 8);
    let (third, _, others) = hears(&mut host, &mut agent);
    assert_eq!(others, 0, "it has not spoken since");
    agent.sync();
    let (fourth, _, others) = hears(&mut host, &mut agent);
    assert_eq!(others, 8);
    for given in [first, second, third, fourth] {
        agent.complete(&given, json!(1));
    }
    agent.peer.drain();
    let (_, steps, _) = hears(&mut host, &mut agent);
    assert_eq!(steps, 20, "it works no longer");
    agent.peer.request("subscribe", json!({"topics": ["pipeline/*"]}));
    let (_, steps, _) = hears(&mut host, &mut agent);
    assert_eq!(steps, 20, "it has asked for them");
}

#[test]
fn figures_of_the_machine_are_broadcast() {
    let server = Server::configured("monitoring:\n  system_interval: 1\n");
    let told = server.peer().next_notification("monitoring/system_metrics");
    let params = told.params();
    for name in [
        "cpu_percent",
        "memory_percent",
        "memory_used_mb",
        "memory_available_mb",
        "disk_usage_percent",
        "process_count",
    ] {
        assert!(params[name].as_f64().is_some_and(|number| number >= 0.0), "{name}: {params}");
    }
    for name in ["network_sent_mb", "network_recv_mb"] {
        assert!(params[name].is_null() || params[name].is_number(), "{name}: {params}");
    }
    assert_eq!(params["load_average"].as_array().map(Vec::len), Some(3), "{params}");
    assert!(params["timestamp"].is_string(), "{params}");
}

#[test]
fn assignments_and_cancellations_are_not_counted_among_the_eight() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::register(&server, json!({"id": "a", "name": "a", "slots": 32, "ready": true}));
    let ids: Vec<String> = (0..20).map(|n| task(&mut host, &format!("t{n}"), json!({}))).collect();
    for id in &ids {
        host.request("task/cancel", json!({"task_id": id}));
    }
    let told = agent.peer.drain_methods();
    for method in ["task/assigned", "task/cancelled"] {
        assert_eq!(told.iter().filter(|told| *told == method).count(), 20, "{method}");
    }
}
