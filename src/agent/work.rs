//! The attempts that an agent holds: waiting for a slot, running, or finished and not yet delivered.
//! It knows nothing of connections, so it survives them.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::cancel::CancelToken;
use super::config::AgentConfig;
use super::delivery::Delivery;
use super::handler::{Assignment, Handler, Outcome, TaskContext};
use super::inputs::{self, Link};
use super::report::{News, Reporter};
use super::told::{AttemptKey, VitalSigns};

/// Where one attempt stands.
#[derive(Debug)]
enum Stage {
    /// All slots are taken, for instance by a cancelled attempt that has yet to die.
    Waiting,
    Running(CancelToken),
    /// Cancelled, and its slot not yet free: what it returns is dropped.
    Dying,
    Finished(Arc<Delivery>),
}

/// All attempts held.
#[derive(Debug)]
pub(super) struct Work<H> {
    handler: Arc<H>,
    agent_id: String,
    slots: usize,
    leave_grace: Duration,
    /// When what still runs is abandoned: once the agent is to leave.
    end: Option<Instant>,
    news: mpsc::Sender<News>,
    link: Link,
    held: BTreeMap<AttemptKey, Stage>,
    waiting: VecDeque<Assignment>,
    running: JoinSet<(AttemptKey, Outcome)>,
    completed: u64,
    failed: u64,
}

impl<H: Handler> Work<H> {
    pub(super) fn new(handler: H, config: &AgentConfig, news: mpsc::Sender<News>, link: Link) -> Self {
        Self {
            handler: Arc::new(handler),
            agent_id: config.id.clone(),
            slots: config.slots.max(1),
            leave_grace: config.leave_grace,
            end: None,
            news,
            link,
            held: BTreeMap::new(),
            waiting: VecDeque::new(),
            running: JoinSet::new(),
            completed: 0,
            failed: 0,
        }
    }

    /// Takes an assignment, unless it is one held already. A newer attempt at the same task means
    /// that the older one is void.
    pub(super) fn take(&mut self, assignment: Assignment) {
        let key = AttemptKey { task_id: assignment.task_id.clone(), attempt: assignment.attempt };
        if self.held.contains_key(&key) {
            tracing::debug!(task_id = key.task_id, attempt = key.attempt, "assigned again; ignored");
            return;
        }
        self.cancel(&key.task_id, None);
        self.held.insert(key, Stage::Waiting);
        self.waiting.push_back(assignment);
        self.start_waiting();
    }

    /// Gives up the named attempt at a task, or every attempt at it.
    pub(super) fn cancel(&mut self, task_id: &str, attempt: Option<u64>) {
        let meant = |key: &AttemptKey| key.task_id == task_id && attempt.is_none_or(|attempt| attempt == key.attempt);
        self.give_up(meant);
    }

    /// Gives up everything that is not finished. What does not end within the grace is abandoned.
    pub(super) fn leave(&mut self) {
        self.give_up(|_| true);
        self.end.get_or_insert_with(|| Instant::now() + self.leave_grace);
    }

    fn give_up(&mut self, meant: impl Fn(&AttemptKey) -> bool) {
        self.held.retain(|key, stage| match stage {
            Stage::Waiting => !meant(key),
            Stage::Running(token) if meant(key) => {
                token.cancel();
                *stage = Stage::Dying;
                true
            }
            // A finished attempt is delivered anyway: the coordinator says whether it is late.
            Stage::Running(_) | Stage::Dying | Stage::Finished(_) => true,
        });
        let held = &self.held;
        self.waiting.retain(|waiting| {
            held.contains_key(&AttemptKey { task_id: waiting.task_id.clone(), attempt: waiting.attempt })
        });
    }

    fn start_waiting(&mut self) {
        while self.running.len() < self.slots
            && let Some(assignment) = self.waiting.pop_front()
        {
            self.start(assignment);
        }
    }

    fn start(&mut self, mut assignment: Assignment) {
        let key = AttemptKey { task_id: assignment.task_id.clone(), attempt: assignment.attempt };
        let reporter = Reporter::new(self.news.clone(), &key.task_id, &self.agent_id);
        reporter.progress(0.0, "started");
        let cancel = CancelToken::new();
        self.held.insert(key.clone(), Stage::Running(cancel.clone()));
        let (handler, link) = (Arc::clone(&self.handler), self.link.clone());
        self.running.spawn(async move {
            let resolved = tokio::select! {
                resolved = inputs::resolve(&mut assignment.inputs, &link) => resolved,
                () = cancel.cancelled() => Err("cancelled".to_owned()),
            };
            let context = TaskContext::new(cancel, reporter);
            let mut outcome = match resolved {
                Err(sentence) => Outcome::failed(sentence),
                // Inside of the block, since a handler may panic before it returns its future.
                Ok(()) => AssertUnwindSafe(async { handler.run(assignment, context.clone()).await })
                    .catch_unwind()
                    .await
                    .unwrap_or_else(|panic| Outcome::failed(panic_sentence(&*panic))),
            };
            outcome.model_metrics.splice(..0, context.take_model_metrics());
            (key, outcome)
        });
    }

    /// Waits for the next attempt to end; its completion, unless nobody wants it. Returns only when
    /// something ended: with nothing running it waits for ever. Cancel-safe.
    pub(super) async fn next_ended(&mut self) -> Option<(AttemptKey, Arc<Delivery>)> {
        let joined = tokio::select! {
            Some(joined) = self.running.join_next() => joined,
            () = reached(self.end), if self.is_running() => {
                self.abandon();
                return None;
            }
            else => return std::future::pending().await,
        };
        let ended = match joined {
            Ok((key, outcome)) => self.finish(key, outcome),
            // Handlers' panics are caught, and those that were abandoned are no longer waited for: a closing runtime does this.
            Err(_aborted) => None,
        };
        self.start_waiting();
        ended
    }

    /// Drops the futures of handlers that do not hear; one that blocks its thread ends on its own.
    fn abandon(&mut self) {
        let (handlers, grace) = (self.running.len(), self.leave_grace);
        tracing::warn!(
            handlers,
            ?grace,
            "handlers that ignore their cancel token were abandoned; their tasks run elsewhere"
        );
        self.running = JoinSet::new();
    }

    fn finish(&mut self, key: AttemptKey, outcome: Outcome) -> Option<(AttemptKey, Arc<Delivery>)> {
        if let Some(Stage::Dying) | None = self.held.get(&key) {
            self.held.remove(&key);
            return None;
        }
        let count = if outcome.error.is_none() { &mut self.completed } else { &mut self.failed };
        *count += 1;
        let delivery = Arc::new(Delivery::new(key.clone(), &self.agent_id, outcome));
        self.held.insert(key.clone(), Stage::Finished(Arc::clone(&delivery)));
        Some((key, delivery))
    }

    /// Forgets a delivered attempt.
    pub(super) fn delivered(&mut self, key: &AttemptKey) {
        self.held.remove(key);
    }

    /// What is finished and not delivered.
    pub(super) fn undelivered(&self) -> Vec<(AttemptKey, Arc<Delivery>)> {
        let finished = self.held.iter().filter_map(|(key, stage)| match stage {
            Stage::Finished(delivery) => Some((key.clone(), Arc::clone(delivery))),
            Stage::Waiting | Stage::Running(_) | Stage::Dying => None,
        });
        finished.collect()
    }

    /// `running` of a registration: every attempt whose lease must go on, so also what waits for a
    /// slot and what waits to be delivered.
    pub(super) fn names(&self) -> Vec<AttemptKey> {
        self.held.iter().filter(|(_, stage)| !matches!(stage, Stage::Dying)).map(|(key, _)| key.clone()).collect()
    }

    /// Whether any process or future of this agent's still works.
    pub(super) fn is_running(&self) -> bool {
        !self.running.is_empty()
    }

    /// The numbers that a sign of life carries; `None` when nothing is held.
    pub(super) fn vital_signs(&self) -> Option<VitalSigns> {
        (!self.held.is_empty()).then(|| VitalSigns {
            own: catch_unwind(AssertUnwindSafe(|| self.handler.metrics())).unwrap_or_default(),
            tasks_running: self.running.len(),
            tasks_completed: self.completed,
            tasks_failed: self.failed,
        })
    }
}

/// Returns at this moment; never if there is none.
async fn reached(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

fn panic_sentence(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let text = text.unwrap_or("no message");
    format!("the handler panicked ({text}); this is a mistake in its code")
}
