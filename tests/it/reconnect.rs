//! What the library promises to who uses it: 20 agents and 5 hosts, none of which is ever started again, live through 10
//! `kill -9` of the coordinator; nothing is lost, and nothing is done twice.

use crate::bad_input::log;
use crate::harness::Server;
use everlog::api::{ErrorReport, PipelineSpec, Retry, TaskSpec};
use everlog::{Agent, AgentConfig, Assignment, CancelToken, Client, ClientOptions, Host, TaskContext};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

const KILLS: u64 = 10;
const AGENTS: u64 = 20;
pub(crate) const HOSTS: u64 = 5;
/// Pipelines that every host submits, at least.
const PIPELINES_EACH: u64 = 8;
/// Attempts that end between two kills.
const ENDED_BETWEEN: u64 = 15;
/// Of so many attempts one takes longer than the coordinator takes to come back, so that leases outlive it.
const LONG_ONE_IN: u64 = 8;
/// How long that one takes.
const LONG: Duration = Duration::from_millis(600);
/// How long all of it may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// What the agents did, counted at the work itself.
#[derive(Default)]
pub(crate) struct Works {
    /// Times that the handler was begun, by task and attempt.
    begun: Mutex<BTreeMap<(String, u64), u64>>,
    ended: AtomicU64,
}

pub(crate) fn agents(
    url: &str,
    works: &Arc<Works>,
    more: &watch::Sender<u64>,
    leave: &CancelToken,
) -> Vec<JoinHandle<()>> {
    let agent = |n: u64| {
        let config = AgentConfig::new(url, format!("agent-{n}")).slots(2);
        let (works, more) = (works.clone(), more.clone());
        let handler = move |task: Assignment, _: TaskContext| {
            let (works, more) = (works.clone(), more.clone());
            async move { Ok::<_, String>(work(&works, &more, &task).await) }
        };
        let leave = leave.clone();
        tokio::spawn(async move { Agent::new(config, handler).run(leave).await.expect("never turned away") })
    };
    (0..AGENTS).map(agent).collect()
}

/// The work: adds one to what came in.
async fn work(works: &Works, more: &watch::Sender<u64>, task: &Assignment) -> u64 {
    let attempt = (task.task_id.clone(), task.attempt);
    let nth = {
        let mut begun = works.begun.lock().unwrap_or_else(PoisonError::into_inner);
        *begun.entry(attempt).or_default() += 1;
        begun.len() as u64
    };
    if nth.is_multiple_of(LONG_ONE_IN) {
        tokio::time::sleep(LONG).await;
    }
    let ended = works.ended.fetch_add(1, Ordering::SeqCst) + 1;
    more.send_replace(ended);
    1 + task.inputs.values().filter_map(Value::as_u64).sum::<u64>()
}

/// Two wide steps and a join, whose result says whether every input arrived.
fn spec(name: String) -> PipelineSpec {
    let first = (0..3).map(|n| TaskSpec::new(format!("a{n}")));
    let second = (0..3).map(|n| TaskSpec::new(format!("b{n}")).depends_on(["a0", "a1", "a2"]));
    PipelineSpec::new(name)
        .retry(Retry::attempts(0))
        .tasks(first.chain(second))
        .task(TaskSpec::new("join").depends_on(["b0", "b1", "b2"]))
}

/// What [`spec`] comes to: 3 × 1, then 3 × (1 + 3), then 1 + 12.
const JOINED: u64 = 13;

/// What one host did.
#[derive(Default)]
pub(crate) struct Deeds {
    pipelines: BTreeSet<String>,
    notes: BTreeSet<String>,
}

impl Deeds {
    /// What all of these hosts did.
    pub(crate) async fn of(hosts: Vec<JoinHandle<Self>>) -> Self {
        let mut all = Self::default();
        for host in hosts {
            let Self { pipelines, notes } = host.await.expect("no host fails");
            all.pipelines.extend(pipelines);
            all.notes.extend(notes);
        }
        all
    }
}

/// A host that never stops talking, so that every kill meets some request on its way: of those that the log already has and
/// nobody has answered, a client that repeats them carelessly makes two.
pub(crate) async fn host(url: String, number: u64, enough: Arc<AtomicBool>) -> Deeds {
    let options = ClientOptions::default().max_retries(u32::MAX);
    let client = Client::connect_with(url, options).await.expect("connected");
    let (pipelines, notes) = tokio::join!(submit(&client, number, &enough), take_notes(&client, number, &enough));
    client.close().await;
    Deeds { pipelines, notes }
}

/// Submits one pipeline after the other; the ids of all.
async fn submit(client: &Client, number: u64, enough: &AtomicBool) -> BTreeSet<String> {
    let (host, mut ids) = (Host::new(client.clone()), BTreeSet::new());
    for n in 0.. {
        if n >= PIPELINES_EACH && enough.load(Ordering::SeqCst) {
            break;
        }
        let run = host.submit(&spec(format!("host {number}, {n}"))).await.expect("submitted");
        let info = run.wait().await.expect("ended");
        assert!(info.has_succeeded(), "{info:?}");
        assert_eq!(run.result("join").await.expect("a result").result, json!(JOINED));
        let tasks = run.tasks().await.expect("tasks");
        assert!(tasks.len() == 7 && tasks.iter().all(|task| task.failures == 0), "{tasks:?}");
        ids.insert(run.id().to_owned());
    }
    ids
}

/// Says one thing after the other; everything that was said.
async fn take_notes(client: &Client, number: u64, enough: &AtomicBool) -> BTreeSet<String> {
    let mut notes = BTreeSet::new();
    while !enough.load(Ordering::SeqCst) {
        let note = format!("host {number}, note {}", notes.len());
        let report = ErrorReport::default().message(&note);
        client.report_error(&report).await.expect("reported");
        notes.insert(note);
    }
    notes
}

/// Kills the coordinator again and again, each time after so many attempts more have ended.
async fn kill_again_and_again(mut server: Server, mut more: watch::Receiver<u64>) -> Server {
    let port = server.address().rsplit(':').next().expect("a port").to_owned();
    for _ in 0..KILLS {
        let until = *more.borrow() + ENDED_BETWEEN;
        more.wait_for(|ended| *ended >= until).await.expect("the agents work");
        let port = port.clone();
        let restart = tokio::task::spawn_blocking(move || {
            server.kill();
            server.restart_on(&port);
            server
        });
        server = restart.await.expect("it comes back");
    }
    server
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_agents_and_five_hosts_live_through_ten_kills() {
    let server = Server::start();
    let url = server.url().to_owned();
    let (works, leave, enough) = (Arc::new(Works::default()), CancelToken::new(), Arc::new(AtomicBool::new(false)));
    let (more, ended) = watch::channel(0);
    let agents = agents(&url, &works, &more, &leave);
    let hosts: Vec<_> = (0..HOSTS).map(|n| tokio::spawn(host(url.clone(), n, enough.clone()))).collect();
    let all = async {
        let server = kill_again_and_again(server, ended).await;
        enough.store(true, Ordering::SeqCst);
        let deeds = Deeds::of(hosts).await;
        assert!(agents.iter().all(|agent| !agent.is_finished()), "an agent has left");
        leave.cancel();
        for agent in agents {
            agent.await.expect("no agent fails");
        }
        (server, deeds)
    };
    let (mut server, deeds) = tokio::time::timeout(PATIENCE, all).await.expect("in time");
    let ended = tokio::task::spawn_blocking(move || (server.terminate(), log(&server.data()))).await.expect("joined");
    assert_eq!(ended.0.code, 0);
    check_history(&ended.1, &deeds, &works, KILLS + 1);
}

/// Everything was said once, every pipeline created, started and completed once, every task completed once, every attempt begun at most once.
pub(crate) fn check_history(events: &[Value], Deeds { pipelines, notes }: &Deeds, works: &Works, starts: u64) {
    let of_kind = |kind: &'static str| events.iter().filter(move |event| event["kind"] == kind);
    let subjects = |kind: &'static str, subject: &'static str| {
        let mut seen = BTreeSet::new();
        for event in of_kind(kind) {
            let id = event["detail"][subject].as_str().unwrap_or_else(|| panic!("{subject}: {event}"));
            assert!(seen.insert(id.to_owned()), "{kind} twice: {event}");
        }
        seen
    };
    for kind in ["PipelineCreated", "PipelineStarted", "PipelineCompleted"] {
        assert_eq!(&subjects(kind, "pipeline"), pipelines, "{kind}");
    }
    assert_eq!(&subjects("ErrorReported", "message"), notes);
    let tasks = subjects("TaskCreated", "task");
    assert_eq!(tasks.len(), 7 * pipelines.len());
    assert_eq!(subjects("TaskCompleted", "task"), tasks);
    assert_eq!(of_kind("TaskFailed").count() + of_kind("TaskCancelled").count(), 0);
    assert_eq!(of_kind("CoordinatorStarted").count() as u64, starts);
    let begun = works.begun.lock().unwrap_or_else(PoisonError::into_inner);
    let again: Vec<_> = begun.iter().filter(|(_, times)| **times > 1).collect();
    assert!(again.is_empty(), "these attempts were begun more than once: {again:?}");
    let worked: BTreeSet<String> = begun.keys().map(|(task, _)| task.clone()).collect();
    assert_eq!(worked, tasks);
}
