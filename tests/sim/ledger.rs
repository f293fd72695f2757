//! The reference: what the records of the log amount to, told a second time and much more simply than by the product. It knows
//! the lives of tasks, pipelines and agents as `docs/` tells them, and nothing of lanes, leases' ends or indexes.

use everlog_replay::event::AfterFailure;
use everlog_replay::spec::OnFailure;
use everlog_replay::{
    Actor, AgentId, ConnectionNo, Envelope, Event, PipelineId, Seq, State, TaskId, TaskStatus, Timestamp, codec,
};
use std::collections::{BTreeMap, BTreeSet};

/// A record as it was decided, before any disk saw it.
pub(super) type Record = Vec<u8>;

/// The log as it should be, and what follows from it.
#[derive(Default)]
pub(super) struct Ledger {
    /// All records; the first has seq 1.
    pub(super) records: Vec<Record>,
    /// The last record of every frame.
    pub(super) frames: Vec<Seq>,
    pub(super) book: Book,
}

/// What the records amount to.
#[derive(Default)]
pub(super) struct Book {
    at: Timestamp,
    lease_ms: u64,
    connections: BTreeSet<ConnectionNo>,
    pub(super) tasks: BTreeMap<TaskId, TaskLine>,
    pub(super) pipelines: BTreeMap<PipelineId, &'static str>,
    pub(super) agents: BTreeMap<AgentId, AgentLine>,
    pub(super) memory: BTreeMap<String, String>,
    /// Requests that took effect; more than once only where they were no longer remembered.
    pub(super) requests: BTreeMap<String, Vec<Taken>>,
    /// What happened to each pipeline, and the event that says so: what a notice about it rests on.
    pub(super) runs: BTreeMap<PipelineId, Vec<(&'static str, Seq)>>,
    /// Where each agent was, likewise.
    pub(super) presences: BTreeMap<String, Vec<(&'static str, Seq)>>,
    /// What was put under each memory key, likewise.
    pub(super) values: BTreeMap<String, Vec<(String, Seq)>>,
    /// The first report of each model.
    pub(super) models: BTreeMap<String, Seq>,
    /// The report of each error.
    pub(super) errors: BTreeMap<String, Seq>,
    pub(super) assigned: BTreeMap<(TaskId, u32), (Seq, AgentId)>,
}

/// A request that took effect: its first event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    pub(super) seq: Seq,
    /// The body that took effect, as it is on record.
    pub(super) body: [u8; 16],
    pub(super) pipeline: Option<PipelineId>,
    pub(super) task: Option<TaskId>,
    at: Timestamp,
}

/// A task.
#[derive(Clone, Debug)]
pub(super) struct TaskLine {
    pub(super) pipeline: Option<PipelineId>,
    pub(super) status: TaskStatus,
    /// All its statuses so far.
    pub(super) story: Vec<Step>,
    pub(super) attempt: u32,
    failures: u32,
    retries: u32,
    holder: Option<AgentId>,
    timeout_at: Option<Timestamp>,
    retry_at: Option<Timestamp>,
    timeout_ms: Option<u64>,
    on_failure: OnFailure,
    depends_on: Vec<TaskId>,
}

/// A step in the life of a task.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) status: TaskStatus,
    /// The newest attempt then.
    pub(super) attempt: u32,
    /// The event that brought it.
    pub(super) seq: Seq,
}

impl TaskLine {
    /// Whether what depends on it may run: it is done, or its failure is to be put up with.
    fn lets_others_run(&self) -> bool {
        let is_borne = self.status == TaskStatus::Failed && self.on_failure == OnFailure::Continue;
        self.status == TaskStatus::Completed || is_borne
    }
}

/// An agent.
#[derive(Clone, Debug)]
pub(super) struct AgentLine {
    pub(super) connection: ConnectionNo,
    slots: u32,
    active: bool,
    lost: bool,
}

/// How long a request is remembered, in milliseconds, as the protocol promises.
const REMEMBERED_MS: u64 = 600_000;

impl Ledger {
    /// The newest record.
    pub(super) fn last(&self) -> Seq {
        self.records.len() as Seq
    }

    /// Takes the records of a frame that was just decided, and checks each against everything before it.
    pub(super) fn enter(&mut self, records: Vec<Record>) -> Vec<Envelope> {
        let mut envelopes = Vec::with_capacity(records.len());
        for record in records {
            let envelope = codec::decode(&record).expect("a decided record decodes");
            assert_eq!(envelope.seq, self.last() + 1, "law 3: seq has no gaps");
            self.book.enter(&envelope);
            self.records.push(record);
            envelopes.push(envelope);
        }
        self.frames.push(self.last());
        envelopes
    }

    /// A crash took everything after `last`, which must be the end of a frame (law 4).
    pub(super) fn cut(&mut self, last: Seq) {
        if last == self.last() {
            return;
        }
        assert!(last == 0 || self.frames.contains(&last), "law 4: the log ends within a frame, with record {last}");
        self.frames.retain(|frame| *frame <= last);
        self.records.truncate(last as usize);
        self.book = Book::default();
        for record in &self.records {
            self.book.enter(&codec::decode(record).expect("it was decoded before"));
        }
    }

    /// The state that the product makes of the records, from the first one on.
    pub(super) fn replay(&self) -> State {
        let mut state = State::default();
        for record in &self.records {
            let envelope = codec::decode(record).expect("it was decoded before");
            everlog_replay::apply(&mut state, &envelope).unwrap_or_else(|illegal| panic!("law 5: {illegal}"));
        }
        state
    }
}

impl Book {
    /// Whether a request that took effect before event `next` is remembered at that time.
    pub(super) fn remembers(&self, id: &str, next: Seq, at: Timestamp) -> bool {
        let newest = self.requests.get(id).and_then(|taken| taken.iter().rfind(|taken| taken.seq < next));
        newest.is_some_and(|taken| taken.at.plus_ms(REMEMBERED_MS) >= at)
    }

    fn enter(&mut self, envelope: &Envelope) {
        let (seq, at) = (envelope.seq, envelope.at);
        assert!(at >= self.at, "law 3: time runs backwards at event {seq}");
        self.at = at;
        if let Some(request) = &envelope.request
            && uuid::Uuid::try_parse(&request.id).is_ok()
        {
            let taken = self.requests.entry(request.id.clone()).or_default();
            let again = taken.last().filter(|before| before.at.plus_ms(REMEMBERED_MS) >= at);
            assert!(again.is_none(), "law 11: request {} took effect at {again:?} and again at {seq}", request.id);
            let subject = envelope.event.subject();
            taken.push(Taken { seq, body: request.body, pipeline: subject.pipeline, task: subject.task, at });
        }
        if envelope.actor == Actor::Scheduler {
            let may = matches!(
                envelope.event,
                Event::TaskAssigned(_)
                    | Event::TaskFailed(_)
                    | Event::TaskCancelled(_)
                    | Event::TaskReleased(_)
                    | Event::ModeChosen(_)
                    | Event::PipelineFailed(_)
                    | Event::PipelineCompleted(_)
            );
            assert!(may, "law 12: the scheduler did {}", envelope.event.name());
        }
        self.tasks_and_agents(envelope);
        self.pipelines_and_registers(envelope);
    }

    fn tasks_and_agents(&mut self, envelope: &Envelope) {
        let (seq, at) = (envelope.seq, envelope.at);
        match &envelope.event {
            Event::CoordinatorStarted(e) => {
                self.lease_ms = e.settings.lease_ms;
                let term = at.plus_ms(self.lease_ms);
                for (id, agent) in self.agents.iter_mut().filter(|(_, agent)| agent.active) {
                    agent.active = false;
                    self.presences.entry(id.to_string()).or_default().push(("disconnected", seq));
                }
                for task in self.tasks.values_mut().filter(|task| task.holder.is_some()) {
                    task.timeout_at = task.timeout_at.map(|due| due.max(term));
                }
            }
            Event::CoordinatorConfigured(e) => self.lease_ms = e.settings.lease_ms,
            Event::ConnectionOpened(e) => {
                let is_new = self.connections.insert(e.connection);
                assert!(is_new, "connection {} is opened a second time at {seq}", e.connection);
            }
            Event::TaskCreated(e) => {
                let line = TaskLine {
                    pipeline: e.pipeline,
                    status: TaskStatus::Pending,
                    story: vec![Step { status: TaskStatus::Pending, attempt: 0, seq }],
                    attempt: 0,
                    failures: 0,
                    retries: e.spec.retry.attempts,
                    holder: None,
                    timeout_at: None,
                    retry_at: None,
                    timeout_ms: e.spec.timeout_ms,
                    on_failure: e.spec.on_failure,
                    depends_on: e.depends_on.clone(),
                };
                assert!(self.tasks.insert(e.task, line).is_none(), "task {} is created twice", e.task);
            }
            Event::TaskAssigned(e) => {
                let held = self.tasks.values().filter(|task| task.holder.as_ref() == Some(&e.agent)).count();
                let agent = &self.agents[&e.agent];
                assert!(agent.active, "law 8: {} is assigned to {}, which is not there", e.task, e.agent);
                assert!(held < agent.slots as usize, "law 8: {} holds more than its {} slots", e.agent, agent.slots);
                let lacks = |id: &TaskId| self.tasks.get(id).is_some_and(|upstream| !upstream.lets_others_run());
                assert!(!self.tasks[&e.task].depends_on.iter().any(lacks), "{} runs without its inputs", e.task);
                let task = self.step(e.task, seq, TaskStatus::Assigned, &[TaskStatus::Pending]);
                assert_eq!(e.attempt, task.attempt + 1, "law 8: attempts are numbered one by one");
                assert!(task.retry_at.is_none(), "{} runs during its back-off", e.task);
                task.attempt = e.attempt;
                task.holder = Some(e.agent.clone());
                task.timeout_at = task.timeout_ms.map(|ms| at.plus_ms(ms));
                self.assigned.insert((e.task, e.attempt), (seq, e.agent.clone()));
            }
            Event::TaskStarted(e) => {
                self.fence(envelope, e.task, e.attempt);
                self.step(e.task, seq, TaskStatus::Running, &[TaskStatus::Assigned]);
            }
            Event::TaskCompleted(e) => {
                self.fence(envelope, e.task, e.attempt);
                self.leave(e.task, seq, TaskStatus::Completed);
            }
            Event::TaskFailed(e) => self.failed(envelope, e),
            Event::TaskRequeued(e) => {
                let task = self.leave(e.task, seq, TaskStatus::Pending);
                assert_eq!(task.attempt, e.attempt, "law 8: another attempt is taken back");
            }
            Event::TaskReleased(e) => {
                let task = self.step(e.task, seq, TaskStatus::Pending, &[TaskStatus::Pending]);
                let due = task.retry_at.take().expect("law 8: only a back-off ends");
                assert!(due <= at || envelope.actor != Actor::Scheduler, "the back-off of {} ends too early", e.task);
            }
            Event::TaskCancelled(e) => {
                let live = [TaskStatus::Pending, TaskStatus::Assigned, TaskStatus::Running];
                let task = self.step(e.task, seq, TaskStatus::Cancelled, &live);
                assert_eq!(task.holder.take(), e.agent, "whom the cancellation of {} concerns", e.task);
                task.retry_at = None;
            }
            Event::AgentRegistered(e) => {
                assert_eq!(envelope.actor, Actor::Connection(e.connection), "who registers an agent");
                let line = AgentLine { connection: e.connection, slots: e.slots, active: true, lost: false };
                self.agents.insert(e.agent.clone(), line);
                self.present(&e.agent, "active", seq);
            }
            Event::AgentDisconnected(e) => {
                let agent = self.agents.get_mut(&e.agent).expect("it is known");
                assert!(!agent.lost, "{} is lost, and disconnecting revives it", e.agent);
                agent.active = false;
                self.present(&e.agent, "disconnected", seq);
            }
            Event::AgentLost(e) => {
                let agent = self.agents.get_mut(&e.agent).expect("it is known");
                assert!(e.silent_ms >= self.lease_ms, "law 9: {} is lost after {} ms", e.agent, e.silent_ms);
                (agent.active, agent.lost) = (false, true);
                self.present(&e.agent, "lost", seq);
            }
            Event::AgentUnregistered(e) => {
                assert!(self.agents.remove(&e.agent).is_some(), "{} leaves and was not there", e.agent);
                let held = self.tasks.values().any(|task| task.holder.as_ref() == Some(&e.agent));
                assert!(!held, "law 8: {} leaves and holds a lease", e.agent);
            }
            _ => {}
        }
    }

    fn present(&mut self, agent: &AgentId, how: &'static str, seq: Seq) {
        self.presences.entry(agent.to_string()).or_default().push((how, seq));
    }

    fn failed(&mut self, envelope: &Envelope, e: &everlog_replay::event::TaskFailed) {
        use everlog_replay::event::FailureKind::{AgentLost, Reported, Timeout};
        match e.failure {
            Reported => self.fence(envelope, e.task, e.attempt),
            Timeout => {
                let due = self.tasks[&e.task].timeout_at.expect("it has a time limit");
                assert!(due <= envelope.at, "{} timed out before its time", e.task);
            }
            AgentLost => assert!(self.agents[&e.agent].lost, "{} fails for an agent that is not lost", e.task),
        }
        let after = if matches!(e.then, AfterFailure::Retry { .. }) { TaskStatus::Pending } else { TaskStatus::Failed };
        let task = self.leave(e.task, envelope.seq, after);
        assert_eq!(task.attempt, e.attempt, "law 8: another attempt fails");
        task.failures += 1;
        if let AfterFailure::Retry { not_before } = e.then {
            assert!(task.failures <= task.retries, "{} is tried more often than {} times", e.task, task.retries);
            task.retry_at = Some(not_before);
        }
    }

    /// Law 8: what an agent says of an attempt counts only while it holds it, and comes through its connection.
    fn fence(&self, envelope: &Envelope, id: TaskId, attempt: u32) {
        let task = &self.tasks[&id];
        let holder = task.holder.as_ref().unwrap_or_else(|| panic!("law 8: nobody holds {id} at {}", envelope.seq));
        let agent = &self.agents[holder];
        assert_eq!(task.attempt, attempt, "law 8: a stale attempt of {id} changes something");
        assert_eq!(envelope.actor, Actor::Connection(agent.connection), "law 8: another speaks for {holder}");
        assert!(!agent.lost, "law 8: the lease of {holder} is over, and its word on {id} counts");
    }

    fn leave(&mut self, id: TaskId, seq: Seq, status: TaskStatus) -> &mut TaskLine {
        let task = self.step(id, seq, status, &[TaskStatus::Assigned, TaskStatus::Running]);
        task.holder = None;
        task
    }

    fn step(&mut self, id: TaskId, seq: Seq, status: TaskStatus, from: &[TaskStatus]) -> &mut TaskLine {
        let task = self.tasks.get_mut(&id).unwrap_or_else(|| panic!("event {seq} is about task {id}, which never was"));
        assert!(from.contains(&task.status), "law 8: task {id} goes from {} to {status} at {seq}", task.status);
        task.status = status;
        let attempt = task.attempt + u32::from(status == TaskStatus::Assigned);
        task.story.push(Step { status, attempt, seq });
        task
    }

    fn pipelines_and_registers(&mut self, envelope: &Envelope) {
        match &envelope.event {
            Event::PipelineCreated(e) => self.pipeline(envelope, e.pipeline, "created", "idle", &["none"]),
            Event::PipelineStarted(e) => self.pipeline(envelope, e.pipeline, "started", "running", &["idle"]),
            Event::PipelinePaused(e) => self.pipeline(envelope, e.pipeline, "paused", "paused", &["running"]),
            Event::PipelineResumed(e) => self.pipeline(envelope, e.pipeline, "resumed", "running", &["paused"]),
            Event::PipelineStopped(e) if e.ended_it => {
                self.pipeline(envelope, e.pipeline, "stopped", "ended", &["idle", "running", "paused"]);
            }
            Event::PipelineCompleted(e) => {
                self.pipeline(envelope, e.pipeline, "completed", "ended", &["running", "paused"]);
            }
            Event::PipelineFailed(e) => {
                self.pipeline(envelope, e.pipeline, "failed", "ended", &["running", "paused", "idle"])
            }
            Event::PipelineDeleted(e) => self.pipeline(envelope, e.pipeline, "deleted", "deleted", &["idle", "ended"]),
            Event::MemorySet(e) => {
                let value = e.value.as_str().to_owned();
                self.values.entry(e.key.clone()).or_default().push((value.clone(), envelope.seq));
                self.memory.insert(e.key.clone(), value);
            }
            Event::ModelReported(e) => drop(self.models.entry(e.model.clone()).or_insert(envelope.seq)),
            Event::ErrorReported(e) => drop(self.errors.insert(e.error.to_string(), envelope.seq)),
            Event::MemoryDeleted(e) => {
                assert_eq!(self.memory.remove(&e.key).is_some(), e.existed, "whether {} was there", e.key);
            }
            _ => {}
        }
    }

    fn pipeline(
        &mut self,
        envelope: &Envelope,
        id: PipelineId,
        word: &'static str,
        status: &'static str,
        from: &[&str],
    ) {
        let before = self.pipelines.insert(id, status).unwrap_or("none");
        assert!(from.contains(&before), "pipeline {id} is {before} and {word} at {}", envelope.seq);
        if status == "ended" || status == "deleted" {
            let live = self.tasks.values().any(|task| task.pipeline == Some(id) && !task.status.is_final());
            assert!(!live, "pipeline {id} is {word} at {} and a task of it lives", envelope.seq);
        }
        if status == "deleted" {
            let is_its = |task: &TaskId| self.tasks.get(task).is_some_and(|task| task.pipeline == Some(id));
            let needs = |task: &&TaskLine| !task.status.is_final() && task.depends_on.iter().any(is_its);
            assert!(self.tasks.values().find(needs).is_none(), "pipeline {id} is deleted, and its results are needed");
        }
        self.runs.entry(id).or_default().push((word, envelope.seq));
    }

    /// Whether the product's state says the same of what both know.
    pub(super) fn compare(&self, state: &State) {
        for (_, task) in state.tasks.iter() {
            let line = &self.tasks[&task.id];
            let holder = task.lease.as_ref().map(|lease| &state.agents[lease.agent].id);
            let found = (task.status, task.attempt, task.setbacks().failures, holder, task.setbacks().retry_at);
            let expected = (line.status, line.attempt, line.failures, line.holder.as_ref(), line.retry_at);
            assert_eq!(found, expected, "task {} in the state and in the reference", task.id);
        }
        let live = self.tasks.values().filter(|task| !task.status.is_final()).count() as u64;
        assert_eq!(state.counts.live(), live, "live tasks in the state and in the reference");
        let keys: Vec<&String> = state.memory.keys().collect();
        assert_eq!(keys, self.memory.keys().collect::<Vec<_>>(), "memory keys in the state and in the reference");
    }
}
