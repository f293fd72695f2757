//! `everlog serve`: the coordinator as a daemon.

use std::io::Write;
use std::path::PathBuf;

use super::exit::{Exit, Trouble};
use super::signals::Signals;
use crate::config::Config;
use crate::server::Server;

const EXAMPLES: &str = "Examples:
  everlog serve
  everlog serve --data /var/lib/everlog --port 9000";

/// The command line of `serve`. A flag counts more than the environment, and that more than the file.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The directory that holds the history and everything derived from it
    #[arg(long, value_name = "DIR", default_value = ".everlog")]
    data: PathBuf,
    /// The configuration [default: config/mcp.yaml, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The address to listen on [env: MCP_SERVER_HOST] [default: localhost]
    #[arg(long)]
    host: Option<String>,
    /// The port to listen on; 0 takes a free one [env: MCP_SERVER_PORT] [default: 8700]
    #[arg(long)]
    port: Option<u16>,
    /// Listen on other than loopback addresses, although nobody is asked who they are yet
    #[arg(long)]
    allow_unauthenticated_remote_access: bool,
}

pub(super) async fn run(args: Args) -> Result<Exit, Trouble> {
    let mut signals = Signals::listen()?;
    let mut config = Config::load(args.config.as_deref(), |name| std::env::var(name).ok())?.server();
    config.data = args.data;
    config.host = args.host.unwrap_or(config.host);
    config.port = args.port.unwrap_or(config.port);
    config.allow_remote = args.allow_unauthenticated_remote_access;
    let server = Server::start(config).await?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "ready {}", server.url())?;
    stdout.flush()?;
    tokio::select! {
        failed = server.failed() => return Err(Trouble::Failed(format!(
            "the coordinator stopped: {failed}; everything it acknowledged is on disk: start it again"
        ))),
        () = signals.next() => {}
    }
    tracing::info!("draining; another signal exits at once");
    tokio::select! {
        drained = server.drain() => drained?,
        () = signals.next() => return Ok(Exit::Interrupted),
    }
    Ok(Exit::Ok)
}
