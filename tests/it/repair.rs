//! Damage: what `verify` and a start say of it, and what `repair` makes of it, in a new directory and nowhere else.

use crate::bad_input::log;
use crate::harness::{Ended, Process, Server, everlog};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Exit code of what is damaged.
const DAMAGED: i32 = 65;
/// Longer than a value of the store may be.
const LARGE: usize = 8_000;
const SEGMENT: &str = "data/commit/00000000000000000001.seg";

/// Values of these lengths in a memory, and a coordinator that has ended well.
fn grown(lengths: &[usize]) -> Server {
    let mut server = Server::start();
    let mut peer = server.peer();
    for (n, length) in lengths.iter().enumerate() {
        peer.request("memory/set", json!({"key": format!("k{n}"), "value": "x".repeat(*length)}));
    }
    drop(peer);
    server.terminate().expect_code(0);
    server
}

/// `everlog ARGS` beside the data directory.
fn run(server: &Server, args: &[&str]) -> Ended {
    let mut command = everlog(args);
    command.current_dir(server.home());
    Process::start(command).end()
}

fn json_of(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

/// What a directory holds, but for the lock.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let files = names.filter(|path| path.is_file() && !path.ends_with("lock"));
    files.map(|path| (path.display().to_string(), fs::read(&path).unwrap())).collect()
}

/// Changes a file, which must be changed by that.
fn rot(server: &Server, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let path = server.home().join(name);
    let before = fs::read(&path).unwrap();
    let mut bytes = before.clone();
    change(&mut bytes);
    assert_ne!(bytes, before, "{name} is as it was");
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_lost_log_is_built_again() {
    let damages: [fn(&Server) -> &'static str; 3] = [
        |server| {
            fs::remove_dir_all(server.home().join("data/commit")).unwrap();
            "store"
        },
        |server| {
            fs::remove_file(server.home().join(SEGMENT)).unwrap();
            "store"
        },
        |server| {
            rot(server, SEGMENT, |bytes| bytes[10] ^= 1);
            "commit log"
        },
    ];
    for damage in damages {
        let mut server = grown(&[10; 20]);
        let events = log(&server.data());
        let origin = damage(&server);
        run(&server, &["verify", "--data", "data"]).expect_code(DAMAGED);
        let ended = run(&server, &["repair", "--data", "data", "--apply", "--into", "new", "--output", "json"]);
        let ended = ended.expect_code(0);
        let all = json!([{"first": 1, "last": events.len(), "origin": origin}]);
        let expected = json!({"stretches": all, "damaged": [], "behind": [], "anchor": "agrees", "starts_from": null,
            "into": "new"});
        assert_eq!(json_of(&ended), expected);
        ended.expect_told(&["new is whole; use it in place of data"]);
        assert_eq!(log(&server.home().join("new")), events);
        fs::remove_dir_all(server.data()).unwrap();
        fs::rename(server.home().join("new"), server.data()).unwrap();
        server.restart();
        assert_eq!(server.peer().request("memory/get", json!({"key": "k19"}))["value"], "x".repeat(10));
    }
}

#[test]
fn what_stands_behind_a_record_without_a_copy_is_named_and_cannot_be_joined() {
    let server = grown(&[10, 10, LARGE, 10]);
    let events = log(&server.data());
    let large = 1 + events.iter().position(|event| event.to_string().len() > LARGE).unwrap();
    let (had, last) = (large - 1, events.len());
    fs::remove_dir_all(server.home().join("data/commit")).unwrap();
    let damaged = format!("no copy of record {large} is sound, and what is sound behind that cannot be joined");
    let ended = run(&server, &["repair", "--data", "data"]).expect_code(DAMAGED);
    ended.expect_told(&[&damaged, &format!("`--apply --into DIR` writes what comes before, up to record {had}")]);
    let repair = ["repair", "--data", "data", "--apply", "--into", "new", "--output", "ndjson"];
    let ended = run(&server, &repair).expect_code(DAMAGED);
    ended.expect_told(&[&damaged, &format!("use new in place of data: it ends with record {had}")]);
    let lines: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let stretch = |first, last, origin| json!({"first": first, "last": last, "origin": origin});
    let behind = stretch(large + 1, last, "store, behind the damage");
    assert_eq!(lines, [stretch(1, had, "store"), stretch(large, large, "damaged"), behind]);
    assert_eq!(log(&server.home().join("new")), events[..had]);
    run(&server, &["verify", "--data", "new"]).expect_code(0);
}

/// A start goes by the snapshot behind the damage, so that whoever repaired would give up what is well.
#[test]
fn where_a_snapshot_stands_for_the_damage_it_is_told_to_go_on() {
    // More than the first segment holds.
    let mut server = grown(&[LARGE; 150]);
    let events = log(&server.data());
    fs::remove_dir_all(server.data().join("log")).unwrap();
    rot(&server, SEGMENT, |bytes| bytes[500_000] ^= 1);
    let ended = run(&server, &["repair", "--data", "data", "--output", "json"]).expect_code(DAMAGED);
    let found = json_of(&ended);
    let damaged = found["damaged"][0]["first"].as_u64().unwrap();
    assert_eq!(found["damaged"], json!([{"first": damaged, "last": damaged}]), "one frame");
    let behind = json!([{"first": damaged + 1, "last": events.len(), "origin": "commit log"}]);
    assert_eq!((&found["behind"], &found["starts_from"]), (&behind, &json!(events.len())));
    ended.expect_told(&[
        &format!("no copy of record {damaged} is sound, and what is sound behind that cannot be joined"),
        &format!("the snapshot of record {} holds what they came to: copy data and go on with it", events.len()),
    ]);
    let verified = run(&server, &["verify", "--data", "data", "--output", "json"]).expect_code(DAMAGED);
    let ranges = format!("records 1 to {}, {} to {}", damaged - 1, damaged + 1, events.len());
    assert!(verified.stdout.contains(&ranges) && verified.stdout.contains("it is whole in itself"), "{verified:?}");
    server.restart();
    assert_eq!(server.peer().request("memory/get", json!({"key": "k149"}))["value"], "x".repeat(LARGE));
}

/// The file of the same name in another directory, whole in itself.
#[test]
fn a_segment_of_another_log_loses_against_the_own_store() {
    let (server, other) = (grown(&[10; 20]), grown(&[10; 22]));
    let events = log(&server.data());
    fs::copy(other.home().join(SEGMENT), server.home().join(SEGMENT)).unwrap();
    run(&server, &["verify", "--data", "data"]).expect_code(DAMAGED);
    let ended = run(&server, &["repair", "--data", "data", "--apply", "--into", "new", "--output", "json"]);
    let all = json!([{"first": 1, "last": events.len(), "origin": "store"}]);
    assert_eq!(json_of(&ended.expect_code(0))["stretches"], all);
    assert_eq!(log(&server.home().join("new")), events);
}

#[test]
fn without_the_anchor_nobody_knows_how_far_the_log_went() {
    let server = grown(&[10; 5]);
    for part in ["anchor", "log", "snapshots"] {
        let path = server.data().join(part);
        let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
    }
    let ended = run(&server, &["repair", "--data", "data"]).expect_code(0);
    ended.expect_told(&["as far as can be known without the anchor, every record is in the commit log"]);
}

#[test]
fn where_nothing_is_left_nothing_is_written() {
    let server = grown(&[10]);
    for part in ["commit", "log"] {
        fs::remove_dir_all(server.data().join(part)).unwrap();
    }
    let ended = run(&server, &["repair", "--data", "data", "--apply", "--into", "new"]).expect_code(DAMAGED);
    ended.expect_told(&["no copy of records 1 to ", "a backup may have them; nothing was written"]);
    fs::remove_file(server.data().join("anchor")).unwrap();
    run(&server, &["repair", "--data", "data", "--apply", "--into", "new"]).expect_code(DAMAGED);
    assert!(!server.home().join("new").exists());
}

#[test]
fn what_the_log_forgot_is_missed_when_a_snapshot_knows_of_it() {
    let server = grown(&[10; 5]);
    let last = log(&server.data()).len();
    fs::remove_file(server.data().join("anchor")).unwrap();
    fs::remove_dir_all(server.data().join("log")).unwrap();
    rot(&server, SEGMENT, |bytes| {
        let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
        bytes[end - 20..].fill(0);
    });
    let ended = run(&server, &["repair", "--data", "data", "--output", "json"]).expect_code(DAMAGED);
    assert_eq!(json_of(&ended)["damaged"][0]["last"], last);
    assert_eq!(json_of(&ended)["anchor"], "unknown");
}

#[test]
fn a_repair_writes_into_a_new_directory_only() {
    let (server, other) = (grown(&[10]), grown(&[10]));
    rot(&other, "data/anchor", |bytes| bytes[20] ^= 1);
    fs::create_dir(server.home().join("keep")).unwrap();
    fs::write(server.home().join("keep/letter.txt"), "dear").unwrap();
    let other_data = other.data();
    let before = (files(&other_data), files(&server.data()));
    for (into, words) in [
        (other_data.to_str().unwrap(), "holds something already"),
        ("keep", "keep holds something already; name a directory that is not there yet"),
        ("data", "holds something already"),
        ("data/new", "data/new is inside the damaged directory"),
        ("./keep/../data/new/er", "is inside the damaged directory"),
    ] {
        let ended = run(&server, &["repair", "--data", "data", "--apply", "--into", into]).expect_code(2);
        ended.expect_told(&[words]);
        assert_eq!(ended.stdout, "");
    }
    assert_eq!((files(&other_data), files(&server.data())), before);
    assert!(!server.home().join("keep/lock").exists() && !server.data().join("new").exists());
    run(&server, &["repair", "--data", "data", "--into", "new"]).expect_code(2).expect_told(&["--apply"]);
}

#[test]
fn a_healthy_directory_needs_no_repair_and_a_stranger_gets_none() {
    let server = grown(&[10]);
    let ended = run(&server, &["repair", "--data", "data"]).expect_code(0);
    ended.expect_told(&["every record is in the commit log; should a start refuse the directory"]);
    fs::create_dir(server.home().join("mine")).unwrap();
    for verb in ["verify", "repair", "log"] {
        let ended = run(&server, &[verb, "--data", "mine"]).expect_code(3);
        ended.expect_told(&["there is no data directory at mine; name the one that `serve` or `run` used"]);
    }
    assert_eq!(fs::read_dir(server.home().join("mine")).unwrap().count(), 0);
}

#[test]
fn what_a_start_finds_it_tells_at_once() {
    let mut server = grown(&[10; 20]);
    let snapshot = fs::read_dir(server.data().join("snapshots")).unwrap().last().unwrap().unwrap().file_name();
    rot(&server, &format!("data/snapshots/{}", snapshot.to_str().unwrap()), |bytes| bytes[40] ^= 1);
    server.restart();
    server.process().until_told("its hash is wrong; it is skipped and may be deleted");
    server.terminate().expect_code(0);
    rot(&server, "data/log/00000000000000000001/db", |bytes| bytes.fill(0));
    server.restart();
    server.process().until_told("the store's bucket from record 1 was damaged");
    server.terminate().expect_code(0);
}

#[test]
fn verify_looks_at_everything_whatever_it_finds_first() {
    let server = grown(&[10; 20]);
    let verified = |code| json_of(&run(&server, &["verify", "--data", "data", "--output", "json"]).expect_code(code));
    let part = |verified: &Value, name: &str| {
        let parts = verified["parts"].as_array().unwrap();
        parts.iter().find(|part| part["part"] == name).cloned().unwrap_or_else(|| panic!("{name}: {verified}"))
    };
    rot(&server, "data/anchor", |bytes| bytes.fill(7));
    let found = verified(DAMAGED);
    assert!(part(&found, "anchor")["damage"].as_str().unwrap().contains("neither of its two slots"), "{found}");
    for whole in ["commit", "store from record 1"] {
        assert_eq!(part(&found, whole)["damage"], Value::Null);
    }
    // A snapshot of sled's own.
    fs::write(server.data().join("log/00000000000000000001/snap.0000000000000010"), [0xa5; 200]).unwrap();
    let ended = run(&server, &["verify", "--data", "data"]).expect_code(DAMAGED);
    ended.expect_told(&["store from record 1: sled finds it corrupted; a start does without it"]);
    assert!(!ended.stderr.contains("ERROR") && !ended.stderr.contains("backtrace"), "{ended:?}");
    fs::remove_dir_all(server.data().join("log")).unwrap();
    let note = part(&verified(DAMAGED), "store")["note"].clone();
    assert_eq!(note, "there is none; a start feeds it from the commit log");
}

/// Both coordinators did the same, so that their snapshots have the same name.
#[test]
fn a_snapshot_of_another_log_is_passed_over_and_told() {
    let (mut one, other) = (grown(&[10; 5]), grown(&[20; 5]));
    run(&one, &["verify", "--data", "data"]).expect_code(0);
    let snapshots = one.data().join("snapshots");
    fs::remove_dir_all(&snapshots).unwrap();
    fs::create_dir(&snapshots).unwrap();
    for entry in fs::read_dir(other.data().join("snapshots")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), snapshots.join(entry.file_name())).unwrap();
    }
    let told = "it is of another log, or of another release; a start does without it";
    let verified = run(&one, &["verify", "--data", "data", "--output", "json"]).expect_code(DAMAGED);
    assert!(verified.stdout.contains(told), "{verified:?}");

    let repaired = run(&one, &["repair", "--data", "data", "--apply", "--into", "new"]);
    repaired.expect_code(0).expect_told(&["new is whole; use it in place of data"]);

    one.restart();
    let value = one.peer().request("memory/get", json!({"key": "k4"}))["value"].clone();
    assert_eq!(value, json!("x".repeat(10)), "a value of its own log");
    one.terminate().expect_code(0).expect_told(&["it is of another log, or of another release; it is skipped"]);
}
