//! Every verb that talks to a coordinator, with a real one: what it prints, what it does, and how it exits.

mod bench;
mod lists;
mod live;
mod memory;
mod names;
mod outcome;
mod snapshots;
mod steering;
mod strangers;
mod unreachable;

use crate::harness::{Agent, Ended, Peer, Process, Server, everlog};
use serde_json::{Value, json};

/// `everlog ARGS` against this coordinator.
fn start(server: &Server, args: &[&str]) -> Process {
    let mut command = everlog(args);
    command.args(["--server", server.url()]).current_dir(server.home());
    Process::start(command)
}

/// How `everlog ARGS` ends.
fn everlog_ends(server: &Server, args: &[&str]) -> Ended {
    start(server, args).end()
}

/// What `everlog ARGS` prints when all is well.
#[track_caller]
fn prints(server: &Server, args: &[&str]) -> String {
    everlog_ends(server, args).expect_code(0).stdout
}

#[track_caller]
fn json_of(server: &Server, args: &[&str]) -> Value {
    let stdout = prints(server, args);
    serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}"))
}

/// Creates and starts a pipeline; its id.
fn pipeline(host: &mut Peer, name: &str, tasks: Value) -> String {
    let config = json!({"retry_attempts": 0, "on_failure": "skip_downstream"});
    let made = host.request("pipeline/create", json!({"name": name, "config": config, "tasks": tasks}));
    host.request("pipeline/start", json!({"pipeline_id": made["pipeline_id"]}));
    made["pipeline_id"].as_str().unwrap().to_owned()
}

/// A pipeline `nightly` of which `load` completed, `train` failed and `check` was skipped; its id.
fn failed(host: &mut Peer, agent: &mut Agent) -> String {
    let tasks = json!([{"name": "load"}, {"name": "train", "depends_on": ["load"]}, {"name": "check", "depends_on": ["train"]}]);
    let id = pipeline(host, "nightly", tasks);
    agent.work(json!({"rows": 150}));
    let train = agent.next();
    agent.fail(&train, "no \u{1b}[31mdata");
    host.next_notification("pipeline/failed");
    id
}

/// The end of an id, as tables show it.
fn short(id: &str) -> &str {
    &id[id.len() - 8..]
}
