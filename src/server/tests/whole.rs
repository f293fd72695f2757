//! The whole server: door, sessions, coordinator, log.

use super::*;
use crate::server::{Server, ServerConfig};
use futures_util::{SinkExt, StreamExt};
use std::path::Path;
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message as ClientMessage;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

fn config(data: &Path) -> ServerConfig {
    ServerConfig { data: data.to_owned(), port: 0, ..ServerConfig::default() }
}

struct Client(WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>);

impl Client {
    async fn connect(server: &Server) -> Self {
        Self(connect_async(server.url()).await.unwrap().0)
    }

    async fn read(&mut self) -> ClientMessage {
        tokio::time::timeout(Duration::from_secs(30), self.0.next()).await.unwrap().unwrap().unwrap()
    }

    /// The answer to a request; notifications on the way are passed over.
    async fn call(&mut self, id: &str, method: &str, params: Value) -> Value {
        let frame = json!({"id": id, "type": "request", "method": method, "params": params});
        self.0.send(ClientMessage::text(frame.to_string())).await.unwrap();
        loop {
            if let ClientMessage::Text(text) = self.read().await {
                let frame: Value = serde_json::from_str(&text).unwrap();
                if frame["id"] == id {
                    return frame;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_there_after_a_drain_and_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(config(dir.path())).await.unwrap();
    assert!(server.url().starts_with("ws://127.0.0.1:") || server.url().starts_with("ws://[::1]:"), "{}", server.url());
    let mut client = Client::connect(&server).await;
    let stored = client.call("1", "memory/set", json!({"key": "k", "value": {"deep": [1, null]}})).await;
    assert_eq!((&stored["result"]["status"], &stored["error"]), (&json!("stored"), &Value::Null));
    let read = client.call("2", "memory/get", json!({"key": "k"})).await;
    assert_eq!(read["result"]["value"], json!({"deep": [1, null]}));

    let ended = tokio::spawn(server.drain());
    loop {
        if let ClientMessage::Close(Some(frame)) = client.read().await {
            break assert_eq!(u16::from(frame.code), 1001);
        }
    }
    while client.0.next().await.is_some() {}
    ended.await.unwrap().unwrap();

    let server = Server::start(config(dir.path())).await.unwrap();
    let mut client = Client::connect(&server).await;
    let read = client.call("3", "memory/get", json!({"key": "k"})).await;
    assert_eq!(read["result"]["value"], json!({"deep": [1, null]}));
    server.drain().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_do_not_share_a_data_directory() {
    let dir = tempfile::tempdir().unwrap();
    let first = Server::start(config(dir.path())).await.unwrap();
    let error = Server::start(config(dir.path())).await.err().unwrap();
    assert!(error.to_string().contains("in use"), "{error}");
    first.drain().await.unwrap();
}
