//! How fast everlog is on this machine, and what bounds it. One load generator for people (`everlog bench`) and for this project's
//! own figures.
//!
//! What is measured is the coordinator as it is served, in a process of its own on a fresh data directory; the agents are another
//! process, the host is this one. The limits of the machine are probed before and after each measurement, since they change with
//! whoever else is at work on it.

mod agents;
mod echo;
mod error;
mod figure;
mod host;
mod load;
mod probes;
mod process;
mod restart;
mod stage;
mod wire;

pub(crate) use agents::work;
pub(crate) use echo::serve as echo;
pub(crate) use error::BenchError;
pub(crate) use figure::{Figure, Figures, Outcome};

use crate::clock::{OsTime, TimeSource};
use clap::ValueEnum;
use probes::Limits;
use process::Process;
use std::path::PathBuf;
use std::time::Duration;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Workload {
    /// No-op tasks in one pipeline, from its start to its end
    #[value(name = "W1")]
    Throughput,
    /// One task at a time, from its submission to its result
    #[value(name = "W2")]
    Latency,
    /// A chain of tasks, each waiting for the one before
    #[value(name = "W3")]
    Chain,
    /// kill -9, and ready again
    #[value(name = "W4")]
    Restart,
}

/// A measurement that is to be made.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// What.
    pub workload: Workload,
    /// Tasks that it has.
    pub tasks: u64,
    /// Agents that connect.
    pub agents: u32,
    /// Tasks that each of them holds at once, at most.
    pub slots: u32,
    /// The directory in which the data directory is made, and taken away again.
    pub data: PathBuf,
}

/// Called with the number of tasks that are done.
pub(crate) type Progress<'a> = &'a mut dyn FnMut(u64);

/// Measures once. Whoever drops this before its end ends the processes and removes the directory.
///
/// # Errors
/// When a process cannot start, ends too early, does nothing any more, or refuses; and when the directory cannot be used.
pub(crate) async fn measure(plan: &Plan, progress: Progress<'_>) -> Result<Figures, BenchError> {
    let at = |source| BenchError::Directory { path: plan.data.clone(), source };
    // Declared first, removed last: when all processes that write into it have ended.
    let home = tempfile::Builder::new().prefix("everlog-bench-").tempdir_in(&plan.data).map_err(at)?;
    let data = home.path().join("data");
    let echo = Process::echo(&data).await?;
    let mut limits = Limits::default();
    limits.probe(home.path(), &echo.told).await?;
    let mut figures = match plan.workload {
        Workload::Throughput => load::throughput(plan, &data, progress).await?,
        Workload::Latency => load::latency(plan, &data, progress).await?,
        Workload::Chain => load::chain(plan, &data, progress).await?,
        Workload::Restart => restart::measure(plan, &data, progress).await?,
    };
    limits.probe(home.path(), &echo.told).await?;
    drop(echo);
    limits.compare(plan, &mut figures);
    home.close().map_err(at)?;
    Ok(figures)
}

/// Time since some fixed point.
fn now() -> Duration {
    Duration::from_nanos(OsTime.mono_ns().unsigned_abs())
}
