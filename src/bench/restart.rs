//! W4: a long history, `kill -9`, and how long the next start takes until it serves, with snapshots and without any.

use super::process::Process;
use super::stage::{self, Stage};
use super::{BenchError, Figure, Figures, Plan, Progress, host, now};
use everlog_storage::DataDir;
use std::path::Path;

/// Tasks of one pipeline of the history: a coordinator holds no more than 1.5 million that have not ended.
const TASKS_A_PIPELINE: u64 = 100_000;
/// Where a data directory keeps its snapshots, which may be deleted at any time.
const SNAPSHOTS: &str = "snapshots";

/// Measures it.
pub(super) async fn measure(plan: &Plan, data: &Path, progress: Progress<'_>) -> Result<Figures, BenchError> {
    build(plan, data, progress).await?;
    let (seconds, coordinator) = started(plan, data).await?;
    drop(coordinator);
    let snapshots = data.join(SNAPSHOTS);
    std::fs::remove_dir_all(&snapshots).map_err(|source| BenchError::Directory { path: snapshots, source })?;
    let events = DataDir::open_read_only(data)?.log.durable() as f64;
    let (without, coordinator) = started(plan, data).await?;
    let figures = Figures::from([
        (Figure::Seconds, seconds),
        (Figure::SecondsWithoutSnapshots, without),
        (Figure::Events, events),
        (Figure::EventsPerSecond, events / without),
    ]);
    stage::stop(plan, coordinator, data, figures).await
}

/// Makes the history, and kills the coordinator that wrote it.
async fn build(plan: &Plan, data: &Path, progress: Progress<'_>) -> Result<(), BenchError> {
    let mut stage = Stage::open(plan, data).await?;
    for from in (0..plan.tasks).step_by(TASKS_A_PIPELINE as usize) {
        let tasks = TASKS_A_PIPELINE.min(plan.tasks - from);
        let id = stage.run(async |wire| host::pipeline(wire, tasks, false).await, &mut |_| {}).await?;
        stage.run(async |wire| host::to_the_end(wire, &id).await, &mut *progress).await?;
    }
    Ok(())
}

/// Starts a coordinator; the seconds until it was ready.
async fn started(plan: &Plan, data: &Path) -> Result<(f64, Process), BenchError> {
    let begun = now();
    let coordinator = Process::coordinator(plan, data).await?;
    Ok(((now() - begun).as_secs_f64(), coordinator))
}
