//! Law 11: a repeated request gets the same answer and changes nothing.

use super::id_of;
use crate::harness::{Agent, Peer, Server};
use serde_json::{Value, json};

fn ask(peer: &mut Peer, id: &str, method: &str, params: Value) -> Value {
    peer.send("request", id, method, &params);
    peer.answer(id).granted()
}

const ID: &str = "3f0a6f0e-5f0f-4b52-9a35-0123456789ab";

#[test]
fn a_request_with_a_uuid_counts_once_over_connections_and_restarts() {
    let mut server = Server::start();
    let params = json!({"name": "p", "tasks": [{"name": "a"}, {"name": "b"}]});
    // Connected before, and has heard of it: what comes now is about something new.
    let mut other = server.peer();
    let first = ask(&mut server.peer(), ID, "pipeline/create", params.clone());
    other.next_notification("pipeline/created");
    assert_eq!(ask(&mut other, ID, "pipeline/create", params.clone()), first);
    assert!(!other.drain_methods().contains(&"pipeline/created".to_owned()), "nothing happened again");
    other.send("request", ID, "pipeline/create", &json!({"name": "q"}));
    let refused = other.answer(ID).refused();
    assert_eq!((refused.code, &refused.data["id"]), (-40_071, &json!(ID)));
    other.send("request", ID, "memory/set", &json!({"key": "k", "value": 1}));
    assert_eq!(other.answer(ID).refused().code, -40_071);
    assert_eq!(other.request("pipeline/list", json!({}))["total"], 1);

    server.kill();
    server.restart();
    let mut after = server.peer();
    assert_eq!(ask(&mut after, ID, "pipeline/create", params.clone()), first, "also after a restart");
    assert_eq!(server.terminate().code, 0);
    server.restart();
    let mut after = server.peer();
    assert_eq!(ask(&mut after, ID, "pipeline/create", params), first);
    after.send("request", ID, "pipeline/create", &json!({"name": "q"}));
    assert_eq!(after.answer(ID).refused().code, -40_071);
    assert_eq!(after.request("pipeline/list", json!({}))["total"], 1);
}

#[test]
fn a_counter_counts_within_its_connection() {
    let server = Server::start();
    let mut one = server.peer();
    let mut two = server.peer();
    let params = json!({"name": "p"});
    let first = ask(&mut one, "1", "pipeline/create", params.clone());
    assert_eq!(ask(&mut one, "1", "pipeline/create", params.clone()), first);
    let second = ask(&mut two, "1", "pipeline/create", params.clone());
    assert_ne!(id_of(&first, "pipeline_id"), id_of(&second, "pipeline_id"));
    one.send("request", "1", "pipeline/create", &json!({"name": "q"}));
    assert_eq!(one.answer("1").refused().code, -40_071);
    assert_eq!(one.request("pipeline/list", json!({}))["total"], 2);
}

#[test]
fn every_changing_method_answers_the_same_again() {
    let server = Server::start();
    let mut host = server.peer();
    let pipeline = super::create(&mut host, json!({"name": "p", "tasks": [{"name": "t"}]}));
    let this = json!({"pipeline_id": pipeline});
    let error = host.request("error/report", json!({"message": "m"}))["error_id"].clone();
    let cancelled = super::task(&mut host, "c", json!({}));
    for (method, params) in [
        ("pipeline/create", json!({"name": "q"})),
        ("pipeline/start", this.clone()),
        ("pipeline/pause", this.clone()),
        ("pipeline/resume", this.clone()),
        ("pipeline/stop", this.clone()),
        ("pipeline/delete", this),
        ("task/create", json!({"name": "t", "config": {"required_capabilities": ["x"]}})),
        ("task/cancel", json!({"task_id": cancelled})),
        ("agent/register", json!({"id": "a", "name": "a"})),
        ("agent/unregister", json!({"agent_id": "a"})),
        ("memory/set", json!({"key": "k", "value": 1})),
        ("memory/delete", json!({"key": "k"})),
        ("error/report", json!({"message": "again"})),
        ("error/recover", json!({"error_id": error, "recovery_action": "ignore"})),
        ("model/metrics", json!({"model_id": "m", "accuracy": 1})),
    ] {
        let id = uuid::Uuid::new_v4().to_string();
        let first = ask(&mut host, &id, method, params.clone());
        assert_eq!(ask(&mut host, &id, method, params.clone()), first, "{method}");
        assert_eq!(ask(&mut server.peer(), &id, method, params), first, "{method}, on another connection");
    }
    assert_eq!(host.request("error/list", json!({}))["total"], 2);
    let series = host.request("model/performance", json!({"model_id": "m"}))["performance"]["series"].clone();
    assert_eq!(series.as_array().map(Vec::len), Some(1));
}

#[test]
fn a_refused_request_may_be_sent_again_when_it_can_succeed() {
    let server = Server::start();
    let mut host = server.peer();
    let pipeline = super::create(&mut host, json!({"name": "p"}));
    let this = json!({"pipeline_id": pipeline});
    host.send("request", ID, "pipeline/pause", &this);
    assert_eq!(host.answer(ID).refused().code, -40_003);
    host.request("pipeline/start", this.clone());
    assert_eq!(ask(&mut host, ID, "pipeline/pause", this)["status"], "paused");
}

#[test]
fn a_repeated_completion_is_recorded_once() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "a");
    let id = super::task(&mut host, "t", json!({}));
    agent.next();
    let done = json!({"task_id": id, "agent_id": "a", "result": 1, "success": true});
    for _ in 0..3 {
        assert_eq!(ask(&mut agent.peer, ID, "task/completed", done.clone())["status"], "recorded");
    }
    assert_eq!(host.request("agent/status", json!({"agent_id": "a"}))["tasks_completed"], 1);
}

#[test]
fn reading_under_one_id_reads_anew() {
    let server = Server::start();
    let mut host = server.peer();
    assert_eq!(ask(&mut host, ID, "pipeline/list", json!({}))["total"], 0);
    super::create(&mut host, json!({"name": "p"}));
    assert_eq!(ask(&mut host, ID, "pipeline/list", json!({}))["total"], 1);
    assert_eq!(ask(&mut host, ID, "agent/list", json!({}))["total"], 0);
}
