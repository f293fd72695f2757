//! Placeholder with the signatures of the server, replaced at merge.

use std::path::PathBuf;

/// Where and how to serve.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// The data directory.
    pub data: PathBuf,
    /// The address to bind.
    pub host: String,
    /// The port to bind; 0 takes a free one.
    pub port: u16,
    /// Connections served at once.
    pub max_connections: usize,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self { data: PathBuf::from(".everlog"), host: "localhost".to_owned(), port: 8700, max_connections: 100 }
    }
}

/// Why a server did not start or stop.
#[derive(Debug, thiserror::Error)]
#[error("this build has no server; it comes with the merge")]
pub struct StartError;

/// A running coordinator.
#[derive(Debug)]
pub struct Server;

impl Server {
    /// Starts it.
    pub async fn start(_config: ServerConfig) -> Result<Server, StartError> {
        Err(StartError)
    }

    /// `ws://HOST:PORT`.
    pub fn url(&self) -> String {
        String::new()
    }

    /// Stops accepting, lets replies out, and ends.
    pub async fn drain(self) -> Result<(), StartError> {
        Err(StartError)
    }

    /// Resolves if the coordinator dies.
    pub async fn failed(&self) {
        std::future::pending().await
    }
}
