//! `bench`: small measurements of every workload, and what is left of them, however they end.

use crate::harness::{Ended, Process, everlog};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::path::Path;

/// What every record has.
const KEYS: [&str; 29] = [
    "agents",
    "bytes_per_task",
    "bytes_per_task_serving",
    "client_cpu_us_per_task",
    "events",
    "events_per_second",
    "fdatasync_ms",
    "max_ms",
    "p50_ms",
    "p50_over_limit",
    "p90_ms",
    "p999_ms",
    "p99_ms",
    "p99_over_limit",
    "rss_mib",
    "rss_peak_mib",
    "runs",
    "seconds",
    "seconds_over_limit",
    "seconds_without_snapshots",
    "server_cpu_us_per_task",
    "share_of_echo_rate",
    "slots",
    "spread",
    "tasks",
    "tasks_per_second",
    "websocket_json_round_trips_per_second",
    "websocket_round_trip_ms",
    "workload",
];
/// The figures that every workload has.
const ALWAYS: [&str; 8] = [
    "seconds",
    "bytes_per_task",
    "bytes_per_task_serving",
    "rss_mib",
    "rss_peak_mib",
    "fdatasync_ms",
    "websocket_round_trip_ms",
    "websocket_json_round_trips_per_second",
];
/// Those of the workloads that serve tasks.
const SERVING: [&str; 3] = ["tasks_per_second", "server_cpu_us_per_task", "client_cpu_us_per_task"];
const LATENCIES: [&str; 5] = ["p50_ms", "p90_ms", "p99_ms", "p999_ms", "max_ms"];

/// `everlog bench ARGS`, with its directory in `home`.
fn bench(home: &Path, args: &str) -> Process {
    let mut command = everlog(["bench"].into_iter().chain(args.split(' ')));
    command.current_dir(home).env("RUST_LOG", "everlog::bench=debug");
    Process::start(command)
}

/// The record of a measurement that left nothing behind, and has these figures beside those that every workload has.
#[track_caller]
fn record(args: &str, own: &[&str]) -> Value {
    let home = tempfile::tempdir().unwrap();
    let ended = bench(home.path(), args).end().expect_code(0);
    assert!(is_empty(home.path()), "{ended:?}");
    let record: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
    assert_eq!(record.as_object().unwrap().keys().collect::<Vec<_>>(), KEYS);
    for (name, spread) in record["spread"].as_object().unwrap() {
        let is_there = ALWAYS.contains(&name.as_str()) || own.contains(&name.as_str());
        assert_eq!(record[name].as_f64().is_some_and(|value| value > 0.0), is_there, "{name}: {record:#}");
        assert!(record[name].is_null() || spread[0].as_f64() <= record[name].as_f64(), "{name}: {record:#}");
        assert!(record[name].is_null() || record[name].as_f64() <= spread[1].as_f64(), "{name}: {record:#}");
    }
    record
}

fn is_empty(dir: &Path) -> bool {
    std::fs::read_dir(dir).unwrap().next().is_none()
}

fn figure(record: &Value, name: &str) -> f64 {
    record[name].as_f64().unwrap_or_else(|| panic!("no {name} in {record:#}"))
}

#[track_caller]
fn assert_near(one: f64, other: f64) {
    assert!((one - other).abs() <= one.abs() * 1e-6, "{one} and {other}");
}

#[test]
fn throughput_is_measured_and_compared_with_the_echo() {
    let own = [&SERVING[..], &["share_of_echo_rate"]].concat();
    let record = record("w1 --tasks 2500 --agents 2 --slots 8 --output json", &own);
    assert_eq!((&record["workload"], &record["agents"]), (&Value::from("W1"), &Value::from(2)));
    let rate = figure(&record, "tasks_per_second");
    assert_near(rate, 2_500.0 / figure(&record, "seconds"));
    assert_near(figure(&record, "share_of_echo_rate"), rate / figure(&record, "websocket_json_round_trips_per_second"));
    assert!(figure(&record, "rss_peak_mib") >= figure(&record, "rss_mib"), "{record:#}");
}

#[test]
fn latencies_are_those_of_tasks_and_of_steps() {
    let w2 = [&SERVING[..], &LATENCIES, &["p50_over_limit", "p99_over_limit"]].concat();
    let w3 = [&SERVING[..], &LATENCIES, &["seconds_over_limit"]].concat();
    let (w2, w3) = (record("W2 --tasks 60 --output ndjson", &w2), record("W3 --tasks 60 --output json", &w3));
    for record in [&w2, &w3] {
        let latencies = LATENCIES.map(|name| figure(record, name));
        assert!(latencies.is_sorted(), "{record:#}");
        // Half of them took no less, one after the other.
        assert!(latencies[0] * 29.0 <= figure(record, "seconds") * 1e3, "{record:#}");
    }
    let limit_ms = figure(&w2, "fdatasync_ms") + figure(&w2, "websocket_round_trip_ms");
    assert_near(figure(&w2, "p99_over_limit") * limit_ms, figure(&w2, "p99_ms"));
    let limit_ms = figure(&w3, "fdatasync_ms") + figure(&w3, "websocket_round_trip_ms");
    assert_near(figure(&w3, "seconds_over_limit") * limit_ms * 60.0, figure(&w3, "seconds") * 1e3);
}

#[test]
fn a_restart_is_measured_with_snapshots_and_without() {
    let record = record("W4 --tasks 3000 --output json", &["seconds_without_snapshots", "events", "events_per_second"]);
    // Created, assigned, completed.
    assert!(figure(&record, "events") >= 9_000.0, "{record:#}");
    let without = figure(&record, "seconds_without_snapshots");
    assert_near(figure(&record, "events") / without, figure(&record, "events_per_second"));
}

#[test]
fn several_runs_are_a_table_with_their_spread() {
    let home = tempfile::tempdir().unwrap();
    let ended = bench(home.path(), "W3 --tasks 20 --runs 2").end().expect_code(0);
    let rows: Vec<Vec<&str>> = ended.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!((&rows[0][..3], &rows[5][..]), (&["FIGURE", "VALUE", "SPREAD"][..], &["runs", "2"][..]));
    let seconds = rows.iter().find(|row| row[0] == "seconds").expect("a row");
    let (least, most) = seconds[2].split_once("..").expect("a spread");
    assert!([least, seconds[1], most].map(|text| text.parse::<f64>().unwrap()).is_sorted(), "{seconds:?}");
}

#[test]
fn what_cannot_be_measured_is_told() {
    let home = tempfile::tempdir().unwrap();
    let ends = |args: &str| bench(home.path(), args).end();
    ends("W1 --data nowhere").expect_code(1).expect_told(&["nowhere cannot be used", "--data"]);
    ends("W5").expect_code(2).expect_told(&["W1, W2, W3, W4"]);
    ends("W1 --tasks 0").expect_code(2);
}

/// The processes that a measurement has started: number and command line.
fn children(bench: &Process) -> Vec<(u32, String)> {
    let of = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let parent: u32 = stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()?;
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
        (parent == bench.id()).then_some((pid, line.replace('\0', " ")))
    };
    let processes = std::fs::read_dir("/proc").unwrap();
    processes.filter_map(|entry| of(entry.ok()?.file_name().to_str()?.parse().ok()?)).collect()
}

/// Does something to a measurement under way; how it ends, with nothing left behind.
fn disturbed(disturb: impl FnOnce(&Process, &[(u32, String)])) -> Ended {
    let home = tempfile::tempdir().unwrap();
    let mut bench = bench(home.path(), "W1 --tasks 500000");
    bench.until_told("the coordinator and its agents are ready");
    let children = children(&bench);
    assert_eq!(children.len(), 3, "{children:?}");
    disturb(&bench, &children);
    let ended = bench.end();
    for (pid, line) in children {
        assert!(!Path::new(&format!("/proc/{pid}")).exists(), "{line} is still there");
    }
    assert!(is_empty(home.path()), "{ended:?}");
    ended
}

#[test]
fn a_signal_ends_all_processes_and_leaves_nothing() {
    let ended = disturbed(|bench, _| bench.signal(Signal::INT)).expect_code(130);
    assert_eq!(ended.stdout, "");
}

#[test]
fn a_process_that_dies_is_told_and_nothing_hangs() {
    for (part, who) in [(" serve ", "the coordinator ended"), (" agents ", "the agents ended")] {
        let ended = disturbed(|_, children| {
            let (pid, _) = children.iter().find(|(_, line)| line.contains(part)).expect("it runs");
            kill_process(Pid::from_raw(*pid as i32).unwrap(), Signal::KILL).unwrap();
        });
        ended.expect_code(1).expect_told(&[who, "SIGKILL"]);
    }
}
