//! The host of a measurement: it creates tasks, and waits for their end.

use super::wire::{Wire, accepted};
use super::{BenchError, Figure, now};
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use std::time::Duration;

/// Tasks of one `task/create`: about 150 KB.
const TASKS_A_CALL: u64 = 2_000;
/// A bound for a pipeline's tasks at once that never binds: the agents' slots do.
const UNBOUNDED: u32 = 1_000_000;
/// The longest latency that is told apart from longer ones.
const LATENCY_MAX: Duration = Duration::from_secs(60);
/// Digits of a latency that count.
const LATENCY_DIGITS: u8 = 3;

/// Creates a pipeline; its tasks wait for nothing, or each for the one before.
pub(super) async fn pipeline(host: &mut Wire, tasks: u64, chained: bool) -> Result<Value, BenchError> {
    let config = json!({"strategy": "parallel", "max_concurrent_tasks": UNBOUNDED});
    let created = host.call("pipeline/create", json!({"name": "bench", "config": config})).await?;
    let id = created["pipeline_id"].clone();
    let task = |n: u64| match n.checked_sub(1).filter(|_| chained) {
        Some(before) => json!({"name": format!("t{n}"), "depends_on": [format!("t{before}")]}),
        None => json!({"name": format!("t{n}")}),
    };
    for from in (0..tasks).step_by(TASKS_A_CALL as usize) {
        let some: Vec<Value> = (from..tasks.min(from + TASKS_A_CALL)).map(task).collect();
        host.call("task/create", json!({"pipeline_id": id, "tasks": some})).await?;
    }
    Ok(id)
}

/// Starts a pipeline, and waits until it is told to have ended.
pub(super) async fn to_the_end(host: &mut Wire, pipeline: &Value) -> Result<(), BenchError> {
    host.send("pipeline/start", json!({"pipeline_id": pipeline})).await?;
    loop {
        let frame = host.frame().await?;
        if frame["type"] == "response" {
            accepted("pipeline/start", frame)?;
        } else if frame["method"] == "pipeline/completed" {
            return Ok(());
        }
    }
}

/// From now on the host is told of every change of a task.
pub(super) async fn listen(host: &mut Wire) -> Result<(), BenchError> {
    host.call("subscribe", json!({"topics": ["task/changed"]})).await.map(drop)
}

/// Submits a task, waits until it is told to have ended and has its result, and so on; how long each took.
pub(super) async fn one_by_one(host: &mut Wire, tasks: u64) -> Result<Histogram<u64>, BenchError> {
    let mut latencies = latencies();
    for _ in 0..tasks {
        let begun = now();
        let submitted = host.send("task/create", json!({"name": "task"})).await?;
        let told = loop {
            let mut frame = host.frame().await?;
            if frame["params"]["status"] == "completed" {
                break frame["params"].take();
            } else if frame["id"] == submitted {
                accepted("task/create", frame)?;
            }
        };
        // Short results are told with the end, long ones have to be asked for.
        if told.get("result").is_none() {
            let answer = host.call("task/result", json!({"task_id": told["task_id"]})).await?;
            if answer["status"] != "completed" {
                return Err(BenchError::Answer("task/result"));
            }
        }
        latencies.saturating_record((now() - begun).as_nanos() as u64);
    }
    Ok(latencies)
}

/// The time from each task's end to the next one's, as the coordinator has put it on record.
pub(super) async fn steps(host: &mut Wire, pipeline: &Value) -> Result<Histogram<u64>, BenchError> {
    let mut ends: Vec<jiff::Timestamp> = Vec::new();
    loop {
        let params = json!({"pipeline_id": pipeline, "offset": ends.len()});
        let page = host.call("task/list", params).await?;
        let (Some(tasks), Some(total)) = (page["tasks"].as_array(), page["total"].as_u64()) else {
            return Err(BenchError::Answer("task/list"));
        };
        ends.extend(tasks.iter().filter_map(|task| task["completed_at"].as_str()?.parse::<jiff::Timestamp>().ok()));
        if tasks.is_empty() || ends.len() as u64 >= total {
            break;
        }
    }
    let mut steps = latencies();
    for pair in ends.windows(2) {
        steps.saturating_record(pair[1].duration_since(pair[0]).as_nanos().max(0) as u64);
    }
    Ok(steps)
}

/// For nanoseconds.
#[expect(clippy::expect_used, reason = "three digits are among the 0 to 5 that a histogram can have")]
fn latencies() -> Histogram<u64> {
    Histogram::new_with_max(LATENCY_MAX.as_nanos() as u64, LATENCY_DIGITS).expect("a histogram that there can be")
}

/// In milliseconds.
pub(super) fn percentiles(latencies: &Histogram<u64>) -> [(Figure, f64); 5] {
    let ms = |quantile| latencies.value_at_quantile(quantile) as f64 / 1e6;
    [
        (Figure::P50Ms, ms(0.5)),
        (Figure::P90Ms, ms(0.9)),
        (Figure::P99Ms, ms(0.99)),
        (Figure::P999Ms, ms(0.999)),
        (Figure::MaxMs, ms(1.0)),
    ]
}
