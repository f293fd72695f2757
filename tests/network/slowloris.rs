//! Connections that never say what they want: silent ones, and requests that come byte by byte. They take seats in the entrance,
//! for as long as one may; they keep nobody out, and cost next to nothing.

use super::Gauge;
use crate::harness::{Deadline, Peer, Server, now};
use serde_json::json;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Connections that may be about their request at once (docs/protocol.md).
const SEATS: usize = 256;
/// The guest, and those that are being accepted or closed while they are counted.
const PASSING: usize = 16;
/// Between two bytes of one request.
const PACE: Duration = Duration::from_millis(100);
/// [`SEATS`] requests of 32 KiB, the tasks that read them, and what a young process touches for the first time (some 20 MiB).
const BOUND_MIB: u64 = 64;

/// One of them.
struct Loiterer {
    stream: TcpStream,
    /// What it would say if it were ever done.
    request: std::iter::Cycle<std::slice::Iter<'static, u8>>,
    silent: bool,
}

impl Loiterer {
    fn new(address: &str, nth: usize) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nonblocking(true).unwrap();
        Self {
            stream,
            request: b"GET / HTTP/1.1 and so on for ever and ever ".iter().cycle(),
            silent: nth.is_multiple_of(2),
        }
    }

    /// Says a byte more, if it says anything; whether it is still welcome.
    fn loiter(&mut self) -> bool {
        let byte = [*self.request.next().unwrap()];
        let waits = |error: std::io::Error| error.kind() == ErrorKind::WouldBlock;
        let said = self.silent || self.stream.write(&byte).map_or_else(waits, |_| true);
        said && self.stream.read(&mut [0; 64]).map_or_else(waits, |read| read > 0)
    }
}

fn slowloris(count: usize, within: Duration) {
    let mut server = Server::start();
    server.peer().request("pipeline/list", json!({}));
    let gauge = Gauge::of(&mut server);
    let before = gauge.sockets();
    let mut crowd: Vec<Loiterer> = (0..count).map(|nth| Loiterer::new(server.address(), nth)).collect();
    let (address, began, deadline) = (server.address().to_owned(), now(), Deadline::after(within));
    let guest = std::thread::spawn(move || {
        Peer::connect(&address).request("pipeline/list", json!({}));
        now()
    });
    let mut most = 0;
    while !crowd.is_empty() {
        crowd.retain_mut(Loiterer::loiter);
        most = most.max(gauge.sockets());
        assert!(deadline.left().is_some(), "{} of them are welcome still", crowd.len());
        std::thread::sleep(PACE);
    }
    let waited = guest.join().unwrap() - began;
    eprintln!("{count} that send no request: {most} sockets, {before} before; a guest behind them waited {waited:?}");
    assert!(most <= before + SEATS + PASSING, "{most} sockets, {before} before");
    gauge.check("requests that never end", BOUND_MIB);
}

#[test]
fn who_sends_no_request_or_a_byte_now_and_then_keeps_nobody_out() {
    slowloris(SEATS + 50, Duration::from_secs(40));
}

#[test]
#[ignore = "a campaign: tests/network/campaign slowloris"]
fn slowloris_campaign() {
    slowloris(1_000, Duration::from_secs(120));
}
