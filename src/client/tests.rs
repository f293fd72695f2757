//! The client against a scripted coordinator in this process, on paused time: what waits, waits exactly as long as it says.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::testing::{Indoors, Peer};
use super::*;

const PIPELINE: &str = "018f0000-0000-7000-8000-000000000001";

async fn connected_with(options: ClientOptions) -> (Client, Indoors, Peer) {
    let mut coordinator = Indoors::new();
    let client = Client::connect_with(coordinator.endpoint(), options).await.expect("connected");
    let peer = coordinator.accept().await;
    (client, coordinator, peer)
}

async fn connected() -> (Client, Indoors, Peer) {
    connected_with(ClientOptions::default()).await
}

/// A call that somebody waits for.
fn call(client: &Client, method: &'static str, params: Value) -> JoinHandle<Result<Value, ClientError>> {
    let client = client.clone();
    tokio::spawn(async move { client.call(method, params).await })
}

fn subscribe(client: &Client, topics: &'static [&'static str]) -> JoinHandle<Result<Subscription, ClientError>> {
    let client = client.clone();
    tokio::spawn(async move { client.subscribe(topics).await })
}

async fn subscribed(client: &Client, peer: &mut Peer, topics: &'static [&'static str]) -> Subscription {
    let subscribing = subscribe(client, topics);
    let request = peer.expect("subscribe").await;
    assert_eq!(request["params"], json!({"topics": topics}));
    peer.reply(&request, json!({"topics": topics})).await;
    subscribing.await.expect("joined").expect("subscribed")
}

async fn heard(subscription: &mut Subscription) -> Update {
    subscription.next().await.expect("an update")
}

fn news(method: &str, params: Value) -> Update {
    Update::Notification(Notification { method: method.to_owned(), params })
}

#[tokio::test(start_paused = true)]
async fn an_unanswered_call_is_repeated_over_the_next_connection_and_looks_the_same() {
    let (client, mut coordinator, mut peer) = connected().await;
    let calling = call(&client, "pipeline/create", json!({"name": "p", "b": 1.50, "a": [null]}));
    let first = peer.expect("pipeline/create").await;
    drop(peer);
    let mut peer = coordinator.accept().await;
    let second = peer.expect("pipeline/create").await;
    assert_eq!(first, second, "the same id, the same parameters");
    peer.reply(&second, json!({"pipeline_id": "1"})).await;
    assert_eq!(calling.await.expect("joined").expect("a result"), json!({"pipeline_id": "1"}));
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_for_a_coordinator_that_comes_back() {
    let (client, mut coordinator, peer) = connected().await;
    coordinator.shut(true);
    drop(peer);
    let calling = call(&client, "task/list", json!({}));
    while coordinator.knocks() < 3 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    coordinator.shut(false);
    let mut peer = coordinator.accept().await;
    let request = peer.expect("task/list").await;
    peer.reply(&request, json!({"total": 0})).await;
    calling.await.expect("joined").expect("a result");
}

#[tokio::test(start_paused = true)]
async fn a_call_bears_a_restart_and_gives_up_when_its_patience_is_over_and_the_next_one_tries_again() {
    let (client, mut coordinator, peer) = connected().await;
    coordinator.shut(true);
    drop(peer);
    for call_no in 1..=2 {
        let (began, knocked) = (Instant::now(), coordinator.knocks());
        let error = client.call("task/list", json!({})).await.expect_err("nobody is there");
        assert!(matches!(error, ClientError::Unreachable { .. }), "{error:?}");
        assert_eq!(began.elapsed().as_secs(), 14, "call {call_no}");
        assert!(coordinator.knocks() > knocked, "call {call_no}");
    }
    coordinator.shut(false);
    let calling = call(&client, "task/list", json!({}));
    let mut peer = coordinator.accept().await;
    let request = peer.expect("task/list").await;
    peer.reply(&request, json!({})).await;
    calling.await.expect("joined").expect("a result");
}

#[tokio::test(start_paused = true)]
async fn without_retries_a_call_does_not_wait_for_a_connection() {
    let options = ClientOptions::default().max_retries(0);
    let (client, coordinator, mut peer) = connected_with(options).await;
    coordinator.shut(true);
    let calling = call(&client, "task/list", json!({}));
    peer.expect("task/list").await;
    drop(peer);
    let lost = calling.await.expect("joined").expect_err("lost");
    assert!(matches!(lost, ClientError::Closed { .. }), "{lost:?}");
    let before = Instant::now();
    let error = client.call("task/list", json!({})).await.expect_err("nobody is there");
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error:?}");
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_ends_every_connection_is_not_repeated_for_ever() {
    let (client, mut coordinator, mut peer) = connected().await;
    let calling = call(&client, "poison", json!({}));
    for _ in 0..3 {
        peer.expect("poison").await;
        drop(peer);
        peer = coordinator.accept().await;
    }
    peer.expect("poison").await;
    drop(peer);
    let error = calling.await.expect("joined").expect_err("given up");
    assert!(matches!(error, ClientError::Closed { .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn only_the_time_on_a_living_connection_counts_against_a_call() {
    let options = ClientOptions::default().max_retries(u32::MAX);
    let (client, mut coordinator, mut peer) = connected_with(options).await;
    coordinator.shut(true);
    let calling = call(&client, "slow", json!({}));
    peer.expect("slow").await;
    drop(peer);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(!calling.is_finished());
    coordinator.shut(false);
    let mut peer = coordinator.accept().await;
    peer.expect("slow").await;
    let sent = Instant::now();
    let error = calling.await.expect("joined").expect_err("no answer");
    assert!(matches!(error, ClientError::TimedOut { .. }), "{error:?}");
    assert_eq!(sent.elapsed().as_secs(), 30);
    // A late answer harms nobody, and the connection is as good as before.
    let calling = call(&client, "quick", json!({}));
    let request = peer.expect("quick").await;
    peer.reply(&request, json!(1)).await;
    assert_eq!(calling.await.expect("joined").expect("a result"), json!(1));
}

#[tokio::test(start_paused = true)]
async fn an_overloaded_coordinator_is_asked_again_later_and_not_for_ever() {
    let (client, _coordinator, mut peer) = connected().await;
    for refusals in [2, 4] {
        let (calling, began) = (call(&client, "memory/set", json!({"key": "k"})), Instant::now());
        let first = peer.expect("memory/set").await;
        peer.refuse(&first, code::OVERLOADED, "the inbox is full").await;
        for _ in 1..refusals {
            let again = peer.expect("memory/set").await;
            assert_eq!(again, first);
            peer.refuse(&again, code::OVERLOADED, "the inbox is full").await;
        }
        if refusals == 2 {
            let last = peer.expect("memory/set").await;
            peer.reply(&last, json!({"status": "stored"})).await;
            calling.await.expect("joined").expect("stored");
            assert!(began.elapsed() > Duration::from_millis(100), "it paused: {:?}", began.elapsed());
        } else {
            let error = calling.await.expect("joined").expect_err("given up");
            assert!(matches!(error, ClientError::Refused { code: code::OVERLOADED, .. }), "{error:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_final() {
    let (client, _coordinator, mut peer) = connected().await;
    let calling = call(&client, "task/status", json!({}));
    let request = peer.expect("task/status").await;
    peer.refuse(&request, code::TASK_NOT_FOUND, "there is no task 7").await;
    let error = calling.await.expect("joined").expect_err("refused");
    assert!(matches!(error, ClientError::Refused { code: code::TASK_NOT_FOUND, .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn more_calls_than_may_be_in_flight_wait_for_their_turn() {
    let (client, _coordinator, mut peer) = connected().await;
    let calls: Vec<_> = (0..=CALLS_IN_FLIGHT_MAX).map(|n| call(&client, "echo", json!({"n": n}))).collect();
    let mut asked = Vec::new();
    for _ in 0..CALLS_IN_FLIGHT_MAX {
        asked.push(peer.expect("echo").await);
    }
    // Paused time moves on only when everybody waits: nothing more is under way.
    let silent = tokio::time::timeout(Duration::from_secs(1), peer.receive()).await;
    assert!(silent.is_err(), "{silent:?}");
    for request in &asked {
        peer.reply(request, request["params"].clone()).await;
    }
    let last = peer.expect("echo").await;
    peer.reply(&last, last["params"].clone()).await;
    for (n, calling) in calls.into_iter().enumerate() {
        assert_eq!(calling.await.expect("joined").expect("a result"), json!({"n": n}));
    }
}

#[tokio::test(start_paused = true)]
async fn each_subscription_hears_what_it_asked_for_and_nothing_else() {
    let (client, _coordinator, mut peer) = connected().await;
    let mut tasks = subscribed(&client, &mut peer, &["task/*"]).await;
    let mut mine = subscribed(&client, &mut peer, &["pipeline:018f0000-0000-7000-8000-000000000001"]).await;
    let of = |pipeline: &str| json!({"pipeline_id": pipeline, "status": "running"});
    // The first is what the broadcast brings to who has not subscribed to anything yet.
    peer.notify("pipeline/created", of("018f0000-0000-7000-8000-000000000002")).await;
    peer.notify("task/changed", of(PIPELINE)).await;
    peer.notify("pipeline/completed", of(PIPELINE)).await;
    peer.notify("task/changed", of("")).await;
    assert_eq!(heard(&mut tasks).await, news("task/changed", of(PIPELINE)));
    assert_eq!(heard(&mut tasks).await, news("task/changed", of("")));
    assert_eq!(heard(&mut mine).await, news("task/changed", of(PIPELINE)));
    assert_eq!(heard(&mut mine).await, news("pipeline/completed", of(PIPELINE)));
    client.close().await;
    assert_eq!((tasks.next().await, mine.next().await), (None, None));
}

#[tokio::test(start_paused = true)]
async fn subscriptions_are_renewed_on_the_next_connection_and_say_so() {
    let (client, mut coordinator, mut peer) = connected().await;
    let mut tasks = subscribed(&client, &mut peer, &["task/*"]).await;
    drop(peer);
    let mut peer = coordinator.accept().await;
    let renewal = peer.expect("subscribe").await;
    assert_eq!(renewal["params"], json!({"topics": ["task/*"]}));
    peer.refuse(&renewal, code::OVERLOADED, "the inbox is full").await;
    let renewal = peer.expect("subscribe").await;
    peer.notify("task/changed", json!({"n": 1})).await;
    peer.reply(&renewal, json!({"topics": ["task/*"]})).await;
    peer.notify("task/changed", json!({"n": 2})).await;
    let mut updates = [heard(&mut tasks).await, heard(&mut tasks).await, heard(&mut tasks).await].to_vec();
    // Where it stands among what comes after the cut does not matter: whoever looks again sees all of that.
    updates.retain(|update| *update != Update::Resumed);
    assert_eq!(updates, [1, 2].map(|n| news("task/changed", json!({"n": n}))));
}

#[tokio::test(start_paused = true)]
async fn a_client_outlives_a_coordinator_that_is_away_for_long() {
    let (client, mut coordinator, mut peer) = connected().await;
    let mut tasks = subscribed(&client, &mut peer, &["task/*"]).await;
    coordinator.shut(true);
    drop(peer);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    coordinator.shut(false);
    let back = Instant::now();
    let mut peer = coordinator.accept().await;
    assert!(back.elapsed() <= Duration::from_secs(5), "{:?}", back.elapsed());
    let renewal = peer.expect("subscribe").await;
    peer.reply(&renewal, json!({"topics": ["task/*"]})).await;
    assert_eq!(heard(&mut tasks).await, Update::Resumed);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_is_not_renewed_ends_with_the_reason() {
    let (client, mut coordinator, mut peer) = connected().await;
    let mut tasks = subscribed(&client, &mut peer, &["task/*"]).await;
    let mut beats = subscribed(&client, &mut peer, &["server/heartbeat"]).await;
    drop(peer);
    let mut peer = coordinator.accept().await;
    for _ in 0..2 {
        let renewal = peer.expect("subscribe").await;
        match renewal["params"]["topics"][0].as_str() {
            Some("task/*") => peer.refuse(&renewal, code::FORBIDDEN, "not for you").await,
            _ => peer.reply(&renewal, json!({})).await,
        }
    }
    let Update::Ended { reason } = heard(&mut tasks).await else { panic!("it was refused") };
    assert!(reason.contains("not for you"), "{reason}");
    assert_eq!(tasks.next().await, None);
    assert_eq!(heard(&mut beats).await, Update::Resumed, "the other one goes on");
    drop(tasks);
    drop(peer);
    let mut peer = coordinator.accept().await;
    assert_eq!(peer.expect("subscribe").await["params"], json!({"topics": ["server/heartbeat"]}), "and it alone");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_subscription_takes_its_topics_along_unless_another_wants_them() {
    let (client, mut coordinator, mut peer) = connected().await;
    let one = subscribed(&client, &mut peer, &["task/*", "server/heartbeat"]).await;
    let two = subscribed(&client, &mut peer, &["task/*"]).await;
    drop(one);
    assert_eq!(peer.expect("unsubscribe").await["params"], json!({"topics": ["server/heartbeat"]}));
    drop(peer);
    let mut peer = coordinator.accept().await;
    assert_eq!(peer.expect("subscribe").await["params"], json!({"topics": ["task/*"]}));
    drop(two);
    assert_eq!(peer.expect("unsubscribe").await["params"], json!({"topics": ["task/*"]}));
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_subscribing_leaves_nothing_behind() {
    let (client, mut coordinator, mut peer) = connected().await;
    let subscribing = subscribe(&client, &["task/*"]);
    peer.expect("subscribe").await;
    subscribing.abort();
    assert_eq!(peer.expect("unsubscribe").await["params"], json!({"topics": ["task/*"]}));
    drop(peer);
    let mut peer = coordinator.accept().await;
    client.close().await;
    assert_eq!(peer.receive().await, None, "nothing is renewed");
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_misses_the_oldest_and_is_told_how_many() {
    let (client, _coordinator, mut peer) = connected().await;
    let mut slow = subscribed(&client, &mut peer, &["task/*"]).await;
    let sent = subscription::UPDATES_UNREAD_MAX + 7;
    for n in 0..sent {
        peer.notify("task/changed", json!({"n": n})).await;
    }
    // The answer comes after all of them, so they have been handed out.
    let calling = call(&client, "echo", json!({}));
    let request = peer.expect("echo").await;
    peer.reply(&request, json!({})).await;
    calling.await.expect("joined").expect("a result");
    tokio::task::yield_now().await;
    let mut told = 0;
    while told < sent {
        told += match heard(&mut slow).await {
            Update::Missed(missed) => usize::try_from(missed).expect("few"),
            Update::Notification(notification) => {
                assert_eq!(notification.params["n"], json!(told), "in order, the newest kept");
                1
            }
            Update::Resumed | Update::Ended { .. } => panic!("nothing was lost"),
        };
    }
    assert_eq!(told, sent);
}

#[tokio::test(start_paused = true)]
async fn a_refused_subscription_is_not_held_on_to() {
    let (client, mut coordinator, mut peer) = connected().await;
    let subscribing = subscribe(&client, &["pipelines"]);
    let request = peer.expect("subscribe").await;
    peer.refuse(&request, code::INVALID_PARAMS, "topics[0] must be a topic").await;
    let error = subscribing.await.expect("joined").expect_err("refused");
    assert!(matches!(error, ClientError::Refused { code: code::INVALID_PARAMS, .. }), "{error:?}");
    peer.expect("unsubscribe").await;
    drop(peer);
    let mut peer = coordinator.accept().await;
    client.close().await;
    assert_eq!(peer.receive().await, None, "nothing is renewed");
}

#[tokio::test(start_paused = true)]
async fn a_closed_client_says_goodbye_and_takes_no_calls() {
    let (client, coordinator, mut peer) = connected().await;
    let (calling, closing) = (call(&client, "slow", json!({})), client.clone());
    peer.expect("slow").await;
    let script = async { assert_eq!(peer.receive().await, None) };
    tokio::join!(closing.close(), script);
    for error in [calling.await.expect("joined"), client.call("late", json!({})).await] {
        assert!(matches!(error, Err(ClientError::Closed { .. })), "{error:?}");
    }
    client.close().await;
    assert_eq!(coordinator.knocks(), 1, "it does not connect again");
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_that_is_dropped_ends_the_connection_also_where_there_is_none() {
    let (client, _coordinator, mut peer) = connected().await;
    let subscription = subscribed(&client, &mut peer, &["*"]).await;
    drop(client);
    peer.notify("news/any", json!({})).await;
    let mut subscription = subscription;
    assert_eq!(heard(&mut subscription).await, news("news/any", json!({})));
    drop(subscription);
    assert_eq!(peer.skip_to_goodbye().await, ["unsubscribe"]);

    let (client, coordinator, peer) = connected().await;
    coordinator.shut(true);
    drop(peer);
    client.call("task/list", json!({})).await.expect_err("nobody is there");
    drop(client);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let knocks = coordinator.knocks();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(coordinator.knocks(), knocks, "nobody tries any more");
}
