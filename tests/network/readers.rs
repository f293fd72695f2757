//! Peers that do not read what is said to them: what they asked for, and what they subscribed to.

use super::Gauge;
use crate::harness::{Peer, Server, envelope};
use serde_json::json;
use std::time::Duration;

/// A frame of this length is mostly one field.
const LONG: usize = 1_000_000;
/// The coordinator reads nothing more, when it has not for so long.
const DEAF: Duration = Duration::from_secs(2);

/// A peer that sends long hooks, which come back to it beside their answers, and reads nothing, until it is not read either, or is
/// cut off.
fn ask_without_reading(address: &str, most: usize) -> Peer {
    let mut peer = Peer::connect(address);
    peer.request("subscribe", json!({"topics": ["claude-flow/hook"]}));
    peer.raw().set_write_timeout(Some(DEAF)).unwrap();
    let filler = "x".repeat(LONG);
    for sent in 0..most {
        let hook = envelope("request", &format!("r{sent}"), "claude-flow/hook", &json!({"filler": filler}));
        if let Err(end) = peer.try_send_text(hook) {
            eprintln!("{sent} requests of 1 MB were read: {end}");
            return peer;
        }
    }
    panic!("all {most} requests were read, although no answer was");
}

/// 32 MiB of each in flight, three times over: as frames, as records and as answers; and the inbox.
fn bound_mib(peers: usize) -> u64 {
    3 * 32 * peers as u64 + 128
}

fn answers(peers: usize) {
    const MOST: usize = 400;
    let mut server = Server::start();
    server.peer().request("pipeline/list", json!({}));
    let gauge = Gauge::of(&mut server);
    let address = server.address();
    let lazy = std::thread::scope(|scope| {
        let askers: Vec<_> = (0..peers).map(|_| scope.spawn(|| ask_without_reading(address, MOST))).collect();
        askers.into_iter().map(|asker| asker.join().unwrap()).collect::<Vec<Peer>>()
    });
    server.peer().request("pipeline/list", json!({}));
    gauge.check("peers that read no answers", bound_mib(peers));
    drop(lazy);
}

#[test]
fn who_reads_no_answers_is_not_read() {
    answers(1);
}

#[test]
#[ignore = "a campaign: tests/network/campaign answers"]
fn answers_campaign() {
    answers(16);
}

/// What a subscriber may leave waiting, twice (it waits, and it is being written), once for all of them; and as much again for
/// records and buffers on their way.
const NOTICES_BOUND_MIB: u64 = 4 * 64;

fn subscribers(count: usize, hooks: usize) {
    let mut server = Server::start();
    let mut host = server.peer();
    host.request("pipeline/list", json!({}));
    let gauge = Gauge::of(&mut server);
    let mut lazy: Vec<Peer> = (0..count).map(|_| server.peer()).collect();
    lazy.iter_mut().for_each(|peer| drop(peer.request("subscribe", json!({"topics": ["*"]}))));
    let filler = "x".repeat(LONG);
    (0..hooks).for_each(|_| drop(host.request("claude-flow/hook", json!({"type": "post-task", "filler": filler}))));
    for peer in &mut lazy {
        // Who has not even taken the goodbye after 20 s gets none.
        let goodbye = peer.until_closed();
        assert!(goodbye.is_none_or(|goodbye| goodbye.reason.contains("too slow")));
    }
    host.request("pipeline/list", json!({}));
    gauge.check("subscribers that do not read", NOTICES_BOUND_MIB);
}

#[test]
fn subscribers_that_do_not_read_are_cut_off_before_they_cost_much() {
    subscribers(4, 100);
}

#[test]
#[ignore = "a campaign: tests/network/campaign subscribers"]
fn subscribers_campaign() {
    subscribers(50, 1_000);
}
