//! One connection against a scripted coordinator.

use serde_json::{Value, json};

use std::time::Duration;

use uuid::Uuid;

use super::testing::{Coordinator, Indoors, Peer, envelope};
use super::traffic::NOTIFICATIONS_UNREAD_MAX;
use super::*;

async fn open(endpoint: impl Into<Endpoint>) -> Result<(Connection, Notifications), ClientError> {
    Connection::open(&endpoint.into(), &ClientOptions::default()).await
}

async fn connected() -> (Connection, Notifications, Peer) {
    let coordinator = Coordinator::start().await;
    let url = coordinator.url();
    let (connection, peer) = tokio::join!(open(&url), coordinator.accept());
    let (connection, notifications) = connection.expect("connected");
    (connection, notifications, peer)
}

#[tokio::test]
async fn a_request_has_the_seven_fields_and_its_id_brings_the_result_back() {
    let (connection, _notifications, mut peer) = connected().await;
    let script = async {
        let request = peer.receive().await.expect("a request");
        let fields: Vec<&String> = request.as_object().expect("an object").keys().collect();
        assert_eq!(fields, ["error", "id", "method", "params", "result", "timestamp", "type"]);
        assert_eq!((&request["type"], &request["method"]), (&json!("request"), &json!("memory/get")));
        assert_eq!(request["params"], json!({"key": "k"}));
        let id = request["id"].as_str().expect("a string");
        assert!(Uuid::try_parse(id).is_ok(), "{id}");
        peer.reply(&request, json!({"value": 7})).await;
    };
    let (result, ()) = tokio::join!(connection.request("memory/get", json!({"key": "k"})), script);
    assert_eq!(result.expect("a result"), json!({"value": 7}));
}

#[tokio::test]
async fn a_coordinator_in_the_same_process_is_spoken_to_alike() {
    let mut coordinator = Indoors::new();
    let (connection, mut notifications) = open(coordinator.endpoint()).await.expect("connected");
    let mut peer = coordinator.accept().await;
    let script = async {
        let request = peer.expect("memory/get").await;
        peer.notify("news", Value::Null).await;
        peer.reply(&request, json!({"value": 7})).await;
    };
    let (result, ()) = tokio::join!(connection.request("memory/get", json!({"key": "k"})), script);
    assert_eq!(result.expect("a result"), json!({"value": 7}));
    assert_eq!(notifications.next().await.expect("a notification").method, "news");
    connection.close().await;
    assert_eq!(peer.receive().await, None);
    coordinator.shut(true);
    let error = open(coordinator.endpoint()).await.expect_err("it is shut").to_string();
    assert!(error.contains("the coordinator of this test"), "{error}");
    assert_eq!(coordinator.knocks(), 2);
}

#[tokio::test]
async fn concurrent_requests_are_told_apart_when_answered_in_another_order() {
    let (connection, _notifications, mut peer) = connected().await;
    let script = async {
        let first = peer.receive().await.expect("a request");
        let second = peer.receive().await.expect("a request");
        for request in [second, first] {
            peer.reply(&request, request["params"].clone()).await;
        }
    };
    let (one, two, ()) =
        tokio::join!(connection.request("echo", json!({"n": 1})), connection.request("echo", json!({"n": 2})), script);
    assert_eq!((one.expect("one"), two.expect("two")), (json!({"n": 1}), json!({"n": 2})));
}

#[tokio::test]
async fn a_refusal_keeps_its_code_message_and_data() {
    let (connection, _notifications, mut peer) = connected().await;
    let script = async {
        let request = peer.receive().await.expect("a request");
        peer.refuse(&request, code::TASK_NOT_FOUND, "there is no task 7").await;
    };
    let (result, ()) = tokio::join!(connection.request("task/status", json!({})), script);
    let Err(ClientError::Refused { code, message, data }) = result else {
        panic!("{result:?}");
    };
    assert_eq!((code, message.as_str()), (-40011, "there is no task 7"));
    assert_eq!(data, json!({"because": "test"}));
}

#[tokio::test]
async fn notifications_come_in_order_and_requests_of_the_server_are_acknowledged() {
    let (_connection, mut notifications, mut peer) = connected().await;
    for n in 0..3 {
        peer.notify("task/assigned", json!({"n": n})).await;
    }
    let id = json!("from-server");
    peer.send(envelope(&id, "request", "ping", Value::Null, Value::Null, Value::Null)).await;
    for n in 0..3 {
        let notification = notifications.next().await.expect("a notification");
        assert_eq!((notification.method.as_str(), &notification.params["n"]), ("task/assigned", &json!(n)));
    }
    let answer = peer.receive().await.expect("an answer");
    assert_eq!((&answer["id"], &answer["type"]), (&id, &json!("response")));
    assert_eq!(answer["result"], json!({"status": "acknowledged"}));
}

#[tokio::test]
async fn a_frame_that_is_no_envelope_is_survived() {
    let (_connection, mut notifications, mut peer) = connected().await;
    peer.send(json!(["not", "an", "envelope"])).await;
    let unknown = envelope(&json!("unknown"), "response", "", Value::Null, json!({}), Value::Null);
    peer.send(unknown).await;
    peer.notify("still/there", Value::Null).await;
    assert_eq!(notifications.next().await.expect("a notification").method, "still/there");
}

#[tokio::test]
async fn a_lost_connection_ends_what_waits_and_what_comes_later() {
    let (connection, mut notifications, mut peer) = connected().await;
    let script = async {
        peer.receive().await.expect("a request");
        drop(peer);
    };
    let (result, ()) = tokio::join!(connection.request("task/list", json!({})), script);
    assert!(matches!(result, Err(ClientError::Closed { .. })), "{result:?}");
    assert_eq!(notifications.next().await, None);
    let later = connection.request("task/list", json!({})).await;
    assert!(matches!(later, Err(ClientError::Closed { .. })), "{later:?}");
}

#[tokio::test]
async fn closing_sends_what_is_queued_and_says_goodbye() {
    let (connection, _notifications, mut peer) = connected().await;
    for n in 0..100 {
        connection.notify("count", json!({"n": n})).await.expect("queued");
    }
    let script = async {
        for n in 0..100 {
            assert_eq!(peer.receive().await.expect("a frame")["params"]["n"], n);
        }
        assert_eq!(peer.receive().await, None);
    };
    tokio::join!(connection.close(), script);
    let later = connection.notify("count", json!({})).await;
    assert!(matches!(later, Err(ClientError::Closed { .. })), "{later:?}");
}

#[tokio::test]
async fn dropping_the_last_client_says_goodbye() {
    let (connection, _notifications, mut peer) = connected().await;
    drop(connection);
    assert_eq!(peer.receive().await, None);
}

#[tokio::test]
async fn an_unanswered_request_times_out_and_its_late_answer_harms_nobody() {
    let coordinator = Coordinator::start().await;
    let endpoint = coordinator.url().into();
    let options = ClientOptions { request_timeout: Duration::from_millis(20), ..Default::default() };
    let (connection, mut peer) = tokio::join!(Connection::open(&endpoint, &options), coordinator.accept());
    let (connection, mut notifications) = connection.expect("connected");
    let result = connection.request("slow", json!({})).await;
    assert!(matches!(result, Err(ClientError::TimedOut { .. })), "{result:?}");
    let request = peer.receive().await.expect("the request");
    peer.reply(&request, json!("late")).await;
    peer.notify("still/there", Value::Null).await;
    assert_eq!(notifications.next().await.expect("a notification").method, "still/there");
}

#[tokio::test]
async fn a_frame_over_the_limit_is_not_sent() {
    let (connection, _notifications, mut peer) = connected().await;
    let large = "x".repeat(OUTBOUND_FRAME_BYTES_MAX);
    let refused = connection.notify("memory/set", json!({"value": large})).await;
    assert!(matches!(refused, Err(ClientError::TooLarge { .. })), "{refused:?}");
    connection.notify("small", json!({})).await.expect("queued");
    assert_eq!(peer.receive().await.expect("a frame")["method"], "small");
}

#[tokio::test]
async fn unread_notifications_end_the_connection_rather_than_memory_or_the_answers() {
    let (connection, mut notifications, mut peer) = connected().await;
    let script = async {
        peer.receive().await.expect("a request");
        for _ in 0..=NOTIFICATIONS_UNREAD_MAX {
            peer.notify("news", Value::Null).await;
        }
    };
    let (result, ()) = tokio::join!(connection.request("never/answered", json!({})), script);
    let Err(ClientError::Closed { reason }) = result else { panic!("{result:?}") };
    assert!(reason.contains("unread"), "{reason}");
    let mut read = 0;
    while notifications.next().await.is_some() {
        read += 1;
    }
    assert_eq!(read, NOTIFICATIONS_UNREAD_MAX);
}

#[tokio::test]
async fn an_address_without_a_coordinator_is_named_with_the_next_step() {
    let coordinator = Coordinator::start().await;
    let url = coordinator.url();
    drop(coordinator);
    let error = open(&url).await.expect_err("nobody listens").to_string();
    assert!(error.contains(&url) && error.contains("connect to another address"), "{error}");
    let nonsense = open("nonsense").await.expect_err("no address");
    assert!(matches!(nonsense, ClientError::BadAddress { .. }), "{nonsense:?}");
}

#[tokio::test]
async fn a_wrong_scheme_is_named_at_once() {
    for (url, words) in [
        ("http://localhost:8700", "ws://localhost:8700?"),
        ("localhost:99999", "ws://"),
        ("wss://localhost:8700", "TLS is not supported yet"),
    ] {
        let error = open(url).await.expect_err("a wrong scheme");
        assert!(matches!(error, ClientError::BadAddress { .. }), "{error:?}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn a_refused_handshake_brings_the_sentence_of_the_coordinator() {
    for (status, transient) in [("403 Forbidden", false), ("503 Service Unavailable", true)] {
        let coordinator = Coordinator::start().await;
        let url = coordinator.url();
        let (connection, ()) = tokio::join!(open(&url), coordinator.turn_away(status, "the reason, in words"));
        let error = connection.expect_err("turned away");
        assert!(matches!(error, ClientError::TurnedAway { .. }), "{error:?}");
        assert_eq!(error.is_transient(), transient);
        let said = error.to_string();
        assert!(said.contains("the reason, in words") && !said.contains("another address"), "{said}");
    }
}

#[tokio::test]
async fn a_web_server_is_no_coordinator() {
    let coordinator = Coordinator::start().await;
    let url = coordinator.url();
    let (connection, ()) = tokio::join!(open(&url), coordinator.turn_away("404 Not Found", "<html>"));
    let error = connection.expect_err("no coordinator").to_string();
    assert!(error.contains("no coordinator") && error.contains("404"), "{error}");
}
