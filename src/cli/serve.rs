//! `everlog serve`: the coordinator as a daemon.

use std::io::Write;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

use super::config::Flags;
use super::exit::{Exit, Trouble};
use super::logging::Logging;
use super::notify;
use super::signals::Signals;
use crate::config::{Config, Effect, LogFormat, Sources};
use crate::server::Server;

/// The command line of `serve`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    flags: Flags,
}

pub(super) async fn run(args: Args, logging: &Logging, log_format: Option<LogFormat>) -> Result<Exit, Trouble> {
    let mut signals = Signals::listen()?;
    let mut hangups = signal(SignalKind::hangup())?;
    let sources = args.flags.sources(log_format);
    let loaded = sources.load()?;
    let mut config = loaded.config.clone();
    logging.set(config.log.level, config.log.format);
    loaded.warn();
    let server = tokio::select! {
        started = Server::start(config.server()) => started?,
        () = signals.next() => return Ok(Exit::Interrupted),
    };
    let url = server.url();
    let mut stdout = std::io::stdout();
    writeln!(stdout, "ready {url}")?;
    stdout.flush()?;
    notify::ready(&url);
    notify::watch(server.watch());
    loop {
        tokio::select! {
            failed = server.failed() => return Err(Trouble::Failed(format!(
                "the coordinator stopped: {failed}; everything it acknowledged is on disk: start it again"
            ))),
            () = signals.next() => break,
            _ = hangups.recv() => {}
        }
        notify::reloading();
        tokio::select! {
            () = reload(&sources, &mut config, &server, logging) => notify::ready(&url),
            () = signals.next() => break,
        }
    }
    tracing::info!("draining; another signal exits at once");
    notify::stopping();
    tokio::select! {
        drained = drain(server, config.service.drain_deadline) => drained,
        () = signals.next() => Ok(Exit::Interrupted),
    }
}

/// Ends in order, within so many seconds.
async fn drain(server: Server, seconds: f64) -> Result<Exit, Trouble> {
    match timeout(Duration::from_secs_f64(seconds), server.drain()).await {
        Ok(drained) => Ok(drained.map(|()| Exit::Ok)?),
        Err(_) => Err(Trouble::Failed(format!(
            "draining took longer than service.drain_deadline ({seconds} s), so the process ends without it; everything \
             acknowledged is on disk, and the next start reads it back"
        ))),
    }
}

/// Reads the configuration again. What can change at run time does; on any error everything stays as it is.
async fn reload(sources: &Sources, config: &mut Config, server: &Server, logging: &Logging) {
    let loaded = match sources.load() {
        Ok(loaded) => loaded,
        Err(error) => {
            tracing::error!(%error, "the configuration stays as it was: what was read makes no sense");
            return;
        }
    };
    loaded.warn();
    let change = config.change_to(&loaded.config);
    *config = change.config;
    logging.set(config.log.level, config.log.format);
    server.configure(&config.server()).await;
    for (effect, sentence) in change.told {
        match effect {
            Effect::Reload => tracing::info!("{sentence}"),
            Effect::Restart | Effect::None => tracing::warn!("{sentence}"),
        }
    }
    tracing::info!("the configuration was read again");
}
