//! Peers that do not read what is said to them: what they asked for, and what they subscribed to.

use super::Gauge;
use crate::harness::{Peer, Server, envelope};
use serde_json::json;
use std::io::ErrorKind;
use std::time::Duration;
use tokio_tungstenite::tungstenite::Error;

/// A frame of this length is mostly one field.
const LONG: usize = 1_000_000;
/// The coordinator reads nothing more, when it has not for so long.
const DEAF: Duration = Duration::from_secs(2);

/// Sends long hooks, which come back to it beside their answers, and reads nothing; how many could be sent.
fn ask_without_reading(peer: &mut Peer, most: usize) -> usize {
    peer.request("subscribe", json!({"topics": ["claude-flow/hook"]}));
    peer.raw().set_write_timeout(Some(DEAF)).unwrap();
    let filler = "x".repeat(LONG);
    for sent in 0..most {
        let hook = envelope("request", &format!("r{sent}"), "claude-flow/hook", &json!({"filler": filler}));
        match peer.try_send_text(hook) {
            Ok(()) => {}
            Err(Error::Io(error)) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return sent;
            }
            Err(error) => panic!("{error}"),
        }
    }
    most
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
    let mut lazy: Vec<Peer> = (0..peers).map(|_| server.peer()).collect();
    for peer in &mut lazy {
        let sent = ask_without_reading(peer, MOST);
        assert!(sent < MOST, "all {sent} requests were read, although no answer was");
        eprintln!("{sent} requests of 1 MB were read");
        server.peer().request("pipeline/list", json!({}));
    }
    gauge.check("peers that read no answers", bound_mib(peers));
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
        let goodbye = peer.until_closed().expect("a goodbye");
        assert!(u16::from(goodbye.code) == 1008 && goodbye.reason.contains("too slow"), "{goodbye:?}");
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
