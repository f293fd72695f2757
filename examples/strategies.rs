//! The five strategies on the same twelve tasks, each drawn as it ran: a column is a moment, a row is a task.
//!
//! ```sh
//! cargo run --example strategies
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use everlog::api::{PipelineSpec, Strategy, TaskSpec};
use everlog::{Agent, AgentConfig, Assignment, CancelToken, Coordinator, Host, TaskContext};
use serde_json::Value;
use tokio::time::Instant;

/// What one task takes.
const WORK: Duration = Duration::from_millis(60);
/// Tasks of each pipeline.
const TASKS: i32 = 12;
/// What tasks may need together, in MB; one needs a third or two thirds of it.
const MEMORY_MB: u64 = 900;

/// When each task began, counted in [`WORK`] from the first.
#[derive(Clone, Default)]
struct Chart(Arc<Mutex<BTreeMap<String, Instant>>>);

impl Chart {
    async fn work(self, task: Assignment) -> Value {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(task.name, Instant::now());
        tokio::time::sleep(WORK).await;
        Value::Null
    }

    fn draw(&self) {
        let began = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let first = began.values().min().copied();
        for (name, at) in &began {
            let column = first.map_or(0.0, |first| (*at - first).as_secs_f64() / WORK.as_secs_f64());
            println!("  {name:<22}{}█", " ".repeat(column.round() as usize));
        }
    }
}

/// Task n has priority n; the even ones need more memory and are heavier.
fn twelve_tasks(strategy: Strategy) -> PipelineSpec {
    let task = |n: i32| {
        let thirds = if n % 2 == 0 { 2 } else { 1 };
        let memory = MEMORY_MB / 3 * thirds;
        let name = format!("{n:02}: prio {n:>2}, {memory} MB");
        TaskSpec::new(name).priority(n).memory_mb(memory as f64).resource_weight(thirds as f64)
    };
    PipelineSpec::new(strategy.to_string()).strategy(strategy).tasks((1..=TASKS).map(task))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let coordinator = Coordinator::builder().memory_limit_mb(MEMORY_MB).open().await?;
    let chart = Chart::default();

    let config = AgentConfig::new(&coordinator, "worker").slots(3);
    let leave = CancelToken::new();
    let drawn = chart.clone();
    let handler = move |task: Assignment, _: TaskContext| drawn.clone().work(task);
    let agent = tokio::spawn(Agent::new(config, handler).run(leave.clone()));

    let host = Host::new(coordinator.client().await?);
    for (strategy, meaning) in [
        (Strategy::Sequential, "one at a time, in order of creation"),
        (Strategy::Parallel, "as many as there are slots, in order of creation"),
        (Strategy::PriorityBased, "highest priority first"),
        (Strategy::ResourceAware, "never more than 900 MB at a time, by priority and weight"),
        (Strategy::Adaptive, "by priority while more than ten tasks are ready, else parallel"),
    ] {
        let run = host.submit(&twelve_tasks(strategy.clone())).await?;
        let info = run.wait().await?;
        println!("{strategy}: {meaning} ({:.2} s)", info.metrics.duration.unwrap_or_default());
        chart.draw();
    }

    leave.cancel();
    agent.await??;
    coordinator.close().await?;
    Ok(())
}
