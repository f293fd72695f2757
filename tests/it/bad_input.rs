//! What should not come, comes: each gets a sentence with the next step, and nobody else is hurt.

use crate::harness::{Agent, Ended, Peer, Process, Server, envelope, everlog, micros};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

/// A WebSocket handshake with these headers instead of the usual ones: the status and the body of the answer.
pub(crate) fn handshake(address: &str, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let usual = [
        ("Host", address),
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let replaced = |name: &str| headers.iter().any(|(given, _)| *given == name);
    let kept = usual.iter().filter(|(name, _)| !replaced(name)).chain(headers);
    let lines: String = kept.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let path = if path.is_empty() { "/" } else { path };
    http(address, &format!("GET {path} HTTP/1.1\r\n{lines}\r\n"))
}

/// Sends a text over a plain connection: the status and the body of the answer.
pub(crate) fn http(address: &str, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let status =
        line.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("no status: {line:?}"));
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    (status, String::from_utf8(body).unwrap())
}

/// Every method of the protocol.
const METHODS: [&str; 36] = [
    "pipeline/create",
    "pipeline/start",
    "pipeline/stop",
    "pipeline/pause",
    "pipeline/resume",
    "pipeline/status",
    "pipeline/list",
    "pipeline/delete",
    "task/create",
    "task/assign",
    "task/status",
    "task/result",
    "task/cancel",
    "task/list",
    "agent/register",
    "agent/unregister",
    "agent/assign",
    "agent/list",
    "agent/status",
    "model/metrics",
    "model/performance",
    "model/memory",
    "model/health",
    "memory/get",
    "memory/set",
    "memory/delete",
    "memory/list",
    "error/report",
    "error/recover",
    "error/list",
    "subscribe",
    "unsubscribe",
    "task/progress",
    "task/completed",
    "agent/metrics",
    "claude-flow/hook",
];

#[test]
fn nonsense_for_every_method_is_answered_and_breaks_nothing() {
    let server = Server::start();
    let mut peer = server.peer();
    let fields = [
        "pipeline_id",
        "task_id",
        "agent_id",
        "error_id",
        "model_id",
        "key",
        "value",
        "name",
        "config",
        "tasks",
        "topics",
        "limit",
        "offset",
        "status",
        "id",
        "type",
        "slots",
        "running",
        "capabilities",
        "resources",
        "progress",
        "metrics",
        "attempt",
        "result",
        "success",
        "error",
        "depends_on",
        "strategy",
        "timeframe",
        "prefix",
        "recovery_action",
    ];
    let values = [
        json!(null),
        json!(-1),
        json!(1e308),
        json!(u64::MAX),
        json!(""),
        json!("x"),
        json!("\u{0}"),
        json!([]),
        json!([[]]),
        json!({}),
        json!({"": {"": null}}),
        json!(true),
        json!("é".repeat(600)),
        json!(["x", 1, null]),
        json!(ID),
    ];
    let mut ids = Vec::new();
    for method in METHODS {
        for value in &values {
            let params: serde_json::Map<String, Value> =
                fields.iter().map(|field| ((*field).to_owned(), value.clone())).collect();
            let id = format!("{method} {value}").chars().take(120).collect::<String>();
            peer.queue_text(envelope("request", &id, method, &Value::from(params))).unwrap();
            peer.queue_text(envelope("notification", &id, method, &json!({"task_id": value, "agent_id": value})))
                .unwrap();
            ids.push(id);
        }
    }
    peer.flush().unwrap();
    for id in ids {
        let answer = peer.answer(&id);
        if answer.result().is_null() {
            let refused = answer.refused();
            assert!(refused.code != -32_603 && refused.code != -32_600, "{id}: {refused:?}");
        }
    }
    peer.request("pipeline/list", json!({}));
}

/// An id that nothing has.
const ID: &str = "00000000-0000-4000-8000-000000000001";

#[test]
fn deep_nesting_is_refused_without_harm() {
    let server = Server::start();
    let mut peer = server.peer();
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let set = |depth: usize| {
        format!(
            r#"{{"id": "deep", "type": "request", "method": "memory/set", "params": {{"key": "k", "value": {}}}}}"#,
            nested(depth)
        )
    };
    for depth in [63, 1_000, 100_000] {
        peer.send_text(set(depth));
        let refused = peer.next_answer().refused();
        assert!(refused.code == -32_600 && refused.message.contains("64"), "{depth}: {refused:?}");
    }
    peer.send_text("[".repeat(100_000));
    assert_eq!(peer.next_answer().refused().code, -32_600);
    peer.send_text(r#"{"a":"#.repeat(100_000));
    assert_eq!(peer.next_answer().refused().code, -32_600);
    peer.send_text(set(62));
    peer.answer("deep").granted();
    let value = peer.request("memory/get", json!({"key": "k"}))["value"].to_string();
    assert_eq!(value, nested(62), "64 levels in all are fine");
}

#[test]
fn an_oversized_frame_ends_its_connection_and_no_other() {
    let server = Server::start();
    let mut other = server.peer();
    let mut peer = server.peer();
    let set = |bytes: usize| envelope("request", "large", "error/report", &json!({"details": "x".repeat(bytes)}));
    let room = (1 << 20) - set(0).len();
    peer.send_text(set(room));
    peer.answer("large").granted();
    peer.send_text(set(room).replace("large", "larger"));
    let refused = peer.next_answer().refused();
    assert!(refused.code == -32_600 && refused.message.contains("1048576"), "{refused:?}");
    let goodbye = peer.until_closed().expect("a goodbye");
    assert_eq!(u16::from(goodbye.code), 1009, "{goodbye:?}");
    // What came in so long is a reference in a list; the other connection is well.
    let listed = other.request("error/list", json!({}))["errors"][0]["details"].clone();
    assert!(listed["$ref"].is_string(), "{listed}");
    // A memory value must fit into an answer, so its limit is a little lower.
    let refused = other.refused(-32_602, "memory/set", json!({"key": "k", "value": "x".repeat(1_040_000)}));
    assert!(refused.message.contains("VALUE_BYTES_MAX"), "{refused:?}");

    let mut huge = server.peer();
    let _ = huge.try_send_text("x".repeat(32 << 20));
    huge.until_closed();
    other.request("pipeline/list", json!({}));
}

#[test]
fn binary_frames_and_broken_utf_8_are_told() {
    let server = Server::start();
    let mut peer = server.peer();
    peer.send_bytes(vec![0, 255, 1]);
    let refused = peer.next_answer().refused();
    assert!(refused.code == -32_600 && refused.message.contains("text"), "{refused:?}");
    peer.request("pipeline/list", json!({}));
    // A masked text frame whose payload is no UTF-8.
    peer.raw().write_all(&[0x81, 0x82, 0, 0, 0, 0, 0xC3, 0x28]).unwrap();
    assert_eq!(peer.next_answer().refused().code, -32_600);
    assert_eq!(peer.until_closed().map(|goodbye| u16::from(goodbye.code)), Some(1007));
}

#[test]
fn bytes_that_are_no_websocket_end_only_their_connection() {
    let server = Server::start();
    let mut other = server.peer();
    let mut peer = server.peer();
    peer.raw().write_all(&[0xFF; 64]).unwrap();
    peer.until_closed();
    let half_open = TcpStream::connect(server.address()).unwrap();
    let mut nonsense = TcpStream::connect(server.address()).unwrap();
    nonsense.write_all(b"\x16\x03\x01 hello \r\n\r\n").unwrap();
    other.request("pipeline/list", json!({}));
    drop(half_open);
    let (status, body) = http(server.address(), &format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", server.address()));
    assert!(status == 426 && body.contains("ws://"), "{status} {body}");
}

#[test]
fn a_hundred_thousand_garbage_frames_disturb_nobody() {
    const CONNECTIONS: usize = 50;
    const FRAMES: usize = 2_000;
    let server = Server::start();
    let address = server.address().to_owned();
    let flood = std::thread::spawn(move || {
        let garbage = ["{", "garbage", "[[[[", "{\"id\": 7, \"type\": \"x\"}", "null", "\"", "{\"id\": \"é\"", "]"];
        for _ in 0..CONNECTIONS {
            let mut peer = Peer::connect(&address);
            for n in 0..FRAMES {
                peer.queue_text(garbage[n % garbage.len()].to_owned()).unwrap();
            }
            peer.flush().unwrap();
            let goodbye = peer.until_closed().expect("a goodbye");
            assert_eq!(u16::from(goodbye.code), 1008, "{goodbye:?}");
        }
    });
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "a");
    let mut done = 0;
    while !flood.is_finished() || done < 20 {
        let id = host.request("task/create", json!({"name": "t"}))["task_id"].clone();
        let given = agent.next();
        assert_eq!(json!(given.task), id);
        agent.complete(&given, json!(done));
        assert_eq!(host.request("task/result", json!({"task_id": id}))["result"], done);
        done += 1;
    }
    flood.join().unwrap();
    let figures = host.request("memory/get", json!({"key": "server/metrics"}))["value"].clone();
    assert!(micros(&figures["timestamp"]) > 0, "{figures}");
}

#[test]
fn garbage_does_not_grow_the_log_at_will() {
    let mut server = Server::start();
    let mut peer = server.peer();
    for n in 0..5_000 {
        peer.queue_text(envelope("request", &n.to_string(), "no/such/method", &json!({"filler": "x".repeat(100)})))
            .unwrap();
    }
    peer.flush().unwrap();
    for n in 0..5_000 {
        assert_eq!(peer.answer(&n.to_string()).refused().code, -32_601);
    }
    assert_eq!(server.terminate().code, 0);
    let lines = log(&server.data());
    assert!(lines.len() < 200, "{} events for one connection's garbage", lines.len());
}

/// The events of a data directory.
pub(crate) fn log(data: &Path) -> Vec<Value> {
    let mut command = everlog(["log", "--output", "ndjson", "--data"]);
    command.arg(data);
    let ended = Process::start(command).end().expect_code(0);
    ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn pages_of_other_sites_are_not_let_in() {
    let server = Server::start();
    let address = server.address();
    let port = address.rsplit(':').next().unwrap();
    for headers in [
        vec![("Origin", "https://evil.example")],
        vec![("Origin", "null")],
        vec![("Origin", "http://localhost.evil.example")],
        vec![("Host", "evil.example")],
        vec![("Host", "")],
    ] {
        let (status, body) = handshake(address, "/", &headers);
        assert!(status == 403 && body.trim().len() > 30, "{headers:?}: {status} {body}");
    }
    let (own, loopback) = (format!("http://localhost:{port}"), format!("http://127.0.0.1:{port}"));
    for headers in
        [vec![], vec![("Origin", own.as_str())], vec![("Origin", loopback.as_str())], vec![("Host", "localhost")]]
    {
        assert_eq!(handshake(address, "/", &headers).0, 101, "{headers:?}");
    }
}

#[test]
fn the_hundred_and_first_connection_is_told_to_wait() {
    let server = Server::start();
    let mut peers: Vec<Peer> = (0..100).map(|_| server.peer()).collect();
    let (status, body) = handshake(server.address(), "/", &[]);
    assert!(status == 503 && body.contains("100") && body.contains("max_connections"), "{status} {body}");
    let mut leaver = peers.pop().unwrap();
    leaver.try_close();
    leaver.until_closed();
    peers.iter_mut().for_each(|peer| drop(peer.request("agent/list", json!({}))));
    // The place is free as soon as the server has noticed.
    while handshake(server.address(), "/", &[]).0 != 101 {}
}

/// How `serve` ends on this directory.
fn serve(data: &Path, more: &[&str]) -> Ended {
    let mut command = everlog(["serve", "--port", "0", "--data"]);
    command.arg(data).args(more);
    let mut process = Process::start(command);
    match process.line() {
        Ok(line) => panic!("it should not have started: {line}"),
        Err(ended) => ended,
    }
}

#[test]
fn a_second_process_on_one_directory_is_refused() {
    let mut server = Server::start();
    let mut peer = server.peer();
    peer.request("memory/set", json!({"key": "k", "value": 1}));
    let second = serve(&server.data(), &[]).expect_code(1);
    second.expect_told(&["another", "data"]);
    let mut run = everlog(["run", "--resume", "--data"]);
    run.arg(server.data());
    Process::start(run).end().expect_code(1);
    assert_eq!(peer.request("memory/get", json!({"key": "k"}))["value"], 1, "the first is undisturbed");
    server.kill();
    server.restart();
    assert_eq!(server.peer().request("memory/get", json!({"key": "k"}))["value"], 1);
}

#[test]
fn a_directory_that_cannot_be_used_is_named() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    std::fs::write(&file, "not a directory").unwrap();
    for data in [file.clone(), file.join("below")] {
        let ended = serve(&data, &[]).expect_code(1);
        ended.expect_told(&["file"]);
        assert!(ended.stdout.is_empty(), "{ended:?}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "not a directory");
}

#[test]
fn addresses_that_others_could_reach_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    for host in ["0.0.0.0", "::", "192.0.2.1"] {
        let ended = serve(&data, &["--host", host]).expect_code(1);
        ended.expect_told(&[host, "loopback", "--host localhost"]);
    }
    serve(&data, &["--host", "no.such.host.invalid"]).expect_code(1).expect_told(&["no.such.host.invalid"]);
    assert!(!data.exists(), "nothing was begun");
}

#[test]
fn a_port_in_use_is_named() {
    let server = Server::start();
    let home = tempfile::tempdir().unwrap();
    let port = server.address().rsplit(':').next().unwrap();
    let mut command = everlog(["serve", "--host", "127.0.0.1", "--port", port, "--data"]);
    command.arg(home.path().join("data"));
    let ended = Process::start(command).end().expect_code(1);
    ended.expect_told(&[port, "in use", "--port"]);
}

#[test]
fn a_wrong_command_line_is_told_with_a_hint() {
    for (args, words) in [
        (vec!["serve", "--port", "99999"], "99999"),
        (vec!["serve", "--prot", "1"], "--port"),
        (vec!["server"], "serve"),
        (vec!["call"], "METHOD"),
        (vec!["call", "pipeline/list", "{not json"], "JSON"),
        (vec!["agent"], "--name"),
        (vec!["agent", "--name", "a", "--slots", "0"], "slots"),
        (vec!["run"], "<FILE>"),
        (vec!["ps", "--server", "no url at all"], "ws://"),
    ] {
        let ended = Process::start(everlog(&args)).end().expect_code(2);
        assert!(ended.stderr.contains(words), "{args:?}: {}", ended.stderr);
    }
}

#[test]
fn a_server_that_is_not_there_is_told() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("ws://127.0.0.1:{port}");
    for args in [vec!["ps", "--server", &url], vec!["call", "pipeline/list", "--server", &url]] {
        let ended = Process::start(everlog(&args)).end().expect_code(69);
        ended.expect_told(&[&url]);
    }
}

/// Runs `serve` in a mount namespace of its own, with `data` on a file system with these options. `None` where the machine does
/// not allow that.
fn serve_on_small_disk(data: &Path, options: &str) -> Option<Process> {
    std::fs::create_dir_all(data).unwrap();
    let may = |user: &str| {
        let probe = Command::new("unshare")
            .args([user, "sh", "-c", "mount -t tmpfs -o size=64k tmpfs \"$0\""])
            .arg(data)
            .stderr(Stdio::null())
            .status();
        probe.is_ok_and(|status| status.success())
    };
    let user = ["-m", "-Urm"].into_iter().find(|user| may(user))?;
    let script =
        r#"mount -t tmpfs -o "$2" tmpfs "$0" || exit 99; exec "$1" serve --host 127.0.0.1 --port 0 --data "$0/data""#;
    let mut command = Command::new("unshare");
    command.args([user, "sh", "-c", script]).arg(data).arg(env!("CARGO_BIN_EXE_everlog")).arg(options);
    Some(Process::start(command))
}

#[test]
fn a_read_only_disk_is_told() {
    let home = tempfile::tempdir().unwrap();
    let Some(mut process) = serve_on_small_disk(&home.path().join("small"), "ro,size=4m") else {
        return println!("skipped: this machine allows no mount namespace");
    };
    let ended = process.end().expect_code(1);
    ended.expect_told(&["data"]);
    assert!(ended.stderr.to_lowercase().contains("read-only"), "{ended:?}");
}
