//! The sending half: answers, what they rest on, limits, and peers that do not take them.

use super::*;
use crate::exchange::{OUTBOX_BYTES_MAX, OUTBOX_MAX};
use crate::protocol::{Page, Query, SessionRequest, Topic};
use crate::server::limits::{LINGER, PONG_WITHIN, WRITE_STALL_MAX};
use std::time::Duration;
use uuid::Uuid;

fn read(id: &str, prefix: String) -> Outgoing {
    Outgoing::Read { id: id.to_owned(), query: Query::MemoryList { prefix, page: Page::default() } }
}

#[tokio::test(start_paused = true)]
async fn a_read_leaves_when_what_it_saw_is_durable() {
    let stage = Stage::new(10);
    let (mut peer, outbox) = stage.peer().await;
    stage.shared.state.write().seq = 5;
    stage.durable.send(4).unwrap();
    outbox.send([recorded("before"), read("read", String::new()), recorded("after")]);
    assert!(matches!(peer.got_now().await, Got::Nothing));
    stage.durable.send(5).unwrap();
    for id in ["before", "read", "after"] {
        assert_eq!(peer.frame().await["id"], id);
    }
    outbox.send([recorded("no read, no wait")]);
    assert!(matches!(peer.got_now().await, Got::Frame(_)));
}

#[tokio::test(start_paused = true)]
async fn a_refused_read_is_an_error_in_its_place() {
    let stage = Stage::new(10);
    let (mut peer, outbox) = stage.peer().await;
    outbox.send([Outgoing::Read { id: "r".to_owned(), query: Query::TaskStatus(TaskId(Uuid::nil())) }]);
    let frame = peer.frame().await;
    assert_eq!((&frame["id"], &frame["error"]["code"], &frame["result"]), (&json!("r"), &json!(-40_011), &Value::Null));
}

#[tokio::test(start_paused = true)]
async fn no_frame_is_longer_than_the_peer_accepts() {
    let stage = Stage::new(10);
    let (mut peer, outbox) = stage.peer().await;
    let long = || "x".repeat(2 << 20);
    outbox.send([read("long", long()), read("short", String::new())]);
    let frame = peer.frame().await;
    assert_eq!((&frame["id"], &frame["error"]["code"]), (&json!("long"), &json!(-40_051)));
    let sentence = frame["error"]["message"].as_str().unwrap();
    assert!(sentence.contains("1048576") && sentence.contains("max_frame_bytes"), "{sentence}");
    assert_eq!(peer.frame().await["id"], "short");
    outbox.send([Outgoing::Registered { ready: true, frame_bytes_max: Some(4 << 20) }, read("long", long())]);
    assert!(peer.frame().await["result"]["prefix"].as_str().unwrap().len() == 2 << 20);
    let mut heartbeat =
        Sample { method: "server/heartbeat", params: Json::from(format!("\"{}\"", long())), pipeline: None };
    outbox.send([Outgoing::Sample(Arc::new(heartbeat.clone()))]);
    assert!(matches!(peer.got_now().await, Got::Frame(_)));
    heartbeat.params = Json::from(format!("\"{}\"", "x".repeat(5 << 20)));
    outbox.send([Outgoing::Sample(Arc::new(heartbeat)), recorded("next")]);
    assert_eq!(peer.frame().await["id"], "next", "a notification that is too long does not leave");
}

#[tokio::test(start_paused = true)]
async fn subscriptions_are_answered_with_what_is_in_force() {
    let stage = Stage::new(10);
    let (mut peer, outbox) = stage.peer().await;
    let topics = |texts: &[&str]| texts.iter().map(|text| Topic::parse(text).unwrap()).collect();
    let request = |request| Outgoing::Session { id: "s".to_owned(), request };
    outbox.send([request(SessionRequest::Subscribe { topics: topics(&["task/*", "server/heartbeat"]) })]);
    let mut in_force = peer.frame().await["result"]["topics"].clone();
    in_force.as_array_mut().unwrap().sort_by_key(|topic| topic.to_string());
    assert_eq!(in_force, json!(["server/heartbeat", "task/*"]));
    assert!(outbox.watches_tasks());
    outbox.send([request(SessionRequest::Unsubscribe { topics: topics(&["task/*"]) })]);
    assert_eq!(peer.frame().await["result"], json!({"topics": ["server/heartbeat"]}));
    assert!(!outbox.watches_tasks());
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_coordinator_comes_after_what_stands_before_it() {
    let stage = Stage::new(10);
    let (mut peer, outbox) = stage.peer().await;
    outbox.send([recorded("last"), Outgoing::Close, recorded("never")]);
    assert_eq!(peer.frame().await["id"], "last");
    assert!(matches!(peer.got().await, Got::Close(frame) if frame.code == 1001));
    peer.hang_up();
    assert!(matches!(stage.next().await, Message::Closed));
    assert!(matches!(peer.got().await, Got::Nothing));
}

#[tokio::test(start_paused = true)]
async fn whose_agent_is_lost_is_told_to_come_back() {
    let stage = Stage::new(10);
    let (mut peer, outbox) = stage.peer().await;
    outbox.send([recorded("last"), Outgoing::Lost]);
    assert_eq!(peer.frame().await["id"], "last");
    let Got::Close(frame) = peer.got().await else { panic!("it stays connected") };
    assert_eq!((frame.code, frame.reason.contains("register again")), (1008, true), "{}", frame.reason);
}

#[tokio::test(start_paused = true)]
async fn who_takes_nothing_is_cut_off() {
    let stage = Stage::new(10);
    let (peer, outbox) = stage.peer().await;
    peer.stall();
    outbox.send([recorded("stuck")]);
    settle().await;
    tokio::time::sleep(WRITE_STALL_MAX - Duration::from_secs(1)).await;
    assert!(stage.shared.directory.get(CONNECTION).is_some());
    tokio::time::sleep(Duration::from_secs(1) + LINGER * 3).await;
    assert!(matches!(stage.next().await, Message::Closed));
    assert!(stage.shared.directory.is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_is_too_far_behind_is_cut_off_and_told_so() {
    let stage = Stage::new(10);
    let (mut peer, outbox) = stage.peer().await;
    outbox.send((0..=OUTBOX_MAX).map(|n| recorded(&n.to_string())));
    match peer.got().await {
        Got::Close(frame) => assert!(frame.code == 1008 && frame.reason.contains("too slow"), "{frame:?}"),
        other => panic!("{other:?}"),
    }
    tokio::time::sleep(LINGER * 2).await;
    assert!(matches!(stage.next().await, Message::Closed));
}

#[tokio::test(start_paused = true)]
async fn who_keeps_too_much_waiting_that_nobody_asked_for_is_cut_off() {
    let stage = Stage::new(10);
    let (mut peer, outbox) = stage.peer().await;
    let hook = |bytes: usize| Outgoing::Notice(Arc::new(Notice::Hook(Json::from("x".repeat(bytes)))));
    outbox.send([hook(OUTBOX_BYTES_MAX)]);
    settle().await;
    outbox.send([hook(OUTBOX_BYTES_MAX), hook(1)]);
    match peer.got().await {
        Got::Close(frame) => assert!(frame.code == 1008 && frame.reason.contains("too slow"), "{frame:?}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_dropped_and_one_that_answers_pings_is_not() {
    let stage = Stage::new(10);
    let (mut peer, _) = stage.peer().await;
    let start = Instant::now();
    for ping in 1..=3 {
        assert!(matches!(peer.got().await, Got::Ping));
        assert_eq!(start.elapsed().as_secs(), ping * 20);
        peer.send(WsMessage::Pong(Default::default()));
    }
    assert!(matches!(peer.got().await, Got::Ping));
    tokio::time::sleep(PONG_WITHIN - Duration::from_secs(1)).await;
    assert!(stage.shared.directory.get(CONNECTION).is_some());
    tokio::time::sleep(Duration::from_secs(1) + LINGER * 2).await;
    assert!(matches!(stage.next().await, Message::Closed));
}
