//! The configuration from outside: what is in force and why, and what is said of mistakes.

use crate::harness::{Ended, Process, everlog};
use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;

/// A home with this configuration.
fn home(yaml: &str) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("config")).unwrap();
    std::fs::write(home.path().join("config/mcp.yaml"), yaml).unwrap();
    home
}

/// `everlog` there.
fn run(home: &Path, variables: &[(&str, &str)], args: &[&str]) -> Ended {
    let mut command = everlog(args);
    command.current_dir(home).envs(variables.iter().copied());
    Process::start(command).end()
}

fn records(ended: &Ended) -> Vec<Value> {
    ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_is_in_force_is_shown_with_its_origin() {
    let home = home("server:\n  port: 1\n  host: file\n");
    let variables = [("MCP_SERVER_PORT", "2"), ("EVERLOG__LIMITS__MAX_MEMORY_MB", "3"), ("MAX_MEMORY_MB", "4")];
    let args = ["config", "show", "--origin", "--data", "here", "--output", "ndjson"];
    let shown = run(home.path(), &variables, &args).expect_code(0);
    let of = |key: &str| records(&shown).into_iter().find(|record| record["key"] == key).unwrap();
    for (key, value, origin) in [
        ("server.host", json!("file"), "config/mcp.yaml:3"),
        ("server.port", json!(2), "env MCP_SERVER_PORT"),
        ("storage.data", json!("here"), "flag --data"),
        ("limits.max_memory_mb", json!(3), "env EVERLOG__LIMITS__MAX_MEMORY_MB"),
        ("orchestration.task_timeout", json!(300.0), "default"),
    ] {
        assert_eq!(of(key), json!({"key": key, "value": value, "origin": origin}));
    }
    shown.expect_told(&["EVERLOG__LIMITS__MAX_MEMORY_MB and MAX_MEMORY_MB differ"]);
    let list = run(home.path(), &[], &["config", "show", "--output", "json"]).expect_code(0);
    let list: Value = serde_json::from_str(&list.stdout).unwrap();
    assert_eq!(list[1], json!({"key": "server.port", "value": 1}));
    let table = run(home.path(), &[], &["config", "show", "--origin"]).expect_code(0);
    assert!(table.stdout.lines().any(|line| line.contains("server.port") && line.contains("config/mcp.yaml:2")));
}

#[test]
fn a_mistake_is_exit_code_2_with_its_place_for_every_verb_that_reads_it() {
    let home = home("server:\n  host: localhost\n  prot: 1\n");
    let words = ["config/mcp.yaml:3:3: there is no key `prot` here", "╰── here"];
    for args in [&["serve"][..], &["config", "check"], &["config", "show"], &["config", "check", "config/mcp.yaml"]] {
        let ended = run(home.path(), &[], args).expect_code(2);
        assert!(ended.expect_told(&words).stdout.is_empty());
    }
    let other = run(home.path(), &[], &["config", "check", "none.yaml"]).expect_code(2);
    other.expect_told(&["cannot read none.yaml"]);
}

#[test]
fn a_sound_file_is_ok() {
    let home = home("server: {port: 1}");
    let ended = run(home.path(), &[], &["config", "check"]).expect_code(0);
    assert_eq!(ended.stdout, "config/mcp.yaml: ok\n");
    let variables = [("EVERLOG__SERVER__PROT", "1")];
    let ended = run(home.path(), &variables, &["config", "check"]).expect_code(2);
    ended.expect_told(&["EVERLOG__SERVER__PROT names no key (did you mean EVERLOG__SERVER__PORT?)"]);
    let ended = run(home.path(), &[], &["serve", "--port", "70000"]).expect_code(2);
    ended.expect_told(&["server.port is '70000'; set it to a whole number from 0 to 65535 with --port"]);
    let nowhere = tempfile::tempdir().unwrap();
    let ended = run(nowhere.path(), &[], &["config", "check"]).expect_code(0);
    assert!(ended.stdout.starts_with("ok: there is no file"), "{ended:?}");
}

#[test]
fn the_schema_is_the_one_that_editors_get() {
    let schema = run(Path::new("."), &[], &["schema", "config"]).expect_code(0).stdout;
    assert_eq!(schema, include_str!("../../docs/schema/config.json"));
}
