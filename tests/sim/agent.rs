//! Agents: honest ones, and what becomes of them.

use super::faults::Fault;
use super::peer::{Around, Peer};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What agents can do; each task asks for up to two of these.
pub(super) const CAPABILITIES: [&str; 4] = ["cpu", "gpu", "net", "disk"];

/// The first agents can do everything, so that all work can end.
pub(super) const UNIVERSAL: usize = 3;

/// An agent.
pub(super) struct Agent {
    pub(super) peer: Peer,
    id: String,
    capabilities: Vec<&'static str>,
    resources: Value,
    pub(super) slots: u64,
    jobs: BTreeMap<(String, u32), Job>,
    registered: bool,
    hangs_until: u64,
    /// How long a task takes it, in milliseconds, at most.
    pace_ms: u64,
}

/// An attempt that it works on.
#[derive(Clone, Debug)]
struct Job {
    done_at: u64,
    begun: bool,
    /// It goes on although it should not.
    stray: bool,
}

impl Agent {
    pub(super) fn new(nth: usize, around: &mut Around) -> Self {
        let random = &mut around.random;
        let able = nth < UNIVERSAL;
        let capabilities = CAPABILITIES.into_iter().filter(|_| able || random.percent(60)).collect();
        let resources = match random.below(3) {
            _ if able => json!({ "cpu": 64, "memory_mb": 65_536, "gpu": 8 }),
            0 => json!({ "cpu": random.between(1, 8), "memory_mb": random.between(64, 4_096) }),
            _ => json!({}),
        };
        let (slots, pace_ms) = (random.between(1, 4), random.between(1, 400));
        Self {
            peer: Peer::new(around),
            id: format!("agent-{nth}"),
            capabilities,
            resources,
            slots,
            jobs: BTreeMap::new(),
            registered: false,
            hangs_until: 0,
            pace_ms,
        }
    }

    pub(super) fn act(&mut self, around: &mut Around) {
        if self.hangs_until > around.now {
            return;
        }
        if around.strike(Fault::AgentCrash) {
            self.jobs.clear();
            let told = around.random.percent(50);
            self.peer.part(told, around);
        } else if around.strike(Fault::AgentHang) {
            self.hangs_until = around.now + around.random.between(100, 20_000);
            return;
        }
        self.peer.trouble(around);
        self.listen(around);
        if self.peer.line.is_none() {
            return self.away(around);
        }
        if !self.registered {
            return self.register(around);
        }
        if around.strike(Fault::AgentRegistersAgain) {
            self.register(around);
        } else if around.strike(Fault::AgentLeaves) {
            self.peer.request("agent/unregister", &json!({ "agent_id": self.id }), around);
            self.jobs.clear();
            self.registered = false;
            return;
        } else if around.strike(Fault::AgentLies) {
            self.lie(around);
        }
        self.work(around);
    }

    /// Without a connection: it will register anew, and may not tell what it goes on with.
    fn away(&mut self, around: &mut Around) {
        if std::mem::take(&mut self.registered) && !self.jobs.is_empty() && around.strike(Fault::AgentLate) {
            self.jobs.values_mut().for_each(|job| job.stray = true);
        }
    }

    fn register(&mut self, around: &mut Around) {
        let named = self.jobs.iter().filter(|(_, job)| !job.stray);
        let running: Vec<Value> =
            named.map(|((task, attempt), _)| json!({ "task_id": task, "attempt": attempt })).collect();
        let params = json!({
            "id": self.id, "name": self.id, "capabilities": self.capabilities, "resources": self.resources,
            "slots": self.slots, "running": running, "ready": around.random.percent(50),
        });
        let unanswered: Vec<String> = self.peer.unanswered.values().cloned().collect();
        self.peer.request("agent/register", &params, around);
        for id in unanswered {
            if around.audit.find(&id).is_some_and(|asked| asked.method == "task/completed") {
                self.peer.repeat(&id, around);
            }
        }
        self.peer.unanswered.clear();
        self.registered = true;
    }

    fn listen(&mut self, around: &mut Around) {
        while let Some(frame) = self.peer.hear(around) {
            let params = &frame["params"];
            let key = (
                params["task_id"].as_str().unwrap_or_default().to_owned(),
                params["attempt"].as_u64().unwrap_or(0) as u32,
            );
            match frame["method"].as_str() {
                Some("task/assigned") => {
                    around.overheard = (self.id.clone(), key.0.clone(), key.1);
                    let slow = if around.strike(Fault::AgentSlow) { 50 } else { 1 };
                    let done_at = around.now + around.random.between(1, self.pace_ms) * slow;
                    self.jobs.insert(key, Job { done_at, begun: false, stray: false });
                }
                Some("task/cancelled") if self.jobs.contains_key(&key) && around.strike(Fault::AgentLate) => {
                    self.jobs.entry(key).and_modify(|job| job.stray = true);
                }
                Some("task/cancelled") => drop(self.jobs.remove(&key)),
                _ => {}
            }
        }
    }

    fn work(&mut self, around: &mut Around) {
        for (key, mut job) in self.jobs.clone() {
            let done = job.done_at <= around.now;
            let skips_progress = done && around.strike(Fault::AgentReorders);
            if !job.begun && !skips_progress && around.random.percent(60) {
                job.begun = true;
                self.progress(&key.0, around);
                self.jobs.insert(key.clone(), job);
            }
            if done {
                self.jobs.remove(&key);
                self.complete(&key.0, Some(key.1), around);
                if skips_progress {
                    self.progress(&key.0, around);
                }
            }
        }
        if around.random.percent(1) {
            let metrics = json!({ "agent_id": self.id, "metrics": { "memory_usage_mb": 7 } });
            self.peer.notify("agent/metrics", &metrics, around);
        }
    }

    fn progress(&mut self, task: &str, around: &mut Around) {
        let params = json!({ "task_id": task, "agent_id": self.id, "progress": 0.5, "details": null });
        self.peer.notify("task/progress", &params, around);
    }

    fn complete(&mut self, task: &str, attempt: Option<u32>, around: &mut Around) {
        let success = around.random.percent(85);
        let long = if around.random.percent(10) { 700 } else { 3 };
        let mut params = json!({
            "task_id": task, "agent_id": self.id, "success": success, "result": "r".repeat(long),
            "timestamp": around.now,
        });
        if !success {
            params["error"] = json!("it broke");
        }
        // Existing clients name no attempt.
        if let Some(attempt) = attempt.filter(|_| around.random.percent(80)) {
            params["attempt"] = json!(attempt);
        }
        let twice = around.strike(Fault::AgentDuplicates);
        if around.random.percent(50) {
            let id = self.peer.request("task/completed", &params, around);
            if twice {
                self.peer.repeat(&id, around);
            }
        } else {
            self.peer.notify("task/completed", &params, around);
            if twice {
                self.peer.notify("task/completed", &params, around);
            }
        }
    }

    fn lie(&mut self, around: &mut Around) {
        let known: Vec<(String, u32)> = self.jobs.keys().cloned().collect();
        let (task, attempt) = around.random.pick(&known).cloned().unwrap_or_default();
        match around.random.below(4) {
            0 => self.complete(&around.random.uuid().to_string(), Some(1), around),
            1 => self.complete(&task, Some(attempt + 1), around),
            2 => self.complete(&task, attempt.checked_sub(1), around),
            _ => {
                let (other, task, attempt) = around.overheard.clone();
                let params = json!({ "task_id": task, "agent_id": other, "success": true, "attempt": attempt });
                self.peer.request("task/completed", &params, around);
            }
        }
    }

    /// It comes to its senses: no job that nobody wants holds it up. Or it is `gone` for good.
    pub(super) fn heal(&mut self, gone: bool) {
        self.hangs_until = if gone { u64::MAX } else { 0 };
        self.jobs.values_mut().for_each(|job| job.done_at = job.done_at.min(1));
        self.jobs.retain(|_, job| !job.stray);
    }
}
