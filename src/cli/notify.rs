//! What the service manager is told (`sd_notify`): when the coordinator is ready, reads its configuration again, ends, and that it
//! is alive. Where there is no service manager nothing is told.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval};

/// Clients are served.
pub(super) fn ready(url: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(&format!("listening at {url}"))]);
}

/// The configuration is read again; ends with [`ready`].
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "the service manager is not told of the reload: the clock cannot be read"),
    }
}

/// The end has begun.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("draining")]);
}

/// From now on tells the service manager, if it asks for that, that the process lives, as long as `lives` says so.
pub(super) fn watch(lives: impl Fn() -> Result<(), String> + Send + 'static) {
    let Some(within) = sd_notify::watchdog_enabled() else { return };
    tokio::spawn(async move {
        // Half of the time leaves room for a tick that comes late. A millisecond is the shortest that a timer knows.
        let mut ticks = interval((within / 2).max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match lives() {
                Ok(()) => tell(&[NotifyState::Watchdog]),
                Err(reason) => tracing::error!(reason, "the service manager is not told that this process lives"),
            }
        }
    });
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be told; look at $NOTIFY_SOCKET");
    }
}
