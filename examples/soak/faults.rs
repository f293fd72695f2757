//! Strangers at the door: what a coordinator meets in a year, every second.

use std::net::SocketAddr;
use std::time::Duration;

use everlog::CancelToken;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::sleep;

/// Between two strangers.
const EVERY: Duration = Duration::from_millis(250);
/// How many of those who send nothing are there at a time.
const SILENT_MAX: usize = 20;

/// What a stranger sends.
const SENT: [&[u8]; 5] = [
    b"",
    b"GET / HTTP/1.1\r\nHost: localhost\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 is no HTTP",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
      Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff of a frame without an end",
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
];

/// Comes, says something odd and either leaves or stays without another word, until `leave` is raised.
pub(crate) async fn strangers(address: SocketAddr, leave: CancelToken) {
    let mut silent = std::collections::VecDeque::new();
    for nth in 0.. {
        tokio::select! {
            () = sleep(EVERY) => {}
            () = leave.cancelled() => return,
        }
        // It may be dead at this moment, and may hang up: both are its right.
        let Ok(mut socket) = TcpStream::connect(address).await else { continue };
        let sent = socket.write_all(SENT[nth % SENT.len()]).await;
        if sent.is_ok() && nth % 2 == 0 {
            silent.push_back(socket);
        }
        if silent.len() > SILENT_MAX {
            silent.pop_front();
        }
    }
}
