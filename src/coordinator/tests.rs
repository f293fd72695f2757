//! The coordinator on a real data directory, without sockets.

use super::*;
use crate::exchange::{Outbox, Outgoing};
use crate::protocol::{self, Operation, Reply, frame};
use everlog_replay::{Command, Notice, Payload, PipelineId, PipelineStatus, State};
use serde_json::{Value, json};
use uuid::Uuid;

/// A coordinator and one client of it.
struct Bench {
    coordinator: Arc<Engine>,
    outbox: Outbox,
    connection: ConnectionNo,
}

impl Bench {
    fn open(data: &std::path::Path) -> Self {
        let options = Options { settings: Settings::default(), place: Place::Directory(data.to_owned()) };
        let coordinator = Arc::new(Engine::open(options).unwrap());
        let shared = coordinator.shared();
        let connection = coordinator.next_connection();
        let outbox = Outbox::new(shared.clock.mono_ms());
        shared.directory.insert(connection, outbox.clone());
        shared
            .inbox
            .send(Inbound { connection, bytes: 0, message: Message::Opened { peer: "test".to_owned() } })
            .unwrap();
        Self { coordinator, outbox, connection }
    }

    fn send(&self, id: &str, method: &str, params: &Value) {
        let text = json!({ "id": id, "type": "request", "method": method, "params": params }).to_string();
        let frame = frame::parse(&text).unwrap();
        let operation = protocol::interpret(&frame, &mut Uuid::new_v4).unwrap();
        let mut body = [0; 16];
        let short = params.to_string();
        for (n, byte) in short.bytes().enumerate() {
            body[n % 16] ^= byte;
        }
        let message =
            Message::Request { id: id.to_owned(), body, method: method.to_owned(), operation, altered: false };
        self.coordinator.shared().inbox.send(Inbound { connection: self.connection, bytes: 0, message }).unwrap();
    }

    /// The answer to a request: its result, or its error's code.
    async fn answer(&self, id: &str) -> Result<Value, i32> {
        loop {
            for message in self.outbox.take().await.unwrap() {
                assert!(!matches!(message, Outgoing::Close), "the coordinator ended");
                if let Outgoing::Refused { id: to, refusal } = &message
                    && to == id
                {
                    return Err(refusal.code());
                }
                if let Outgoing::Reply { id: to, reply, events } = &message
                    && to == id
                {
                    return Ok(serde_json::from_str(&crate::render::reply(*reply, events, 1 << 20)).unwrap());
                }
            }
        }
    }

    async fn call(&self, id: &str, method: &str, params: Value) -> Result<Value, i32> {
        self.send(id, method, &params);
        self.answer(id).await
    }

    async fn assignment(&self) -> (String, u32) {
        loop {
            for message in self.outbox.take().await.unwrap() {
                if let Outgoing::Notice(notice) = message
                    && let Notice::Assigned(assignment) = &*notice
                {
                    return (assignment.task.to_string(), assignment.attempt);
                }
            }
        }
    }

    async fn drain(self) {
        self.coordinator.drain("the test is over").await.unwrap();
    }
}

fn folded(data: &std::path::Path) -> State {
    let log = DataDir::open_read_only(data).unwrap().log;
    let mut state = State::default();
    recovery::fold(&mut state, &log, log.durable()).unwrap();
    state
}

#[tokio::test]
async fn a_pipeline_runs_and_the_log_tells_the_same_story() {
    let data = tempfile::tempdir().unwrap();
    let bench = Bench::open(data.path());
    let tasks = json!([{ "name": "a" }, { "name": "b", "depends_on": ["a"] }]);
    let created = bench.call("1", "pipeline/create", json!({ "name": "p", "tasks": tasks })).await.unwrap();
    assert_eq!(created["status"], "created");
    let id = created["pipeline_id"].as_str().unwrap().to_owned();
    bench.call("2", "agent/register", json!({ "id": "w", "name": "w" })).await.unwrap();
    bench.send("3", "pipeline/start", &json!({ "pipeline_id": id }));
    for (n, expected) in created["task_ids"].as_array().unwrap().iter().enumerate() {
        let (task, attempt) = bench.assignment().await;
        assert_eq!((task.as_str(), attempt), (expected.as_str().unwrap(), 1));
        let done = json!({ "task_id": task, "agent_id": "w", "result": n });
        bench.send(&format!("done-{n}"), "task/completed", &done);
    }
    let id = PipelineId(Uuid::try_parse(&id).unwrap());
    bench.drain().await;
    let state = folded(data.path());
    assert_eq!(state.pipeline(id).unwrap().status, PipelineStatus::Completed);
    // Started from the snapshot, and folded from the first event: the same state (laws 5 and 7).
    let reopened = Bench::open(data.path());
    let shared = reopened.coordinator.shared();
    reopened.drain().await;
    assert_eq!(folded(data.path()).hash(), shared.state.read().hash());
}

#[tokio::test]
async fn a_repeated_request_gets_the_same_answer_also_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let bench = Bench::open(data.path());
    let id = Uuid::new_v4().to_string();
    let params = json!({ "name": "once", "tasks": [{ "name": "a" }] });
    let first = bench.call(&id, "pipeline/create", params.clone()).await.unwrap();
    assert_eq!(bench.call(&id, "pipeline/create", params.clone()).await.unwrap(), first);
    bench.drain().await;
    let bench = Bench::open(data.path());
    let seq = bench.coordinator.shared().state.read().seq;
    assert_eq!(bench.call(&id, "pipeline/create", params).await.unwrap(), first);
    assert_eq!(bench.call(&id, "pipeline/create", json!({ "name": "other" })).await, Err(-40_071));
    let state = bench.coordinator.shared();
    assert_eq!(state.state.read().pipelines.len(), 1);
    // The connection and the refusal are on record, and nothing else.
    assert_eq!(state.state.read().seq, seq + 2);
    bench.drain().await;
}

#[tokio::test]
async fn new_limits_are_held_against_the_newest_reading_at_once() {
    let data = tempfile::tempdir().unwrap();
    let bench = Bench::open(data.path());
    let shared = bench.coordinator.shared();
    let tell = |message| shared.inbox.send(Inbound { connection: 0, bytes: 0, message }).unwrap();
    tell(Message::Load { cpu: 0, memory: 100 });
    let mut settings = Settings::default();
    settings.limits.memory = 99;
    tell(Message::Configure { settings: settings.clone() });
    bench.call("1", "memory/set", json!({ "key": "a marker", "value": 1 })).await.unwrap();
    assert!(shared.state.read().load.over_memory);
    assert_eq!(shared.state.read().settings, settings);
    tell(Message::Configure { settings: Settings::default() });
    bench.call("2", "memory/set", json!({ "key": "a marker", "value": 2 })).await.unwrap();
    assert!(!shared.state.read().load.over_memory);
    bench.drain().await;
    assert_eq!(folded(data.path()).settings, Settings::default());
}

#[tokio::test]
async fn a_second_coordinator_on_the_same_directory_is_refused() {
    let data = tempfile::tempdir().unwrap();
    let bench = Bench::open(data.path());
    let options = Options { settings: Settings::default(), place: Place::Directory(data.path().to_owned()) };
    let refused = Engine::open(options).err().unwrap();
    assert!(refused.to_string().contains("in use"), "{refused}");
    bench.drain().await;
}

#[tokio::test]
async fn a_long_payload_is_kept_in_memory_until_it_is_in_the_log() {
    let data = tempfile::tempdir().unwrap();
    let bench = Bench::open(data.path());
    let long = "v".repeat(10_000);
    bench.call("1", "memory/set", json!({ "key": "k", "value": long })).await.unwrap();
    let shared = bench.coordinator.shared();
    assert_eq!(shared.undurable.lock().len(), 0);
    let Some(Payload::Logged(place)) = shared.state.read().memory.get("k").cloned() else { panic!("not long") };
    assert_eq!(shared.payload(place.seq).unwrap().as_str(), json!(long).to_string());
    bench.drain().await;
}

#[tokio::test]
async fn what_is_no_longer_in_the_state_is_answered_from_the_log() {
    let data = tempfile::tempdir().unwrap();
    let settings = Settings { ended_kept: 2, ..Settings::default() };
    let coordinator =
        Arc::new(Engine::open(Options { settings, place: Place::Directory(data.path().to_owned()) }).unwrap());
    let shared = coordinator.shared();
    let mut ids = Vec::new();
    for n in 0..4 {
        let now = shared.clock.now();
        let seconds = u64::try_from(now.0 / 1_000_000).unwrap();
        let made = uuid::Timestamp::from_unix(uuid::NoContext, seconds, 0);
        let id = everlog_replay::TaskId(Uuid::new_v7(made));
        ids.push(id);
        let task = everlog_replay::NewTask {
            task: id,
            name: format!("t{n}"),
            wish: Default::default(),
            depends_on: Vec::new(),
            config: "{}".into(),
        };
        for command in [
            Command::CreateTasks { pipeline: None, tasks: vec![task] },
            Command::CancelTask { task: id, reason: "enough".to_owned() },
        ] {
            let message = Message::Notification {
                method: "test".to_owned(),
                operation: Operation::Change { command, reply: Reply::None },
                altered: false,
            };
            shared.inbox.send(Inbound { connection: 7, bytes: 0, message }).unwrap();
        }
    }
    let mut durable = shared.durable.clone();
    durable.wait_for(|seq| *seq >= 9).await.unwrap();
    assert!(shared.state.read().task(ids[0]).is_err(), "it has left the state");
    let record = shared.history.task(ids[0]).unwrap().unwrap();
    assert_eq!((record.status, &*record.name), ("cancelled", "t0"));
    assert_eq!(record.error_info.unwrap().message, "enough");
    assert!(shared.history.task(everlog_replay::TaskId(Uuid::now_v7())).unwrap().is_none());
    coordinator.drain("the test is over").await.unwrap();
}
