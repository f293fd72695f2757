//! Settings of a coordinator inside a program, in the units of the configuration file.

use super::{Coordinator, Setup, StartError};
use crate::api::Strategy;
use crate::coordinator::Place;
use crate::server::DoorConfig;
use everlog_replay::spec;
use std::path::PathBuf;
use std::time::Duration;

/// KiB in a MB of the protocol.
const MEGABYTE_KIB: u64 = 1_024;
/// Hundredths in a percent.
const PERCENT_HUNDREDTHS: f64 = 100.0;

/// Chooses how a [`Coordinator`] works before it is opened. What is not chosen is as in the shipped configuration file.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use everlog::Coordinator;
/// use everlog::api::Strategy;
///
/// let coordinator = Coordinator::builder()
///     .data("runs/.everlog")
///     .strategy(Strategy::Parallel)
///     .max_concurrent_tasks(64)
///     .listen("localhost", 8700)
///     .open()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "nothing happens before `open`"]
pub struct CoordinatorBuilder {
    setup: Setup,
    strategy: Option<Strategy>,
}

impl CoordinatorBuilder {
    /// Keeps the log in the data directory at `path`, which is made if it is not there. Without one the log is in memory.
    pub fn data(mut self, path: impl Into<PathBuf>) -> Self {
        self.setup.place = Place::Directory(path.into());
        self
    }

    /// Lets clients and agents of other processes in at this name or address; port 0 takes a free one
    /// (see [`Coordinator::url`]). Only loopback addresses are accepted, since nobody is asked who they are.
    pub fn listen(mut self, host: impl Into<String>, port: u16) -> Self {
        let door = self.setup.door.take().unwrap_or_default();
        self.setup.door = Some(DoorConfig { host: host.into(), port, ..door });
        self
    }

    /// How pipelines that name no strategy are scheduled. Default: adaptive.
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = Some(strategy);
        self
    }

    /// Tasks at a time of a pipeline that names no limit, at least 1. Default: 10.
    pub fn max_concurrent_tasks(mut self, tasks: u32) -> Self {
        self.setup.settings.concurrent_max = tasks.max(1);
        self
    }

    /// The longest attempt of a task that names no timeout, `None` for no limit. Default: 300 s.
    pub fn task_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.setup.settings.timeout_ms = timeout.map(millis);
        self
    }

    /// Retries of a task that names no number, at most 1,000. Default: 3.
    pub fn retry_attempts(mut self, retries: u32) -> Self {
        self.setup.settings.retry_attempts = retries.min(everlog_replay::limits::RETRIES_MAX);
        self
    }

    /// How long an agent may be silent before its tasks are given to others, at least 1 s. Default: 30 s.
    pub fn lease_term(mut self, term: Duration) -> Self {
        self.setup.settings.lease_ms = millis(term.max(Duration::from_secs(1)));
        self
    }

    /// What this process and its local agents may use together, in MB of 1,024 KiB: resource-aware pipelines keep within it,
    /// adaptive ones slow down above it. Default: 2,048.
    pub fn memory_limit_mb(mut self, megabytes: u64) -> Self {
        self.setup.settings.limits.memory = megabytes.saturating_mul(MEGABYTE_KIB);
        self
    }

    /// The same for processor time, in percent of the whole machine (clamped to 0–100). Default: 90.
    pub fn cpu_limit_percent(mut self, percent: f64) -> Self {
        // NaN becomes 0, as every cast does.
        self.setup.settings.limits.cpu = (percent.clamp(0.0, 100.0) * PERCENT_HUNDREDTHS).round() as u32;
        self
    }

    /// How many ended tasks are answered from memory; older ones are read from the log, by id. Default: 10,000.
    pub fn ended_tasks_kept(mut self, tasks: u32) -> Self {
        self.setup.settings.ended_kept = tasks;
        self
    }

    /// Time between two `monitoring/system_metrics`, at least 0.2 s. Default: 5 s.
    pub fn system_interval(mut self, interval: Duration) -> Self {
        self.setup.system_interval = interval;
        self
    }

    /// Recovers what the data directory holds, and starts. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// See [`StartError`]; nothing runs then.
    pub async fn open(mut self) -> Result<Coordinator, StartError> {
        if let Some(wanted) = self.strategy {
            let known = spec::Strategy::ALL.into_iter().find(|known| known.as_str() == wanted.as_str());
            self.setup.settings.strategy = known.ok_or(StartError::UnknownStrategy(wanted))?;
        }
        Coordinator::start(self.setup).await
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
