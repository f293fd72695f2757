//! `everlog serve`: the coordinator as a daemon.

use std::io::Write;
use std::path::PathBuf;

use super::exit::{Exit, Trouble};
use super::signals::Signals;
use crate::config::Config;
use crate::embedded::Coordinator;

/// The command line of `serve`. A flag counts more than the environment, and that more than the file.
#[derive(Debug, clap::Args)]
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
    let mut config = Config::load(args.config.as_deref(), |name| std::env::var(name).ok())?;
    config.server.host = args.host.unwrap_or(config.server.host);
    config.server.port = args.port.unwrap_or(config.server.port);
    let mut setup = config.setup(&args.data);
    if let Some(door) = &mut setup.door {
        door.allow_remote = args.allow_unauthenticated_remote_access;
    }
    let coordinator = Coordinator::start(setup).await?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "ready {}", coordinator.url().unwrap_or_default())?;
    stdout.flush()?;
    tokio::select! {
        failed = coordinator.failed() => return Err(Trouble::Failed(format!(
            "the coordinator stopped: {failed}; everything it acknowledged is on disk: start it again"
        ))),
        () = signals.next() => {}
    }
    tracing::info!("draining; another signal exits at once");
    tokio::select! {
        drained = coordinator.close() => drained?,
        () = signals.next() => return Ok(Exit::Interrupted),
    }
    Ok(Exit::Ok)
}
