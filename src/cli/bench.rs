//! `everlog bench`: how fast everlog is on this machine, and what bounds it.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum, ValueHint};
use serde_json::{Map, Value, json};

use super::exit::{Exit, Trouble};
use super::grid::{self, Cell, Look, Title};
use super::output::{self, Output};
use super::progress::Progress;
use super::signals::Signals;
use super::{hint, say};
use crate::bench::{self, Figure, Figures, Outcome, Plan, Workload};

const EXAMPLES: &str = "Workloads:
  W1  no-op tasks in one pipeline, from its start to its end
  W2  one task at a time, from its submission to its result
  W3  a chain of tasks, each of which waits for the one before
  W4  kill -9 and ready again, with snapshots and from the whole log

Examples:
  everlog bench W1
  everlog bench W1 --tasks 1000000 --slots 16 --runs 5
  everlog bench W4 --data /var/lib --output json

What is measured is a coordinator of its own, on a new data directory that is taken away again.";

/// An append to a disk, with `fdatasync`, takes longer than so many milliseconds; to memory it does not.
const DISK_FROM_MS: f64 = 0.01;

/// The command line of `bench`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// What to measure: W1, W2, W3 or W4
    // What they mean stands below; here it would make the help three times as long.
    #[arg(ignore_case = true, hide_possible_values = true)]
    workload: Workload,
    /// How many tasks [default: W1 and W4 100000, W2 2000, W3 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    tasks: Option<u64>,
    /// How many agents [default: W1 and W4 4, W2 and W3 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=50_000))]
    agents: Option<u32>,
    /// How many tasks an agent holds at once, at most [default: W1 and W4 64, W2 and W3 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    slots: Option<u32>,
    /// How often to measure; the median counts
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Where to make the data directory: on the disk that is to be measured
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, default_value = ".")]
    data: PathBuf,
    /// How to print the figures
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// The command line of the other processes of a measurement.
#[derive(Debug, clap::Args)]
pub(super) struct Peer {
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Complete every task
    Agents {
        url: String,
        #[arg(long)]
        agents: u32,
        #[arg(long)]
        slots: u32,
    },
    /// Answer every frame
    Echo,
}

pub(super) async fn peer(Peer { role }: Peer) -> Result<Exit, Trouble> {
    match role {
        Role::Agents { url, agents, slots } => bench::work(&url, agents, slots).await?,
        Role::Echo => bench::echo().await?,
    }
    Ok(Exit::Ok)
}

pub(super) async fn run(args: Args) -> Result<Exit, Trouble> {
    let mut signals = Signals::listen()?;
    let plan = args.plan();
    let runs = tokio::select! {
        runs = measured(&plan, args.runs) => runs?,
        () = signals.next() => return Ok(Exit::Interrupted),
    };
    match args.output {
        Output::Table => say(&table(&plan, &runs, Look::of_stdout()))?,
        Output::Json => say(&output::pretty(&record(&plan, &runs)))?,
        Output::Ndjson => say(&output::compact(&record(&plan, &runs)))?,
    }
    if Figure::FdatasyncMs.over(&runs).is_some_and(|synced| synced.median < DISK_FROM_MS) {
        let data = plan.data.display();
        hint(&format!("fdatasync took no time, so {data} is not on a disk; name a directory that is with --data"));
    }
    Ok(Exit::Ok)
}

impl Args {
    fn plan(&self) -> Plan {
        let (tasks, agents, slots) = match self.workload {
            Workload::Throughput | Workload::Restart => (100_000, 4, 64),
            Workload::Latency => (2_000, 1, 1),
            Workload::Chain => (1_000, 1, 1),
        };
        Plan {
            workload: self.workload,
            tasks: self.tasks.unwrap_or(tasks),
            agents: self.agents.unwrap_or(agents),
            slots: self.slots.unwrap_or(slots),
            data: self.data.clone(),
        }
    }
}

async fn measured(plan: &Plan, runs: u32) -> Result<Vec<Figures>, Trouble> {
    let mut measured = Vec::new();
    for _ in 0..runs {
        let mut progress = Progress::start("tasks");
        // Those that warm it up are beyond the end.
        measured.push(bench::measure(plan, &mut |done| progress.show(done.min(plan.tasks), plan.tasks)).await?);
    }
    Ok(measured)
}

/// What was measured, and how: name and value.
fn conditions(plan: &Plan, runs: &[Figures]) -> [(&'static str, Value); 5] {
    let workload = plan.workload.to_possible_value().map(|value| value.get_name().to_owned());
    let Plan { tasks, agents, slots, .. } = plan;
    [
        ("workload", json!(workload)),
        ("tasks", json!(tasks)),
        ("agents", json!(agents)),
        ("slots", json!(slots)),
        ("runs", json!(runs.len())),
    ]
}

fn record(plan: &Plan, runs: &[Figures]) -> Value {
    let mut record: Map<String, Value> =
        conditions(plan, runs).map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
    let mut spread = Map::new();
    for figure in Figure::value_variants() {
        let outcome = figure.over(runs);
        record.insert(figure.name(), json!(outcome.map(|outcome| outcome.median)));
        spread.insert(figure.name(), json!(outcome.map(|outcome| [outcome.min, outcome.max])));
    }
    record.insert("spread".to_owned(), Value::Object(spread));
    Value::Object(record)
}

fn table(plan: &Plan, runs: &[Figures], look: Look) -> String {
    const TITLES: [Title; 4] = [
        Title { name: "figure", rank: 0 },
        Title { name: "value", rank: 1 },
        Title { name: "spread", rank: 3 },
        Title { name: "meaning…", rank: 2 },
    ];
    let mut rows: Vec<Vec<Cell>> = conditions(plan, runs)
        .map(|(name, value)| vec![Cell::plain(name), Cell::plain(output::cell(&value)), Cell::bare(""), Cell::bare("")])
        .into();
    for figure in Figure::value_variants() {
        let Some(Outcome { median, min, max }) = figure.over(runs) else { continue };
        let spread = if runs.len() > 1 { format!("{}..{}", digits(min), digits(max)) } else { String::new() };
        let cells = [Cell::plain(figure.name()), Cell::plain(digits(median)), Cell::bare(spread)];
        rows.push(cells.into_iter().chain([Cell::quiet(figure.meaning())]).collect());
    }
    grid::grid(&TITLES, rows, look)
}

/// As many digits as a measurement is worth.
fn digits(value: f64) -> String {
    let decimals = match value {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan { workload: Workload::Chain, tasks: 7, agents: 1, slots: 1, data: PathBuf::new() }
    }

    #[test]
    fn a_record_has_every_figure_and_null_for_what_was_not_measured() {
        let runs = [2.0, 8.0, 4.0].map(|seconds| Figures::from([(Figure::Seconds, seconds)]));
        let record = record(&plan(), &runs);
        assert_eq!(record["workload"], "W3");
        assert_eq!((&record["seconds"], &record["spread"]["seconds"]), (&json!(4.0), &json!([2.0, 8.0])));
        let fields = record.as_object().expect("an object");
        assert!(fields["p50_ms"].is_null() && fields.len() == Figure::value_variants().len() + 6, "{record:#}");
    }

    #[test]
    fn a_table_has_what_was_measured_and_a_spread_over_several_runs() {
        let runs = [2.0, 1234.5, 0.01234].map(|seconds| Figures::from([(Figure::Seconds, seconds)]));
        let look = Look { colors: false, width: Some(60) };
        let lines: Vec<String> = table(&plan(), &runs, look).lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 7, "{lines:#?}");
        assert!(lines[6].starts_with("seconds   2.00   0.012..1234  What was"), "{lines:#?}");
        assert!(!table(&plan(), &runs[..1], look).contains(".."));
    }
}
