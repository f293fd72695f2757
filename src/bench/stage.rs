//! A coordinator, its agents and a host, for as long as something is measured with them.

use super::process::{self, Process};
use super::wire::Wire;
use super::{BenchError, Figure, Figures, Plan, Progress, now};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;
use tokio::time::timeout;

/// So long no task may end before a measurement is given up.
const STALLED_AFTER: Duration = Duration::from_secs(60);
/// What a process that has died may take until it is seen to have.
const DEATH_SEEN_WITHIN: Duration = Duration::from_secs(1);
/// Bytes of a block as `stat` counts them.
const BLOCK_BYTES: u64 = 512;

/// A coordinator, its agents and a host.
pub(super) struct Stage {
    // In the order in which they end: without their coordinator the agents would complain.
    agents: Process,
    host: Wire,
    coordinator: Process,
}

impl Stage {
    pub(super) async fn open(plan: &Plan, data: &Path) -> Result<Self, BenchError> {
        let coordinator = Process::coordinator(plan, data).await?;
        let agents = Process::agents(plan, data, &coordinator.told).await?;
        let host = Wire::connect(&coordinator.told).await?;
        tracing::debug!(url = coordinator.told, "the coordinator and its agents are ready");
        Ok(Self { agents, host, coordinator })
    }

    /// Does `work` with the host, unless that has become hopeless.
    pub(super) async fn run<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Wire) -> Result<T, BenchError>,
        progress: Progress<'_>,
    ) -> Result<T, BenchError> {
        let mut work = pin!(work(&mut self.host));
        let silent = BenchError::Silent { what: "the end of a task", within: STALLED_AFTER };
        let failed = loop {
            tokio::select! {
                done = &mut work => match done {
                    Ok(done) => return Ok(done),
                    Err(failed) => break failed,
                },
                line = self.agents.line() => match line {
                    Ok(line) => progress(line.parse().unwrap_or(0)),
                    Err(failed) => break failed,
                },
                line = self.coordinator.line() => drop(line?),
                () = tokio::time::sleep(STALLED_AFTER) => return Err(silent),
            }
        };
        // When the coordinator dies, that of the others is only a consequence.
        let death = timeout(DEATH_SEEN_WITHIN, self.coordinator.line()).await;
        Err(death.ok().and_then(Result::err).unwrap_or(failed))
    }

    /// Does the same, and says what it took.
    pub(super) async fn timed<T>(
        &mut self,
        plan: &Plan,
        work: impl AsyncFnOnce(&mut Wire) -> Result<T, BenchError>,
        progress: Progress<'_>,
    ) -> Result<(T, Figures), BenchError> {
        let (cpu, begun) = (self.cpu(), now());
        let done = self.run(work, progress).await?;
        let (seconds, tasks) = ((now() - begun).as_secs_f64(), plan.tasks as f64);
        let mut figures = Figures::from([(Figure::Seconds, seconds), (Figure::TasksPerSecond, tasks / seconds)]);
        if let (Some(from), Some(to)) = (cpu, self.cpu()) {
            let us = |side: usize| to[side].saturating_sub(from[side]).as_secs_f64() * 1e6 / tasks;
            figures.extend([(Figure::ServerCpuUsPerTask, us(0)), (Figure::ClientCpuUsPerTask, us(1))]);
        }
        Ok((done, figures))
    }

    /// Ends all in order, with what is to be seen of the coordinator before and after.
    pub(super) async fn close(self, plan: &Plan, data: &Path, figures: Figures) -> Result<Figures, BenchError> {
        let Self { agents, host, coordinator } = self;
        drop((agents, host));
        stop(plan, coordinator, data, figures).await
    }

    /// Processor time so far of the coordinator, and of agents and host.
    fn cpu(&self) -> Option<[Duration; 2]> {
        Some([self.coordinator.cpu()?, self.agents.cpu()? + process::cpu("self")?])
    }
}

/// Stops the coordinator in order; memory before, and room on disk before and after.
pub(super) async fn stop(
    plan: &Plan,
    coordinator: Process,
    data: &Path,
    mut figures: Figures,
) -> Result<Figures, BenchError> {
    let (now, peak) = (coordinator.memory_mib("VmRSS"), coordinator.memory_mib("VmHWM"));
    figures.extend(now.map(|now| (Figure::RssMib, now)));
    // The system notes the peak now and then only: what was just seen may have been higher.
    figures.extend(peak.map(|peak| (Figure::RssPeakMib, now.map_or(peak, |now| peak.max(now)))));
    let used = || match disk_bytes(data) {
        Ok(bytes) => Ok(bytes as f64 / plan.tasks as f64),
        Err(source) => Err(BenchError::Directory { path: data.to_owned(), source }),
    };
    figures.insert(Figure::BytesPerTaskServing, used()?);
    coordinator.stop().await?;
    figures.insert(Figure::BytesPerTask, used()?);
    Ok(figures)
}

/// What the files below a directory take from the disk.
fn disk_bytes(dir: &Path) -> std::io::Result<u64> {
    std::fs::read_dir(dir)?.try_fold(0, |sum, entry| {
        let entry = entry?;
        let bytes = if entry.file_type()?.is_dir() {
            disk_bytes(&entry.path())?
        } else {
            entry.metadata()?.blocks() * BLOCK_BYTES
        };
        Ok(sum + bytes)
    })
}
