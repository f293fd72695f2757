//! Pipelines on their way to a scripted coordinator.

use proptest::prelude::*;
use serde_json::value::to_raw_value;

use super::*;
use crate::client::code;
use crate::client::testing::{Coordinator, Peer};

/// A task of some size that waits for those at these places.
fn task(place: usize, depends_on: &[usize], bytes: usize) -> Task {
    let name = format!("t{place}");
    let upstream: Vec<String> = depends_on.iter().map(|place| format!("t{place}")).collect();
    let json = json!({"name": name, "config": {"depends_on": upstream, "filler": "x".repeat(bytes)}});
    Task { depends_on: depends_on.to_vec(), json: to_raw_value(&json).expect("JSON") }
}

fn pipeline(tasks: Vec<Task>) -> Submission {
    let config = json!({"strategy": "parallel"}).as_object().cloned().expect("an object");
    Submission::new("p".to_owned(), config, tasks).expect("no circle")
}

/// Tasks that each need a call of their own.
fn large(depends_on: &[&[usize]]) -> Submission {
    pipeline(depends_on.iter().enumerate().map(|(place, upstream)| task(place, upstream, 400_000)).collect())
}

async fn connected() -> (Client, Peer) {
    let coordinator = Coordinator::start().await;
    let url = coordinator.url();
    let (client, peer) = tokio::join!(Client::connect(&url), coordinator.accept());
    (client.expect("connected"), peer)
}

/// The next request, with the names of its tasks.
async fn request(peer: &mut Peer) -> (Value, Vec<String>) {
    let frame = peer.receive().await.expect("a request");
    let params = &frame["params"];
    let list = params["tasks"].as_array().or_else(|| params["config"]["tasks"].as_array());
    let names = list.into_iter().flatten().map(|task| task["name"].as_str().expect("a name").to_owned());
    let names = names.collect();
    (frame, names)
}

#[tokio::test]
async fn what_fits_a_frame_is_one_call_in_the_order_of_its_author() {
    let (client, mut peer) = connected().await;
    let submission = pipeline(vec![task(0, &[1], 10), task(1, &[], 10)]);
    let script = async {
        let (frame, names) = request(&mut peer).await;
        assert_eq!((&frame["method"], names), (&json!("pipeline/create"), vec!["t0".to_owned(), "t1".to_owned()]));
        assert_eq!(frame["params"]["config"].as_object().expect("an object").len(), 2, "strategy and tasks");
        peer.reply(&frame, json!({"pipeline_id": "id"})).await;
    };
    let (id, ()) = tokio::join!(submit(&client, &submission), script);
    assert_eq!(id.expect("created")["pipeline_id"], "id");
}

/// Takes the call that creates the pipeline, which has no tasks yet.
async fn created(peer: &mut Peer, tasks: usize) {
    let (frame, names) = request(peer).await;
    assert_eq!((&frame["method"], names.len()), (&json!("pipeline/create"), 0));
    assert_eq!(frame["params"]["config"][TASKS_EXPECTED], json!(tasks));
    peer.reply(&frame, json!({"pipeline_id": "id", "task_ids": []})).await;
}

/// The next call with tasks, which is one with this task alone.
async fn added(peer: &mut Peer, task: &str) -> Value {
    let (frame, names) = request(peer).await;
    assert_eq!((&frame["method"], names.join(" ")), (&json!("task/create"), task.to_owned()));
    assert_eq!(frame["params"]["pipeline_id"], "id");
    frame
}

/// Answers it with an id made of its task's name.
async fn take(peer: &mut Peer, frame: &Value) {
    let id = format!("id of {}", frame["params"]["tasks"][0]["name"].as_str().expect("a name"));
    peer.reply(frame, json!({"task_ids": [id]})).await;
}

#[tokio::test]
async fn more_comes_in_further_calls_each_task_after_what_it_waits_for() {
    let (client, mut peer) = connected().await;
    let submission = large(&[&[4], &[], &[0], &[], &[3]]);
    let script = async {
        created(&mut peer, 5).await;
        // Nobody waits for an answer here.
        let mut frames = Vec::new();
        for task in ["t3", "t4", "t0", "t1"] {
            frames.push(added(&mut peer, task).await);
        }
        for frame in &frames {
            take(&mut peer, frame).await;
        }
        let last = added(&mut peer, "t2").await;
        take(&mut peer, &last).await;
    };
    let (id, ()) = tokio::join!(submit(&client, &submission), script);
    let ids = json!(["id of t0", "id of t1", "id of t2", "id of t3", "id of t4"]);
    let made = id.expect("created");
    assert_eq!((&made["pipeline_id"], &made["task_ids"]), (&json!("id"), &ids));
}

#[tokio::test]
async fn what_a_lost_connection_left_unanswered_comes_again_in_the_same_order() {
    let coordinator = Coordinator::start().await;
    let url = coordinator.url();
    let (client, mut peer) = tokio::join!(Client::connect(&url), coordinator.accept());
    let client = client.expect("connected");
    let submission = large(&[&[], &[0], &[1], &[2]]);
    let script = async {
        created(&mut peer, 4).await;
        let mut frames = Vec::new();
        for task in ["t0", "t1", "t2", "t3"] {
            frames.push(added(&mut peer, task).await);
        }
        take(&mut peer, &frames[0]).await;
        drop(peer);
        let mut peer = coordinator.accept().await;
        for (frame, task) in frames[1..].iter().zip(["t1", "t2", "t3"]) {
            let again = added(&mut peer, task).await;
            assert_eq!(again, *frame, "the same call under the same id");
            take(&mut peer, &again).await;
        }
    };
    let (made, ()) = tokio::join!(submit(&client, &submission), script);
    assert_eq!(made.expect("created")["task_ids"], json!(["id of t0", "id of t1", "id of t2", "id of t3"]));
}

#[tokio::test]
async fn a_refused_part_takes_the_pipeline_with_it() {
    let (client, mut peer) = connected().await;
    let submission = large(&[&[], &[], &[], &[], &[]]);
    let script = async {
        created(&mut peer, 5).await;
        let second = added(&mut peer, "t0").await;
        peer.refuse(&second, code::INVALID_PARAMS, "the first reason").await;
        for task in ["t1", "t2", "t3"] {
            added(&mut peer, task).await;
        }
        let (last, _) = request(&mut peer).await;
        assert_eq!((&last["method"], &last["params"]), (&json!("pipeline/delete"), &json!({"pipeline_id": "id"})));
        peer.reply(&last, json!({})).await;
    };
    let (ended, ()) = tokio::join!(submit(&client, &submission), script);
    let error = ended.expect_err("refused").to_string();
    assert!(error.contains("the first reason"), "{error}");
}

#[test]
fn a_pipeline_without_some_of_its_tasks_is_known() {
    let info = |total: u64| json!({"config": {TASKS_EXPECTED: 3}, "metrics": {"tasks_total": total}});
    assert!(!is_whole(&info(2)) && is_whole(&info(3)) && is_whole(&info(4)));
    assert!(is_whole(&json!({"config": {}, "metrics": {"tasks_total": 0}})));
}

#[test]
fn a_circle_is_told_by_names_and_a_long_one_in_short() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m"];
    let told = |places: Vec<usize>| Circle(places).told(|place| names[place]);
    assert_eq!(told(vec![2, 0, 2]), "c → a → c");
    assert_eq!(told((0..13).chain([0]).collect()), "a → b → c → d → e → f → (2 more) → i → j → k → l → m → a");
}

#[test]
fn a_circle_is_named_and_a_long_chain_is_none() {
    let circle = |edges: &[&[usize]]| {
        let tasks = edges.iter().enumerate().map(|(place, upstream)| task(place, upstream, 0)).collect();
        Submission::new("p".to_owned(), Map::new(), tasks).expect_err("a circle")
    };
    assert_eq!(circle(&[&[0]]), [Circle(vec![0, 0])]);
    assert_eq!(circle(&[&[], &[0, 3], &[1], &[2]]), [Circle(vec![1, 3, 2, 1])]);
    assert_eq!(circle(&[&[1], &[0], &[3], &[2]]), [Circle(vec![0, 1, 0]), Circle(vec![2, 3, 2])]);
    let chain = (0..100_000).map(|place| Task {
        depends_on: if place == 99_999 { Vec::new() } else { vec![place + 1] },
        json: RawValue::NULL.to_owned(),
    });
    assert_eq!(order::in_order(&chain.collect::<Vec<_>>()).expect("a chain")[0], 99_999);
}

proptest! {
    // Megabytes a case.
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn every_part_fits_a_frame_and_all_of_it_is_there_in_order(
        sizes in prop::collection::vec((0_usize..600_000, prop::collection::vec(any::<prop::sample::Index>(), 0..3)), 0..12)
    ) {
        // Each waits for some behind it: the worst order.
        let count = sizes.len();
        let tasks: Vec<Task> = sizes.iter().enumerate().map(|(place, (bytes, upstream))| {
            let behind = upstream.iter().filter(|_| place + 1 < count).map(|index| place + 1 + index.index(count - place - 1));
            task(place, &behind.collect::<Vec<_>>(), *bytes)
        }).collect();
        let submission = pipeline(tasks);
        let mut sent = Vec::new();
        for (number, part) in submission.parts().iter().enumerate() {
            let call = if number == 0 { submission.create(part) } else { submission.add("id", part) }.expect("a call");
            prop_assert!(call.text().len() <= OUTBOUND_FRAME_BYTES_MAX);
            prop_assert!(number == 0 || !part.is_empty());
            sent.extend_from_slice(&submission.order[part.clone()]);
            for place in &submission.order[part.clone()] {
                prop_assert!(submission.tasks[*place].depends_on.iter().all(|upstream| sent.contains(upstream)));
            }
        }
        sent.sort_unstable();
        prop_assert_eq!(sent, (0..count).collect::<Vec<_>>());
    }
}
