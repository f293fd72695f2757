//! Peers that are gone without a word: nothing comes from them any more, and nothing tells.

use super::{Gauge, Proxy, until};
use crate::harness::{Assignment, Deadline, Peer, Server, plain};
use serde_json::json;
use std::time::Duration;

/// The shortest lease there is.
const SHORT: &str = "orchestration:\n  lease_term: 1\n";

#[test]
fn an_agent_whose_line_goes_dead_is_let_go_of() {
    let mut server = Server::configured(SHORT);
    let proxy = Proxy::to(server.address());
    let mut host = server.peer();
    host.request("pipeline/list", json!({}));
    let gauge = Gauge::of(&mut server);
    let before = gauge.sockets();
    let mut cut_off = Peer::connect(proxy.address());
    cut_off.request("agent/register", plain("cut off"));
    let retry = json!({"retry": {"attempts": 1, "backoff": 0.01}});
    let task = host.request("task/create", json!({"name": "t", "config": retry}))["task_id"].clone();
    assert_eq!(Assignment::of(&cut_off.next_notification("task/assigned")).attempt, 1);
    proxy.forget();
    until("the agent is lost", || host.request("agent/status", json!({"agent_id": "cut off"}))["status"] == "lost");
    until("its connection is gone", || gauge.sockets() <= before);
    let mut other = server.peer();
    other.request("agent/register", plain("other"));
    let given = Assignment::of(&other.next_notification("task/assigned"));
    assert_eq!((json!(given.task), given.attempt), (task.clone(), 2));
    let done = json!({"task_id": task, "agent_id": "other", "attempt": 2, "result": "rescued"});
    other.request("task/completed", done);

    // The line is new, and the agent hears what has become of its attempt.
    let mut back = Peer::connect(proxy.address());
    let mut again = plain("cut off");
    again["running"] = json!([{"task_id": task, "attempt": 1}]);
    back.request("agent/register", again);
    assert_eq!(back.next_notification("task/cancelled").params()["task_id"], task);
    assert_eq!(host.request("task/result", json!({"task_id": task}))["result"], "rescued");
}

/// As many as there are places, each silent from the handshake on, or after a word.
#[test]
#[ignore = "a campaign: tests/network/campaign half_open"]
fn half_open_campaign() {
    const PLACES: usize = 100;
    let mut server = Server::start();
    let proxy = Proxy::to(server.address());
    let gauge = Gauge::of(&mut server);
    let mut silent: Vec<Peer> = (0..PLACES).map(|_| Peer::connect(proxy.address())).collect();
    silent.iter_mut().step_by(2).for_each(|peer| drop(peer.request("subscribe", json!({"topics": ["*"]}))));
    proxy.forget();
    assert!(Peer::try_connect(server.address()).is_err(), "all places are taken");
    // 30 s of silence, and a second to linger.
    let deadline = Deadline::after(Duration::from_secs(40));
    while Peer::try_connect(server.address()).is_err() {
        assert!(deadline.left().is_some(), "no place became free");
        std::thread::sleep(Duration::from_millis(100));
    }
    until("all places are free", || {
        let peers: Vec<_> = (0..PLACES).map_while(|_| Peer::try_connect(server.address()).ok()).collect();
        peers.len() == PLACES
    });
    gauge.check("peers that are gone without a word", 64);
}
