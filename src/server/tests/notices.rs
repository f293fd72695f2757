//! Who is told what, and when (protocol §4).

use super::*;
use crate::protocol::{Query, SessionRequest, Topic};
use crate::server::limits::{HANDLERS_WITHIN, OTHERS_MAX};
use everlog_replay::{AgentId, Assignment, Notice, Payload, TaskChange, TaskStatus};
use uuid::Uuid;

fn task(n: u128) -> TaskId {
    TaskId(Uuid::from_u128(n))
}

fn notice(notice: Notice) -> Outgoing {
    Outgoing::Notice(Arc::new(notice))
}

fn assigned(n: u128) -> Outgoing {
    assigned_with(n, Payload::null())
}

fn assigned_with(n: u128, config: Payload) -> Outgoing {
    notice(Notice::Assigned(Box::new(Assignment {
        connection: CONNECTION,
        agent: AgentId::from("a"),
        task: task(n),
        pipeline: None,
        name: "t".into(),
        attempt: 1,
        config,
        inputs: Vec::new(),
        lease_until: Timestamp(0),
    })))
}

fn cancelled(n: u128) -> Outgoing {
    notice(Notice::Cancel {
        connection: CONNECTION,
        agent: AgentId::from("a"),
        task: task(n),
        attempt: 1,
        reason: "so".to_owned(),
    })
}

fn changed(pipeline: u128) -> Outgoing {
    notice(Notice::TaskChanged(Box::new(TaskChange {
        task: task(1),
        pipeline: Some(PipelineId(Uuid::from_u128(pipeline))),
        name: "t".into(),
        status: TaskStatus::Running,
        attempt: 1,
        agent: None,
        error: None,
        result: None,
    })))
}

fn started(pipeline: u128) -> Outgoing {
    let pipeline = PipelineId(Uuid::from_u128(pipeline));
    notice(Notice::Pipeline { method: "pipeline/started", pipeline, name: "p".into() })
}

fn hook() -> Outgoing {
    notice(Notice::Hook(Json::from("{}")))
}

#[tokio::test(start_paused = true)]
async fn the_first_assignment_waits_for_the_handlers_and_holds_nothing_back() {
    let stage = Stage::new(10);
    let (mut peer, outbox) = stage.peer().await;
    outbox.send([
        Outgoing::Registered { ready: false, frame_bytes_max: None },
        recorded("register"),
        assigned(1),
        cancelled(1),
    ]);
    assert_eq!(peer.frame().await["id"], "register");
    let replied = Instant::now();
    outbox.send([assigned(2), recorded("next")]);
    assert_eq!(peer.frame().await["id"], "next");
    assert_eq!(replied.elapsed().as_millis(), 0, "nothing else waits");
    for method in ["task/assigned", "task/cancelled", "task/assigned"] {
        assert_eq!(peer.frame().await["method"], method);
        assert!(replied.elapsed() >= HANDLERS_WITHIN && replied.elapsed() < HANDLERS_WITHIN * 2);
    }
    outbox.send([Outgoing::Registered { ready: false, frame_bytes_max: None }, recorded("another agent"), assigned(3)]);
    assert_eq!(peer.frame().await["id"], "another agent");
    assert!(matches!(peer.got_now().await, Got::Frame(_)), "the handlers are there by now");
}

#[tokio::test(start_paused = true)]
async fn who_is_ready_gets_work_at_once() {
    let stage = Stage::new(10);
    let (mut peer, outbox) = stage.peer().await;
    outbox.send([Outgoing::Registered { ready: true, frame_bytes_max: None }, recorded("register"), assigned(1)]);
    assert_eq!(peer.frame().await["id"], "register");
    assert!(matches!(peer.got_now().await, Got::Frame(frame) if frame["method"] == "task/assigned"));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_works_is_spared_until_it_speaks() {
    let stage = Stage::new(100);
    let (mut peer, outbox) = stage.peer().await;
    let flood = || (0..20).flat_map(|n| [sample("server/heartbeat"), started(n)]);
    outbox.send(flood());
    assert_eq!(peer.methods_now().await.len(), 40, "it does not work yet");
    outbox.send([assigned(1)]);
    outbox.send(flood());
    outbox.send([assigned(2), cancelled(2), recorded("an answer")]);
    let methods = peer.methods_now().await;
    let others = methods.iter().filter(|method| !method.starts_with("task/") && !method.is_empty()).count();
    assert_eq!(others, OTHERS_MAX as usize);
    assert_eq!(methods.iter().filter(|method| method.starts_with("task/")).count(), 3);
    assert_eq!(methods.last().map(String::as_str), Some(""), "answers always leave");
    peer.notify("agent/metrics", &json!({"agent_id": "a", "metrics": {}}));
    settle().await;
    outbox.send(flood());
    assert_eq!(peer.methods_now().await.len(), OTHERS_MAX as usize, "it spoke, and still works");
    peer.notify("task/completed", &json!({"task_id": task(1).to_string(), "agent_id": "a"}));
    settle().await;
    outbox.send(flood());
    assert_eq!(peer.methods_now().await.len(), 40, "it works no more");
}

#[tokio::test(start_paused = true)]
async fn work_that_was_brought_along_counts_and_leaves_with_its_agent() {
    let stage = Stage::new(100);
    let (mut peer, outbox) = stage.peer().await;
    let running = json!([{"task_id": task(1).to_string(), "attempt": 1}]);
    peer.request("r", "agent/register", &json!({"id": "a", "name": "a", "running": running}));
    settle().await;
    let flood = || (0..20).map(started);
    outbox.send(flood());
    assert_eq!(peer.methods_now().await.len(), OTHERS_MAX as usize);
    peer.request("u", "agent/unregister", &json!({"agent_id": "a"}));
    settle().await;
    outbox.send(flood());
    assert_eq!(peer.methods_now().await.len(), 20);
}

#[tokio::test(start_paused = true)]
async fn without_a_subscription_there_is_the_broadcast_and_with_one_what_was_asked_for() {
    let stage = Stage::new(10);
    let (mut peer, outbox) = stage.peer().await;
    let all = || {
        [
            sample("server/heartbeat"),
            sample("monitoring/alert"),
            sample("task/progress"),
            started(1),
            started(2),
            changed(1),
            changed(2),
            hook(),
        ]
    };
    outbox.send(all());
    let broadcast = ["server/heartbeat", "monitoring/alert", "pipeline/started", "pipeline/started"];
    assert_eq!(peer.methods_now().await, broadcast);
    for (topics, expected) in [
        (vec![format!("pipeline:{}", Uuid::from_u128(2))], vec!["pipeline/started", "task/changed"]),
        (vec!["claude-flow/hook".to_owned()], vec!["pipeline/started", "task/changed", "claude-flow/hook"]),
        (
            vec!["task/*".to_owned()],
            vec!["task/progress", "pipeline/started", "task/changed", "task/changed", "claude-flow/hook"],
        ),
    ] {
        let topics = topics.iter().map(|text| Topic::parse(text).unwrap()).collect();
        outbox.send([Outgoing::Session { id: "s".to_owned(), request: SessionRequest::Subscribe { topics } }]);
        peer.frame().await;
        outbox.send(all());
        assert_eq!(peer.methods_now().await, expected);
    }
    let topics = vec![Topic::All];
    outbox.send([Outgoing::Session { id: "s".to_owned(), request: SessionRequest::Subscribe { topics } }]);
    peer.frame().await;
    outbox.send(all());
    assert_eq!(peer.methods_now().await.len(), 8);
}

#[tokio::test(start_paused = true)]
async fn who_works_and_has_subscribed_gets_all_it_asked_for() {
    let stage = Stage::new(10);
    let (mut peer, outbox) = stage.peer().await;
    let topics = vec![Topic::All];
    outbox.send([Outgoing::Session { id: "s".to_owned(), request: SessionRequest::Subscribe { topics } }, assigned(1)]);
    outbox.send((0..20).map(started));
    assert_eq!(peer.methods_now().await.len(), 22);
}

/// A value that is in the log only, and the log can not be read: an answer says so, and a notification is not sent with another
/// value in its place. What is not in the log yet is known all the same.
#[tokio::test(start_paused = true)]
async fn what_the_log_does_not_give_is_not_made_up() {
    let stage = Stage::new(16);
    let (mut peer, outbox) = stage.peer().await;
    let logged = Payload::Logged(Box::new(everlog_replay::Place { seq: 7, bytes: 600 }));
    stage.shared.state.write().memory.insert("k".to_owned(), logged.clone());
    let ready = Outgoing::Registered { ready: true, frame_bytes_max: None };
    outbox.send([ready]);
    let mut ask = async |id: &str| {
        peer.request(id, "memory/get", &json!({"key": "k"}));
        stage.request().await;
        let query = Query::MemoryGet { key: "k".to_owned() };
        outbox.send([Outgoing::Read { id: id.to_owned(), query }]);
        peer.frame().await
    };
    // Decided, and on its way to the log.
    stage.shared.undurable.lock().push_back((7, Json::from("\"value\"")));
    assert_eq!(ask("q").await["result"]["value"], "value");
    stage.shared.undurable.lock().clear();
    let answer = ask("r").await;
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!("r"), &json!(-32603)), "{answer}");
    assert!(answer["result"].is_null(), "{answer}");
    outbox.send([assigned_with(1, logged)]);
    let Got::Close(frame) = peer.got().await else { panic!("an assignment without its configuration") };
    assert_eq!(
        (frame.code, frame.reason.as_str()),
        (1011, "the log can not be read at the moment; the server's log says why")
    );
}
