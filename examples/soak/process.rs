//! The coordinator in a process of its own, so that it can be killed, and so that its memory is its own.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use everlog::{Client, ClientError};
use tokio::process::{Child, Command};
use tokio::time::sleep;

use super::Trouble;

/// Between two looks at whether the coordinator answers.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Is the coordinator, until the other end of stdin is closed: it never outlives who started it.
pub(crate) async fn serve(data: PathBuf, port: u16) -> Result<(), Trouble> {
    let builder = everlog::Coordinator::builder().data(data).listen(Ipv4Addr::LOCALHOST.to_string(), port);
    let coordinator = builder.open().await?;
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    coordinator.close().await?;
    Ok(())
}

/// The coordinator as its users see it.
pub(crate) struct Coordinator {
    data: PathBuf,
    address: SocketAddr,
    process: Child,
    lives: u32,
}

impl Coordinator {
    /// Starts one and waits until it answers.
    pub(crate) async fn start(data: &Path) -> Result<Self, Trouble> {
        // A place that is free now; every life listens there, so that clients find it again.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let process = spawn(data, address)?;
        let mut coordinator = Self { data: data.to_owned(), address, process, lives: 1 };
        coordinator.answers().await?;
        Ok(coordinator)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.id()
    }

    /// How often it was started.
    pub(crate) fn lives(&self) -> u32 {
        self.lives
    }

    /// `kill -9`, and the next life.
    pub(crate) async fn kill_and_restart(&mut self) -> Result<(), Trouble> {
        self.process.kill().await?;
        self.process = spawn(&self.data, self.address)?;
        self.lives += 1;
        self.answers().await
    }

    /// Ends in order.
    pub(crate) async fn stop(mut self) -> Result<(), Trouble> {
        drop(self.process.stdin.take());
        let status = self.process.wait().await?;
        if status.success() { Ok(()) } else { Err(format!("the coordinator ended with {status}").into()) }
    }

    /// Waits until a client is let in.
    async fn answers(&mut self) -> Result<(), Trouble> {
        loop {
            match Client::connect(self.url()).await {
                Ok(client) => {
                    client.close().await;
                    return Ok(());
                }
                Err(ClientError::Unreachable { .. }) if self.process.try_wait()?.is_none() => sleep(LOOK_EVERY).await,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn spawn(data: &Path, address: SocketAddr) -> Result<Child, Trouble> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--data").arg(data).arg("--port").arg(address.port().to_string());
    Ok(command.stdin(Stdio::piped()).kill_on_drop(true).spawn()?)
}
