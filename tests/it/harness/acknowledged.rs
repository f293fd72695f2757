//! What a coordinator has acknowledged, and that it is there.

use super::peer::Peer;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What was acknowledged.
#[derive(Clone, Default)]
pub(crate) struct Acknowledged {
    /// Pipelines with their tasks.
    pub(crate) pipelines: BTreeMap<String, BTreeSet<String>>,
    pub(crate) started: BTreeSet<String>,
    pub(crate) stopped: BTreeSet<String>,
    pub(crate) memory: BTreeMap<String, u64>,
    pub(crate) tasks: BTreeSet<String>,
    /// Attempts whose completion was acknowledged, by task.
    pub(crate) completed: BTreeMap<String, u64>,
    pub(crate) count: u64,
}

impl Acknowledged {
    /// That all of it is there.
    pub(crate) fn check(&self, peer: &mut Peer) {
        let pipelines = all(peer, "pipeline/list", "pipelines");
        for (id, tasks) in &self.pipelines {
            let info = pipelines.get(id).unwrap_or_else(|| panic!("pipeline {id} was acknowledged and is lost"));
            assert_eq!(info["metrics"]["tasks_total"], json!(tasks.len()), "{info}");
            assert!(!self.started.contains(id) || info["status"] != "idle", "its start was acknowledged: {info}");
            assert!(!self.stopped.contains(id) || info["status"] == "completed", "its stop was acknowledged: {info}");
        }
        let tasks = all(peer, "task/list", "tasks");
        for id in self.tasks.iter().chain(self.pipelines.values().flatten()) {
            assert!(tasks.contains_key(id), "task {id} was acknowledged and is lost");
        }
        for (id, attempt) in &self.completed {
            let info = &tasks[id];
            assert_eq!((&info["status"], &info["result"]["attempt"]), (&json!("completed"), &json!(attempt)), "{info}");
        }
        for (key, value) in &self.memory {
            let got = peer.request("memory/get", json!({"key": key}));
            // A newer value may have been stored whose acknowledgement was still under way.
            assert!(got["value"].as_u64() >= Some(*value), "{key} was {value}: {got}");
        }
    }
}

/// All records of a list, by id.
pub(crate) fn all(peer: &mut Peer, method: &str, field: &str) -> BTreeMap<String, Value> {
    let mut records = BTreeMap::new();
    let mut offset = 0;
    loop {
        let page = peer.request(method, json!({"offset": offset}));
        let items = page[field].as_array().unwrap();
        offset += items.len();
        records.extend(items.iter().map(|item| (item["id"].as_str().unwrap().to_owned(), item.clone())));
        if items.is_empty() || json!(offset) == page["total"] {
            return records;
        }
    }
}
