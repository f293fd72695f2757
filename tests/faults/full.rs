//! A disk that is really full: a small file system of its own, in a mount namespace. The coordinator says so, takes no changes,
//! goes on reading, and goes on by itself when there is space again; and no end while it is full keeps it from starting again.

use super::session::{OVERLOADED, Session};
use super::{Dice, for_each, seed, setting, tell};
use crate::harness::{Assignment, Deadline, Peer, Process, everlog, plain};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fmt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

const RUNS: u64 = 6;
/// The file system, in KiB: the reserve, the first segments, the store, and then no more.
const LEAST_KIB: usize = 14 * 1_024;
const MORE_KIB: usize = 10 * 1_024;
/// What somebody else keeps there, in KiB, and takes away later.
const BALLAST_KIB: usize = 6 * 1_024;
/// How long the export of all of it may take on a machine that does other things too.
const EXPORT: Duration = Duration::from_secs(120);
/// A value's length, in characters, at most.
const VALUE: usize = 300_000;

/// Whether this machine allows a file system in a namespace of our own.
fn is_allowed() -> bool {
    let mut command = Command::new("unshare");
    command.args(["-Urm", "mount", "-t", "tmpfs", "none", "/mnt"]).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A small file system, as long as a process holds its namespace.
struct SmallDisk {
    holder: Process,
    /// The namespace's root, seen from outside.
    seen: PathBuf,
}

impl SmallDisk {
    fn of(kib: usize) -> Self {
        let script = "mount -t tmpfs -o size=$0k none /mnt && head -c ${1}k /dev/zero > /mnt/ballast && echo $$ && exec sleep 600";
        let mut command = Command::new("unshare");
        command.args(["-Urm", "sh", "-c", script]).args([kib.to_string(), BALLAST_KIB.to_string()]);
        let mut holder = Process::start(command);
        let pid = holder.line().unwrap_or_else(|ended| panic!("no file system: {ended:#?}"));
        Self { holder, seen: format!("/proc/{pid}/root/mnt").into() }
    }

    fn serve(&self) -> (Process, Peer) {
        let pid = self.seen.components().nth(2).unwrap().as_os_str().to_owned();
        let inner = everlog(["serve", "--host", "127.0.0.1", "--port", "0", "--data", "/mnt/data"]);
        let mut command = Command::new("nsenter");
        command.arg("--target").arg(pid).args(["--user", "--mount", "--preserve-credentials", "--wd=/mnt"]);
        command.arg(inner.get_program()).args(inner.get_args());
        for (setting, _) in inner.get_envs() {
            command.env_remove(setting);
        }
        let mut process = Process::start(command);
        let line = process.line().unwrap_or_else(|ended| panic!("it does not start: {ended:#?}"));
        let peer = Peer::connect(line.trim_start_matches("ready ws://"));
        (process, peer)
    }

    fn free_some(&self) {
        std::fs::remove_file(self.seen.join("ballast")).unwrap();
    }
}

/// How a run goes on while the disk is full.
#[derive(Clone, Copy, Debug)]
enum End {
    /// It waits for space.
    None,
    Kill,
    Terminate,
}

/// One run, drawn from a number.
struct Run(u64);

impl fmt::Display for Run {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "EVERLOG_RUN={}", self.0)
    }
}

/// Text that says which it is.
fn value(n: u64, dice: &mut Dice) -> Value {
    let length = 1 + dice.throw(VALUE);
    json!(format!("{n}-{}", "x".repeat(length)))
}

/// Sets values until one is refused; how many were acknowledged.
fn fill(peer: &mut Peer, known: &mut Vec<Value>, dice: &mut Dice) {
    loop {
        let n = known.len() as u64;
        let value = value(n, dice);
        let id = peer.ask("memory/set", json!({"key": format!("k{n}"), "value": value}));
        let answer = peer.answer(&id);
        if answer.result().is_null() {
            let refused = answer.refused();
            assert_eq!(refused.code, OVERLOADED, "{refused:?}");
            assert!(refused.message.contains("full") && refused.message.contains("free"), "{refused:?}");
            return;
        }
        known.push(value);
    }
}

/// Reading goes on, and everything acknowledged is there.
fn check(peer: &mut Peer, known: &[Value]) {
    for (n, value) in known.iter().enumerate() {
        assert_eq!(peer.request("memory/get", json!({"key": format!("k{n}")}))["value"], *value, "k{n}");
    }
}

/// The entries of the error register about this disk, by their status.
fn alerts(peer: &mut Peer, status: &str) -> usize {
    let errors = peer.request("error/list", json!({}))["errors"].clone();
    let all = errors.as_array().unwrap().iter();
    all.filter(|entry| entry["error_type"] == "disk_full" && entry["status"] == status).count()
}

fn experiment(run: &Run) {
    let mut dice = Dice(run.0);
    let mut disk = SmallDisk::of(LEAST_KIB + dice.throw(MORE_KIB) + BALLAST_KIB);
    let (mut process, mut peer) = disk.serve();
    let mut known = Vec::new();
    peer.request("agent/register", plain("agent"));
    peer.request("task/create", json!({"tasks": [{"name": "first"}, {"name": "second"}]}));
    let given = Assignment::of(&peer.next_notification("task/assigned"));
    fill(&mut peer, &mut known, &mut dice);
    assert!(!known.is_empty(), "some fit");
    check(&mut peer, &known);
    assert_eq!(alerts(&mut peer, "reported"), 1);
    let mut export = everlog(["log", "--output", "ndjson", "--data"]);
    export.arg(disk.seen.join("data"));
    let history = Process::start(export).end_within(Deadline::after(EXPORT)).expect_code(0).stdout;
    assert_eq!(history.lines().filter(|line| line.contains("\"MemorySet\"")).count(), known.len());
    let done =
        json!({"task_id": given.task, "agent_id": "agent", "attempt": given.attempt, "success": true, "result": 1});
    peer.request("task/completed", done);
    peer.expect_silence("task/assigned");
    let end = [End::None, End::Kill, End::Terminate][dice.throw(3)];
    match end {
        End::None => {}
        End::Kill | End::Terminate => {
            let (signal, code) = if matches!(end, End::Kill) { (Signal::KILL, 137) } else { (Signal::TERM, 0) };
            drop(peer);
            process.signal(signal);
            process.end().expect_code(code);
            (process, peer) = disk.serve();
            check(&mut peer, &known);
            fill(&mut peer, &mut known, &mut dice);
        }
    }
    disk.free_some();
    process.until_told("everything goes on");
    if matches!(end, End::None) {
        let given = Assignment::of(&peer.next_notification("task/assigned"));
        assert_eq!(given.name, "second", "it was begun when there was space");
    }
    let before = known.len();
    fill(&mut peer, &mut known, &mut dice);
    assert!(known.len() > before, "it goes on");
    drop(peer);
    process.signal(Signal::KILL);
    process.end().expect_code(137);
    let (mut process, mut peer) = disk.serve();
    check(&mut peer, &known);
    assert!(alerts(&mut peer, "recovered") >= 1);
    drop(peer);
    process.signal(Signal::TERM);
    process.end().expect_code(0);
    disk.holder.signal(Signal::KILL);
    disk.holder.end().expect_code(137);
}

/// A file system that is ill is mounted read-only as a rule: just then somebody looks.
#[test]
fn what_may_only_be_read_is_verified_and_repaired() {
    if !is_allowed() {
        return tell("a file system that may only be read was not tried: this machine allows no mount in a namespace");
    }
    let mut session = Session::new();
    session.run_until(1, None).unwrap();
    let program = everlog(["verify"]).get_program().to_owned();
    let script = "mount -t tmpfs none /mnt && cp -r $1 /mnt/data && mount -o remount,ro /mnt && \
                  $2 verify --data /mnt/data && $2 repair --data /mnt/data --apply --into $3";
    let mut command = Command::new("unshare");
    command.args(["-Urm", "sh", "-c", script, "sh"]).arg(session.data()).arg(program).arg(session.home().join("new"));
    Process::start(command).end().expect_code(0).expect_told(&["new is whole"]);
}

#[test]
fn a_full_disk_is_told_and_everything_goes_on_when_there_is_space() {
    if !is_allowed() {
        return tell(format!("0 of {RUNS} runs on a full disk: `unshare -Urm mount` is not allowed here"));
    }
    let mut dice = Dice(seed());
    for_each((0..RUNS).map(|_| Run(dice.next())), experiment);
    tell(format!("{RUNS} of {RUNS} runs on a full disk"));
}

#[test]
#[ignore = "a campaign: tests/faults/campaign full"]
fn full() {
    assert!(is_allowed(), "`unshare -Urm mount` is not allowed here, so nothing can be tried: run it where it is");
    if let Some(run) = setting("EVERLOG_RUN") {
        return experiment(&Run(run));
    }
    let mut dice = Dice(seed());
    let runs: u64 = setting("EVERLOG_RUNS").unwrap_or(200);
    for_each((0..runs).map(|_| Run(dice.next())), experiment);
    eprintln!("{runs} runs, none bricked");
}
