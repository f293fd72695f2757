//! Floods of connects that come to nothing, in every way in which they can, and what a client notices of them meanwhile.

use super::{Gauge, until};
use crate::harness::{Deadline, Peer, Server, now};
use rustix::net::sockopt::set_socket_linger;
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How many connect at a time.
const CROWD: usize = 4;
/// Nothing stays behind; a young process touches some 20 MiB for the first time, and the allocator has its slack.
const BOUND_MIB: u64 = 64;

fn connect(address: &str) -> TcpStream {
    let deadline = Deadline::usual();
    loop {
        // The machine may be short of ports for a moment: those of the connects before rest for a while.
        match TcpStream::connect(address) {
            Ok(stream) => return stream,
            Err(error) => assert!(deadline.left().is_some(), "{error}"),
        }
    }
}

/// Comes, and leaves in one of the ways there are.
fn visit(address: &str, nth: usize) {
    let mut stream = connect(address);
    match nth % 6 {
        0 => {}
        1 => stream.write_all(b"\x16\x03\x01\x02\x00\x01\x00 is no HTTP\r\n\r\n").unwrap(),
        2 => stream.write_all(b"GET / HTTP/1.1\r\nHost: local").unwrap(),
        // It is reset.
        3 => set_socket_linger(&stream, Some(Duration::ZERO)).unwrap(),
        4 => {
            stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 ") && answer.contains("connection: close"), "{answer}");
        }
        _ => drop(Peer::try_connect(address)),
    }
}

fn connects(count: usize) {
    let mut server = Server::start();
    let mut peer = server.peer();
    peer.request("memory/set", json!({"key": "k", "value": 1}));
    let (gauge, address, began) = (Gauge::of(&mut server), server.address().to_owned(), now());
    let before = gauge.sockets();
    let mut longest = Duration::ZERO;
    std::thread::scope(|scope| {
        let visitors = |first| {
            let address = &address;
            scope.spawn(move || (first..count).step_by(CROWD).for_each(|nth| visit(address, nth)))
        };
        let crowd: Vec<_> = (0..CROWD).map(visitors).collect();
        while !crowd.iter().all(|visitor| visitor.is_finished()) {
            let asked = now();
            assert_eq!(peer.request("memory/get", json!({"key": "k"}))["value"], 1);
            longest = longest.max(now() - asked);
        }
    });
    eprintln!("{count} connects in {:?}; the longest answer took {longest:?}", now() - began);
    until("all connections are gone", || gauge.sockets() <= before);
    gauge.check("connects that come to nothing", BOUND_MIB);
}

#[test]
fn a_flood_of_connects_leaves_nothing_behind() {
    connects(2_000);
}

#[test]
#[ignore = "a campaign: tests/network/campaign connects"]
fn connects_campaign() {
    connects(100_000);
}
