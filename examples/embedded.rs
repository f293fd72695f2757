//! A coordinator inside a program, without a server or a socket: squares some numbers in parallel, adds them up, and remembers
//! every run.
//!
//! ```sh
//! cargo run --example embedded
//! ```

use std::error::Error;
use std::path::PathBuf;

use everlog::api::{PipelineFilter, PipelineSpec, TaskSpec};
use everlog::{Agent, AgentConfig, Assignment, CancelToken, Coordinator, Host, TaskContext};

/// What the tasks do: one squares its number, the other adds up what the tasks before it came to.
async fn compute(task: Assignment, _: TaskContext) -> Result<u64, String> {
    match task.config["number"].as_u64() {
        Some(number) => number.checked_mul(number).ok_or_else(|| format!("the square of {number} is too large")),
        None => Ok(task.inputs.values().filter_map(|square| square.as_u64()).sum()),
    }
}

fn squares(numbers: std::ops::RangeInclusive<u64>) -> PipelineSpec {
    let name = |number: u64| format!("square of {number}");
    let total = TaskSpec::new("total").depends_on(numbers.clone().map(name));
    let squares = numbers.map(|number| TaskSpec::new(name(number)).set("number", number));
    PipelineSpec::new("squares").tasks(squares).task(total)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let data = std::env::args().nth(1).map_or_else(|| std::env::temp_dir().join("everlog-embedded"), PathBuf::from);
    let coordinator = Coordinator::open(&data).await?;

    let config = AgentConfig::new(&coordinator, "calculator").slots(4);
    let leave = CancelToken::new();
    let agent = tokio::spawn(Agent::new(config, compute).run(leave.clone()));

    let client = coordinator.client().await?;
    let run = Host::new(client.clone()).submit(&squares(1..=10)).await?;
    let info = run.wait().await?;
    println!("{} of {} tasks completed", info.metrics.tasks_completed, info.metrics.tasks_total);
    println!("1² + 2² + … + 10² = {}", run.result("total").await?.result);
    let runs = client.pipelines(&PipelineFilter::default()).await?.total;
    println!("runs on record in {}: {runs}", data.display());

    leave.cancel();
    agent.await??;
    coordinator.close().await?;
    Ok(())
}
