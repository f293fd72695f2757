//! The library's typed calls against the real coordinator: every one is understood, and every record that it sends is read in
//! full.

use crate::harness::Server;
use everlog::api::{
    AgentFilter, AgentStatus, ErrorFilter, ErrorReport, Event, Health, Hook, ModelFigures, OnFailure, PipelineChange,
    PipelineFilter, PipelineSpec, PipelineStatus, Retry, RunningTasks, TaskFilter, TaskSpec, TaskStatus, Timeframe,
};
use everlog::{
    Agent, AgentConfig, AgentError, Assignment, CancelToken, Client, ClientError, Coordinator, Handler, Host, Run,
    Subscription, TaskContext, Update, code,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::task::JoinHandle;

/// What does not come within this is not coming.
const PATIENCE: Duration = Duration::from_secs(30);

/// Programs spawn tasks with these: losing one of the traits would break them, and nothing here.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<Client>();
    shared::<Coordinator>();
    shared::<Host>();
    shared::<Run>();
    shared::<Subscription>();
    const fn sent<H: Handler, F: Future + Send>(_: fn(Agent<H>, CancelToken) -> F) {}
    const fn an_agent<H: Handler>() {
        sent::<H, _>(Agent::<H>::run);
    }
    let _ = an_agent::<fn(Assignment, TaskContext) -> std::future::Ready<Value>>;
};

/// A coordinator, a client, and an agent that does what a task's config says.
struct World {
    _server: Server,
    client: Client,
    leave: CancelToken,
    agent: JoinHandle<Result<(), AgentError>>,
}

impl World {
    async fn start() -> Self {
        let server = Server::start();
        let client = Client::connect(server.url()).await.expect("connected");
        let config = AgentConfig::new(server.url(), "worker").id("w").capabilities(["train"]).resource("cpu", 2.0);
        let leave = CancelToken::new();
        let agent = tokio::spawn(Agent::new(config, handle).run(leave.clone()));
        let world = Self { _server: server, client, leave, agent };
        // The first task is a sign that the agent has registered.
        let run = Host::new(world.client.clone()).submit(&PipelineSpec::new("first").task(TaskSpec::new("t"))).await;
        assert!(run.expect("submitted").wait().await.expect("ended").has_succeeded());
        world
    }

    async fn end(self) {
        self.client.close().await;
        self.leave.cancel();
        self.agent.await.expect("joined").expect("left in peace");
    }
}

async fn handle(task: Assignment, context: TaskContext) -> Result<Value, String> {
    match task.config["do"].as_str() {
        Some("fail") => Err("it was told to".to_owned()),
        Some("wait") => {
            context.progress(0.25, "waiting");
            context.cancel().cancelled().await;
            Err("cancelled".to_owned())
        }
        Some("train") => {
            context.report_model("from the agent", json!({"accuracy": 0.95}));
            Ok(json!("trained"))
        }
        _ => Ok(json!({"inputs": task.inputs})),
    }
}

fn code_of<T: std::fmt::Debug>(answer: Result<T, ClientError>) -> i64 {
    match answer {
        Err(ClientError::Refused { code, .. }) => code,
        other => panic!("it was not refused: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipeline_from_its_creation_to_its_deletion() {
    let world = World::start().await;
    let client = &world.client;
    let spec = PipelineSpec::new("p")
        .max_concurrent_tasks(3)
        .task(TaskSpec::new("a").set("do", "fail").priority(5))
        .task(TaskSpec::new("b").depends_on(["a"]))
        .retry(Retry::attempts(0));
    let created = client.create_pipeline(&spec).await.expect("created");
    let id = created.pipeline_id.as_str();
    assert_eq!((created.name.as_str(), created.task_ids.len()), ("p", 2));
    let idle = client.pipeline(id).await.expect("known");
    assert_eq!((&idle.status, idle.metrics.tasks_total, idle.started_at), (&PipelineStatus::Idle, 2, None));
    assert_eq!(idle.config["max_concurrent_tasks"], 3);
    let run = Host::new(client.clone()).attach(id);
    let mut updates = run.updates().await.expect("subscribed");
    let started = client.start_pipeline(id).await.expect("started");
    assert!(started >= created.created_at);
    let failed = run.wait().await.expect("ended");
    assert_eq!((failed.status.clone(), failed.has_succeeded()), (PipelineStatus::Failed, false));
    assert!(failed.strategy.is_some() && failed.mode.is_some() && failed.completed_at >= failed.started_at);
    assert_eq!(failed.error_info.expect("a reason").kind, "task_failed");
    let mut told = Vec::new();
    while told.last().is_none_or(|method| method != "pipeline/failed") {
        let update = tokio::time::timeout(PATIENCE, updates.next()).await.expect("in time").expect("an update");
        let Update::Notification(notification) = update else { panic!("{update:?}") };
        assert_eq!(notification.params["pipeline_id"], id);
        told.push(notification.method);
    }
    let tasks = run.tasks().await.expect("tasks");
    let statuses: Vec<_> = tasks.iter().map(|task| (task.name.as_str(), task.status.as_str())).collect();
    assert_eq!(statuses, [("a", "failed"), ("b", "cancelled")]);
    assert_eq!((tasks[0].attempt, tasks[0].failures, tasks[0].priority), (1, 1, 5));
    assert_eq!(tasks[1].depends_on, [tasks[0].id.clone()]);
    let result = run.result("a").await.expect("a result");
    assert_eq!(
        (&result.result, result.error_info.expect("a reason").message),
        (&Value::Null, "it was told to".to_owned())
    );
    let page = client.pipelines(&PipelineFilter::default().limit(1)).await.expect("listed");
    assert_eq!((page.items.len(), page.total, page.limit, page.offset), (1, 2, 1, 0));
    let ended = PipelineFilter::default().status(PipelineStatus::Failed);
    assert_eq!(client.pipelines(&ended).await.expect("listed").items[0].id, id);
    assert_eq!(code_of(client.start_pipeline(id).await), code::PIPELINE_ENDED);
    run.delete().await.expect("deleted");
    assert_eq!(code_of(run.status().await), code::PIPELINE_NOT_FOUND);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipeline_is_steered() {
    let world = World::start().await;
    let run = Host::new(world.client.clone())
        .submit(&PipelineSpec::new("p").task(TaskSpec::new("long").set("do", "wait")))
        .await
        .expect("submitted");
    let mut updates = run.updates().await.expect("subscribed");
    until_progress(&mut updates, &run).await;
    run.pause(RunningTasks::Cancel).await.expect("paused");
    assert_eq!(run.status().await.expect("known").status, PipelineStatus::Paused);
    assert_eq!(code_of(run.pause(RunningTasks::Finish).await), code::PIPELINE_NOT_RUNNING);
    run.resume().await.expect("resumed");
    assert_eq!(code_of(run.resume().await), code::PIPELINE_NOT_PAUSED);
    until_progress(&mut updates, &run).await;
    let metrics = run.stop(Some("enough")).await.expect("stopped");
    assert!(metrics.stopped && metrics.tasks_cancelled == 1, "{metrics:?}");
    let info = run.wait().await.expect("ended");
    assert!(info.status == PipelineStatus::Completed && !info.has_succeeded());
    world.end().await;
}

/// Waits until the coordinator tells what the task's agent said of it.
async fn until_progress(updates: &mut everlog::Subscription, run: &everlog::Run) {
    let told = async {
        while run.tasks().await.expect("tasks")[0].progress != Some(0.25) {
            updates.next().await.expect("an update");
        }
    };
    tokio::time::timeout(PATIENCE, told).await.expect("in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_failed_is_retried_in_a_pipeline_that_goes_on_and_anew_in_one_that_has_ended() {
    let world = World::start().await;
    let (client, host) = (&world.client, Host::new(world.client.clone()));
    let spec = PipelineSpec::new("p")
        .on_failure(OnFailure::SkipDownstream)
        .retry(Retry::attempts(0))
        .task(TaskSpec::new("bad").set("do", "fail"))
        .task(TaskSpec::new("bad luck").set("do", "wait"));
    let run = host.submit(&spec).await.expect("submitted");
    let mut updates = run.updates().await.expect("subscribed");
    let failed = until_failed(&mut updates, &run).await;
    let again = client.retry_task(&failed).await.expect("retried");
    assert_eq!((again.status.as_str(), again.pipeline_id.as_deref()), ("retried", Some(run.id())));
    assert_eq!(client.task(&again.task_ids[0]).await.expect("known").retry_of, Some(failed.clone()));
    assert_eq!(run.result("bad").await.expect("the newest of its name").task_id, again.task_ids[0]);

    run.stop(None).await.expect("stopped");
    let anew = client.retry_pipeline(run.id()).await.expect("retried");
    let repeated = host.attach(anew.pipeline_id.expect("a new one"));
    assert_ne!(repeated.id(), run.id());
    let tasks = repeated.tasks().await.expect("listed");
    assert_eq!(tasks.iter().map(|task| &task.id).collect::<Vec<_>>(), anew.task_ids.iter().collect::<Vec<_>>());
    assert!(tasks.iter().all(|task| task.retry_of.is_some()), "{tasks:?}");
    assert_eq!(code_of(client.retry_task("nobody").await), code::TASK_NOT_FOUND);
    repeated.stop(None).await.expect("stopped");
    world.end().await;
}

/// Waits until the task `bad` has failed; its id.
async fn until_failed(updates: &mut everlog::Subscription, run: &everlog::Run) -> String {
    let told = async {
        loop {
            let bad = run.result("bad").await.expect("there is one");
            if bad.status == TaskStatus::Failed {
                return bad.task_id;
            }
            updates.next().await.expect("an update");
        }
    };
    tokio::time::timeout(PATIENCE, told).await.expect("in time")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_and_agents() {
    let world = World::start().await;
    let client = &world.client;
    let nobody_can = TaskSpec::new("waits").required_capabilities(["fly"]);
    let id = client.create_task(None, &nobody_can).await.expect("created");
    let ids = client.create_tasks(None, &[nobody_can.clone(), nobody_can]).await.expect("created");
    assert_eq!(ids.len(), 2);
    let info = client.task(&id).await.expect("known");
    assert_eq!((info.status, info.pipeline_id.as_str(), info.attempt), (TaskStatus::Pending, "", 0));
    assert_eq!(code_of(client.assign_task(&id, "w").await), code::AGENT_NOT_AVAILABLE);
    client.cancel_task(&id, Some("changed my mind")).await.expect("cancelled");
    let result = client.task_result(&id).await.expect("known");
    assert_eq!(
        (result.status, result.error_info.expect("a reason").kind),
        (TaskStatus::Cancelled, "cancelled".to_owned())
    );
    let waiting = TaskFilter::default().status(TaskStatus::Pending);
    let listed: Vec<String> =
        client.tasks(&waiting).await.expect("listed").items.into_iter().map(|task| task.id).collect();
    assert_eq!(listed, ids);
    let agent = client.agent("w").await.expect("known");
    assert_eq!((agent.name.as_str(), &agent.status, agent.slots), ("worker", &AgentStatus::Active, 1));
    assert_eq!((agent.resources.cpu, agent.tasks_completed, agent.current_task_details), (Some(2.0), 1, None));
    assert!(agent.last_active.is_some() && agent.registered_at.is_some());
    let able = AgentFilter::default().capability("train");
    assert_eq!(client.agents(&able).await.expect("listed").items[0].id, "w");
    let lost = AgentFilter::default().status(AgentStatus::Lost);
    assert_eq!(client.agents(&lost).await.expect("listed").total, 0);
    assert_eq!(code_of(client.agent("nobody").await), code::AGENT_NOT_FOUND);
    world.end().await;
}

/// A field that the coordinator sends and the types lack would be lost to who prints a record.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_records_have_every_field_that_the_coordinator_sends() {
    let world = World::start().await;
    let client = &world.client;
    let run = Host::new(client.clone())
        .submit(&PipelineSpec::new("p").task(TaskSpec::new("t").set("do", "train")))
        .await
        .expect("submitted");
    run.wait().await.expect("ended");
    let task = run.tasks().await.expect("tasks")[0].id.clone();
    let error = client.report_error(&ErrorReport::default()).await.expect("reported");
    let model = "from the agent";
    for (method, params, typed) in [
        ("pipeline/status", json!({"pipeline_id": run.id()}), json!(run.status().await.expect("known"))),
        ("task/status", json!({"task_id": task}), json!(client.task(&task).await.expect("known"))),
        ("task/result", json!({"task_id": task}), json!(client.task_result(&task).await.expect("known"))),
        ("model/metrics", json!({"model_id": model}), json!(client.model_metrics(model).await.expect("known"))),
        ("model/health", json!({"model_id": model}), json!(client.model_health(model).await.expect("known"))),
    ] {
        let raw = client.call(method, params).await.expect("known");
        assert_eq!(fields(&typed), fields(&raw), "{method}");
    }
    let raw = client.call("agent/list", json!({})).await.expect("listed")["agents"][0].clone();
    let typed = client.agents(&AgentFilter::default()).await.expect("listed").items.remove(0);
    assert_eq!(fields(&json!(typed)), fields(&raw), "agent/list");
    let raw = client.call("error/list", json!({})).await.expect("listed")["errors"][0].clone();
    let typed = client.errors(&ErrorFilter::default()).await.expect("listed").items.remove(0);
    assert_eq!((fields(&json!(typed)), typed.error_id), (fields(&raw), error), "error/list");
    world.end().await;
}

/// The names of a record's fields, and of their fields.
fn fields(record: &Value) -> BTreeSet<String> {
    let object = record.as_object().expect("an object");
    let inner = object.iter().filter_map(|(name, value)| Some((name, value.as_object()?)));
    let inner = inner.flat_map(|(name, value)| value.keys().map(move |key| format!("{name}.{key}")));
    object.keys().cloned().chain(inner).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_memory_and_errors() {
    let world = World::start().await;
    let client = &world.client;
    let figures = ModelFigures::default().accuracy(0.75).memory_usage_mb(64.0);
    client.report_model("m", &figures).await.expect("recorded");
    let metrics = client.model_metrics("m").await.expect("known");
    assert_eq!(metrics.figures, figures);
    assert!(metrics.timestamp.is_some());
    let performance = client.model_performance("m", Timeframe::Hour).await.expect("known");
    assert_eq!((performance.timeframe.as_str(), performance.performance.summary.count), ("1h", 1));
    assert_eq!(performance.performance.summary.figures["accuracy"].mean, 0.75);
    assert_eq!(performance.performance.series[0].figures, figures);
    let memory = client.model_memory("m").await.expect("known").memory_usage;
    assert_eq!((memory.current, memory.peak, memory.series[0].memory_mb), (Some(64.0), Some(64.0), 64.0));
    let health = client.model_health("m").await.expect("known");
    assert_eq!((health.health, health.reasons.len()), (Some(Health::Degraded), 1));
    let training = PipelineSpec::new("training").task(TaskSpec::new("t").set("do", "train"));
    let run = Host::new(client.clone()).submit(&training).await.expect("submitted");
    assert!(run.wait().await.expect("ended").has_succeeded());
    let all: Vec<String> =
        client.models().await.expect("listed").items.into_iter().map(|model| model.model_id).collect();
    assert_eq!(all, ["from the agent", "m"]);
    assert_eq!(client.models_performance(Timeframe::Month).await.expect("all").len(), 2);
    assert_eq!(client.models_memory().await.expect("all")["from the agent"].memory_usage.peak, None);
    assert_eq!(client.models_health().await.expect("all")["from the agent"].health, Some(Health::Healthy));

    client.memory_set("k/1", json!({"a": [1, null]})).await.expect("stored");
    client.memory_set("k/2", ()).await.expect("stored");
    assert_eq!(client.memory_get("k/1").await.expect("read"), Some(json!({"a": [1, null]})));
    assert_eq!(client.memory_get("k/2").await.expect("read"), Some(Value::Null), "null is a value");
    let keys = client.memory_keys("k/", Some(1)).await.expect("listed");
    assert_eq!((keys.keys.as_slice(), keys.total), (["k/1".to_owned()].as_slice(), 2));
    assert!(client.memory_delete("k/1").await.expect("deleted"));
    assert!(!client.memory_delete("k/1").await.expect("not there"));
    assert_eq!(client.memory_get("k/1").await.expect("read"), None);

    let report = ErrorReport::default().component("gpu").message("too hot").details(json!({"celsius": 99}));
    let id = client.report_error(&report).await.expect("reported");
    let recovery = client.recover_error(&id, "ignore").await.expect("recovered");
    assert_eq!((recovery.recovery_action.as_str(), recovery.status.as_str()), ("ignore", "recovered"));
    let filter = ErrorFilter::default().component("gpu");
    let errors = client.errors(&filter).await.expect("listed");
    let error = &errors.items[0];
    assert_eq!((errors.total, &error.error_id, &error.details), (1, &id, &json!({"celsius": 99})));
    assert_eq!((error.status.as_str(), error.recovery_action.as_deref()), ("recovered", Some("ignore")));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_notification_is_read_in_full() {
    let world = World::start().await;
    let client = &world.client;
    let mut updates = client.subscribe(["*"]).await.expect("subscribed");
    let hook = Hook::default().kind("pre-task").task_id("t").set("note", [1, 2]);
    client.hook(&hook).await.expect("kept");
    let spec = PipelineSpec::new("p").task(TaskSpec::new("t").set("do", "wait"));
    let run = Host::new(client.clone()).submit(&spec).await.expect("submitted");
    let mut missing = BTreeSet::from(["hook", "progress", "changed", "machine", "stopped"]);
    while !missing.is_empty() {
        let update = tokio::time::timeout(PATIENCE, updates.next()).await.expect("in time").expect("an update");
        let Update::Notification(told) = update else { panic!("{update:?}") };
        let (name, typed) = match told.event().expect("as the protocol promises") {
            Event::Hook(told) => {
                assert_eq!(told, json!({"type": "pre-task", "task_id": "t", "note": [1, 2]}));
                ("hook", told)
            }
            Event::TaskProgress(task) => {
                if task.details["message"] == "waiting" {
                    assert_eq!(task.progress, 0.25);
                    run.stop(None).await.expect("stopped");
                }
                ("progress", json!(task))
            }
            Event::TaskChanged(task) => ("changed", json!(task)),
            Event::SystemMetrics(machine) => ("machine", json!(machine)),
            Event::Pipeline(PipelineChange::Stopped, step) => ("stopped", json!(step)),
            Event::Pipeline(change, step) => {
                assert_eq!(told.method, format!("pipeline/{change}"));
                ("", json!(step))
            }
            Event::Heartbeat(beat) => ("", json!(beat)),
            Event::Other | _ => panic!("{told:?}"),
        };
        assert_eq!(fields(&typed), fields(&told.params), "{}", told.method);
        missing.remove(name);
    }
    world.end().await;
}
