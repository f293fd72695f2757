//! The door over real loopback sockets.

use super::*;
use crate::server::door::{self, Door, LocalConnections};
use crate::server::{DoorConfig, DoorError};
use futures_util::{SinkExt, StreamExt};
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message as ClientMessage};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

fn config() -> DoorConfig {
    DoorConfig {
        host: "127.0.0.1".to_owned(),
        port: 0,
        max_connections: 2,
        max_frame_bytes: 4_096,
        ..DoorConfig::default()
    }
}

async fn open(stage: &Stage) -> Door {
    let doorway = door::bind(&config()).await.unwrap();
    let numbers = AtomicU64::new(1);
    let door = doorway.serve(&config(), LocalConnections::default());
    door.open(Arc::clone(&stage.shared), Box::new(move || numbers.fetch_add(1, Ordering::Relaxed)));
    door
}

async fn connect(door: &Door, headers: &[(&'static str, &str)]) -> Result<Client, (u16, String)> {
    let mut request = format!("ws://{}/any/path?at=all", door.addr()).into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    match connect_async(request).await {
        Ok((client, _)) => Ok(client),
        Err(Error::Http(response)) => {
            let sentence = response.body().clone().unwrap_or_default();
            Err((response.status().as_u16(), String::from_utf8(sentence).unwrap()))
        }
        Err(error) => panic!("{error}"),
    }
}

async fn read(client: &mut Client) -> ClientMessage {
    tokio::time::timeout(Duration::from_secs(30), client.next()).await.unwrap().unwrap().unwrap()
}

#[tokio::test]
async fn a_request_goes_in_and_its_answer_comes_out() {
    let stage = Stage::new(10);
    let door = open(&stage).await;
    let mut client = connect(&door, &[]).await.unwrap();
    client.send(ClientMessage::text(r#"{"id":"1","type":"request","method":"pipeline/list"}"#)).await.unwrap();
    let inbox = stage.inbox.clone();
    let take = move || [inbox.recv().unwrap(), inbox.recv().unwrap()];
    let [opened, request] = tokio::task::spawn_blocking(take).await.unwrap();
    assert!(matches!(opened.message, Message::Opened { peer } if peer.starts_with("127.0.0.1:")));
    stage.shared.directory.get(request.connection).unwrap().send([recorded("1")]);
    let answer: Value = serde_json::from_str(read(&mut client).await.to_text().unwrap()).unwrap();
    assert_eq!(answer["id"], "1");
    client.close(None).await.unwrap();
    let inbox = stage.inbox.clone();
    let closed = tokio::task::spawn_blocking(move || inbox.recv().unwrap()).await.unwrap();
    assert!(matches!(closed.message, Message::Closed));
    door.close();
    assert!(door.left(Duration::from_secs(30)).await);
}

#[tokio::test]
async fn clients_wait_until_the_log_is_read_and_probes_do_not() {
    let stage = Stage::new(10);
    let door = door::bind(&config()).await.unwrap().serve(&config(), LocalConnections::default());
    let ((live, _), (ready, said)) = (probe(&door, "/healthz").await, probe(&door, "/readyz").await);
    assert_eq!((live, ready, &said["status"]), (200, 503, &json!("unavailable")));
    assert!(said["reason"].as_str().unwrap().contains("reads its log"), "{said}");
    let addr = door.addr();
    let waiting = tokio::spawn(async move { connect_async(format!("ws://{addr}")).await.map(drop) });
    stage.shared.pulse.turned(None, crate::clock::mono_ms());
    door.open(Arc::clone(&stage.shared), Box::new(|| 1));
    waiting.await.unwrap().unwrap();
    assert_eq!(probe(&door, "/readyz").await.0, 200);
}

#[tokio::test]
async fn a_long_turn_holds_up_no_probe() {
    let stage = Stage::new(10);
    let door = open(&stage).await;
    stage.shared.pulse.turned(None, crate::clock::mono_ms());
    let (shared, (begun, begins), (end, ends)) = (Arc::clone(&stage.shared), bounded(1), bounded::<()>(0));
    let turn = std::thread::spawn(move || {
        let _deciding = shared.state.write();
        begun.send(()).unwrap();
        ends.recv().unwrap_err();
    });
    begins.recv().unwrap();
    for path in ["/healthz", "/readyz"] {
        assert_eq!(probe(&door, path).await.0, 200, "{path}");
    }
    drop(end);
    turn.join().unwrap();
}

/// The answer to a probe.
async fn probe(door: &Door, path: &str) -> (u16, Value) {
    let answer = ask(door, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
}

/// Sends a text over a plain connection; all that comes back.
async fn ask(door: &Door, request: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = TcpStream::connect(door.addr()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn foreign_pages_and_names_are_turned_away() {
    let stage = Stage::new(10);
    let door = open(&stage).await;
    for header in [("origin", "https://evil.example"), ("origin", "null"), ("host", "evil.example")] {
        let (status, sentence) = connect(&door, &[header]).await.unwrap_err();
        assert_eq!(status, 403);
        assert!(sentence.contains(header.1), "{sentence}");
    }
    for header in [("origin", "http://localhost:3000"), ("host", "localhost:1")] {
        connect(&door, &[header]).await.unwrap();
    }
}

#[tokio::test]
async fn connections_are_limited_and_a_place_becomes_free_again() {
    let stage = Stage::new(10);
    let door = open(&stage).await;
    let mut first = connect(&door, &[]).await.unwrap();
    let _second = connect(&door, &[]).await.unwrap();
    let (status, sentence) = connect(&door, &[]).await.unwrap_err();
    assert_eq!(status, 503);
    assert!(sentence.contains("2 connections") && sentence.contains("server.max_connections"), "{sentence}");
    first.close(None).await.unwrap();
    let inbox = stage.inbox.clone();
    tokio::task::spawn_blocking(move || inbox.recv().unwrap()).await.unwrap();
    // The place is given back right after the end was told: the next attempts find it.
    let mut again = connect(&door, &[]).await;
    while again.is_err() {
        again = connect(&door, &[]).await;
    }
}

#[tokio::test]
async fn a_frame_that_is_too_long_is_answered_and_ends_the_connection() {
    let stage = Stage::new(10);
    let door = open(&stage).await;
    let mut client = connect(&door, &[]).await.unwrap();
    client.send(ClientMessage::text("x".repeat(5_000))).await.unwrap();
    let answer: Value = serde_json::from_str(read(&mut client).await.to_text().unwrap()).unwrap();
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!("unknown"), &json!(-32_600)));
    assert!(answer["error"]["message"].as_str().unwrap().contains("4096 bytes"), "{answer}");
    match read(&mut client).await {
        ClientMessage::Close(Some(frame)) => assert_eq!(u16::from(frame.code), 1009),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_peer_that_speaks_no_websocket_is_told_what_this_is() {
    let stage = Stage::new(10);
    let door = open(&stage).await;
    let answer = ask(&door, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 426") && answer.contains("WebSocket"), "{answer}");
}

#[tokio::test]
async fn only_loopback_is_bound_and_the_sentence_names_the_flag() {
    for host in ["0.0.0.0", "::", "[::]", "192.0.2.1"] {
        let error = door::bind(&DoorConfig { host: host.to_owned(), ..config() }).await.err().unwrap();
        assert!(matches!(error, DoorError::NotLoopback { .. }), "{error}");
        assert!(error.to_string().ends_with("; listen on localhost"), "{error}");
    }
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let stage = Stage::new(10);
    let door = open(&stage).await;
    let taken = DoorConfig { port: door.addr().port(), ..config() };
    let error = door::bind(&taken).await.err().unwrap();
    assert!(matches!(error, DoorError::PortInUse { port, .. } if port == taken.port), "{error}");
}

#[tokio::test]
async fn behind_a_closed_door_guests_stay_until_they_leave() {
    let stage = Stage::new(10);
    let door = open(&stage).await;
    let addr = door.addr();
    let mut client = connect(&door, &[]).await.unwrap();
    let outbox = loop {
        match stage.shared.directory.get(1) {
            Some(outbox) => break outbox,
            None => tokio::task::yield_now().await,
        }
    };
    door.close();
    outbox.send([Outgoing::Close]);
    assert!(matches!(read(&mut client).await, ClientMessage::Close(Some(frame)) if u16::from(frame.code) == 1001));
    while client.next().await.is_some() {}
    assert!(door.left(Duration::from_secs(30)).await);
    assert!(connect_async(format!("ws://{addr}")).await.is_err());
}
