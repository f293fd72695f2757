//! Agents and hosts that use everything, and count what they did.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use everlog::api::{ErrorReport, OnFailure, PipelineSpec, Retry, RunningTasks, Strategy, TaskFilter, TaskSpec};
use everlog::{
    Agent, AgentConfig, Assignment, CancelToken, Client, ClientError, ClientOptions, Host, Outcome, TaskContext,
};
use parking_lot::Mutex;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::Trouble;

const AGENTS: usize = 8;
const SLOTS: usize = 16;
const HOSTS: usize = 6;
/// How long an agent stays before it leaves and comes back.
const STAY: Duration = Duration::from_secs(20);
/// Tasks of one step of a pipeline.
const WIDTH: usize = 25;
/// Of so many attempts one fails, and one takes longer and tells how far it is.
const FAILS_ONE_IN: u64 = 50;
const LONG_ONE_IN: u64 = 20;
/// How long a long one takes.
const LONG: Duration = Duration::from_millis(50);
/// Keys that each host writes.
const KEYS: u64 = 200;
/// Pipelines that each host leaves behind before it deletes the oldest.
const KEPT: usize = 20;

/// Who waits for the coordinator however long it takes.
pub(crate) fn patient() -> ClientOptions {
    ClientOptions::default().max_retries(u32::MAX)
}

/// What was done and how long it took, since it was last asked for.
#[derive(Default)]
pub(crate) struct Counts {
    /// Tasks that agents did.
    pub(crate) tasks: u64,
    /// Operations of hosts that were acknowledged.
    pub(crate) operations: u64,
    /// From a call to its answer.
    pub(crate) answered: Vec<Duration>,
    /// From the submission of a pipeline of [`WIDTH`] tasks and a join to its end.
    pub(crate) ended: Vec<Duration>,
}

/// See the module.
pub(crate) struct Load {
    url: String,
    attempts: AtomicU64,
    counts: Mutex<Counts>,
    submitted: AtomicU64,
    came_to_an_end: AtomicU64,
}

impl Load {
    pub(crate) fn new(url: String) -> Self {
        let zero = AtomicU64::default;
        Self { url, attempts: zero(), counts: Mutex::default(), submitted: zero(), came_to_an_end: zero() }
    }

    /// What was done since this was called last.
    pub(crate) fn take(&self) -> Counts {
        std::mem::take(&mut *self.counts.lock())
    }

    /// Pipelines: submitted, and come to an end as they should.
    pub(crate) fn pipelines(&self) -> (u64, u64) {
        (self.submitted.load(Ordering::Relaxed), self.came_to_an_end.load(Ordering::Relaxed))
    }

    /// Everybody at once, until `leave` is raised and every host has seen the end of what it began.
    pub(crate) async fn run(self: Arc<Self>, leave: CancelToken) -> Result<(), Trouble> {
        let (mut agents, mut hosts) = (JoinSet::new(), JoinSet::new());
        let dismissed = CancelToken::new();
        for nth in 0..AGENTS {
            agents.spawn(Arc::clone(&self).agent(nth, dismissed.clone()));
        }
        for nth in 0..HOSTS {
            hosts.spawn(Arc::clone(&self).host(nth, leave.clone()));
        }
        while let Some(host) = hosts.join_next().await {
            host??;
        }
        dismissed.cancel();
        while let Some(agent) = agents.join_next().await {
            agent??;
        }
        Ok(())
    }

    /// An agent that leaves now and then, each at another time, and comes back under its name.
    async fn agent(self: Arc<Self>, nth: usize, dismissed: CancelToken) -> Result<(), Trouble> {
        let stay = STAY.mul_f64(0.5 + nth as f64 / AGENTS as f64);
        while !dismissed.is_cancelled() {
            let name = format!("agent-{nth}");
            let config = AgentConfig::new(&*self.url, &name).id(&name).slots(SLOTS);
            let leave = CancelToken::new();
            let load = Arc::clone(&self);
            let handler = move |task, context| Arc::clone(&load).work(task, context);
            let agent = Agent::new(config, handler).run(leave.clone());
            let goes = async {
                tokio::select! {
                    () = sleep(stay) => {}
                    () = dismissed.cancelled() => {}
                }
                leave.cancel();
            };
            tokio::join!(agent, goes).0?;
        }
        Ok(())
    }

    async fn work(self: Arc<Self>, task: Assignment, context: TaskContext) -> Outcome {
        let nth = self.attempts.fetch_add(1, Ordering::Relaxed);
        if nth.is_multiple_of(LONG_ONE_IN) {
            context.progress(0.5, "half of it");
            context.report_model("soaked", json!({"accuracy": 0.9, "inference_time": 0.01}));
            tokio::select! {
                () = sleep(LONG) => {}
                () = context.cancel().cancelled() => return Outcome::failed("cancelled"),
            }
        }
        if nth % FAILS_ONE_IN == 1 {
            return Outcome::failed("one in so many fails");
        }
        self.counts.lock().tasks += 1;
        Outcome::done(json!({"inputs": task.inputs.len()}))
    }

    async fn host(self: Arc<Self>, nth: usize, leave: CancelToken) -> Result<(), Trouble> {
        let client = Client::connect_with(&*self.url, patient()).await?;
        let host = Host::new(client.clone());
        let mut kept = std::collections::VecDeque::new();
        for n in 0.. {
            if leave.is_cancelled() {
                break;
            }
            let begin = Instant::now();
            let run = self.timed(host.submit(&spec(nth, n))).await?;
            self.submitted.fetch_add(1, Ordering::Relaxed);
            self.small_talk(&client, nth as u64, n).await?;
            // It may be over before it is paused or stopped.
            if n % 8 == 0 && self.timed(run.pause(RunningTasks::Finish)).await.is_ok() {
                self.timed(run.resume()).await.ok();
            }
            if n % 8 == 1 {
                self.timed(run.stop(Some("enough"))).await.ok();
            }
            let info = run.wait().await?;
            if n % 8 != 1 && !info.has_succeeded() {
                return Err(format!("pipeline {} is {}: {:?}", info.name, info.status, info.error_info).into());
            }
            self.came_to_an_end.fetch_add(1, Ordering::Relaxed);
            self.counts.lock().ended.push(begin.elapsed());
            kept.push_back(run);
            if kept.len() > KEPT
                && let Some(oldest) = kept.pop_front()
            {
                self.timed(oldest.delete()).await?;
            }
        }
        client.close().await;
        Ok(())
    }

    /// What hosts do beside pipelines.
    async fn small_talk(&self, client: &Client, host: u64, n: u64) -> Result<(), ClientError> {
        let key = format!("host-{host}/{}", n % KEYS);
        self.timed(client.memory_set(&key, json!({"n": n, "text": "x".repeat(100)}))).await?;
        self.timed(client.memory_get(&key)).await?;
        let filter = TaskFilter::default().limit(10);
        self.timed(client.tasks(&filter)).await?;
        if n.is_multiple_of(10) {
            let report = ErrorReport::default().message(format!("host {host} is at {n}"));
            let error = self.timed(client.report_error(&report)).await?;
            self.timed(client.recover_error(&error, "resolved")).await?;
        }
        Ok(())
    }

    async fn timed<T>(&self, call: impl Future<Output = Result<T, ClientError>>) -> Result<T, ClientError> {
        let begin = Instant::now();
        let answer = call.await?;
        let mut counts = self.counts.lock();
        counts.operations += 1;
        counts.answered.push(begin.elapsed());
        Ok(answer)
    }
}

/// A step of many and a join, in each strategy in turn.
fn spec(host: usize, n: u64) -> PipelineSpec {
    let strategies = [Strategy::Parallel, Strategy::PriorityBased, Strategy::ResourceAware, Strategy::Adaptive];
    let strategy = strategies[n as usize % strategies.len()].clone();
    let names: Vec<String> = (0..WIDTH).map(|task| format!("step-{task}")).collect();
    let step = names.iter().zip(0..).map(|(name, task)| TaskSpec::new(name).priority(task));
    PipelineSpec::new(format!("host-{host}-{n}"))
        .strategy(strategy)
        .retry(Retry::attempts(20).backoff(Duration::from_millis(10)))
        .on_failure(OnFailure::Fail)
        .tasks(step)
        .task(TaskSpec::new("join").depends_on(names.clone()))
}
