//! The command line from outside: data on stdout, messages on stderr, and exit codes that mean something.

use crate::bad_input::log;
use crate::harness::{Ended, Peer, Process, Server, envelope, everlog};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A file of the examples.
fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

/// A directory with a pipeline file.
fn with_pipeline(yaml: &str) -> (TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("pipeline.yaml");
    std::fs::write(&file, yaml).unwrap();
    (home, file)
}

/// `everlog run` in a directory.
fn run(home: &Path, args: &[&str]) -> Process {
    let mut command = everlog(["run", "--data", "data"]);
    command.args(args).current_dir(home);
    Process::start(command)
}

/// The JSON on stdout.
fn json_of(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

#[test]
fn iris_trains_a_real_model() {
    let home = tempfile::tempdir().unwrap();
    let file = example("iris/pipeline.yaml");
    let ended = run(home.path(), &[file.to_str().unwrap(), "--output", "json"]).end().expect_code(0);
    let summary = json_of(&ended);
    assert_eq!(summary["pipeline"]["status"], "completed");
    assert_eq!(summary["tasks"].as_array().map(Vec::len), Some(3));
    let accuracy = summary["models"][0]["accuracy"].as_f64().unwrap();
    assert!((0.8..=1.0).contains(&accuracy), "{summary}");
    let events = log(&home.path().join("data"));
    assert!(events.iter().any(|event| event["kind"] == "ModelReported"), "the history is kept");
}

#[test]
fn the_fan_out_joins_its_five_hundred_tasks() {
    let home = tempfile::tempdir().unwrap();
    let file = example("fanout.yaml");
    let ended = run(home.path(), &[file.to_str().unwrap(), "--output", "ndjson"]).end().expect_code(0);
    let lines: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let tasks: Vec<&Value> = lines.iter().filter(|line| line["kind"] == "task").collect();
    assert_eq!((lines[0]["kind"].as_str(), tasks.len()), (Some("pipeline"), 501));
    assert!(tasks.iter().all(|task| task["status"] == "completed"));
    assert_eq!(tasks.iter().find(|task| task["name"] == "sum").unwrap()["result"], 41_791_750);
}

#[test]
fn a_failed_pipeline_is_exit_code_1_with_the_reason() {
    let (home, file) = with_pipeline(
        "name: p\nretry_attempts: 0\ntasks:\n  - name: bad\n    command: [sh, -c, 'echo the reason >&2; exit 3']\n  - name: after\n    command: ['true']\n    depends_on: [bad]\n",
    );
    let ended = run(home.path(), &[file.to_str().unwrap()]).end().expect_code(1);
    assert!(ended.stderr.contains("the reason"), "{ended:?}");
    assert!(ended.stdout.contains("failed") && ended.stdout.contains("cancelled"), "{ended:?}");
}

#[test]
fn a_faulty_file_is_exit_code_2_with_the_place() {
    for (yaml, words) in [
        ("name: p\ntasks:\n  - nmae: a\n", "nmae"),
        ("name: p\ntasks: [\n", "pipeline.yaml"),
        ("name: p\ntasks:\n  - name: a\n    command: [x]\n    depends_on: [nobody]\n", "nobody"),
        (
            "name: p\ntasks:\n  - name: a\n    command: [x]\n    depends_on: [b]\n  - name: b\n    command: [x]\n    depends_on: [a]\n",
            "circle",
        ),
        ("name: p\nstrategy: fastest\ntasks:\n  - name: a\n    command: [x]\n", "fastest"),
    ] {
        let (home, file) = with_pipeline(yaml);
        let ended = run(home.path(), &[file.to_str().unwrap()]).end().expect_code(2);
        assert!(ended.stderr.contains(words) && ended.stdout.is_empty(), "{yaml}: {ended:?}");
    }
    let home = tempfile::tempdir().unwrap();
    let ended = run(home.path(), &["no-such-file.yaml"]).end().expect_code(2);
    ended.expect_told(&["no-such-file.yaml"]);
}

/// Two tasks: one that is quick, and one that waits for a file before it goes on.
const GATED: &str = "name: gated\ntasks:\n  - name: quick\n    command: [sh, -c, 'echo quick >> ran; echo 1']\n  - name: gated\n    command: [sh, -c, 'echo begun >> ran; until [ -e gate ]; do sleep 0.05; done; echo 42']\n    depends_on: [quick]\n";

#[test]
fn an_interrupted_run_says_how_to_go_on_and_goes_on() {
    let (home, file) = with_pipeline(GATED);
    let mut first = run(home.path(), &[file.to_str().unwrap()]);
    first.until_told("gated: running");
    first.signal(Signal::INT);
    let ended = first.end().expect_code(130);
    ended.expect_told(&["everlog run --resume --data data"]);
    std::fs::write(home.path().join("gate"), "").unwrap();
    let ended = run(home.path(), &["--resume", "--output", "json"]).end().expect_code(0);
    check_resumed(home.path(), &json_of(&ended));
    let nothing = run(home.path(), &["--resume"]).end().expect_code(0);
    nothing.expect_told(&["nothing to resume"]);
}

#[test]
fn a_run_that_was_killed_goes_on() {
    let (home, file) = with_pipeline(GATED);
    let mut first = run(home.path(), &[file.to_str().unwrap()]);
    first.until_told("gated: running");
    first.signal(Signal::KILL);
    first.end().expect_code(137);
    std::fs::write(home.path().join("gate"), "").unwrap();
    let ended = run(home.path(), &["--resume", "--output", "json"]).end().expect_code(0);
    check_resumed(home.path(), &json_of(&ended));
}

/// That what was finished was not done again.
#[track_caller]
fn check_resumed(home: &Path, summary: &Value) {
    assert_eq!(summary["pipeline"]["status"], "completed", "{summary}");
    let ran = std::fs::read_to_string(home.join("ran")).unwrap();
    assert_eq!(ran.lines().filter(|line| *line == "quick").count(), 1, "{ran}");
    let tasks = summary["tasks"].as_array().unwrap();
    assert_eq!(tasks.iter().find(|task| task["name"] == "gated").unwrap()["result"], 42, "{summary}");
}

/// A verb that talks to this server.
fn verb(server: &Server, args: &[&str]) -> Process {
    let mut command = everlog(args);
    command.args(["--server", server.url()]).current_dir(server.home());
    Process::start(command)
}

#[test]
fn an_agent_runs_the_commands_of_tasks() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent =
        verb(&server, &["agent", "--name", "worker", "--id", "w1", "--capabilities", "sh,cpu", "--slots", "2"]);
    let id = host.request(
        "pipeline/create",
        json!({"name": "p", "config": {"retry_attempts": 0, "on_failure": "skip_downstream"}, "tasks": [
            {"name": "line", "command": ["sh", "-c", "echo noise; echo '{\"n\": 7}'"], "required_capabilities": ["sh"]},
            {"name": "file", "command": ["sh", "-c", "cat $EVERLOG_INPUTS > $EVERLOG_RESULT"], "depends_on": ["line"]},
            {"name": "bad", "command": ["sh", "-c", "echo oops >&2; exit 9"]},
        ]}),
    )["pipeline_id"]
        .clone();
    host.request("pipeline/start", json!({"pipeline_id": id}));
    host.next_notification("pipeline/failed");
    let tasks = host.request("task/list", json!({"pipeline_id": id}))["tasks"].clone();
    let named = |name: &str| tasks.as_array().unwrap().iter().find(|task| task["name"] == name).unwrap().clone();
    assert_eq!((&named("line")["result"], &named("line")["status"]), (&json!({"n": 7}), &json!("completed")));
    assert_eq!(named("file")["result"], json!({"line": {"n": 7}}));
    let bad = named("bad");
    assert_eq!(bad["status"], "failed");
    assert!(bad["error_info"].to_string().contains('9'), "{bad}");
    assert!(bad.to_string().contains("oops"), "the tail of stderr is kept: {bad}");
    let info = host.request("agent/status", json!({"agent_id": "w1"}));
    assert_eq!(
        (&info["name"], &info["slots"], &info["capabilities"]),
        (&json!("worker"), &json!(2), &json!(["cpu", "sh"]))
    );
    agent.signal(Signal::TERM);
    agent.end().expect_code(0);
    host.refused(-40_021, "agent/status", json!({"agent_id": "w1"}));
}

#[test]
fn a_cancelled_command_dies_with_its_children() {
    let server = Server::start();
    let mut host = server.peer();
    let _agent = verb(&server, &["agent", "--name", "worker"]);
    host.request("subscribe", json!({"topics": ["task/*"]}));
    let command = json!(["sh", "-c", "sleep 1000 & echo $! > pid; echo 0.5 half >> $EVERLOG_PROGRESS; wait"]);
    let id = host.request("task/create", json!({"name": "long", "command": command}))["task_id"].clone();
    // It says that it works after it has written the number of its child.
    let half = |frame: &crate::harness::Frame| frame.params()["progress"] == 0.5;
    while !half(&host.next_notification("task/progress")) {}
    let pid = std::fs::read_to_string(server.home().join("pid")).unwrap();
    let child = PathBuf::from(format!("/proc/{}", pid.trim()));
    assert!(child.exists());
    host.request("task/cancel", json!({"task_id": id}));
    let deadline = crate::harness::Deadline::usual();
    let is_alive = || {
        let state = std::fs::read_to_string(child.join("stat")).unwrap_or_default();
        !state.is_empty() && !state.contains(") Z ")
    };
    while is_alive() {
        assert!(deadline.left().is_some(), "the child is still there");
    }
}

#[test]
fn an_agent_comes_back_to_a_coordinator_that_was_killed() {
    let mut server = Server::start();
    let port = server.address().rsplit(':').next().unwrap().to_owned();
    let mut host = server.peer();
    let _agent = verb(&server, &["agent", "--name", "worker", "--id", "w1"]);
    host.request("subscribe", json!({"topics": ["task/*"]}));
    let command = json!([
        "sh",
        "-c",
        "echo begun >> ran; echo 0.5 >> $EVERLOG_PROGRESS; until [ -e gate ]; do sleep 0.05; done; echo 42"
    ]);
    let id = host.request("task/create", json!({"name": "long", "command": command}))["task_id"].clone();
    while host.next_notification("task/progress").params()["progress"] != 0.5 {}
    server.kill();
    server.restart_on(&port);
    std::fs::write(server.home().join("gate"), "").unwrap();
    let mut host = server.peer();
    host.request("subscribe", json!({"topics": ["task/*"]}));
    while host.request("task/status", json!({"task_id": id}))["status"] != "completed" {
        host.next_notification("task/changed");
    }
    let info = host.request("task/status", json!({"task_id": id}));
    assert_eq!((&info["result"], &info["attempt"]), (&json!(42), &json!(1)), "the same attempt went on: {info}");
    assert_eq!(std::fs::read_to_string(server.home().join("ran")).unwrap(), "begun\n");
}

#[test]
fn call_asks_for_anything_and_tells_refusals_apart() {
    let server = Server::start();
    let set = verb(&server, &["call", "memory/set", r#"{"key": "k", "value": [1]}"#]).end().expect_code(0);
    assert_eq!(json_of(&set), json!({"key": "k", "status": "stored"}));
    let list = verb(&server, &["call", "memory/list"]).end().expect_code(0);
    assert_eq!(json_of(&list)["total"], 2);
    let lines = verb(&server, &["call", "pipeline/list", "--output", "ndjson"]).end().expect_code(0);
    assert_eq!(lines.stdout, "");
    let created = r#"{"name": "t"}"#;
    let task = json_of(&verb(&server, &["call", "task/create", created]).end().expect_code(0))["task_id"].clone();
    let params = json!({"task_id": task}).to_string();
    let record = verb(&server, &["call", "task/status", &params, "--output", "ndjson"]).end().expect_code(0);
    assert_eq!((json_of(&record)["id"].clone(), record.stdout.lines().count()), (task, 1), "{record:?}");
    let table = verb(&server, &["call", "task/list", "--output", "table"]).end().expect_code(0);
    assert!(table.stdout.contains("pending") && table.stdout.lines().all(|line| line.len() <= 160), "{table:?}");
    let missing = verb(&server, &["call", "task/status", r#"{"task_id": "x"}"#]).end().expect_code(3);
    missing.expect_told(&["there is no task x"]);
    let refused = verb(&server, &["call", "no/method"]).end().expect_code(4);
    refused.expect_told(&["no/method"]);
    assert!(missing.stdout.is_empty() && refused.stdout.is_empty());
}

#[test]
fn the_log_is_the_same_in_every_form_and_beside_a_running_server() {
    let server = Server::start();
    server.peer().request("memory/set", json!({"key": "k", "value": 1}));
    let events = log(&server.data());
    let kinds: Vec<&str> = events.iter().filter_map(|event| event["kind"].as_str()).collect();
    assert_eq!(kinds, ["CoordinatorStarted", "ConnectionOpened", "MemorySet"]);
    assert!(events.iter().enumerate().all(|(n, event)| event["seq"] == json!(n + 1)));
    let form = |args: &[&str]| {
        let mut command = everlog(["log", "--data"]);
        command.arg(server.data()).args(args);
        Process::start(command).end().expect_code(0).stdout
    };
    assert_eq!(serde_json::from_str::<Value>(&form(&["--output", "json"])).unwrap(), json!(events));
    let table = form(&[]);
    assert!(table.lines().count() == 3 && table.contains("MemorySet"), "{table}");
    assert_eq!(form(&["--from", "3", "--output", "ndjson"]).lines().count(), 1);
    let mut command = everlog(["log", "--data"]);
    command.arg(server.home().join("no such directory"));
    Process::start(command).end().expect_code(3).expect_told(&["no such directory", "name the one"]);
}

#[test]
fn a_refused_handshake_is_told_in_the_words_of_the_server() {
    let server = Server::start();
    let port = server.address().rsplit(':').next().unwrap().to_owned();
    // Another way to write 127.0.0.1, which the server does not take for its own name.
    let mut command = everlog(["ps", "--server"]);
    command.arg(format!("ws://127.1:{port}"));
    Process::start(command).end().expect_code(4).expect_told(&["is not this server; connect to localhost", "403"]);
}

#[test]
fn resuming_from_a_directory_that_is_not_there_does_not_make_it() {
    let home = tempfile::tempdir().unwrap();
    run(home.path(), &["--resume"]).end().expect_code(3).expect_told(&["there is no data directory at data"]);
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn a_run_that_can_not_go_on_says_what_is_missing() {
    let (home, file) = with_pipeline(
        "name: p\ntasks:\n  - {name: easy, command: ['true']}\n  - {name: big, command: ['true'], gpu_requirement: 1}\n",
    );
    let mut stuck = run(home.path(), &[file.to_str().unwrap()]);
    stuck.until_told("`big` needs gpu_requirement 1");
    stuck.signal(Signal::INT);
    let ended = stuck.end().expect_code(130);
    assert_eq!(ended.stderr.matches("nothing runs").count(), 1, "{ended:?}");
}

#[test]
fn a_bad_timeout_is_a_usage_error_of_every_verb_that_connects() {
    for args in [&["agent", "--name", "a"][..], &["ps"], &["call", "pipeline/list"]] {
        let mut command = everlog(args);
        command.args(["--server", "ws://127.0.0.1:1"]).env("MCP_CLIENT_TIMEOUT", "soon");
        Process::start(command).end().expect_code(2).expect_told(&["MCP_CLIENT_TIMEOUT", "soon"]);
    }
}

#[test]
fn an_address_of_another_kind_is_a_usage_error() {
    for (url, words) in [
        ("localhost:8700", "did you mean ws://localhost:8700?"),
        ("wss://localhost:8700", "TLS is not supported yet"),
        // Not tried again and again, nor at port 80.
        ("ws://localhost:99999", "its port is `99999`"),
    ] {
        let mut command = everlog(["agent", "--name", "a"]);
        command.args(["--server", url]);
        Process::start(command).end().expect_code(2).expect_told(&[url, words]);
    }
}

#[test]
fn sigterm_lets_replies_out_says_goodbye_and_exits_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = Server::start();
        let mut peer = server.peer();
        for n in 0..200 {
            peer.queue_text(envelope(
                "request",
                &n.to_string(),
                "memory/set",
                &json!({"key": format!("k{n}"), "value": n}),
            ))
            .unwrap();
        }
        peer.flush().unwrap();
        peer.answer("0").granted();
        server.process().signal(signal);
        let mut acknowledged = 1;
        while let Ok(frame) = peer.read(crate::harness::Deadline::usual()) {
            assert_eq!(frame.id(), acknowledged.to_string());
            acknowledged += u32::from(!frame.result().is_null());
        }
        let ended = server.ended().expect_code(0);
        assert!(ended.stderr.contains("draining"), "{ended:?}");
        assert!(Peer::try_connect(server.address()).is_err(), "nobody is let in any more");
        server.restart();
        let mut peer = server.peer();
        for n in 0..acknowledged {
            assert_eq!(peer.request("memory/get", json!({"key": format!("k{n}")}))["value"], n);
        }
    }
}

#[test]
fn a_second_signal_exits_at_once() {
    let mut server = Server::start();
    let mut deaf = server.peer();
    deaf.receive_at_most(64 << 10);
    deaf.request("memory/set", json!({"key": "large", "value": "x".repeat(4_000)}));
    let mut watcher = server.peer();
    watcher.request("subscribe", json!({"topics": ["claude-flow/hook"]}));
    // Somebody who does not read holds up the goodbye.
    for n in 0..9_000 {
        deaf.queue_text(envelope("request", &n.to_string(), "memory/get", &json!({"key": "large"}))).unwrap();
    }
    deaf.queue_text(envelope("notification", "last", "claude-flow/hook", &json!({"type": "last"}))).unwrap();
    deaf.flush().unwrap();
    watcher.next_notification("claude-flow/hook");
    server.process().signal(Signal::TERM);
    server.process().until_told("draining");
    server.process().signal(Signal::TERM);
    server.ended().expect_code(130);
    server.restart();
    assert_eq!(server.peer().request("memory/get", json!({"key": "large"}))["exists"], true);
}

#[test]
fn the_description_of_the_protocol_is_the_one_in_the_tree() {
    let ended = Process::start(everlog(["schema", "messages"])).end().expect_code(0);
    assert_eq!(ended.stdout, include_str!("../../docs/asyncapi.json"));
    Process::start(everlog(["schema", "mesages"])).end().expect_code(2).expect_told(&["messages"]);
}
