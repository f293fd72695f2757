//! The agent against a scripted coordinator.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::*;
use crate::client::code;
use crate::client::testing::{Coordinator, Peer};

/// What a task of these tests does is written in its config: wait for a permit of its gate, wait for ever and ignore its token,
/// panic, return something large, return its inputs, or else return its config.
#[derive(Clone)]
struct Scripted(Arc<Script>);

struct Script {
    gate: Semaphore,
    at_work: AtomicUsize,
    at_work_max: AtomicUsize,
    begun: Semaphore,
    cancelled: Semaphore,
}

impl Scripted {
    fn new() -> Self {
        Self(Arc::new(Script {
            gate: Semaphore::new(0),
            at_work: AtomicUsize::new(0),
            at_work_max: AtomicUsize::new(0),
            begun: Semaphore::new(0),
            cancelled: Semaphore::new(0),
        }))
    }

    /// Lets `tasks` of those that wait go on.
    fn open_gate(&self, tasks: usize) {
        self.0.gate.add_permits(tasks);
    }

    /// Waits until so many more attempts have begun.
    async fn begun(&self, tasks: u32) {
        self.0.begun.acquire_many(tasks).await.expect("open").forget();
    }

    /// Waits until an attempt has seen that it is void.
    async fn one_was_cancelled(&self) {
        self.0.cancelled.acquire().await.expect("open").forget();
    }
}

impl Handler for Scripted {
    async fn run(&self, task: Assignment, context: TaskContext) -> Outcome {
        let at_work = self.0.at_work.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.at_work_max.fetch_max(at_work, Ordering::SeqCst);
        self.0.begun.add_permits(1);
        let outcome = match task.config["do"].as_str() {
            Some("wait") => tokio::select! {
                permit = self.0.gate.acquire() => {
                    permit.expect("open").forget();
                    Outcome::done(task.config.clone())
                }
                () = context.cancel().cancelled() => {
                    self.0.cancelled.add_permits(1);
                    Outcome::failed("cancelled")
                }
            },
            Some("ignore") => std::future::pending().await,
            Some("panic") => panic!("on purpose"),
            Some("large") => Outcome::done(json!("x".repeat(2 * 1024 * 1024))),
            Some("inputs") => Outcome::done(json!(task.inputs)),
            _ => Outcome {
                model_metrics: vec![json!({"model_id": "m", "accuracy": 0.9})],
                ..Outcome::done(task.config.clone())
            },
        };
        self.0.at_work.fetch_sub(1, Ordering::SeqCst);
        outcome
    }
}

/// An agent at work.
struct Rig {
    coordinator: Coordinator,
    handler: Scripted,
    leave: CancelToken,
    agent: JoinHandle<Result<(), AgentError>>,
}

impl Rig {
    async fn start(slots: usize) -> Self {
        Self::start_as(|config| config.slots(slots)).await
    }

    async fn start_as(configured: impl FnOnce(AgentConfig) -> AgentConfig) -> Self {
        let coordinator = Coordinator::start().await;
        let config = configured(AgentConfig::new(coordinator.url(), "worker").id("agent-1").capabilities(["train"]));
        let (handler, leave) = (Scripted::new(), CancelToken::new());
        let agent = tokio::spawn(Agent::new(config, handler.clone()).run(leave.clone()));
        Self { coordinator, handler, leave, agent }
    }

    async fn registered(slots: usize) -> (Self, Peer) {
        let rig = Self::start(slots).await;
        let (peer, _registration) = rig.coordinator.register().await;
        (rig, peer)
    }

    /// Asks the agent to leave and checks that it says nothing but goodbye: whatever should not
    /// have been said would have been said before.
    async fn leaves_quietly(self, peer: &mut Peer) {
        self.leave.cancel();
        let request = peer.expect("agent/unregister").await;
        assert_eq!(request["params"], json!({"agent_id": "agent-1"}));
        peer.reply(&request, json!({"status": "unregistered"})).await;
        assert_eq!(peer.receive().await, None);
        self.agent.await.expect("joined").expect("left in peace");
    }
}

async fn assign(peer: &mut Peer, task_id: &str, attempt: u64, config: Value) {
    let assignment = json!({
        "task_id": task_id, "pipeline_id": "", "name": task_id, "attempt": attempt,
        "config": config, "inputs": {}, "lease_expires_at": null,
    });
    peer.notify("task/assigned", assignment).await;
}

/// Assigns a task that waits at the gate, and returns when it has begun.
async fn assign_waiting(peer: &mut Peer, task_id: &str, attempt: u64) {
    assign(peer, task_id, attempt, json!({"do": "wait"})).await;
    let progress = peer.expect("task/progress").await;
    assert_eq!(progress["params"]["task_id"], task_id);
}

#[tokio::test]
async fn registration_says_who_what_and_how_much() {
    let rig = Rig::start(3).await;
    let (mut peer, registration) = rig.coordinator.register().await;
    assert_eq!(
        registration,
        json!({
            "id": "agent-1", "name": "worker", "type": "generic", "capabilities": ["train"],
            "resources": {}, "slots": 3, "ready": true, "running": [],
            "max_frame_bytes": 16 * 1024 * 1024, "pid": std::process::id(),
        })
    );
    rig.leaves_quietly(&mut peer).await;
}

#[tokio::test]
async fn a_task_begins_with_progress_reports_its_models_and_ends_with_a_completion() {
    let (rig, mut peer) = Rig::registered(1).await;
    assign(&mut peer, "t1", 4, json!({"n": 1})).await;
    let progress = peer.expect("task/progress").await;
    assert_eq!(progress["type"], "notification");
    let said = &progress["params"];
    assert_eq!(
        (&said["task_id"], &said["agent_id"], &said["progress"]),
        (&json!("t1"), &json!("agent-1"), &json!(0.0))
    );
    let metrics = peer.expect("model/metrics").await;
    assert_eq!(metrics["params"]["model_id"], "m");
    assert!(metrics["params"]["timestamp"].is_string());
    peer.reply(&metrics, json!({"status": "recorded"})).await;
    let completion = peer.completion().await;
    let fields = ["task_id", "agent_id", "attempt", "success", "result", "error"];
    assert_eq!(
        fields.map(|field| completion[field].clone()),
        [json!("t1"), json!("agent-1"), json!(4), json!(true), json!({"n": 1}), Value::Null]
    );
    assert!(completion["timestamp"].is_string());
    rig.leaves_quietly(&mut peer).await;
}

#[tokio::test]
async fn no_more_tasks_run_than_there_are_slots() {
    let (rig, mut peer) = Rig::registered(2).await;
    for task in ["t1", "t2", "t3", "t4"] {
        assign(&mut peer, task, 1, json!({"do": "wait"})).await;
    }
    rig.handler.begun(2).await;
    rig.handler.open_gate(4);
    for _ in 0..4 {
        peer.completion().await;
    }
    assert_eq!(rig.handler.0.at_work_max.load(Ordering::SeqCst), 2);
    rig.leaves_quietly(&mut peer).await;
}

#[tokio::test]
async fn an_attempt_that_runs_already_is_not_started_again() {
    let (rig, mut peer) = Rig::registered(2).await;
    assign_waiting(&mut peer, "t1", 1).await;
    assign(&mut peer, "t1", 1, json!({"do": "wait"})).await;
    rig.handler.open_gate(2);
    assert_eq!(peer.completion().await["task_id"], "t1");
    rig.leaves_quietly(&mut peer).await;
}

#[tokio::test]
async fn a_cancelled_task_is_stopped_and_not_reported() {
    let (rig, mut peer) = Rig::registered(1).await;
    assign_waiting(&mut peer, "t1", 1).await;
    peer.notify("task/cancelled", json!({"task_id": "t1"})).await;
    rig.handler.one_was_cancelled().await;
    // The slot is free again.
    assign_waiting(&mut peer, "t2", 1).await;
    rig.handler.open_gate(1);
    assert_eq!(peer.completion().await["task_id"], "t2");
    rig.leaves_quietly(&mut peer).await;
}

#[tokio::test]
async fn cancelling_another_attempt_does_not_concern_this_one() {
    let (rig, mut peer) = Rig::registered(1).await;
    assign_waiting(&mut peer, "t1", 2).await;
    peer.notify("task/cancelled", json!({"task_id": "t1", "attempt": 1})).await;
    rig.handler.open_gate(1);
    assert_eq!(peer.completion().await["attempt"], 2);
    rig.leaves_quietly(&mut peer).await;
}

#[tokio::test]
async fn a_new_attempt_makes_the_old_one_void() {
    let (rig, mut peer) = Rig::registered(1).await;
    assign_waiting(&mut peer, "t1", 1).await;
    assign_waiting(&mut peer, "t1", 2).await;
    rig.handler.one_was_cancelled().await;
    rig.handler.open_gate(1);
    assert_eq!(peer.completion().await["attempt"], 2);
    rig.leaves_quietly(&mut peer).await;
}

#[tokio::test]
async fn after_a_lost_connection_everything_held_is_named_and_delivered() {
    let (rig, mut peer) = Rig::registered(2).await;
    assign_waiting(&mut peer, "t1", 1).await;
    assign(&mut peer, "t2", 5, json!({"do": "inputs"})).await;
    let unanswered = peer.skip_to("task/completed").await;
    drop(peer);

    let (mut peer, registration) = rig.coordinator.register().await;
    assert_eq!(registration["running"], json!([{"task_id": "t1", "attempt": 1}, {"task_id": "t2", "attempt": 5}]));
    let repeated = peer.expect("task/completed").await;
    assert_eq!((&repeated["id"], &repeated["params"]), (&unanswered["id"], &unanswered["params"]));
    peer.reply(&repeated, json!({"status": "recorded"})).await;
    rig.handler.open_gate(1);
    assert_eq!(peer.completion().await["task_id"], "t1");
    drop(peer);

    let (mut peer, registration) = rig.coordinator.register().await;
    assert_eq!(registration["running"], json!([]));
    rig.leaves_quietly(&mut peer).await;
}

#[tokio::test]
async fn what_ends_while_the_coordinator_is_away_is_delivered_when_it_is_back() {
    let (rig, mut peer) = Rig::registered(1).await;
    assign_waiting(&mut peer, "t1", 1).await;
    drop(peer);
    rig.handler.open_gate(1);
    let (mut peer, registration) = rig.coordinator.register().await;
    assert_eq!(registration["running"], json!([{"task_id": "t1", "attempt": 1}]));
    assert_eq!(peer.completion().await["task_id"], "t1");
    rig.leaves_quietly(&mut peer).await;
}

#[tokio::test]
async fn a_completion_that_nobody_needs_is_dropped() {
    let (rig, mut peer) = Rig::registered(1).await;
    for (task, refusal) in [("t1", -40061), ("t2", -40013), ("t3", code::TASK_NOT_FOUND)] {
        assign(&mut peer, task, 1, json!({"do": "inputs"})).await;
        let request = peer.skip_to("task/completed").await;
        peer.refuse(&request, refusal, "too late").await;
    }
    rig.leaves_quietly(&mut peer).await;
}

#[tokio::test]
async fn an_overloaded_coordinator_is_asked_again_and_a_forgetful_one_registered_with() {
    let (rig, mut peer) = Rig::registered(1).await;
    assign(&mut peer, "t1", 1, json!({"do": "inputs"})).await;
    let request = peer.skip_to("task/completed").await;
    peer.refuse(&request, code::OVERLOADED, "the inbox is full").await;
    let again = peer.expect("task/completed").await;
    assert_eq!(again["id"], request["id"]);
    peer.refuse(&again, code::AGENT_NOT_FOUND, "who are you?").await;
    let (mut peer, registration) = rig.coordinator.register().await;
    assert_eq!(registration["running"], json!([{"task_id": "t1", "attempt": 1}]));
    peer.completion().await;
    rig.leaves_quietly(&mut peer).await;
}

#[tokio::test]
async fn a_panic_fails_the_task_and_not_the_agent() {
    let (rig, mut peer) = Rig::registered(1).await;
    assign(&mut peer, "t1", 1, json!({"do": "panic"})).await;
    let completion = peer.completion().await;
    assert_eq!(completion["success"], false);
    assert!(completion["error"].as_str().expect("a sentence").contains("on purpose"));
    assign(&mut peer, "t2", 1, json!({"do": "inputs"})).await;
    assert_eq!(peer.completion().await["success"], true);
    rig.leaves_quietly(&mut peer).await;
}

#[tokio::test]
async fn a_result_over_the_frame_limit_becomes_a_failure() {
    let (rig, mut peer) = Rig::registered(1).await;
    assign(&mut peer, "t1", 1, json!({"do": "large"})).await;
    let completion = peer.completion().await;
    assert_eq!((&completion["success"], &completion["result"]), (&json!(false), &Value::Null));
    let error = completion["error"].as_str().expect("a sentence");
    assert!(error.contains("1048576") && error.contains("return its path"), "{error}");
    rig.leaves_quietly(&mut peer).await;
}

#[tokio::test]
async fn inputs_that_travel_by_reference_are_fetched_over_whatever_connection_there_is() {
    let (rig, mut peer) = Rig::registered(1).await;
    let inputs = json!({"big": {"$ref": "task:t0/result"}, "small": 1});
    let assignment = json!({"task_id": "t1", "attempt": 1, "config": {"do": "inputs"}, "inputs": inputs});
    peer.notify("task/assigned", assignment).await;
    let request = peer.skip_to("task/result").await;
    assert_eq!(request["params"], json!({"task_id": "t0"}));
    drop(peer);
    let (mut peer, _registration) = rig.coordinator.register().await;
    let request = peer.skip_to("task/result").await;
    peer.reply(&request, json!({"task_id": "t0", "status": "completed", "result": [1, 2, 3]})).await;
    assert_eq!(peer.completion().await["result"], json!({"big": [1, 2, 3], "small": 1}));
    rig.leaves_quietly(&mut peer).await;
}

#[tokio::test]
async fn leaving_stops_what_runs_and_says_so() {
    let (rig, mut peer) = Rig::registered(1).await;
    assign_waiting(&mut peer, "t1", 1).await;
    assign(&mut peer, "t2", 1, json!({"do": "wait"})).await;
    let handler = rig.handler.clone();
    rig.leaves_quietly(&mut peer).await;
    assert_eq!(handler.0.at_work.load(Ordering::SeqCst), 0);
    handler.one_was_cancelled().await;
}

#[tokio::test]
async fn leaving_while_the_coordinator_is_away_needs_no_coordinator() {
    let rig = Rig::start(1).await;
    let (mut peer, _registration) = rig.coordinator.register().await;
    assign_waiting(&mut peer, "t1", 1).await;
    let Rig { coordinator, handler, leave, agent } = rig;
    drop((peer, coordinator));
    leave.cancel();
    agent.await.expect("joined").expect("left in peace");
    handler.one_was_cancelled().await;
}

#[tokio::test]
async fn leaving_waits_for_a_handler_that_ignores_its_token_no_longer_than_the_grace() {
    for coordinator_is_there in [true, false] {
        let rig = Rig::start_as(|config| config.leave_grace(Duration::ZERO)).await;
        let (mut peer, _registration) = rig.coordinator.register().await;
        assign(&mut peer, "t1", 1, json!({"do": "ignore"})).await;
        rig.handler.begun(1).await;
        if coordinator_is_there {
            assert_eq!(peer.expect("task/progress").await["params"]["task_id"], "t1");
            rig.leaves_quietly(&mut peer).await;
        } else {
            let Rig { coordinator, leave, agent, .. } = rig;
            drop((peer, coordinator));
            leave.cancel();
            agent.await.expect("joined").expect("left in peace");
        }
    }
}

#[tokio::test]
async fn an_agent_that_is_not_wanted_says_why_and_ends() {
    let rig = Rig::start(1).await;
    let mut peer = rig.coordinator.accept().await;
    let request = peer.expect("agent/register").await;
    peer.refuse(&request, code::INVALID_PARAMS, "`slots` is too large").await;
    let error = rig.agent.await.expect("joined").expect_err("rejected").to_string();
    assert!(error.contains("worker") && error.contains("`slots` is too large"), "{error}");
}

#[tokio::test]
async fn what_does_not_fit_the_protocol_is_ignored() {
    let (rig, mut peer) = Rig::registered(1).await;
    peer.notify("task/assigned", json!({"task_id": 7})).await;
    peer.notify("task/cancelled", json!([])).await;
    peer.notify("server/heartbeat", json!({})).await;
    rig.leaves_quietly(&mut peer).await;
}

/// A process that goes on only when it is told shows that its progress arrives while it runs.
#[tokio::test]
async fn progress_of_a_command_is_forwarded_while_it_runs() {
    let coordinator = Coordinator::start().await;
    let leave = CancelToken::new();
    let agent = Agent::new(AgentConfig::new(coordinator.url(), "worker"), CommandHandler);
    let agent = tokio::spawn(agent.run(leave.clone()));
    let (mut peer, _registration) = coordinator.register().await;
    let directory = tempfile::tempdir().expect("a directory");
    let gate = directory.path().join("gate");
    let made = std::process::Command::new("mkfifo").arg(&gate).status().expect("mkfifo runs");
    assert!(made.success());
    let script = r#"echo "0.5 half way" >> "$EVERLOG_PROGRESS"; cat "$GATE""#;
    assign(&mut peer, "t1", 1, json!({"command": ["sh", "-c", script], "env": {"GATE": gate}})).await;
    assert_eq!(peer.expect("task/progress").await["params"]["progress"], 0.0);
    let said = peer.expect("task/progress").await["params"].clone();
    assert_eq!((&said["progress"], &said["details"]), (&json!(0.5), &json!({"message": "half way"})));
    tokio::task::spawn_blocking(move || std::fs::write(gate, "go")).await.expect("joined").expect("opened");
    assert_eq!(peer.completion().await["result"], "go");
    leave.cancel();
    let request = peer.expect("agent/unregister").await;
    peer.reply(&request, json!({"status": "unregistered"})).await;
    agent.await.expect("joined").expect("left in peace");
}
