//! No coordinator, something that is none, an old one; and what needs none.

use super::{everlog_ends, start};
use crate::harness::{Ended, Process, Server, everlog};
use std::io::{Read, Write};
use std::net::TcpListener;

/// A call of each verb that talks to a coordinator.
pub(super) const VERBS: [&[&str]; 20] = [
    &["ps"],
    &["tasks"],
    &["agents"],
    &["errors"],
    &["status", "x"],
    &["watch", "x"],
    &["wait", "x"],
    &["result", "x"],
    &["start", "x"],
    &["pause", "x"],
    &["resume", "x"],
    &["stop", "x", "y"],
    &["delete", "x"],
    &["cancel", "x", "y"],
    &["retry", "x"],
    &["memory", "ls"],
    &["memory", "rm", "x", "y"],
    &["health"],
    &["health", "--ready"],
    &["call", "pipeline/list"],
];

pub(super) fn ends(url: &str, args: &[&str]) -> Ended {
    let mut command = everlog(args);
    command.args(["--server", url]);
    Process::start(command).end()
}

/// Something that listens on a port and answers everything with `answer`.
fn impostor(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer);
        }
    });
    url
}

#[test]
fn a_coordinator_that_is_not_there_is_told_at_once() {
    let server = Server::start();
    let url = server.url().to_owned();
    drop(server);
    for args in VERBS {
        let ended = ends(&url, args).expect_code(69);
        ended.expect_told(&[&url, "cannot be reached", "everlog serve", "--server"]);
        assert_eq!((ended.stdout.as_str(), ended.stderr.matches('×').count()), ("", 1), "{args:?}");
        let ended = ends(&url, &[args, &["--output", "json"]].concat()).expect_code(69);
        assert_eq!((ended.stdout.as_str(), ended.stderr.matches('×').count()), ("", 1), "{args:?}");
    }
}

#[test]
fn what_is_no_coordinator_is_told_apart() {
    for answer in [
        &b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.0 200 OK\r\n\r\n<html>hello</html>",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"",
        b"\x15\x03\x01\x00\x02\x02\x46",
    ] {
        let url = impostor(answer);
        for args in [&["ps"][..], &["health"], &["health", "--ready"]] {
            ends(&url, args).expect_code(69).expect_told(&[&url, "--server"]);
        }
        ends(&url, &["health"]).expect_told(&["no coordinator"]);
    }
}

#[test]
fn what_says_nothing_is_not_waited_for_without_end() {
    // It takes connections, and nobody reads them.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", silent.local_addr().unwrap());
    let mut command = everlog(["health", "--server", &url]);
    command.env("MCP_CLIENT_TIMEOUT", "0.2");
    Process::start(command).end().expect_code(69).expect_told(&[&url, "no answer within 0.2 s", "--server"]);
}

#[test]
fn an_unknown_method_is_the_servers_to_tell() {
    let server = Server::start();
    let ended = everlog_ends(&server, &["call", "pipelin/list"]).expect_code(4);
    ended.expect_told(&["there is no method 'pipelin/list'; did you mean pipeline/list?"]);
}

#[test]
fn slips_of_the_hand_are_met_with_a_suggestion() {
    for (args, words) in [
        (&["stauts"][..], "'status'"),
        (&["ps", "--statsu", "idle"], "'--status'"),
        (&["ps", "--output", "jsn"], "'json'"),
        (&["memory", "gett", "k"], "'get'"),
        (&["man", "smubit"], "there is no verb `smubit`; `everlog --help`"),
        (&["man", "memory", "gte"], "there is no verb `gte`; `everlog memory --help`"),
        (&["submit"], "<FILE>"),
    ] {
        Process::start(everlog(args)).end().expect_code(2).expect_told(&[words]);
    }
}

#[test]
fn what_needs_no_coordinator_needs_none() {
    let stdout = |args: &[&str]| Process::start(everlog(args)).end().expect_code(0).stdout;
    for (shell, words) in [("bash", "complete -F"), ("zsh", "#compdef everlog"), ("fish", "complete -c everlog")] {
        let script = stdout(&["completions", shell]);
        assert!(script.contains(words) && script.contains("server"), "{shell}");
        assert!(!script.contains("server-host") && !script.contains("server-port"), "{shell}");
    }
    let page = stdout(&["man"]);
    assert!(page.contains(".TH everlog 1") && page.contains(".SH \"EXIT STATUS\""), "{page}");
    assert!(page.contains("\\fB124\\fR\nthe time given with \\-\\-timeout is over\n"), "{page}");
    assert!(stdout(&["man", "submit"]).contains("pipeline file"));
    assert!(stdout(&["man", "memory", "get"]).contains("Print the value of a key"));
    for (help, words) in [
        (&["help", "exit-codes"][..], "the time given with --timeout is over"),
        (&["exit-codes"], "124"),
        (&["wait", "--help"], "Examples:"),
        (&["--help"], "First steps:"),
    ] {
        assert!(stdout(help).contains(words), "{help:?}");
    }
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("man1");
    stdout(&["man", "--dir", dir.to_str().unwrap()]);
    for page in ["everlog.1", "everlog-submit.1", "everlog-memory-get.1"] {
        assert!(std::fs::read_to_string(dir.join(page)).unwrap().contains("everlog"), "{page}");
    }
    assert_eq!(std::fs::read_to_string(dir.join("everlog.1")).unwrap(), page, "one page, however it is asked for");
}

#[test]
fn the_environment_names_the_coordinator() {
    let server = Server::start();
    let (host, port) = server.address().rsplit_once(':').unwrap();
    let mut command = everlog(["agents", "--output", "json"]);
    command.env("MCP_SERVER_HOST", host).env("MCP_SERVER_PORT", port);
    assert!(Process::start(command).end().expect_code(0).stdout.contains("\"total\": 0"));
    start(&server, &["agents"]).end().expect_code(0);
}
