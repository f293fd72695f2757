//! 100,000 tasks from one file: how long the real binary parses, checks, expands and submits them, in milliseconds, and the
//! processor time of all its threads until then: that does not depend on who else is at work on the machine.
//!
//! `cargo bench --bench pipeline_file`
#![expect(clippy::expect_used, reason = "a benchmark that cannot run has nothing to say")]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

const TASKS: usize = 100_000;
/// Tasks that one may wait for: the names of more do not fit its inputs.
const JOINED: usize = 6_000;
/// Runs of each file; the fastest counts.
const ROUNDS: usize = 7;
/// What the binary says on its way; the last one is the end of what is measured.
const STEPS: [&str; 6] = [
    "pipeline file: parsing",
    "pipeline file: checking",
    "pipeline file: expanding",
    "pipeline file: done",
    "submission: begun",
    "submission: done",
];

fn literal_yaml() -> String {
    let task = |n| format!("- name: task-{n}\n  command: [python3, train.py, --seed, {n}]\n  priority: {}\n", n % 10);
    (0..TASKS).fold("name: yaml\ntasks:\n".to_owned(), |text, n| text + &task(n))
}

fn literal_json() -> String {
    let task =
        |n| format!(r#"{{"name":"task-{n}","command":["python3","train.py","--seed","{n}"],"priority":{}}}"#, n % 10);
    format!(r#"{{"name":"json","tasks":[{}]}}"#, (0..TASKS).map(task).collect::<Vec<_>>().join(","))
}

fn chain() -> String {
    (1..TASKS).fold("name: chain\ntasks:\n- name: t0\n".to_owned(), |mut text, n| {
        writeln!(text, "- name: t{n}\n  depends_on: [t{}]", n - 1).expect("a string takes it");
        text
    })
}

fn matrix() -> String {
    let list = |n: usize| (0..n).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    let (seeds, depths) = (list(1_000), list(TASKS / 1_000));
    format!(
        "name: matrix\ntasks:\n- name: train\n  matrix: {{seed: [{seeds}], depth: [{depths}]}}\n  \
         command: [python3, train.py, --seed, '${{{{ matrix.seed }}}}', --depth, '${{{{ matrix.depth }}}}']\n"
    )
}

fn wide() -> String {
    format!(
        "name: wide\ntasks:\n- name: prepare\n- name: work\n  foreach: {{range: [0, {}]}}\n  depends_on: [prepare]\n  \
         command: [python3, work.py, '${{{{ item }}}}']\n- name: shard\n  replicas: {JOINED}\n- name: join\n  depends_on: [shard]\n",
        TASKS - JOINED - 2
    )
}

/// Seconds of the day, by the time that stands before a line of the log.
fn seconds(line: &str) -> f64 {
    let time = line.split('T').nth(1).and_then(|rest| rest.split('Z').next()).expect("a time");
    time.split(':').fold(0.0, |sum, part| sum * 60.0 + part.parse::<f64>().expect("a number"))
}

/// Milliseconds of processor time that a process has had, all its threads together.
fn processor_ms(pid: u32) -> f64 {
    /// A tick of `/proc/PID/stat`, in milliseconds, on every Linux.
    const TICK_MS: f64 = 10.0;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("fields behind its name").split_whitespace().collect();
    fields[11..13].iter().map(|ticks| ticks.parse::<f64>().expect("a number")).sum::<f64>() * TICK_MS
}

/// Milliseconds that each step took, and the processor time of all.
fn run(file: &Path, data: &Path) -> ([f64; 5], f64) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_everlog"))
        .args(["run", "--slots", "1", "--data"])
        .args([data, file])
        .env("RUST_LOG", "everlog::pipeline_file=debug,everlog::submission=debug")
        .env("NO_COLOR", "1")
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("started");
    let lines = BufReader::new(child.stderr.take().expect("its standard error")).lines().map_while(Result::ok);
    let mut times = Vec::new();
    for line in lines {
        if STEPS.get(times.len()).is_some_and(|step| line.contains(step)) {
            times.push(seconds(&line));
        }
        if times.len() == STEPS.len() {
            break;
        }
    }
    let processor = processor_ms(child.id());
    child.kill().expect("killed");
    child.wait().expect("ended");
    assert_eq!(times.len(), STEPS.len(), "the run ended before its pipeline was created");
    (std::array::from_fn(|step| (times[step + 1] - times[step]) * 1_000.0), processor)
}

fn main() {
    let home = tempfile::tempdir().expect("a directory");
    println!(
        "| file | MB | parse | check | expand | submit | together | processor |\n|---|---|---|---|---|---|---|---|"
    );
    let files = [
        ("literal.yaml", literal_yaml()),
        ("literal.json", literal_json()),
        ("chain.yaml", chain()),
        ("matrix.yaml", matrix()),
        ("wide.yaml", wide()),
    ];
    for (name, text) in files {
        let file = home.path().join(name);
        std::fs::write(&file, &text).expect("written");
        let round = |n| run(&file, &home.path().join(format!("{name}-{n}")));
        let together = |[parse, check, expand, _, submit]: [f64; 5]| parse + check + expand + submit;
        // What disturbs a round only adds to it.
        let rounds = (0..ROUNDS).map(round).min_by(|one, other| together(one.0).total_cmp(&together(other.0)));
        let (steps, processor) = rounds.expect("rounds");
        let ([parse, check, expand, _, submit], together) = (steps, together(steps));
        let megabytes = text.len() as f64 / 1e6;
        println!(
            "| {name} | {megabytes:.1} | {parse:.0} | {check:.0} | {expand:.0} | {submit:.0} | {together:.0} | {processor:.0} |"
        );
    }
}
