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
use crate::embedded::Coordinator;

const EXAMPLES: &str = "Examples:
  everlog serve
  everlog serve --data /var/lib/everlog --port 9000";

/// The command line of `serve`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
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
    let coordinator = tokio::select! {
        started = Coordinator::start(config.setup()) => started?,
        () = signals.next() => return Ok(Exit::Interrupted),
    };
    let url = coordinator.url().unwrap_or_default();
    // Clients are served whether somebody reads this line or not.
    let mut stdout = std::io::stdout();
    if let Err(error) = writeln!(stdout, "ready {url}").and_then(|()| stdout.flush()) {
        tracing::warn!(%error, "ready {url}; stdout cannot be written, so this line is here");
    }
    notify::ready(&url);
    notify::watch(coordinator.watch());
    loop {
        tokio::select! {
            failed = coordinator.failed() => return Err(Trouble::Failed(format!(
                "the coordinator stopped: {failed}; everything it acknowledged is on disk: start it again"
            ))),
            () = signals.next() => break,
            _ = hangups.recv() => {}
        }
        notify::reloading();
        tokio::select! {
            () = reload(&sources, &mut config, &coordinator, logging) => notify::ready(&url),
            () = signals.next() => break,
        }
    }
    tracing::info!("draining; another signal exits at once");
    notify::stopping();
    tokio::select! {
        drained = drain(coordinator, config.service.drain_deadline) => drained,
        () = signals.next() => Ok(Exit::Interrupted),
    }
}

/// Ends in order, within so many seconds.
async fn drain(coordinator: Coordinator, seconds: f64) -> Result<Exit, Trouble> {
    match timeout(Duration::from_secs_f64(seconds), coordinator.close()).await {
        Ok(drained) => Ok(drained.map(|()| Exit::Ok)?),
        Err(_) => Err(Trouble::Failed(format!(
            "draining took longer than service.drain_deadline ({seconds} s), so the process ends without it; everything \
             acknowledged is on disk, and the next start reads it back"
        ))),
    }
}

/// Reads the configuration again. What can change at run time does; on any error everything stays as it is.
async fn reload(sources: &Sources, config: &mut Config, coordinator: &Coordinator, logging: &Logging) {
    let loaded = match sources.load() {
        Ok(loaded) => loaded,
        Err(error) => {
            tracing::error!(
                error = %error.in_a_line(),
                "the configuration stays as it was: what was read makes no sense"
            );
            return;
        }
    };
    loaded.warn();
    let change = config.change_to(&loaded.config);
    *config = change.config;
    logging.set(config.log.level, config.log.format);
    coordinator.configure(&config.setup()).await;
    for (effect, sentence) in change.told {
        match effect {
            Effect::Reload => tracing::info!("{sentence}"),
            Effect::Restart | Effect::None => tracing::warn!("{sentence}"),
        }
    }
    tracing::info!("the configuration was read again");
}
