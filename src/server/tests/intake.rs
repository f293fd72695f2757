//! The reading half: what reaches the inbox, in which order, and what is answered instead.

use super::*;
use crate::protocol::Operation;
use crate::server::limits::{BAD_FRAMES_MAX, IN_FLIGHT_MAX, LINGER};
use everlog_replay::{Command, Refusal};
use uuid::Uuid;

const TASK: &str = "018f0000-0000-7000-8000-000000000001";

#[tokio::test(start_paused = true)]
async fn everything_is_handed_in_and_answered_in_the_order_sent() {
    let stage = Stage::new(100);
    let (mut peer, outbox) = stage.peer().await;
    peer.request("a", "memory/set", &json!({"key": "k", "value": 1}));
    peer.say("garbage");
    peer.notify("no/such", &json!({}));
    peer.request("b", "pipeline/explode", &json!({}));
    peer.say(r#"{"id": "c", "type": "MCPMessageType.REQUEST", "method": "pipeline/list", "timestamp": "2024-01-01T00:00:00"}"#);
    assert!(matches!(stage.next().await, Message::Opened { peer } if peer == "127.0.0.1:9"));
    assert!(matches!(stage.next().await, Message::Request { id, .. } if id == "a"));
    match stage.next().await {
        Message::Refused { id: Some(id), refusal: refusal @ Refusal::InvalidRequest(_), .. } => {
            assert_eq!(id, "unknown");
            outbox.send([recorded("a"), Outgoing::Refused { id, refusal }]);
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(stage.next().await, Message::Notification { method, .. } if method == "no/such"));
    assert!(
        matches!(stage.next().await, Message::Refused { id: Some(id), method, .. } if id == "b" && method == "pipeline/explode")
    );
    assert!(matches!(stage.next().await, Message::Request { id, operation: Operation::Read(_), .. } if id == "c"));
    let (first, second) = (peer.frame().await, peer.frame().await);
    assert_eq!((&first["id"], &first["result"]), (&json!("a"), &json!({"status": "recorded"})));
    assert_eq!(
        (&second["id"], &second["type"], &second["error"]["code"]),
        (&json!("unknown"), &json!("response"), &json!(-32_600))
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_inbox_refuses_requests_in_their_turn() {
    let stage = Stage::new(2);
    let (mut peer, outbox) = stage.peer().await;
    for id in ["a", "b", "c"] {
        peer.request(id, "pipeline/list", &json!({}));
    }
    assert!(matches!(peer.got_now().await, Got::Nothing), "b and c are refused, but a is answered first");
    assert_eq!(stage.request().await, "a");
    outbox.send([recorded("a")]);
    peer.request("d", "pipeline/list", &json!({}));
    assert_eq!(peer.frame().await["id"], "a");
    for id in ["b", "c"] {
        let frame = peer.frame().await;
        assert_eq!((&frame["id"], &frame["error"]["code"]), (&json!(id), &json!(-40_051)));
        assert!(frame["error"]["message"].as_str().unwrap().contains("inbox"), "{frame}");
    }
    assert_eq!(stage.request().await, "d", "there is room again");
}

#[tokio::test(start_paused = true)]
async fn a_full_inbox_stops_the_socket_of_who_notifies_and_loses_nothing() {
    let stage = Stage::new(1);
    let (mut peer, _) = stage.peer().await;
    for n in 0..5 {
        peer.notify("agent/metrics", &json!({"agent_id": "a", "metrics": {"n": n}}));
    }
    peer.request("last", "pipeline/list", &json!({}));
    assert!(matches!(stage.next().await, Message::Opened { .. }));
    for n in 0..5 {
        tokio::time::sleep(super::super::limits::ROOM_POLL * 2).await;
        let expected = format!(r#"{{"n":{n}}}"#);
        match stage.next().await {
            Message::Notification { operation: Operation::AgentMetrics { metrics, .. }, .. } => {
                assert_eq!(metrics.as_str(), expected);
            }
            other => panic!("{other:?}"),
        }
    }
    // The last notification had filled the inbox again when the request came.
    let refused = peer.frame().await;
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!("last"), &json!(-40_051)));
    peer.request("again", "pipeline/list", &json!({}));
    assert_eq!(stage.request().await, "again");
}

#[tokio::test(start_paused = true)]
async fn requests_in_flight_are_limited_by_name() {
    let stage = Stage::new(100_000);
    let (mut peer, outbox) = stage.peer().await;
    for n in 0..IN_FLIGHT_MAX + 2 {
        peer.request(&n.to_string(), "pipeline/list", &json!({}));
    }
    for n in 0..IN_FLIGHT_MAX {
        assert_eq!(stage.request().await, n.to_string());
    }
    settle().await;
    assert!(stage.inbox.is_empty(), "the rest never reaches the coordinator");
    outbox.send((0..IN_FLIGHT_MAX).map(|n| recorded(&n.to_string())));
    for n in 0..IN_FLIGHT_MAX {
        assert_eq!(peer.frame().await["id"], n.to_string());
    }
    for n in [IN_FLIGHT_MAX, IN_FLIGHT_MAX + 1] {
        let frame = peer.frame().await;
        assert_eq!((&frame["id"], &frame["error"]["code"]), (&json!(n.to_string()), &json!(-40_051)));
        assert!(frame["error"]["message"].as_str().unwrap().contains("4096 requests"), "{frame}");
    }
    peer.request("again", "pipeline/list", &json!({}));
    assert_eq!(stage.request().await, "again");
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_garbage_ends_its_own_connection_and_hurts_nobody() {
    const FRAMES: usize = 100_000;
    let stage = Stage::new(16_384);
    let (mut flood, flooded) = stage.peer().await;
    let other = stage.connect(8).await;
    for _ in 0..FRAMES {
        flood.say("\u{1f4a9}");
    }
    other.request("mine", "pipeline/list", &json!({}));
    let mut garbage = 0;
    loop {
        match stage.next().await {
            Message::Opened { .. } => {}
            Message::Request { id, .. } if id == "mine" => break,
            Message::Refused { id: Some(id), refusal, .. } => {
                garbage += 1;
                flooded.send([Outgoing::Refused { id, refusal }]);
            }
            message => panic!("{message:?}"),
        }
    }
    settle().await;
    for Inbound { message, .. } in stage.inbox.try_iter() {
        if let Message::Refused { id: Some(id), refusal, .. } = message {
            garbage += 1;
            flooded.send([Outgoing::Refused { id, refusal }]);
        }
    }
    assert_eq!(garbage, BAD_FRAMES_MAX - 1);
    for _ in 0..garbage {
        assert_eq!(flood.frame().await["id"], "unknown");
    }
    let last = flood.frame().await;
    assert!(last["error"]["message"].as_str().unwrap().contains("1000 frames in a row"), "{last}");
    assert!(matches!(flood.got().await, Got::Close(frame) if frame.code == 1008));
}

#[tokio::test(start_paused = true)]
async fn garbage_between_messages_is_answered_and_forgiven() {
    let stage = Stage::new(16_384);
    let (peer, outbox) = stage.peer().await;
    for round in 0..BAD_FRAMES_MAX * 2 {
        peer.say("[]");
        peer.request(&round.to_string(), "pipeline/list", &json!({}));
        loop {
            match stage.next().await {
                Message::Request { id, .. } => break outbox.send([recorded(&id)]),
                Message::Refused { id: Some(id), refusal, .. } => outbox.send([Outgoing::Refused { id, refusal }]),
                _ => {}
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn binary_frames_are_refused_with_a_sentence() {
    let stage = Stage::new(10);
    let (peer, _) = stage.peer().await;
    peer.send(WsMessage::binary(vec![1, 2, 3]));
    stage.next().await;
    match stage.next().await {
        Message::Refused { id: Some(id), refusal, .. } => {
            assert_eq!((id.as_str(), refusal.code()), ("unknown", -32_600));
            assert!(refusal.to_string().contains("text frames"), "{refusal}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_completion_with_nan_is_not_lost() {
    let stage = Stage::new(10);
    let (peer, _) = stage.peer().await;
    peer.say(format!(
        r#"{{"id":"x","type":"notification","method":"task/completed","params":{{"task_id":"{TASK}","agent_id":"a","success":true,"result":{{"loss":NaN}}}}}}"#
    ));
    stage.next().await;
    match stage.next().await {
        Message::Notification {
            operation: Operation::Change { command: Command::CompleteTask { result, .. }, .. },
            ..
        } => {
            assert_eq!(result.as_str(), r#"{"loss":null}"#);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_body_of_what_changes_something_is_hashed() {
    let stage = Stage::new(10);
    let (peer, _) = stage.peer().await;
    for (method, params) in [
        ("memory/set", json!({"key": "k", "value": 1})),
        ("memory/set", json!({"key": "k", "value": 1})),
        ("memory/set", json!({"key": "k", "value": 2})),
        ("memory/get", json!({"key": "k"})),
    ] {
        peer.request("id", method, &params);
    }
    stage.next().await;
    let mut bodies = Vec::new();
    for _ in 0..4 {
        match stage.next().await {
            Message::Request { body, .. } => bodies.push(body),
            other => panic!("{other:?}"),
        }
    }
    let text = format!("memory/set\0{}", json!({"key": "k", "value": 1}));
    let expected = <sha2::Sha256 as sha2::Digest>::digest(text);
    assert_eq!(bodies[0], expected[..16]);
    assert!(bodies[0] == bodies[1] && bodies[1] != bodies[2]);
    assert_eq!(bodies[3], [0; 16]);
}

#[tokio::test(start_paused = true)]
async fn new_ids_carry_the_time_of_the_flight() {
    let stage = Stage::new(10);
    let (peer, _) = stage.peer().await;
    peer.request("a", "task/create", &json!({"name": "t"}));
    stage.next().await;
    match stage.next().await {
        Message::Request {
            operation: Operation::Change { command: Command::CreateTasks { tasks, .. }, .. }, ..
        } => {
            let TaskId(id) = tasks[0].task;
            let (seconds, _) = id.get_timestamp().unwrap().to_unix();
            assert_eq!((id.get_version_num(), seconds), (7, 1_800_000_000));
            assert_ne!(id, Uuid::nil());
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_is_told_even_when_the_inbox_is_full() {
    let stage = Stage::new(1);
    let (mut peer, _) = stage.peer().await;
    peer.request("a", "pipeline/list", &json!({}));
    settle().await;
    peer.hang_up();
    eventually("the session is off the list", || stage.shared.directory.is_empty().then_some(())).await;
    assert!(matches!(stage.next().await, Message::Opened { .. }), "it has filled the inbox");
    tokio::time::sleep(super::super::limits::ROOM_POLL * 2).await;
    assert!(matches!(stage.next().await, Message::Closed));
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_before_the_socket_broke_still_counts() {
    let stage = Stage::new(10);
    let (mut peer, outbox) = stage.peer().await;
    peer.from_server.close();
    outbox.send([sample("server/heartbeat")]);
    peer.notify("task/completed", &json!({"task_id": TASK, "agent_id": "a"}));
    stage.next().await;
    assert!(matches!(stage.next().await, Message::Notification { .. }));
    tokio::time::sleep(LINGER * 2).await;
    peer.hang_up();
    assert!(matches!(stage.next().await, Message::Closed));
}
