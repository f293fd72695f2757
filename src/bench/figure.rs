//! What comes out: figures with one name for tables and programs, and their median over several runs.

use clap::ValueEnum;
use std::collections::BTreeMap;

/// What is measured, in the order in which it is told. The comments are what the table says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Figure {
    /// Tasks from start to end, a second
    TasksPerSecond,
    /// What was measured took so long; W4: from the start of the process to `ready`
    Seconds,
    /// W2: from a task's submission to its result; W3: from one task's end to the next one's
    P50Ms,
    /// 9 of 10 took no longer
    P90Ms,
    /// 99 of 100
    P99Ms,
    /// 999 of 1,000
    P999Ms,
    /// The longest
    MaxMs,
    /// Processor time of the coordinator
    ServerCpuUsPerTask,
    /// Processor time of agents and host
    ClientCpuUsPerTask,
    /// Room that the data directory takes, after a clean stop
    BytesPerTask,
    /// The same before the stop
    BytesPerTaskServing,
    /// Memory of the coordinator at the end
    RssMib,
    /// The most it had
    RssPeakMib,
    /// W4: the same start without any snapshot
    SecondsWithoutSnapshots,
    /// W4: in the log
    Events,
    /// W4: read and applied at the start without snapshots
    EventsPerSecond,
    /// Limit of the machine: 200 bytes appended to a preallocated file, and synced
    FdatasyncMs,
    /// Limit of the machine: a small frame to another process and back
    WebsocketRoundTripMs,
    /// Limit of the machine: 4 connections, 64 frames in flight on each, JSON read and written on both sides
    WebsocketJsonRoundTripsPerSecond,
    /// W1: tasks_per_second / websocket_json_round_trips_per_second
    ShareOfEchoRate,
    /// W2: p50_ms / (fdatasync_ms + websocket_round_trip_ms)
    P50OverLimit,
    /// W2: p99_ms / the same
    P99OverLimit,
    /// W3: seconds / (tasks × the same)
    SecondsOverLimit,
}

/// The figures that a measurement has.
pub(crate) type Figures = BTreeMap<Figure, f64>;

/// One figure over all runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Outcome {
    /// Half of the runs had less.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The most.
    pub max: f64,
}

impl Figure {
    /// Its name in records.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// What it means.
    pub(crate) fn meaning(self) -> String {
        let meaning = self.to_possible_value().and_then(|value| value.get_help().map(ToString::to_string));
        meaning.unwrap_or_default()
    }

    /// What it came to; `None` where these runs have no such figure.
    pub(crate) fn over(self, runs: &[Figures]) -> Option<Outcome> {
        let mut values: Vec<f64> = runs.iter().filter_map(|run| run.get(&self).copied()).collect();
        let median = median(&mut values)?;
        Some(Outcome { median, min: *values.first()?, max: *values.last()? })
    }
}

/// Sorts, and takes the middle.
pub(super) fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len() % 2 == 1 { Some(upper) } else { Some(f64::midpoint(values[middle - 1], upper)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_over_several_runs_is_their_median_and_spread() {
        let runs = [9.0, 1.0, 4.0].map(|seconds| Figures::from([(Figure::Seconds, seconds)]));
        assert_eq!(Figure::Seconds.over(&runs), Some(Outcome { median: 4.0, min: 1.0, max: 9.0 }));
        assert_eq!(Figure::Seconds.over(&runs[..2]).map(|outcome| outcome.median), Some(5.0));
        assert_eq!(Figure::P50Ms.over(&runs), None);
    }

    #[test]
    fn figures_have_the_names_that_programs_read() {
        assert_eq!(Figure::P999Ms.name(), "p999_ms");
        assert_eq!(Figure::WebsocketJsonRoundTripsPerSecond.name(), "websocket_json_round_trips_per_second");
        assert_eq!(Figure::MaxMs.meaning(), "The longest");
    }
}
