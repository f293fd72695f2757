//! The examples of the library, as somebody types them.

use crate::harness::{Process, Server};
use rustix::process::Signal;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;
use verdict::{Line, MEASURES, Verdict};

#[path = "../../examples/soak/verdict.rs"]
mod verdict;

/// `cargo test` builds the examples beside the binary; a selection of tests does not.
fn example(name: &str) -> Command {
    let beside: PathBuf = Path::new(env!("CARGO_BIN_EXE_everlog")).with_file_name("examples").join(name);
    assert!(beside.exists(), "the example is not built; run cargo build --examples");
    Command::new(beside)
}

#[test]
fn embedded_remembers_its_runs() {
    let home = tempfile::tempdir().unwrap();
    for runs in 1..=2 {
        let mut command = example("embedded");
        command.arg(home.path().join("data"));
        let ended = Process::start(command).end().expect_code(0);
        assert!(ended.stdout.contains("11 of 11 tasks completed\n1² + 2² + … + 10² = 385\n"), "{ended:?}");
        assert!(ended.stdout.ends_with(&format!(": {runs}\n")), "{ended:?}");
    }
}

#[test]
fn strategies_draws_all_five() {
    let ended = Process::start(example("strategies")).end().expect_code(0);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines.len(), 5 * 13, "{ended:?}");
    // Whatever the machine does meanwhile: the first task of the sequential chart starts first, the last one of the prioritised.
    let column = |line: &str| line.chars().position(|character| character == '█').unwrap();
    assert!(column(lines[1]) < column(lines[12]), "{ended:?}");
    assert!(column(lines[2 * 13 + 1]) > column(lines[2 * 13 + 12]), "{ended:?}");
}

#[test]
fn monitoring_tells_what_happens() {
    let ended = Process::start(example("monitoring")).end().expect_code(0);
    for told in
        ["pipeline   demonstration started", "task       left is running", "progress   100 %", "machine    cpu "]
    {
        assert!(ended.stdout.contains(told), "{told}: {ended:?}");
    }
}

#[test]
fn soak_comes_through_a_kill() {
    let mut command = example("soak");
    command.args(["--minutes", "0.1", "--every", "1", "--kills", "1"]);
    let ended = Process::start(command).end().expect_code(2);
    let lives: Vec<&str> = ended.stdout.lines().filter_map(|line| line.split_whitespace().nth(2)).collect();
    assert!(lives.contains(&"1") && lives.contains(&"2"), "{ended:?}");
    assert!(ended.stdout.contains(" came to their end\ntoo short to tell: "), "{ended:?}");
}

/// Three lives of nine lines each; `value` of a measure, by life and line within it.
fn soaked(value: impl Fn(usize, u32, u32) -> f64) -> Verdict {
    let values = |life, nth| std::array::from_fn(|measure| value(measure, life, nth));
    let line = |life, nth| Line { life, values: values(life, nth) };
    let lines: Vec<Line> =
        (0..3).flat_map(|life| (0..9).map(move |nth| (life, nth))).map(|(life, nth)| line(life, nth)).collect();
    Verdict::of(&lines, (7, 7))
}

#[test]
fn a_soak_is_flat_only_where_nothing_grows() {
    let flat = soaked(|_, _, _| 100.0);
    assert!(flat.exit_code() == 0 && flat.to_string().ends_with("flat: nothing grew without bound"), "{flat}");
    for grows in 0..MEASURES.len() {
        let within = soaked(|measure, _, nth| if measure == grows { 100.0 * 1.4_f64.powf(nth.into()) } else { 100.0 });
        assert!(within.exit_code() == 1 && within.to_string().contains("(GREW)"), "{within}");
        let step_by_step =
            soaked(|measure, life, _| if measure == grows { 100.0 * 1.6_f64.powf(life.into()) } else { 100.0 });
        assert_eq!(
            step_by_step.exit_code(),
            1,
            "each life is flat, and each is worse than the one before: {step_by_step}"
        );
    }
    let none: &[Line] = &[];
    assert_eq!(Verdict::of(none, (7, 6)).exit_code(), 1, "a pipeline that did not end is told however short it was");
}

#[test]
fn agent_takes_its_settings_from_the_environment() {
    let mut command = example("agent");
    command.arg("ws://127.0.0.1:1").env("MCP_CLIENT_TIMEOUT", "soon");
    Process::start(command).end().expect_code(1).expect_told(&["MCP_CLIENT_TIMEOUT", "soon"]);
}

#[test]
fn agent_works_for_a_coordinator_and_leaves_on_a_signal() {
    let server = Server::start();
    let mut host = server.peer();
    let config = json!({"required_capabilities": ["primes"], "below": 30_000});
    host.request("subscribe", json!({"topics": ["task/*"]}));
    let task = host.request("task/create", json!({"name": "primes", "config": config}))["task_id"].clone();
    let mut command = example("agent");
    command.arg(server.url());
    let mut agent = Process::start(command);
    loop {
        let change = host.next_notification("task/changed");
        if change.params()["status"] == "completed" {
            break;
        }
    }
    let answer = host.request("task/result", json!({"task_id": task}));
    assert_eq!(answer["result"], 3_245, "there are 3245 primes below 30000");
    agent.signal(Signal::INT);
    agent.end().expect_code(0);
    assert_eq!(host.request("agent/list", json!({}))["total"], 0);
}
