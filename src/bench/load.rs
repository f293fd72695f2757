//! W1, W2 and W3: tasks that do nothing, through a coordinator that serves.

use super::stage::Stage;
use super::{BenchError, Figures, Plan, Progress, host};
use std::path::Path;

/// Round trips before the first that counts.
const WARM_UP: u64 = 100;

/// W1: tasks that wait for nothing.
pub(super) async fn throughput(plan: &Plan, data: &Path, progress: Progress<'_>) -> Result<Figures, BenchError> {
    let mut stage = Stage::open(plan, data).await?;
    let id = stage.run(async |wire| host::pipeline(wire, plan.tasks, false).await, &mut |_| {}).await?;
    let ((), figures) = stage.timed(plan, async |wire| host::to_the_end(wire, &id).await, progress).await?;
    stage.close(plan, data, figures).await
}

/// W2: one task after the other.
pub(super) async fn latency(plan: &Plan, data: &Path, progress: Progress<'_>) -> Result<Figures, BenchError> {
    let mut stage = Stage::open(plan, data).await?;
    let warm = async |wire: &mut _| {
        host::listen(wire).await?;
        host::one_by_one(wire, WARM_UP).await
    };
    stage.run(warm, &mut |_| {}).await?;
    let one_by_one = async |wire: &mut _| host::one_by_one(wire, plan.tasks).await;
    let (latencies, mut figures) = stage.timed(plan, one_by_one, progress).await?;
    figures.extend(host::percentiles(&latencies));
    stage.close(plan, data, figures).await
}

/// W3: tasks that wait for one another.
pub(super) async fn chain(plan: &Plan, data: &Path, progress: Progress<'_>) -> Result<Figures, BenchError> {
    let mut stage = Stage::open(plan, data).await?;
    let id = stage.run(async |wire| host::pipeline(wire, plan.tasks, true).await, &mut |_| {}).await?;
    let ((), mut figures) = stage.timed(plan, async |wire| host::to_the_end(wire, &id).await, progress).await?;
    let steps = stage.run(async |wire| host::steps(wire, &id).await, &mut |_| {}).await?;
    figures.extend(host::percentiles(&steps));
    stage.close(plan, data, figures).await
}
