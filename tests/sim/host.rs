//! Hosts: they create work, and steer it as they like.

use super::agent::CAPABILITIES;
use super::faults::Fault;
use super::peer::{Around, Peer};
use super::random::Random;
use serde_json::{Value, json};

/// A host program.
pub(super) struct Host {
    pub(super) peer: Peer,
    pub(super) pipelines: Vec<String>,
    pub(super) tasks: Vec<String>,
    errors: Vec<String>,
    answered: Vec<String>,
    was_connected: bool,
    /// Tasks that it has asked for.
    pub(super) wanted: u64,
}

/// Answered requests that it remembers, to repeat one.
const ANSWERED_MAX: usize = 50;

impl Host {
    pub(super) fn new(around: &mut Around) -> Self {
        Self {
            peer: Peer::new(around),
            pipelines: Vec::new(),
            tasks: Vec::new(),
            errors: Vec::new(),
            answered: Vec::new(),
            was_connected: false,
            wanted: 0,
        }
    }

    /// `more`: whether there is to be more work.
    pub(super) fn act(&mut self, more: bool, around: &mut Around) {
        self.peer.trouble(around);
        if !self.attend(around) {
            return;
        }
        if !self.answered.is_empty() && around.strike(Fault::RequestRepeated) {
            let id = around.random.pick(&self.answered).cloned().unwrap_or_default();
            self.peer.repeat(&id, around);
        }
        if more && around.random.percent(12) {
            self.create(around);
        } else if around.random.percent(25) {
            self.steer(around);
        }
    }

    /// Listens, and repeats what was not answered; whether it is connected.
    pub(super) fn attend(&mut self, around: &mut Around) -> bool {
        self.listen(around);
        if self.peer.line.is_none() {
            self.was_connected = false;
            return false;
        }
        if !std::mem::replace(&mut self.was_connected, true) {
            let unanswered: Vec<String> = self.peer.unanswered.values().cloned().collect();
            unanswered.iter().for_each(|id| self.peer.repeat(id, around));
            if around.random.percent(30) {
                self.peer.request("subscribe", &json!({ "topics": ["task/*", "pipeline/*"] }), around);
            }
        }
        true
    }

    fn listen(&mut self, around: &mut Around) {
        while let Some(frame) = self.peer.hear(around) {
            let Some(id) = frame["id"].as_str().filter(|_| frame["type"] == "response") else { continue };
            self.answered.push(id.to_owned());
            if self.answered.len() > ANSWERED_MAX {
                self.answered.remove(0);
            }
            let result = &frame["result"];
            let text = |name: &str| result[name].as_str().map(str::to_owned);
            if result["status"] == "created" || result["status"] == "retried" {
                self.pipelines.extend(text("pipeline_id").filter(|id| !id.is_empty() && !self.pipelines.contains(id)));
                let ids = result["task_ids"].as_array().into_iter().flatten().chain([&result["task_id"]]);
                let ids: Vec<String> = ids.filter_map(|id| id.as_str().map(str::to_owned)).collect();
                self.tasks.extend(ids.into_iter().filter(|id| !self.tasks.contains(id)).collect::<Vec<_>>());
            }
            self.errors.extend(text("error_id"));
        }
    }

    pub(super) fn create(&mut self, around: &mut Around) {
        let count = around.random.between(1, 12);
        self.wanted += count;
        let tasks: Vec<Value> = (0..count).map(|nth| task(nth, around)).collect();
        match (around.random.below(5), around.random.pick(&self.pipelines).cloned()) {
            (0, _) => drop(self.peer.request("task/create", &json!({ "tasks": tasks }), around)),
            (1, Some(pipeline)) => {
                let suffix = around.random.next() % 1_000_000;
                let tasks: Vec<Value> = tasks.into_iter().map(|task| renamed(task, suffix)).collect();
                self.peer.request("task/create", &json!({ "pipeline_id": pipeline, "tasks": tasks }), around);
            }
            _ => {
                let strategies = ["sequential", "parallel", "priority_based", "resource_aware", "adaptive"];
                let on_failure = ["fail", "continue", "skip_downstream"];
                let more = if around.random.percent(10) { around.random.between(1, 4) } else { 0 };
                let config = json!({
                    "tasks_expected": count + more,
                    "strategy": around.random.pick(&strategies),
                    "max_concurrent_tasks": around.random.between(1, 20),
                    "retry_attempts": around.random.between(0, 3),
                    "retry": { "backoff": 0.2, "max_backoff_s": 2 },
                    "on_failure": around.random.pick(&on_failure),
                    "note": "n".repeat(if around.random.percent(10) { 600 } else { 1 }),
                });
                self.peer.request("pipeline/create", &json!({ "name": "p", "config": config, "tasks": tasks }), around);
            }
        }
    }

    fn steer(&mut self, around: &mut Around) {
        let nobody = around.random.percent(2).then(|| around.random.uuid().to_string());
        let pipeline = nobody.clone().or_else(|| recent(&self.pipelines, &mut around.random)).unwrap_or_default();
        let task = nobody.clone().or_else(|| recent(&self.tasks, &mut around.random)).unwrap_or_default();
        let agent = format!("agent-{}", around.random.below(32));
        let key = format!("key-{}", around.random.below(20));
        let error = nobody.or_else(|| around.random.pick(&self.errors).cloned()).unwrap_or_default();
        let value = "v".repeat(if around.random.percent(10) { 600 } else { 2 });
        let (of_pipeline, of_task) = (json!({ "pipeline_id": pipeline }), json!({ "task_id": task }));
        let model = format!("model-{}", around.random.below(3));
        let (method, params) = match around.random.below(72) {
            0..=17 => ("pipeline/start", of_pipeline),
            18..=19 => {
                let running = if around.random.percent(50) { "finish" } else { "cancel" };
                ("pipeline/pause", json!({ "pipeline_id": pipeline, "running": running }))
            }
            20..=22 => ("pipeline/resume", of_pipeline),
            23 => ("pipeline/stop", of_pipeline),
            24 => ("pipeline/delete", of_pipeline),
            25..=26 => ("task/cancel", of_task),
            27..=29 => ("task/assign", json!({ "task_id": task, "agent_id": agent })),
            30..=36 => ("task/status", of_task),
            37..=39 => ("task/result", of_task),
            40..=41 => ("pipeline/status", of_pipeline),
            42 => ("pipeline/list", json!({ "limit": 5 })),
            43 => ("task/list", json!({ "pipeline_id": pipeline, "limit": 5 })),
            44 => ("agent/list", json!({})),
            45 => ("agent/status", json!({ "agent_id": agent })),
            46..=48 => ("memory/set", json!({ "key": key, "value": value })),
            49 => ("memory/get", json!({ "key": key })),
            50 => ("memory/delete", json!({ "key": key })),
            51 => ("error/report", json!({ "component": "c", "message": "m", "task_id": task })),
            52..=53 => ("error/recover", json!({ "error_id": error })),
            // Of the first model nothing is reported by which its health could be told.
            54 if model == "model-0" => ("model/report", json!({ "model_id": model, "loss": 0.1 })),
            54 => ("model/report", json!({ "model_id": model, "accuracy": 0.9 })),
            55 => ("model/metrics", json!({ "model_id": model })),
            56 => ("model/health", json!({ "model_id": model })),
            57 => ("claude-flow/hook", json!({ "type": "pre-task", "task_id": task })),
            58 => ("no/such/method", json!({})),
            59..=62 => ("task/retry", of_task),
            63..=66 => ("pipeline/retry", of_pipeline),
            67 => ("agent/assign", json!({ "task_id": task, "agent_id": agent })),
            68 => ("memory/list", json!({ "prefix": "key-1" })),
            69 => ("error/list", json!({ "component": "c", "limit": 5 })),
            // What was repeated, and what it repeats, which may be needed.
            70 => ("pipeline/delete", of_pipeline),
            _ => {
                // More than one of these is more than a connection may have.
                let first = around.random.below(3) * 600;
                let topics: Vec<String> = (first..first + 600).map(|nth| format!("t{nth}/*")).collect();
                ("subscribe", json!({ "topics": topics }))
            }
        };
        self.peer.request(method, &params, around);
    }

    /// Gives a pipeline the tasks that it was promised.
    pub(super) fn complete(&mut self, pipeline: &str, missing: u64, around: &mut Around) {
        self.wanted += missing;
        let suffix = around.random.next() % 1_000_000;
        let tasks: Vec<Value> = (0..missing).map(|nth| renamed(task(nth, around), suffix)).collect();
        self.peer.request("task/create", &json!({ "pipeline_id": pipeline, "tasks": tasks }), around);
    }

    /// Asks for what makes every pipeline run to its end.
    pub(super) fn urge(&mut self, pipeline: &str, method: &'static str, around: &mut Around) {
        self.peer.request(method, &json!({ "pipeline_id": pipeline }), around);
    }
}

/// Mostly something new: what is old has ended.
fn recent(of: &[String], random: &mut Random) -> Option<String> {
    let from = if random.percent(70) { of.len().saturating_sub(12) } else { 0 };
    random.pick(&of[from..]).cloned()
}

fn task(nth: u64, around: &mut Around) -> Value {
    let random = &mut around.random;
    let mut needs: Vec<&str> = (0..random.below(3)).filter_map(|_| random.pick(&CAPABILITIES).copied()).collect();
    needs.dedup();
    let upstream: Vec<String> = if nth > 0 && random.percent(40) {
        (0..random.between(1, 2)).map(|_| format!("t{}", random.between(0, nth - 1))).collect()
    } else {
        Vec::new()
    };
    let mut task = json!({
        "name": format!("t{nth}"), "required_capabilities": needs, "depends_on": upstream,
        "priority": random.between(0, 10) as i64 - 5, "retry_attempts": random.between(0, 3),
        "retry": { "backoff": 0.1, "max_backoff_s": 1 },
    });
    if random.percent(30) {
        task["task_timeout"] = json!(random.between(1, 4));
    }
    if random.percent(20) {
        task["cpu_requirement"] = json!(random.between(1, 100));
        task["memory_requirement"] = json!(random.between(1, 60));
    }
    task
}

/// The same task under names that no other task of the pipeline has.
fn renamed(mut task: Value, suffix: u64) -> Value {
    let other = |name: &Value| json!(format!("{}-{suffix}", name.as_str().unwrap_or_default()));
    let name = other(&task["name"]);
    task["name"] = name;
    let upstream: Vec<Value> = task["depends_on"].as_array().into_iter().flatten().map(other).collect();
    task["depends_on"] = json!(upstream);
    task
}
