//! The coordinator as a service: signals, probes, and what a service manager hears.

use crate::bad_input::{http, log};
use crate::harness::{Agent, Deadline, Peer, Process, Server, envelope, everlog};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;

/// What a reload says at its end.
const READ_AGAIN: &str = "the configuration was read again";

/// The answer to a probe.
fn probe(server: &Server, path: &str) -> (u16, Value) {
    let address = server.address();
    let (status, body) = http(address, &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"));
    (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}")))
}

/// `everlog health` on an address.
fn health(url: &str, args: &[&str]) -> Process {
    let mut command = everlog(["health", "--server", url]);
    command.args(args);
    Process::start(command)
}

/// Somebody who does not read, and so holds up the goodbye.
fn deaf(server: &Server) -> Peer {
    let mut deaf = server.peer();
    deaf.receive_at_most(64 << 10);
    deaf.request("memory/set", json!({"key": "large", "value": "x".repeat(4_000)}));
    let mut watcher = server.peer();
    watcher.request("subscribe", json!({"topics": ["claude-flow/hook"]}));
    // More than the socket's buffers hold, and no more than the session reads before somebody takes its answers.
    for n in 0..6_000 {
        deaf.queue_text(envelope("request", &n.to_string(), "memory/get", &json!({"key": "large"}))).unwrap();
    }
    // Can not be refused and so says, in its turn, that everything before it was read.
    deaf.queue_text(envelope("notification", "last", "claude-flow/hook", &json!({"type": "last"}))).unwrap();
    deaf.flush().unwrap();
    watcher.next_notification("claude-flow/hook");
    deaf
}

#[test]
fn limits_that_are_raised_let_a_waiting_task_start() {
    let mut server = Server::configured("limits: {max_memory_mb: 100}\n");
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "a");
    let task = json!({"name": "large", "config": {"memory_requirement": 200}});
    let id = host.request("pipeline/create", json!({"name": "p", "strategy": "resource_aware", "tasks": [task]}));
    host.request("pipeline/start", json!({"pipeline_id": id["pipeline_id"]}));
    agent.expect_idle();
    server.reconfigure("limits: {max_memory_mb: 300}\norchestration: {lease_term: 60}\nalerts: {cpu_threshold: 1}\n");
    server.process().until_told(READ_AGAIN);
    for told in
        ["limits.max_memory_mb is now 300; it was 100", "lease_term stays 30.0: it needs a restart", "no effect yet"]
    {
        server.process().until_told(told);
    }
    assert_eq!(agent.next().name, "large");
    // What decisions do not rest on is no event.
    server.reconfigure("limits: {max_memory_mb: 300}\nretention: {metrics_hours: 25}\n");
    server.process().until_told("retention.metrics_hours has no effect yet");
    agent.sync();
    let events = log(&server.data());
    let configured: Vec<&Value> = events.iter().filter(|event| event["kind"] == "CoordinatorConfigured").collect();
    assert_eq!(configured.len(), 1, "{events:?}");
    assert_eq!(configured[0]["detail"]["settings"]["limits"]["memory"], 300 * 1_024);
    server.kill();
    server.restart();
    assert_eq!(server.peer().request("task/list", json!({}))["tasks"][0]["name"], "large");
}

#[test]
fn a_broken_file_changes_nothing() {
    let mut server = Server::configured("server: {max_connections: 1}\n");
    let mut only = server.peer();
    server.reconfigure("server: {max_connections: many}\nlog: {level: error}\n");
    server.process().until_told(
        "config/mcp.yaml:1:27: `max_connections` must be a whole number from 1 to 1000000, not the text `many`",
    );
    server.process().until_told("the configuration stays as it was");
    assert!(Peer::try_connect(server.address()).is_err(), "one is the most");
    only.request("memory/set", json!({"key": "k", "value": 1}));
    server.reconfigure("server: {max_connections: 2}\n");
    server.process().until_told("server.max_connections is now 2; it was 1");
    server.process().until_told(READ_AGAIN);
    let mut second = server.peer();
    assert_eq!(second.request("memory/get", json!({"key": "k"}))["value"], 1);
    assert!(Peer::try_connect(server.address()).is_err(), "two are the most");
}

#[test]
fn more_is_told_as_soon_as_that_is_asked_for() {
    let mut server = Server::configured("log: {level: error}\n");
    server.reconfigure("log: {level: info, format: json}\n");
    // Neither this nor its form was to be had before.
    server.process().until_told(r#""message":"log.level is now info; it was error""#);
    let ended = server.terminate().expect_code(0);
    assert!(!ended.stderr.contains("opened"), "{ended:?}");
}

#[test]
fn messages_are_json_where_that_is_asked_for() {
    let mut server = Server::tuned(|command| command.args(["--log-format", "json"]));
    let ended = server.terminate().expect_code(0);
    let lines: Vec<Value> = ended.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let drained = |line: &Value| line["message"] == "draining; another signal exits at once" && line["level"] == "INFO";
    assert!(lines.iter().any(drained), "{lines:?}");
}

#[test]
fn probes_are_answered_beside_the_websocket() {
    let server = Server::start();
    server.peer().request("memory/set", json!({"key": "k", "value": 1}));
    for path in ["/healthz", "/readyz"] {
        let (status, health) = probe(&server, path);
        assert_eq!((status, &health["status"], &health["reason"]), (200, &json!("ok"), &Value::Null), "{health}");
        let seqs = [&health["seq"], &health["durable_seq"]].map(|seq| seq.as_u64().unwrap());
        assert!(seqs[0] >= 3 && seqs[1] >= 3, "the start, the connection, the key: {health}");
        assert!(health["version"].is_string() && health["uptime_seconds"].is_u64(), "{health}");
        let lured = format!("GET {path} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
        assert_eq!(http(server.address(), &lured).0, 403);
    }
    for args in [&[][..], &["--ready"]] {
        let ended = health(server.url(), &[args, &["--output", "json"]].concat()).end().expect_code(0);
        assert_eq!(serde_json::from_str::<Value>(&ended.stdout).unwrap()["status"], "ok");
    }
}

#[test]
fn a_probe_tells_who_is_not_there_from_who_is_not_well() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", free.local_addr().unwrap());
    let other = std::thread::spawn(move || {
        let (mut stream, _) = free.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        while !lines.next().unwrap().unwrap().is_empty() {}
        stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope").unwrap();
    });
    health(&url, &[]).end().expect_code(69).expect_told(&["no coordinator", "(HTTP 404)"]);
    other.join().unwrap();
    health("http://localhost", &[]).end().expect_code(2).expect_told(&["did you mean ws://localhost:8700?"]);
    health(&format!("{url}/any/path"), &[]).end().expect_code(69).expect_told(&["cannot be reached", "everlog serve"]);
}

#[test]
fn a_drain_is_told_to_probes_and_ends_at_its_deadline() {
    let mut server = Server::tuned(|command| command.args(["--drain-deadline", "4"]));
    let deaf = deaf(&server);
    server.process().signal(Signal::TERM);
    server.process().until_told("draining");
    assert_eq!(probe(&server, "/healthz").0, 200);
    let (status, answer) = probe(&server, "/readyz");
    assert_eq!((status, &answer["status"]), (503, &json!("unavailable")));
    assert_eq!(answer["reason"], "the coordinator is about to end; ask again in a moment");
    assert!(Peer::try_connect(server.address()).is_err(), "nobody new is let in");
    server.ended().expect_code(1).expect_told(&["service.drain_deadline (4 s)", "everything acknowledged is on disk"]);
    drop(deaf);
    server.restart();
    let kept = server.peer().request("memory/get", json!({"key": "large"}));
    assert_eq!(kept["value"].as_str().map(str::len), Some(4_000), "what was acknowledged");
}

#[test]
fn a_service_manager_hears_every_step() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    let mut server = Server::tuned(|command| command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000"));
    let until = |words: &str| {
        let deadline = Deadline::usual();
        let mut bytes = [0; 4_096];
        loop {
            manager.set_read_timeout(Some(deadline.left().expect("it never comes"))).unwrap();
            let length = manager.recv(&mut bytes).unwrap_or_else(|error| panic!("no {words}: {error}"));
            let message = String::from_utf8_lossy(&bytes[..length]).into_owned();
            if message.lines().any(|line| line == words) {
                return message;
            }
            assert!(message.starts_with("WATCHDOG=1"), "{message} before {words}");
        }
    };
    assert!(until("READY=1").contains(&format!("STATUS=listening at {}", server.url())));
    until("WATCHDOG=1");
    server.process().signal(Signal::HUP);
    assert!(until("RELOADING=1").contains("\nMONOTONIC_USEC="));
    until("READY=1");
    server.process().signal(Signal::TERM);
    until("STOPPING=1");
    server.ended().expect_code(0);
}
