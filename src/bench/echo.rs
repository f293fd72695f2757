//! What the machine could do at most: WebSocket frames of JSON from one process to another and back, read and written on both sides
//! as sparingly as a coordinator could. One thread on each side.

use super::wire::{FRAMES_A_FLUSH, Socket, Wire};
use super::{BenchError, now};
use futures_util::stream::ReadyChunks;
use futures_util::{SinkExt, Stream, StreamExt};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::io::Write;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

/// Connections of the echo, as a coordinator's agents have them.
const CONNECTIONS: usize = 4;
/// Frames in flight on each.
const IN_FLIGHT: u64 = 64;
/// How long the echo is listened to: long enough for a rate, short enough to do it twice in every run.
const ECHO_FOR: Duration = Duration::from_millis(300);

/// What goes to and fro: a frame of the protocol, whose fields are borrowed where they are read, and its params not looked into.
#[derive(Serialize, Deserialize)]
struct Ping<'a> {
    id: &'a str,
    r#type: &'a str,
    method: &'a str,
    timestamp: &'a str,
    #[serde(borrow)]
    params: &'a RawValue,
    #[serde(borrow)]
    result: &'a RawValue,
    #[serde(borrow)]
    error: &'a RawValue,
}

impl Ping<'_> {
    fn message(id: u64) -> Result<Message, WsError> {
        let (id, params) = (id.to_string(), raw(r#"{"task_id":"01a207bc-49c2-7a14-bca6-edb028ced4d1","attempt":1}"#)?);
        let ping = Ping {
            id: &id,
            r#type: "notification",
            method: "echo",
            timestamp: "2026-01-01T00:00:00.000000+00:00",
            params,
            result: raw("null")?,
            error: raw("null")?,
        };
        ping.write()
    }

    fn write(&self) -> Result<Message, WsError> {
        serde_json::to_string(self).map(Message::text).map_err(bad)
    }

    fn read(text: &str) -> Result<Ping<'_>, WsError> {
        serde_json::from_str(text).map_err(bad)
    }
}

fn raw(text: &str) -> Result<&RawValue, WsError> {
    serde_json::from_str(text).map_err(bad)
}

fn bad(error: serde_json::Error) -> WsError {
    WsError::Io(error.into())
}

/// Says `ready URL` on stdout, and answers until the process is ended.
///
/// # Errors
/// When there is no port to listen on.
pub(crate) async fn serve() -> Result<(), BenchError> {
    let failed = |source| BenchError::Start { who: "echo", source };
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
    let mut stdout = std::io::stdout();
    let address = listener.local_addr().map_err(failed)?;
    writeln!(stdout, "ready ws://{address}").and_then(|()| stdout.flush()).map_err(failed)?;
    loop {
        let (stream, _) = listener.accept().await.map_err(failed)?;
        // A connection that fails is noticed by whoever measures.
        tokio::spawn(answer_all(stream));
    }
}

async fn answer_all(stream: TcpStream) -> Result<(), WsError> {
    stream.set_nodelay(true)?;
    let (mut sink, stream) = accept_async(stream).await?.split();
    let mut chunks = stream.ready_chunks(FRAMES_A_FLUSH);
    while let Some(frames) = chunks.next().await {
        for frame in frames {
            if let Message::Text(text) = frame? {
                sink.feed(Ping::read(&text)?.write()?).await?;
            }
        }
        sink.flush().await?;
    }
    Ok(())
}

/// Round trips a second, over all connections.
pub(super) async fn rate(url: &str) -> Result<f64, BenchError> {
    let mut connections = JoinSet::new();
    let begun = now();
    for _ in 0..CONNECTIONS {
        connections.spawn(echoes(Wire::connect(url).await?.into_socket(), begun + ECHO_FOR));
    }
    let counts =
        connections.join_all().await.into_iter().sum::<Result<u64, WsError>>().map_err(|error| cut(url, &error))?;
    Ok(counts as f64 / (now() - begun).as_secs_f64())
}

/// Milliseconds of single round trips, one after the other.
pub(super) async fn round_trips(url: &str, count: u64) -> Result<Vec<f64>, BenchError> {
    let (mut sink, stream) = Wire::connect(url).await?.into_socket().split();
    let mut chunks = stream.ready_chunks(1);
    let mut times = Vec::new();
    for id in 0..count {
        let begun = now();
        let there_and_back = async {
            sink.send(Ping::message(id)?).await?;
            received(&mut chunks).await
        };
        there_and_back.await.map_err(|error| cut(url, &error))?;
        times.push((now() - begun).as_secs_f64() * 1e3);
    }
    Ok(times)
}

/// Keeps so many in flight until the time is over; how many came back.
async fn echoes(socket: Socket, until: Duration) -> Result<u64, WsError> {
    let (mut sink, stream) = socket.split();
    let mut chunks = stream.ready_chunks(FRAMES_A_FLUSH);
    let (mut sent, mut back) = (0, 0);
    while now() < until {
        while sent < back + IN_FLIGHT {
            sink.feed(Ping::message(sent)?).await?;
            sent += 1;
        }
        sink.flush().await?;
        back += received(&mut chunks).await?;
    }
    Ok(back)
}

/// Reads what has come back; how many that are.
async fn received(
    chunks: &mut ReadyChunks<impl Stream<Item = Result<Message, WsError>> + Unpin>,
) -> Result<u64, WsError> {
    let frames = chunks.next().await.ok_or(WsError::ConnectionClosed)?;
    let count = frames.len() as u64;
    for frame in frames {
        if let Message::Text(text) = frame? {
            std::hint::black_box(Ping::read(&text)?.id);
        }
    }
    Ok(count)
}

fn cut(url: &str, error: &WsError) -> BenchError {
    BenchError::Cut { url: url.to_owned(), cause: error.to_string() }
}
