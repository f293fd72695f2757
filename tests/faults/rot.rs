//! Rot: bits flipped, pages zeroed, files cut, lost, swapped, put back as they once were, and strangers among them, anywhere in a
//! data directory. Each must be harmless, or told and done without, or refused with the place named and nothing changed; never
//! silent, never a panic.

use super::history::{Reference, check_newest};
use super::session::Session;
use super::shim::Shim;
use super::{Dice, for_each, scratch, seed, setting};
use crate::harness::{Ended, Peer, Process, everlog};
use everlog_storage::{DataDir, Options};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

const MUTATIONS: u64 = 500;
/// What rots at once: a page.
const PAGE: usize = 4_096;
/// Exit codes of `verify` on what is damaged, and of `serve` on what it refuses.
const DAMAGED: i32 = 65;
const REFUSED: i32 = 1;
/// Names that a crash, or a person, may leave behind.
const STRAYS: [&str; 7] = [
    "anchor.tmp",
    "commit/spare",
    "commit/note.txt",
    "snapshots/new.tmp",
    "snapshots/00000000000000000077.snap",
    "log/00000000000000000001.tmp",
    "log/00000000000000000001/snap.0000000000000001.generating",
];

/// A data directory that is well, as it was half way, and what it holds.
struct Original {
    /// Keeps the directories.
    session: Session,
    earlier: PathBuf,
    files: BTreeMap<String, Vec<u8>>,
    reference: Reference,
}

impl Original {
    fn make() -> Self {
        let mut session = Session::new();
        let shim = Shim::new(session.home(), &session.data(), None);
        let earlier = session.home().join("earlier");
        session.run_until(session.steps() / 2, Some(&shim)).unwrap();
        copy(&files(&session.data()), &earlier);
        session.run(Some(&shim)).unwrap();
        let (files, reference) = (files(&session.data()), Reference::of(&session.data()));
        Self { session, earlier, files, reference }
    }
}

/// All files below a directory, by name.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut left = vec![dir.to_owned()];
    while let Some(next) = left.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
                found.insert(name, std::fs::read(path).unwrap());
            }
        }
    }
    found
}

fn copy(files: &BTreeMap<String, Vec<u8>>, into: &Path) {
    for (name, bytes) in files {
        put(into, name, bytes);
    }
}

fn put(dir: &Path, name: &str, bytes: &[u8]) {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// One damage, drawn from a number.
struct Mutation(u64);

impl fmt::Display for Mutation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "EVERLOG_MUTATION={}", self.0)
    }
}

impl Mutation {
    /// Does it to a copy; says what was done.
    fn apply(&self, original: &Original, data: &Path) -> String {
        let mut dice = Dice(self.0);
        let groups = ["commit/0", "anchor", "snapshots/", "log/", ""];
        let group = groups[dice.throw(groups.len())];
        let names: Vec<&String> =
            original.files.keys().filter(|name| name.starts_with(group) && *name != "lock").collect();
        let name = names[dice.throw(names.len())];
        let mut bytes = original.files[name].clone();
        // Most of a file is zeros that nobody has written to yet.
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(1, |last| last + 1);
        let within = if dice.throw(8) == 0 { bytes.len().max(1) } else { used };
        let at = dice.throw(within);
        let told = match dice.throw(10) {
            0..=2 if !bytes.is_empty() => {
                let bit = dice.throw(8);
                bytes[at] ^= 1 << bit;
                format!("bit {bit} of byte {at} of {name} flipped")
            }
            3 => {
                let page = at / PAGE * PAGE;
                bytes.iter_mut().skip(page).take(PAGE).for_each(|byte| *byte = 0);
                format!("the page at byte {page} of {name} zeroed")
            }
            4 => {
                bytes.iter_mut().skip(at).take(8).for_each(|byte| *byte = 0xa5);
                format!("eight bytes at {at} of {name} overwritten")
            }
            5 => {
                bytes.truncate(at);
                format!("{name} cut at byte {at}")
            }
            6 => {
                let other = names[dice.throw(names.len())];
                bytes.clone_from(&original.files[other]);
                put(data, other, &original.files[name]);
                format!("{name} and {other} swapped")
            }
            7 => {
                std::fs::remove_file(data.join(name)).unwrap();
                return format!("{name} lost");
            }
            8 => {
                // What was not there half way is cut to nothing.
                bytes = std::fs::read(original.earlier.join(name)).unwrap_or_default();
                format!("{name} as it was half way")
            }
            _ => {
                let stray = STRAYS[dice.throw(STRAYS.len())];
                put(data, stray, &bytes[..at]);
                return format!("{stray} with {at} bytes of {name} in it");
            }
        };
        put(data, name, &bytes);
        told
    }
}

/// What a damage came to: nothing that counts was hit; told by `verify`, and a start goes by the copy; told by `verify`, a start
/// does not read there, and whoever does is told; told by `verify` and by a start, which changes nothing.
const OUTCOMES: [&str; 4] = ["harmless", "healed", "unread", "refused"];
/// What `repair` made of the last two.
const REPAIRS: [&str; 3] = ["repaired from the log", "repaired with the store", "repaired in part"];

fn run(verb: &[&str], data: &Path) -> Ended {
    let mut command = everlog(verb);
    command.arg("--data").arg(data);
    Process::start(command).end()
}

fn experiment(original: &Original, mutation: &Mutation) -> Vec<&'static str> {
    let home = scratch();
    let data = home.path().join("data");
    copy(&original.files, &data);
    let told = mutation.apply(original, &data);
    let before = files(&data);
    let verified = run(&["verify", "--output", "json"], &data);
    assert!(matches!(verified.code, 0 | DAMAGED), "{told}: {verified:#?}");
    assert_eq!(changed(&before, &files(&data)), Vec::<String>::new(), "{told}: changed by `verify`");

    let mut command = everlog(["serve", "--host", "127.0.0.1", "--port", "0", "--data"]);
    command.arg(&data).current_dir(home.path());
    let mut process = Process::start(command);
    match process.line() {
        Err(ended) => {
            assert_eq!((ended.code, verified.code), (REFUSED, DAMAGED), "{told}: {ended:#?} {verified:#?}");
            assert!(ended.stderr.contains("damaged") || ended.stderr.contains("format"), "{told}: {ended:#?}");
            let kept = changed(&before, &files(&data));
            assert!(kept.iter().all(|name| name.starts_with("log/")), "{told}: changed by a refusal: {kept:?}");
            vec!["refused", repair(original, &data, &told)]
        }
        Ok(_) => {
            process.signal(Signal::TERM);
            let ended = process.end();
            assert_eq!(ended.code, 0, "{told}: {ended:#?}");
            check_told(&verified, &ended, &told);
            match (check(original, &data, &told), verified.code) {
                (true, 0) => vec!["harmless"],
                (true, _) => vec!["healed"],
                (false, DAMAGED) => vec!["unread", repair(original, &data, &told)],
                (false, _) => panic!("{told}: `verify` said nothing"),
            }
        }
    }
}

/// What a start meets on its way and does without, it tells: a slot of the anchor, and every snapshot behind the last whole one.
fn check_told(verified: &Ended, ended: &Ended, told: &str) {
    let verified: Value = serde_json::from_str(&verified.stdout).unwrap();
    let parts = verified["parts"].as_array().unwrap().iter();
    let parts = parts.map(|part| (part["part"].as_str().unwrap(), !part["damage"].is_null()));
    let mut snapshots = BTreeMap::new();
    for (part, damaged) in parts {
        if let Some(seq) = part.strip_prefix("snapshot ") {
            snapshots.insert(seq.parse::<u64>().unwrap(), damaged);
        }
        let mended = part != "anchor" || !damaged || ended.stderr.contains("one of its two slots was unreadable");
        assert!(mended, "{told}: mended in silence: {ended:#?}");
    }
    for (seq, _) in snapshots.iter().rev().take_while(|(_, damaged)| **damaged) {
        assert!(ended.stderr.contains(&format!("{seq:020}.snap")), "{told}: passed over in silence: {ended:#?}");
    }
}

/// Names of the files that are not the same; the lock is nobody's data.
fn changed(before: &BTreeMap<String, Vec<u8>>, after: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
    names.filter(|name| *name != "lock" && before.get(*name) != after.get(*name)).cloned().collect()
}

/// What can be had of it is had, in a new directory, and what can not is named; the old one stays as it is.
fn repair(original: &Original, data: &Path, told: &str) -> &'static str {
    let before = files(data);
    let into = data.with_file_name("repaired");
    let into_name = into.to_str().unwrap();
    let repaired = run(&["repair", "--apply", "--into", into_name, "--output", "json"], data);
    assert_eq!(changed(&before, &files(data)), Vec::<String>::new(), "{told}: changed by `repair`");
    let summary: Value = serde_json::from_str(&repaired.stdout).unwrap_or_else(|_| panic!("{told}: {repaired:#?}"));
    let had = summary["lost"]["first"].as_u64().map_or(original.reference.last(), |first| first - 1);
    assert_eq!(repaired.code, if summary["lost"].is_null() { 0 } else { DAMAGED }, "{told}: {repaired:#?}");
    let log = DataDir::open_read_only(&into).unwrap().log;
    assert_eq!(original.reference.check_frames(log.frames(1)), had, "{told}: {summary}");
    let stretches = summary["stretches"].as_array().unwrap();
    match (summary["lost"].is_null(), stretches.iter().any(|stretch| stretch["origin"] == "store")) {
        (true, false) => REPAIRS[0],
        (true, true) => REPAIRS[1],
        (false, _) => REPAIRS[2],
    }
}

/// After a life on it: every record that reads is as it was, the state is that of all of them, and the store says the same.
/// Whether all of them read.
fn check(original: &Original, data: &Path, told: &str) -> bool {
    let opened = DataDir::open(data, Options::default()).unwrap_or_else(|fault| panic!("{told}: {fault}"));
    let (log, last) = (opened.log.reader(), original.reference.last());
    if log.frames(1).any(|frame| frame.is_err()) {
        return false;
    }
    assert_eq!(original.reference.check_frames(log.frames(1)), last, "{told}: the log is another one");
    check_newest(&log, &opened.snapshots);
    assert!(opened.store.wait_fed(last), "{told}: {:?}", opened.store.take_findings());
    assert_eq!(original.reference.check_frames(opened.store.read_from(1)), last, "{told}: the store is another one");
    true
}

fn mutate(original: &Original, mutations: u64, seed: u64) -> BTreeMap<&'static str, u64> {
    let outcomes = Mutex::new(BTreeMap::new());
    let mut dice = Dice(seed);
    for_each((0..mutations).map(|_| Mutation(dice.next())), |mutation| {
        for outcome in experiment(original, mutation) {
            *outcomes.lock().unwrap().entry(outcome).or_default() += 1;
        }
    });
    outcomes.into_inner().unwrap()
}

#[test]
fn five_hundred_damages_are_harmless_or_told() {
    let outcomes = mutate(&Original::make(), MUTATIONS, seed());
    assert!(OUTCOMES.iter().chain(&REPAIRS).all(|one| outcomes.contains_key(one)), "some of each: {outcomes:?}");
}

/// In front of the newest snapshot, where a start does not look.
#[test]
fn old_damage_is_found_by_the_scrub() {
    let original = Original::make();
    let data = original.session.data();
    let name = original.files.keys().find(|name| name.ends_with(".seg")).unwrap();
    let mut bytes = original.files[name].clone();
    bytes[2 * PAGE] ^= 1;
    put(&data, name, &bytes);
    let mut command = everlog(["serve", "--host", "127.0.0.1", "--port", "0", "--data"]);
    command.arg(&data).current_dir(original.session.home());
    let mut process = Process::start(command);
    let line = process.line().unwrap_or_else(|ended| panic!("it does not start: {ended:#?}"));
    process.until_told("the scrub found damage");
    let mut peer = Peer::connect(line.trim_start_matches("ready ws://"));
    let found = peer.request("error/list", json!({"error_type": "damage"}));
    assert!(found["errors"][0]["message"].as_str().is_some_and(|told| told.contains(name)), "{found}");
    drop(peer);
    process.signal(Signal::TERM);
    process.end().expect_code(0);
}

#[test]
#[ignore = "a campaign: tests/faults/campaign rot"]
fn rot() {
    let original = Original::make();
    if let Some(number) = setting("EVERLOG_MUTATION") {
        eprintln!("{:?}", experiment(&original, &Mutation(number)));
        return;
    }
    let outcomes = mutate(&original, setting("EVERLOG_MUTATIONS").unwrap_or(100_000), seed());
    eprintln!("{} records; {outcomes:?}", original.reference.last());
    drop(original.session);
}
