//! Requests and notifications of one connection take effect, and are answered, in the order sent.

use super::task_info;
use crate::harness::{Agent, Server, envelope};
use serde_json::{Value, json};

#[test]
fn a_mixed_pipeline_of_frames_is_answered_in_order() {
    let server = Server::start();
    let mut peer = server.peer();
    let mut expected: Vec<(String, Option<i64>, Option<Value>)> = Vec::new();
    for n in 0..200_u32 {
        let ask = |peer: &mut crate::harness::Peer, kind: &str, method: &str, params: Value| {
            let id = format!("{kind}{n}");
            peer.queue_text(envelope("request", &id, method, &params)).unwrap();
            id
        };
        let set = ask(&mut peer, "set", "memory/set", json!({"key": "k", "value": n}));
        expected.push((set, None, None));
        let get = ask(&mut peer, "get", "memory/get", json!({"key": "k"}));
        expected.push((get, None, Some(json!(n))));
        match n % 5 {
            0 => expected.push((ask(&mut peer, "bad", "no/method", json!({})), Some(-32_601), None)),
            1 => {
                peer.queue_text("garbage".to_owned()).unwrap();
                expected.push(("unknown".to_owned(), Some(-32_600), None));
            }
            2 => expected.push((ask(&mut peer, "wrong", "memory/get", json!({"key": 7})), Some(-32_602), None)),
            3 => expected.push((ask(&mut peer, "none", "task/status", json!({"task_id": "x"})), Some(-40_011), None)),
            _ => expected.push((ask(&mut peer, "list", "pipeline/list", json!({})), None, None)),
        }
    }
    peer.flush().unwrap();
    for (id, code, value) in expected {
        let answer = peer.answer(&id);
        match code {
            Some(code) => assert_eq!(answer.refused().code, code, "{id}"),
            None => {
                let result = answer.granted();
                // It sees all that was asked before it; what was asked after it, it may see as well.
                let seen = result["value"].as_u64();
                assert!(value.is_none_or(|value| seen >= value.as_u64()), "{id} read {result}");
            }
        }
    }
}

#[test]
fn a_notification_takes_effect_before_the_request_behind_it() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "a");
    for n in 0..50 {
        let id = super::task(&mut host, "t", json!({}));
        agent.next();
        let done = json!({"task_id": id, "agent_id": "a", "result": n, "success": true});
        agent.peer.queue_text(envelope("notification", "n", "task/completed", &done)).unwrap();
        agent.peer.queue_text(envelope("request", "r", "task/result", &json!({"task_id": id}))).unwrap();
        agent.peer.flush().unwrap();
        assert_eq!(agent.peer.answer("r").granted()["result"], n);
        assert_eq!(task_info(&mut host, &id)["status"], "completed", "and everybody sees it");
    }
}

#[test]
fn a_read_does_not_see_what_is_asked_after_it() {
    let server = Server::start();
    let mut peer = server.peer();
    for n in 0..200_u32 {
        let ask = |method: &str, params: Value| envelope("request", &format!("{method}{n}"), method, &params);
        peer.queue_text(ask("memory/set", json!({"key": "k", "value": n}))).unwrap();
        peer.queue_text(ask("memory/get", json!({"key": "k"}))).unwrap();
        peer.queue_text(ask("memory/delete", json!({"key": "k"}))).unwrap();
    }
    peer.flush().unwrap();
    for n in 0..200_u32 {
        peer.answer(&format!("memory/set{n}")).granted();
        let read = peer.answer(&format!("memory/get{n}")).granted();
        assert_eq!((&read["value"], &read["exists"]), (&json!(n), &json!(true)));
        assert_eq!(peer.answer(&format!("memory/delete{n}")).granted()["status"], "deleted");
    }
}

#[test]
fn who_does_not_read_is_told_when_there_is_too_much() {
    const ASKED: usize = 9_000;
    let server = Server::start();
    let mut greedy = server.peer();
    greedy.receive_at_most(64 << 10);
    let mut watcher = server.peer();
    watcher.request("subscribe", json!({"topics": ["claude-flow/hook"]}));
    greedy.request("memory/set", json!({"key": "large", "value": "x".repeat(4_000)}));
    // Neither reads an answer nor stops to ask, so that the answers fill every buffer between the two.
    for n in 0..ASKED {
        greedy.queue_text(envelope("request", &n.to_string(), "memory/get", &json!({"key": "large"}))).unwrap();
    }
    // Can not be refused and so says, in its turn, that everything before it was read.
    greedy.queue_text(envelope("notification", "last", "claude-flow/hook", &json!({"type": "last"}))).unwrap();
    greedy.flush().unwrap();
    watcher.next_notification("claude-flow/hook");
    let (mut granted, mut overloaded) = (0, 0);
    for n in 0..ASKED {
        let answer = greedy.answer(&n.to_string());
        if answer.result().is_null() {
            let refused = answer.refused();
            assert!(refused.code == -40_051 && refused.message.len() > 30, "{refused:?}");
            overloaded += 1;
        } else {
            granted += 1;
        }
    }
    assert!(granted > 0 && overloaded > 0, "{granted} were granted, {overloaded} refused");
    greedy.request("pipeline/list", json!({}));
}
