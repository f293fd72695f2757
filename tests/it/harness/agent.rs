//! An agent that does what the test says.

use super::deadline::Deadline;
use super::peer::{Frame, Peer};
use super::server::Server;
use serde_json::{Value, json};

/// An attempt that was given to an agent.
#[derive(Clone, Debug)]
pub(crate) struct Assignment {
    pub(crate) task: String,
    pub(crate) attempt: u64,
    pub(crate) name: String,
    pub(crate) params: Value,
    pub(crate) sent_at: Value,
}

impl Assignment {
    /// Reads a `task/assigned`, checking that it has everything (protocol §4).
    #[track_caller]
    pub(crate) fn of(frame: &Frame) -> Self {
        let params = frame.params();
        super::check::record(
            params,
            &[
                ("task_id", "uuid"),
                ("pipeline_id", "text"),
                ("name", "text"),
                ("attempt", "number"),
                ("config", "object"),
                ("inputs", "object"),
                ("lease_expires_at", "time"),
            ],
        );
        Self {
            task: params["task_id"].as_str().unwrap_or_default().to_owned(),
            attempt: params["attempt"].as_u64().unwrap_or_default(),
            name: params["name"].as_str().unwrap_or_default().to_owned(),
            params: params.clone(),
            sent_at: frame.timestamp().clone(),
        }
    }
}

/// Parameters of a registration that is ready at once.
pub(crate) fn plain(id: &str) -> Value {
    json!({"id": id, "name": id, "ready": true})
}

/// An agent with a connection of its own.
pub(crate) struct Agent {
    pub(crate) peer: Peer,
    pub(crate) id: String,
}

impl Agent {
    /// Registers as `id`, ready at once, with one slot and no capabilities.
    #[track_caller]
    pub(crate) fn join(server: &Server, id: &str) -> Self {
        Self::register(server, plain(id))
    }

    /// Registers with these parameters.
    #[track_caller]
    pub(crate) fn register(server: &Server, params: Value) -> Self {
        let mut peer = server.peer();
        let id = peer.request("agent/register", params)["agent_id"].as_str().unwrap_or_default().to_owned();
        Self { peer, id }
    }

    /// The next attempt that it is given.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Assignment {
        Assignment::of(&self.peer.next_notification("task/assigned"))
    }

    /// Says that it works, and waits until that has taken effect.
    #[track_caller]
    pub(crate) fn begin(&mut self, assignment: &Assignment) {
        let progress = json!({"task_id": assignment.task, "agent_id": self.id, "progress": 0.0, "details": {},
            "timestamp": "2026-01-01T00:00:00"});
        self.peer.notify("task/progress", progress);
        self.sync();
    }

    /// Completes an attempt as existing clients do, without naming it, and waits until that has taken effect.
    #[track_caller]
    pub(crate) fn complete(&mut self, assignment: &Assignment, result: Value) {
        let done = json!({"task_id": assignment.task, "agent_id": self.id, "result": result, "success": true,
            "timestamp": "2026-01-01T00:00:00"});
        self.peer.notify("task/completed", done);
        self.sync();
    }

    /// Fails an attempt, and waits until that has taken effect.
    #[track_caller]
    pub(crate) fn fail(&mut self, assignment: &Assignment, error: &str) {
        let failed = json!({"task_id": assignment.task, "agent_id": self.id, "result": null, "success": false,
            "error": error, "timestamp": "2026-01-01T00:00:00"});
        self.peer.notify("task/completed", failed);
        self.sync();
    }

    /// Takes the next attempt and completes it; its name.
    #[track_caller]
    pub(crate) fn work(&mut self, result: Value) -> String {
        let assignment = self.next();
        self.complete(&assignment, result);
        assignment.name
    }

    /// Everything that it had said before has taken effect.
    #[track_caller]
    pub(crate) fn sync(&mut self) {
        self.peer.request("memory/get", json!({"key": "a marker"}));
    }

    /// That it is given nothing.
    #[track_caller]
    pub(crate) fn expect_idle(&mut self) {
        self.peer.expect_silence("task/assigned");
    }

    /// Whatever comes first within the deadline.
    pub(crate) fn read(&mut self, deadline: Deadline) -> Option<Frame> {
        self.peer.read(deadline).ok()
    }
}
