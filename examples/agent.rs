//! An agent of one's own: counts primes for a coordinator, tells how far it is, and stops when its task is cancelled.
//!
//! ```sh
//! everlog serve &
//! cargo run --example agent
//! everlog call task/create '{"name": "primes", "config": {"required_capabilities": ["primes"], "below": 200000}}'
//! ```
//!
//! It reconnects when the coordinator is away, brings what it did meanwhile, and leaves on Ctrl-C.

use std::error::Error;

use everlog::{Agent, AgentConfig, Assignment, CancelToken, TaskContext};

/// Numbers that are looked at between two signs of life.
const STRIDE: u64 = 10_000;

async fn count_primes(task: Assignment, context: TaskContext) -> Result<u64, String> {
    let below = task.config["below"].as_u64().ok_or("say `below` in the task's config, a whole number")?;
    let mut found = 0;
    for start in (0..below).step_by(STRIDE as usize) {
        if context.cancel().is_cancelled() {
            return Err("cancelled".to_owned());
        }
        let end = below.min(start + STRIDE);
        // What computes belongs on a thread of its own: the agent goes on listening.
        let counting = tokio::task::spawn_blocking(move || (start..end).filter(|number| is_prime(*number)).count());
        found += counting.await.map_err(|error| error.to_string())? as u64;
        context.progress(end as f64 / below as f64, &format!("{found} primes below {end}"));
    }
    Ok(found)
}

fn is_prime(number: u64) -> bool {
    number > 1 && (2..).take_while(|divisor| divisor * divisor <= number).all(|divisor| !number.is_multiple_of(divisor))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = std::env::args().nth(1).unwrap_or_else(|| "ws://localhost:8700".to_owned());
    let config = AgentConfig::new(server, "primes").capabilities(["primes"]).slots(2);

    let leave = CancelToken::new();
    let stop = leave.clone();
    tokio::spawn(async move {
        // Without signals there is nothing to wait for: it runs until it is killed.
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.cancel();
        }
    });
    Agent::new(config, count_primes).run(leave).await?;
    Ok(())
}
