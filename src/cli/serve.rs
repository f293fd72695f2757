//! `everlog serve`: the coordinator as a daemon.

use std::io::Write;
use std::path::PathBuf;

use super::exit::{Exit, Trouble};
use super::signals::Signals;
use crate::server::{Server, ServerConfig};

/// The command line of `serve`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The directory that holds the history and everything derived from it
    #[arg(long, value_name = "DIR", default_value = ".everlog")]
    data: PathBuf,
    /// The address to listen on
    #[arg(long, env = "MCP_SERVER_HOST", default_value = "localhost")]
    host: String,
    /// The port to listen on; 0 takes a free one
    #[arg(long, env = "MCP_SERVER_PORT", default_value_t = 8700)]
    port: u16,
}

pub(super) async fn run(args: Args) -> Result<Exit, Trouble> {
    let Args { data, host, port } = args;
    let mut signals = Signals::listen()?;
    let server = Server::start(ServerConfig { data, host, port, ..ServerConfig::default() }).await?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "ready {}", server.url())?;
    stdout.flush()?;
    tokio::select! {
        () = server.failed() => return Err(Trouble::Failed(
            "the coordinator stopped, see the messages above; everything it acknowledged is on disk: start it again".to_owned(),
        )),
        () = signals.next() => {}
    }
    tracing::info!("draining; another signal exits at once");
    tokio::select! {
        drained = server.drain() => drained?,
        () = signals.next() => return Ok(Exit::Interrupted),
    }
    Ok(Exit::Ok)
}
