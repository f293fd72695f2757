//! `memory get|set|ls|rm`.

use super::{everlog_ends, json_of, prints};
use crate::harness::{Server, everlog};
use serde_json::{Value, json};
use std::process::Stdio;

#[test]
fn values_are_json_or_text() {
    let server = Server::start();
    for (given, kept) in [
        ("5", json!(5)),
        ("-0.5", json!(-0.5)),
        (r#"{"a": [1]}"#, json!({"a": [1]})),
        ("two words", json!("two words")),
        ("", json!("")),
    ] {
        assert_eq!(prints(&server, &["memory", "set", "k", given]), "k stored\n");
        assert_eq!(json_of(&server, &["memory", "get", "k"]), kept, "{given}");
    }
    std::fs::write(server.home().join("v.json"), "[1,\n 2]").unwrap();
    prints(&server, &["memory", "set", "k", "--file", "v.json"]);
    assert_eq!(json_of(&server, &["memory", "get", "k"]), json!([1, 2]));
    let mut command = everlog(["memory", "set", "k", "-", "--server", server.url()]);
    let mut piped = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    std::io::Write::write_all(&mut piped.stdin.take().unwrap(), b"from a pipe\n").unwrap();
    assert!(piped.wait().unwrap().success());
    assert_eq!(prints(&server, &["memory", "get", "k", "--raw"]), "from a pipe\n");
    everlog_ends(&server, &["memory", "set", "k"]).expect_code(2);
    std::fs::write(server.home().join("v.bin"), b"\xff").unwrap();
    everlog_ends(&server, &["memory", "set", "k", "--file", "v.bin"])
        .expect_code(2)
        .expect_told(&["v.bin is no UTF-8", "base64"]);
    let directory = std::fs::File::open(server.home()).unwrap();
    let mut command = everlog(["memory", "set", "k", "-", "--server", server.url()]);
    let refused = command.stdin(directory).output().unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("stdin cannot be read"), "{refused:?}");
    everlog_ends(&server, &["memory", "set", "k", "--file", "nowhere"])
        .expect_code(2)
        .expect_told(&["nowhere cannot be read"]);
}

#[test]
fn keys_are_listed_and_removed() {
    let server = Server::start();
    for key in ["best/a", "best/b", "other"] {
        prints(&server, &["memory", "set", key, "1"]);
    }
    assert_eq!(prints(&server, &["memory", "ls", "best/"]), "KEY\nbest/a\nbest/b\n");
    assert_eq!(prints(&server, &["memory", "ls", "best/", "--output", "ndjson"]), "\"best/a\"\n\"best/b\"\n");
    assert_eq!(json_of(&server, &["memory", "ls", "--output", "json"])["total"], 4);
    assert_eq!(prints(&server, &["memory", "rm", "best/a"]), "best/a deleted\n");
    let ended = everlog_ends(&server, &["memory", "rm", "best/a", "best/b"]).expect_code(3);
    assert_eq!(ended.stdout, "best/b deleted\n");
    ended.expect_told(&["there is no key `best/a`", "everlog memory ls"]);
    everlog_ends(&server, &["memory", "get", "best/a"]).expect_code(3).expect_told(&["there is no key"]);
    everlog_ends(&server, &["memory", "ls", "nothing/"]).expect_code(0).expect_told(&["no key begins with `nothing/`"]);
    everlog_ends(&server, &["memory", "set", "server/metrics", "1"])
        .expect_code(4)
        .expect_told(&["kept current by the coordinator"]);
}

#[test]
fn a_listing_of_keys_comes_in_pages_too() {
    const KEYS: usize = 2_100;
    let server = Server::start();
    let mut host = server.peer();
    let key = |n: usize| format!("{n:04}{}", "x".repeat(500));
    let asked: Vec<String> = (0..KEYS).map(|n| host.ask("memory/set", json!({"key": key(n), "value": n}))).collect();
    for id in asked {
        host.answer(&id).granted();
    }
    let lines = prints(&server, &["memory", "ls", "--output", "ndjson"]);
    let keys: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(keys.len(), KEYS + 1);
    assert!((0..KEYS).all(|n| keys.contains(&json!(key(n)))));
}
