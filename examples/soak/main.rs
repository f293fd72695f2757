//! Ten minutes of everything at once, with faults: a coordinator in a process of its own, agents that fail, leave and come back,
//! hosts that submit, pause, stop and delete, strangers that send garbage, and a `kill -9` now and then.
//!
//! ```sh
//! cargo run --release --example soak                      # ten minutes, five lives of the coordinator
//! cargo run --release --example soak -- --minutes 1 --kills 1
//! ```
//!
//! Every line is one interval. Flat lines are wanted, of memory, open files, disk, throughput and latency, within each life and over
//! all of them; at the end it says whether they are, and whether every pipeline came to its end. Exit codes: 0 they are, 1 they are
//! not, 2 it was too short to tell.

mod faults;
mod gauge;
mod load;
mod process;
mod verdict;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use everlog::CancelToken;
use gauge::{Gauge, Sample};
use load::Load;
use process::Coordinator;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Whatever ends the soak: it is told and is a failure.
type Trouble = Box<dyn Error + Send + Sync>;

/// What is asked for.
#[derive(Debug, Parser)]
#[command(about = "A coordinator under mixed load with faults, and how it fares over time")]
struct Args {
    /// How long, in minutes
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Seconds that one line tells of
    #[arg(long, default_value_t = 10)]
    every: u64,
    /// How often the coordinator is killed, at equal distances
    #[arg(long, default_value_t = 4)]
    kills: u32,
    /// Keep the data directory here instead of a temporary one
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// To be the coordinator: used by this program itself
    #[arg(long, hide = true)]
    port: Option<u16>,
}

#[tokio::main]
async fn main() -> Result<ExitCode, Trouble> {
    let args = Args::parse();
    if let (Some(port), Some(data)) = (args.port, args.data.clone()) {
        process::serve(data, port).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let scratch = tempfile::tempdir()?;
    let data = args.data.clone().unwrap_or_else(|| scratch.path().join("data"));
    let lasts = Duration::from_secs_f64(60.0 * args.minutes);

    let mut coordinator = Coordinator::start(&data).await?;
    let leave = CancelToken::new();
    let load = Arc::new(Load::new(coordinator.url()));
    let work = tokio::spawn(Arc::clone(&load).run(leave.clone()));
    let strangers = tokio::spawn(faults::strangers(coordinator.address(), leave.clone()));

    let mut gauge = Gauge::default();
    println!("{}", Sample::HEADER);
    let begin = Instant::now();
    let life = lasts / (args.kills + 1);
    let mut dies = begin + life;
    let mut lines = interval(Duration::from_secs(args.every));
    lines.set_missed_tick_behavior(MissedTickBehavior::Delay);
    lines.tick().await;
    while begin.elapsed() < lasts {
        lines.tick().await;
        if dies < begin + lasts && Instant::now() >= dies {
            dies += life;
            coordinator.kill_and_restart().await?;
        }
        println!("{}", gauge.look(begin.elapsed(), &coordinator, &load)?);
    }
    leave.cancel();
    work.await??;
    strangers.await?;
    let verdict = gauge.verdict(&load);
    coordinator.stop().await?;
    println!("{verdict}");
    Ok(verdict.exit_code().into())
}
