//! The limits of the machine while something is measured on it, and how near to them it came.

use super::figure::median;
use super::{BenchError, Figure, Figures, Plan, Workload, echo, now};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Bytes of an append: a few records.
const APPEND_BYTES: u64 = 200;
/// Appends of one probe.
const APPENDS: u64 = 200;
/// Round trips of one probe.
const ROUND_TRIPS: u64 = 1_000;

/// What the probes before and after a measurement said.
#[derive(Default)]
pub(super) struct Limits {
    /// In milliseconds.
    fdatasyncs: Vec<f64>,
    /// In milliseconds.
    round_trips: Vec<f64>,
    /// A second.
    echoes: Vec<f64>,
}

impl Limits {
    /// Probes all three; `echo` is a process that answers.
    pub(super) async fn probe(&mut self, home: &Path, echo: &str) -> Result<(), BenchError> {
        let path = home.join("probe");
        let appended = appends(&path).map_err(|source| BenchError::Directory { path, source })?;
        self.fdatasyncs.extend(appended);
        self.round_trips.extend(echo::round_trips(echo, ROUND_TRIPS).await?);
        self.echoes.push(echo::rate(echo).await?);
        Ok(())
    }

    /// Adds the limits, and what was measured in terms of them.
    pub(super) fn compare(mut self, plan: &Plan, figures: &mut Figures) {
        let (Some(fdatasync), Some(round_trip), Some(echoes)) =
            (median(&mut self.fdatasyncs), median(&mut self.round_trips), median(&mut self.echoes))
        else {
            return;
        };
        figures.insert(Figure::FdatasyncMs, fdatasync);
        figures.insert(Figure::WebsocketRoundTripMs, round_trip);
        figures.insert(Figure::WebsocketJsonRoundTripsPerSecond, echoes);
        let limit_ms = fdatasync + round_trip;
        let all_ms = limit_ms * plan.tasks as f64;
        let compared: &[(Figure, Figure, f64)] = match plan.workload {
            Workload::Throughput => &[(Figure::ShareOfEchoRate, Figure::TasksPerSecond, echoes)],
            Workload::Latency => {
                &[(Figure::P50OverLimit, Figure::P50Ms, limit_ms), (Figure::P99OverLimit, Figure::P99Ms, limit_ms)]
            }
            Workload::Chain => &[(Figure::SecondsOverLimit, Figure::Seconds, all_ms / 1e3)],
            Workload::Restart => &[],
        };
        for (ratio, of, limit) in compared {
            if let Some(value) = figures.get(of).copied() {
                figures.insert(*ratio, value / limit);
            }
        }
    }
}

/// Milliseconds of durable appends to a file that has its length already, as the segments of the log have.
fn appends(path: &Path) -> std::io::Result<Vec<f64>> {
    let file = File::create(path)?;
    file.write_all_at(&vec![0; usize::try_from(APPENDS * APPEND_BYTES).unwrap_or(0)], 0)?;
    file.sync_all()?;
    let record = [1; APPEND_BYTES as usize];
    let append = |n: u64| {
        let begun = now();
        file.write_all_at(&record, n * APPEND_BYTES)?;
        file.sync_data()?;
        Ok((now() - begun).as_secs_f64() * 1e3)
    };
    (0..APPENDS).map(append).collect()
}
