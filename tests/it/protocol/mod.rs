//! The protocol over a real socket: every method, every record, every error code, every notification.

mod agents;
mod dag;
mod envelope;
mod errors;
mod failures;
mod idempotency;
mod leases;
mod memory;
mod models;
mod notifications;
mod order;
mod paging;
mod pipelines;
mod restart;
mod retry;
mod silence;
mod steering;
mod strategies;
mod tasks;

use crate::harness::Peer;
use serde_json::{Value, json};

/// Creates a pipeline; its id.
#[track_caller]
fn create(host: &mut Peer, params: Value) -> String {
    id_of(&host.request("pipeline/create", params), "pipeline_id")
}

/// Creates a pipeline with these tasks and starts it; its id.
#[track_caller]
fn run(host: &mut Peer, tasks: Value) -> String {
    let id = create(host, json!({"name": "p", "tasks": tasks}));
    host.request("pipeline/start", json!({"pipeline_id": id}));
    id
}

/// Creates a task without a pipeline; its id.
#[track_caller]
fn task(host: &mut Peer, name: &str, config: Value) -> String {
    id_of(&host.request("task/create", json!({"name": name, "config": config})), "task_id")
}

#[track_caller]
fn task_info(host: &mut Peer, id: &str) -> Value {
    host.request("task/status", json!({"task_id": id}))
}

#[track_caller]
fn pipeline_info(host: &mut Peer, id: &str) -> Value {
    host.request("pipeline/status", json!({"pipeline_id": id}))
}

/// The task of a pipeline that has this name.
#[track_caller]
fn named(host: &mut Peer, pipeline: &str, name: &str) -> Value {
    let tasks = host.request("task/list", json!({"pipeline_id": pipeline}))["tasks"].clone();
    let found = tasks.as_array().into_iter().flatten().find(|task| task["name"] == name);
    found.unwrap_or_else(|| panic!("no task {name} in {tasks}")).clone()
}

#[track_caller]
fn id_of(result: &Value, field: &str) -> String {
    result[field].as_str().unwrap_or_else(|| panic!("no {field} in {result}")).to_owned()
}

/// An id that nothing has.
const NOBODY: &str = "00000000-0000-4000-8000-000000000000";
