//! A little that would become a lot: compression, lengths that are only announced, fragments without end, nesting. And garbage
//! where a frame should be.

use super::Gauge;
use crate::bad_input::http;
use crate::harness::{Peer, Server, envelope};
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;

/// A frame of 1 MiB as it is read, as text and as parsed, a few at a time; and what a young process touches for the first time.
const BOUND_MIB: u64 = 64;
/// A masked frame's mask, which changes nothing.
const MASK: [u8; 4] = [0; 4];

/// A connection after a handshake with these headers more; what the server answered.
fn upgraded(address: &str, more: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET / HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
    .unwrap();
    let (mut answer, mut byte) = (Vec::new(), [0]);
    while !answer.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    (stream, String::from_utf8(answer).unwrap().to_lowercase())
}

/// A frame's head that announces so many bytes.
fn announced(first: u8, bytes: u64) -> Vec<u8> {
    let mut head = vec![first, 0x80 | 127];
    head.extend(bytes.to_be_bytes());
    head.extend(MASK);
    head
}

/// That the server ends this connection, whatever it says before.
fn ends(mut stream: TcpStream) {
    // A reset is an end too.
    let _ = stream.read_to_end(&mut Vec::new());
}

fn bombs(fragments: usize) {
    let mut server = Server::start();
    server.peer().request("pipeline/list", json!({}));
    let gauge = Gauge::of(&mut server);
    let address = server.address();

    let (mut stream, answer) =
        upgraded(address, "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10\r\n");
    assert!(answer.starts_with("http/1.1 101") && !answer.contains("extensions"), "compression is declined: {answer}");
    // It is used all the same.
    stream.write_all(&[0xC1, 0x80 | 4, 0, 0, 0, 0, 0x4A, 0x04, 0x00, 0x00]).unwrap();
    ends(stream);

    let body = "Content-Encoding: gzip\r\nContent-Length: 1000000000\r\n\r\n\u{1f}\u{8b}";
    let (status, _) = http(address, &format!("POST /healthz HTTP/1.1\r\nHost: {address}\r\n{body}"));
    assert_eq!(status, 405, "no body is read");
    let (status, _) =
        http(address, &format!("GET / HTTP/1.1\r\nHost: {address}\r\nX: {}\r\n\r\n", "x".repeat(100_000)));
    assert_eq!(status, 431);

    let mut doomed = Vec::new();
    for bytes in [1 << 21, 1 << 32, (1 << 63) - 1, 1 << 63, u64::MAX] {
        for first in [0x81, 0x82, 0x01] {
            let (mut stream, _) = upgraded(address, "");
            stream.write_all(&announced(first, bytes)).unwrap();
            doomed.push(stream);
        }
    }
    for garbage in [
        &[0x83, 0x80, 0, 0, 0, 0][..],
        &[0x89, 0xFE, 0xFF, 0xFF],
        &[0x80, 0x80, 0, 0, 0, 0],
        &[0xFF; 64],
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        let (mut stream, _) = upgraded(address, "");
        stream.write_all(garbage).unwrap();
        doomed.push(stream);
    }
    doomed.into_iter().for_each(ends);

    // Fragments that never end, and empty ones that at last do.
    let (mut stream, _) = upgraded(address, "");
    let mut flight = vec![0x01, 0x80, 0, 0, 0, 0];
    (0..fragments).for_each(|_| flight.extend([0x00, 0x81, 0, 0, 0, 0, b'[']));
    let _ = stream.write_all(&flight);
    drop(stream);
    let mut patient = server.peer();
    let mut flight = vec![0x01, 0x80, 0, 0, 0, 0];
    (0..fragments).for_each(|_| flight.extend([0x00, 0x80, 0, 0, 0, 0]));
    flight.extend([0x80, 0x80, 0, 0, 0, 0]);
    patient.raw().write_all(&flight).unwrap();
    assert_eq!(patient.next_answer().refused().code, -32_600);
    patient.request("pipeline/list", json!({}));

    let mut deep = server.peer();
    for opening in ["[", "{\"a\":", "[{\"a\":["] {
        deep.send_text(opening.repeat((1 << 20) / opening.len()));
        assert_eq!(deep.next_answer().refused().code, -32_600);
        let nested = envelope("request", "deep", "memory/set", &json!({"key": "k", "value": "here"}));
        deep.send_text(nested.replace("\"here\"", &opening.repeat(100_000)));
        assert_eq!(deep.next_answer().refused().code, -32_600);
    }
    server.peer().request("pipeline/list", json!({}));
    gauge.check("bombs", BOUND_MIB);
}

#[test]
fn nothing_grows_inside() {
    bombs(50_000);
}

#[test]
#[ignore = "a campaign: tests/network/campaign bombs"]
fn bombs_campaign() {
    bombs(1_000_000);
}

/// Valid frames as fast as they go, from many at once: each is answered, and others are too.
fn floods(frames: usize) {
    const CROWD: usize = 8;
    /// Of one connection that wait for their answer at a time.
    const FLIGHT: usize = 1_000;
    /// The inbox, with what its messages need beside their frames.
    const BOUND_MIB: u64 = 256;
    let mut server = Server::start();
    let mut other = server.peer();
    other.request("memory/set", json!({"key": "k", "value": 1}));
    let (gauge, address) = (Gauge::of(&mut server), server.address().to_owned());
    std::thread::scope(|scope| {
        let flooders: Vec<_> = (0..CROWD)
            .map(|_| {
                scope.spawn(|| {
                    let mut peer = Peer::connect(&address);
                    for _ in 0..frames.div_ceil(CROWD * FLIGHT * 2) {
                        for n in 0..FLIGHT {
                            let (read, told) = (json!({"key": "k"}), json!({"task_id": "none", "agent_id": "none"}));
                            peer.queue_text(envelope("notification", "n", "task/completed", &told)).unwrap();
                            peer.queue_text(envelope("request", &n.to_string(), "memory/get", &read)).unwrap();
                        }
                        peer.flush().unwrap();
                        (0..FLIGHT).for_each(|n| drop(peer.answer(&n.to_string()).granted()));
                    }
                })
            })
            .collect();
        while !flooders.iter().all(|flooder| flooder.is_finished()) {
            assert_eq!(other.request("memory/get", json!({"key": "k"}))["value"], 1);
        }
    });
    gauge.check("floods of frames", BOUND_MIB);
}

#[test]
fn a_flood_of_frames_is_answered_frame_by_frame() {
    floods(32_000);
}

#[test]
#[ignore = "a campaign: tests/network/campaign floods"]
fn floods_campaign() {
    floods(2_000_000);
}
