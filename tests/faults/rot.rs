//! Rot, anywhere in a data directory. Each damage must be harmless, or told and done without, or refused with the place named and
//! nothing changed; never silent, never a panic.

use super::damage::{Damage, Mutation, Original, PAGE, copy, files, put};
use super::history::check_newest;
use super::shim::{BadPage, Shim};
use super::{Dice, for_each, scratch, seed, setting};
use crate::harness::{Ended, Peer, Process, everlog};
use everlog_storage::{DataDir, Options};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

const MUTATIONS: u64 = 500;
/// Exit codes of `verify` on what is damaged, and of `serve` on what it refuses.
const DAMAGED: i32 = 65;
const REFUSED: i32 = 1;
/// What a damage came to: nothing that counts was hit; told by `verify`, and a start goes by the copy; told by `verify`, a start
/// does not read there, and whoever does is told; told by `verify` and by a start, which changes nothing.
const OUTCOMES: [&str; 4] = ["harmless", "healed", "unread", "refused"];
/// What `repair` made of the last two.
const REPAIRS: [&str; 3] = ["repaired from the log", "repaired with the store", "repaired in part"];

/// Starts it where `bad_page` can not be read.
fn start(mut command: Command, data: &Path, bad_page: Option<&BadPage>) -> Process {
    if let Some(page) = bad_page {
        let home = data.parent().unwrap();
        Shim::new(home, data, None).with_bad_page(page.clone()).put_under(&mut command);
    }
    Process::start(command)
}

fn run(verb: &[&str], data: &Path, bad_page: Option<&BadPage>) -> Ended {
    let mut command = everlog(verb);
    command.arg("--data").arg(data);
    start(command, data, bad_page).end()
}

fn experiment(original: &Original, mutation: &Mutation) -> Vec<&'static str> {
    let home = scratch();
    let data = home.path().join("data");
    copy(&original.files, &data);
    let damage = mutation.apply(original, &data);
    let (told, bad_page) = (damage.to_string(), damage.bad_page.as_ref());
    let before = files(&data);
    let verified = run(&["verify", "--output", "json"], &data, bad_page);
    assert!(matches!(verified.code, 0 | DAMAGED), "{told}: {verified:#?}");
    assert_eq!(changed(&before, &files(&data)), Vec::<String>::new(), "{told}: changed by `verify`");

    let mut command = everlog(["serve", "--host", "127.0.0.1", "--port", "0", "--data"]);
    command.arg(&data).current_dir(home.path());
    let mut process = start(command, &data, bad_page);
    match process.line() {
        Err(ended) => {
            assert_eq!((ended.code, verified.code), (REFUSED, DAMAGED), "{told}: {ended:#?} {verified:#?}");
            let says =
                ["damaged", "format", "cannot read", "cannot open"].iter().any(|word| ended.stderr.contains(word));
            assert!(says, "{told}: {ended:#?}");
            let kept = changed(&before, &files(&data));
            assert!(kept.iter().all(|name| name.starts_with("log/")), "{told}: changed by a refusal: {kept:?}");
            vec!["refused", repair(original, &data, &damage)]
        }
        Ok(_) => {
            process.signal(Signal::TERM);
            let ended = process.end();
            assert_eq!(ended.code, 0, "{told}: {ended:#?}");
            check_told(&verified, &ended, &told);
            match (check(original, &data, &told), verified.code) {
                (true, 0) => vec!["harmless"],
                // Who checks can read the page.
                (true, _) if bad_page.is_some_and(|page| page.file.ends_with(".seg")) => {
                    vec!["unread", repair(original, &data, &damage)]
                }
                (true, _) => vec!["healed"],
                (false, DAMAGED) => vec!["unread", repair(original, &data, &damage)],
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
        // Of a damaged log `verify` can not tell which snapshots are whole.
        if part == "commit" && damaged {
            return;
        }
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
fn repair(original: &Original, data: &Path, told: &Damage) -> &'static str {
    let before = files(data);
    let into = data.with_file_name("repaired");
    let into_name = into.to_str().unwrap();
    let verb = ["repair", "--apply", "--into", into_name, "--output", "json"];
    let repaired = run(&verb, data, told.bad_page.as_ref());
    assert_eq!(changed(&before, &files(data)), Vec::<String>::new(), "{told}: changed by `repair`");
    let summary: Value = serde_json::from_str(&repaired.stdout).unwrap_or_else(|_| panic!("{told}: {repaired:#?}"));
    let had = summary["damaged"][0]["first"].as_u64().map_or(original.reference.last(), |first| first - 1);
    let complete = had == original.reference.last() && summary["anchor"] != "disagrees";
    assert_eq!(repaired.code, if complete { 0 } else { DAMAGED }, "{told}: {repaired:#?}");
    // Where nothing is left, nothing need be written.
    let written = DataDir::open_read_only(&into).ok();
    let holds = written.map_or(0, |written| original.reference.check_frames(written.log.frames(1)));
    // Where nothing of this log is left but the anchor, there may be another one, and that is told.
    assert!(holds == had || summary["anchor"] == "disagrees", "{told}: {holds} records, {summary}");
    let stretches = summary["stretches"].as_array().unwrap();
    match (complete, stretches.iter().any(|stretch| stretch["origin"] == "store")) {
        (true, false) => REPAIRS[0],
        (true, true) => REPAIRS[1],
        (false, _) => REPAIRS[2],
    }
}

/// After a life on it: every record that reads is as it was, the state is that of all of them, and the store says the same.
/// Whether all of them read.
fn check(original: &Original, data: &Path, told: &str) -> bool {
    let written = DataDir::open_read_only(data).unwrap_or_else(|fault| panic!("{told}: {fault}"));
    if written.log.frames(1).any(|frame| frame.is_err()) {
        return false;
    }
    drop(written);
    let opened = DataDir::open(data, Options::default()).unwrap_or_else(|fault| panic!("{told}: {fault}"));
    let (log, last) = (opened.log.reader(), original.reference.last());
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
}
