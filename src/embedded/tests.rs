//! The whole of it: engine, sessions, log, with and without a socket.

use super::*;
use crate::agent::{Agent, AgentConfig, Assignment, CancelToken, Handler, Outcome, TaskContext};
use serde_json::{Value, json};
use std::path::Path;

/// Hands back its task's config.
struct Echo;

impl Handler for Echo {
    async fn run(&self, task: Assignment, _: TaskContext) -> Outcome {
        Outcome::done(task.config)
    }
}

async fn call(client: &Client, method: &str, params: Value) -> Value {
    client.call(method, params).await.unwrap()
}

/// What a task comes to once it has ended.
async fn result(client: &Client, task: &Value) -> Value {
    tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            let answer = call(client, "task/result", json!({"task_id": task})).await;
            if ["completed", "failed", "cancelled"].map(Value::from).contains(&answer["status"]) {
                return answer;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap()
}

async fn runs_a_task(coordinator: &Coordinator, endpoint: Endpoint) {
    let client = coordinator.client().await.unwrap();
    let leave = CancelToken::new();
    let config = AgentConfig::new(endpoint, "echo").capabilities(["echo"]);
    let agent = tokio::spawn(Agent::new(config, Echo).run(leave.clone()));
    let config = json!({"required_capabilities": ["echo"], "text": "é\u{1f600}"});
    let task = call(&client, "task/create", json!({"name": "t", "config": config})).await["task_id"].clone();
    let ended = result(&client, &task).await;
    assert_eq!((&ended["status"], &ended["result"]["text"]), (&json!("completed"), &json!("é\u{1f600}")));
    leave.cancel();
    agent.await.unwrap().unwrap();
    let agents = call(&client, "agent/list", json!({})).await;
    assert_eq!(agents["total"], 0, "it said goodbye: {agents}");
    client.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_and_clients_need_no_socket() {
    let coordinator = Coordinator::in_memory().await.unwrap();
    assert_eq!((coordinator.addr(), coordinator.url()), (None, None));
    runs_a_task(&coordinator, coordinator.endpoint()).await;
    coordinator.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_through_the_door_meets_who_is_inside() {
    let coordinator = Coordinator::builder().listen("localhost", 0).open().await.unwrap();
    let url = coordinator.url().unwrap();
    assert!(url.starts_with("ws://127.0.0.1:") || url.starts_with("ws://[::1]:"), "{url}");
    runs_a_task(&coordinator, url.into()).await;
    coordinator.close().await.unwrap();
}

async fn open(data: &Path) -> Coordinator {
    Coordinator::open(data).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_there_after_a_close_and_a_new_open() {
    let dir = tempfile::tempdir().unwrap();
    let coordinator = open(dir.path()).await;
    let client = coordinator.client().await.unwrap();
    call(&client, "memory/set", json!({"key": "k", "value": {"deep": [1, null]}})).await;
    coordinator.close().await.unwrap();
    let gone = client.call("memory/get", json!({"key": "k"})).await.unwrap_err();
    assert!(gone.to_string().contains("has ended"), "{gone}");

    // The old client and its endpoint are still held: the directory is free all the same.
    let coordinator = open(dir.path()).await;
    let again = coordinator.client().await.unwrap();
    assert_eq!(call(&again, "memory/get", json!({"key": "k"})).await["value"], json!({"deep": [1, null]}));
    coordinator.close().await.unwrap();
    client.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_a_coordinator_frees_its_directory() {
    let dir = tempfile::tempdir().unwrap();
    let coordinator = open(dir.path()).await;
    let endpoint = coordinator.endpoint();
    let client = coordinator.client().await.unwrap();
    call(&client, "memory/set", json!({"key": "k", "value": 1})).await;
    drop(coordinator);
    let gone = Client::connect(endpoint).await.err().unwrap();
    assert!(gone.to_string().contains("has ended"), "{gone}");
    drop(client);
    let again = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            match Coordinator::open(dir.path()).await {
                Ok(coordinator) => return coordinator,
                Err(error) => assert!(error.to_string().contains("in use"), "{error}"),
            }
        }
    });
    let again = again.await.expect("the directory is free before long");
    let client = again.client().await.unwrap();
    assert_eq!(call(&client, "memory/get", json!({"key": "k"})).await["value"], 1);
    again.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_coordinators_do_not_share_a_data_directory() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path()).await;
    let error = Coordinator::open(dir.path()).await.err().unwrap();
    assert!(error.to_string().contains("in use"), "{error}");
    first.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_machines_stay_outside() {
    let error = Coordinator::builder().listen("0.0.0.0", 0).open().await.err().unwrap();
    assert!(error.to_string().contains("not a loopback address"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_coordinator_keeps_nobody_waiting() {
    let coordinator = Coordinator::in_memory().await.unwrap();
    let options = crate::ClientOptions::default().max_retries(u32::MAX);
    let client = Client::connect_with(&coordinator, options).await.unwrap();
    let agent = Agent::new(AgentConfig::new(&coordinator, "echo"), Echo).run(CancelToken::new());
    let agent = tokio::spawn(agent);
    let mut updates = client.subscribe(["pipeline/*"]).await.unwrap();
    let idle = client.create_pipeline(&crate::api::PipelineSpec::new("idle")).await.unwrap();
    let run = crate::Host::new(client.clone()).attach(idle.pipeline_id);
    let waiting = tokio::spawn(async move { run.wait().await });
    coordinator.close().await.unwrap();
    let ends = async {
        assert!(matches!(waiting.await.unwrap(), Err(ClientError::Ended)));
        assert!(matches!(agent.await.unwrap(), Err(crate::AgentError::Rejected { cause: ClientError::Ended, .. })));
        while updates.next().await.is_some() {}
        assert!(matches!(client.call("agent/list", json!({})).await, Err(ClientError::Ended)));
    };
    tokio::time::timeout(Duration::from_secs(30), ends).await.expect("everybody is told");
}

/// Fails before there is anything to wait for.
struct Hasty;

impl Handler for Hasty {
    fn run(&self, _: Assignment, _: TaskContext) -> impl Future<Output = Outcome> + Send {
        assert!(std::thread::panicking(), "no time for that");
        async { Outcome::done(Value::Null) }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_panics_before_its_future_fails_its_task() {
    let coordinator = Coordinator::builder().retry_attempts(0).open().await.unwrap();
    let client = coordinator.client().await.unwrap();
    let leave = CancelToken::new();
    let agent = tokio::spawn(Agent::new(AgentConfig::new(&coordinator, "hasty"), Hasty).run(leave.clone()));
    let task = call(&client, "task/create", json!({"name": "t"})).await["task_id"].clone();
    let ended = result(&client, &task).await;
    assert_eq!(ended["status"], "failed");
    assert!(ended["error_info"]["message"].as_str().unwrap().contains("no time for that"), "{ended}");
    leave.cancel();
    agent.await.unwrap().unwrap();
    coordinator.close().await.unwrap();
}
