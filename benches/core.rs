//! The core alone, on one thread: commands a second (decide, apply, plan), sequential pipelines of many classes, recovery (decode,
//! apply), encode and decode.
//!
//! `cargo bench --bench core`
#![expect(clippy::expect_used, reason = "a benchmark that cannot run has nothing to say")]

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use everlog_replay::spec::{Declared, PipelineWish, Resources, Settings, Strategy, TaskWish};
use everlog_replay::{
    Actor, AgentId, Command, Envelope, Json, NewTask, PipelineId, RequestKey, Seq, Stamp, State, TaskId, Timestamp,
    apply, codec, decide, plan,
};
use std::hint::black_box;
use uuid::Uuid;

/// Sets of capabilities among the agents.
const SETS: usize = 100;
const AGENTS: usize = 10_000;
/// Tasks that come and end in one measured round.
const ROUND: usize = 1_000;
/// Tasks of a sequential pipeline, each a class of its own: close to the most classes that there may be.
const CLASSES: u32 = 4_000;

/// A coordinator's turn without a shell.
struct Core {
    state: State,
    log: Vec<Envelope>,
    now: Timestamp,
    made: u64,
}

impl Core {
    fn new(agents: usize) -> Self {
        let mut core =
            Self { state: State::default(), log: Vec::new(), now: Timestamp(1_767_225_600_000_000), made: 0 };
        let settings = Settings { concurrent_max: u32::MAX, ended_kept: 10_000, ..Settings::default() };
        core.turn(Actor::Coordinator, &Command::StartCoordinator { version: "0".to_owned(), settings });
        for n in 0..agents {
            let agent = AgentId::from(format!("agent-{n}").as_str());
            let command = Command::RegisterAgent {
                name: agent.to_string(),
                agent,
                kind: "generic".to_owned(),
                capabilities: vec!["python".to_owned(), format!("set-{}", n % SETS)],
                resources: Declared::default(),
                slots: 4,
                running: Vec::new(),
                pid: None,
            };
            core.turn(Actor::Connection(n as u64), &command);
        }
        core
    }

    fn id(&mut self) -> Uuid {
        self.made += 1;
        Uuid::from_u64_pair(0x0190_0000_0000_7000 + (self.made << 16), self.made.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// A new task. Those that wait need a capability that nobody has; the others one set's or any agent's.
    fn task(&mut self, capability: String) -> NewTask {
        self.demanding(capability, Resources::NONE)
    }

    fn demanding(&mut self, capability: String, demand: Resources) -> NewTask {
        NewTask {
            task: TaskId(self.id()),
            name: format!("task-{}", self.made),
            wish: TaskWish { capabilities: vec![capability], demand, ..TaskWish::default() },
            depends_on: Vec::new(),
            config: Json::from(r#"{"command":["python3","train.py"],"epochs":3}"#),
        }
    }

    /// A pipeline that runs, with tasks that nobody can take.
    fn waiting(&mut self, count: usize) -> PipelineId {
        let tasks = (0..count).map(|_| self.task("nobody".to_owned())).collect();
        let pipeline = self.started(Strategy::PriorityBased, tasks);
        self.log.clear();
        pipeline
    }

    fn started(&mut self, strategy: Strategy, tasks: Vec<NewTask>) -> PipelineId {
        let pipeline = PipelineId(self.id());
        let create = Command::CreatePipeline {
            pipeline,
            name: "bench".to_owned(),
            wish: PipelineWish { strategy: Some(strategy), ..PipelineWish::default() },
            config: Json::from("{}"),
            tasks,
        };
        self.turn(Actor::Connection(1), &create);
        self.turn(Actor::Connection(1), &Command::StartPipeline { pipeline });
        pipeline
    }

    /// A sequential pipeline whose tasks are all of different classes, and these tasks in their order. Its first task runs.
    fn sequence(&mut self) -> (PipelineId, Vec<TaskId>) {
        self.log.clear();
        let demand = |cpu| Resources { cpu, ..Resources::NONE };
        let tasks: Vec<_> = (1..=CLASSES).map(|n| self.demanding("python".to_owned(), demand(n))).collect();
        let ids = tasks.iter().map(|task| task.task).collect();
        (self.started(Strategy::Sequential, tasks), ids)
    }

    fn turn(&mut self, actor: Actor, command: &Command) -> u64 {
        self.now = Timestamp(self.now.0 + 1);
        let request = actor.connection().map(|_| RequestKey { id: self.id().to_string(), body: [7; 16] });
        self.give(&Stamp { at: self.now, actor, cause: 0, request, altered: false }, command);
        let mut commands = 1;
        loop {
            let wanted = plan(&self.state, self.now);
            if wanted.is_empty() {
                return commands;
            }
            for command in wanted {
                commands += 1;
                let stamp = Stamp {
                    at: self.now,
                    actor: Actor::Scheduler,
                    cause: self.state.seq,
                    request: None,
                    altered: false,
                };
                self.give(&stamp, &command);
            }
        }
    }

    fn give(&mut self, stamp: &Stamp, command: &Command) {
        assert!(matches!(self.state.answered(stamp), Ok(None)), "no request is repeated");
        let mut first: Option<Seq> = None;
        for event in decide(&self.state, command, stamp).expect("the command is legal") {
            let envelope = self.state.seal(event, stamp, first);
            first = first.or(Some(envelope.seq));
            apply(&mut self.state, &envelope).expect("what is decided applies");
            self.log.push(envelope);
        }
    }

    /// The agent of an assigned task completes it. Gives the number of commands.
    fn complete(&mut self, task: TaskId) -> u64 {
        let lease = self.state.task(task).expect("it is there").lease.as_ref().expect("it is assigned");
        let agent = &self.state.agents[lease.agent];
        let (agent, connection) = (agent.id.clone(), agent.connection);
        let result = Json::from(r#"{"accuracy":0.9666}"#);
        let complete =
            Command::CompleteTask { task, agent, attempt: Some(1), success: true, result, error: None, output: None };
        self.turn(Actor::Connection(connection), &complete)
    }

    /// Tasks are created one by one, assigned by the scheduler, completed by their agents. Gives the number of commands.
    fn round(&mut self, pipeline: Option<PipelineId>) -> u64 {
        let mut commands = 0;
        let mut open = Vec::with_capacity(ROUND);
        for n in 0..ROUND {
            let capability = if n % 4 == 0 { "python".to_owned() } else { format!("set-{}", n % SETS) };
            let task = self.task(capability);
            open.push(task.task);
            let create = Command::CreateTasks { pipeline, tasks: vec![task] };
            commands += self.turn(Actor::Connection(1), &create);
        }
        for task in open {
            commands += self.complete(task);
        }
        commands
    }
}

fn commands(c: &mut Criterion) {
    let mut group = c.benchmark_group("commands");
    for waiting in [1, 100, 1_000_000] {
        let mut core = Core::new(AGENTS);
        let pipeline = core.waiting(waiting);
        let each = core.round(None);
        group.throughput(Throughput::Elements(each));
        for (name, pipeline) in [("single", None), ("pipeline", Some(pipeline))] {
            group.bench_function(BenchmarkId::new(name, waiting), |b| {
                b.iter(|| {
                    core.log.clear();
                    black_box(core.round(pipeline))
                });
            });
        }
    }
    group.finish();
}

/// One after the other, each of another class: a step must not cost more because many classes wait.
fn sequential(c: &mut Criterion) {
    let mut core = Core::new(SETS);
    let mut group = c.benchmark_group("sequential");
    group.throughput(Throughput::Elements(u64::from(CLASSES))).sample_size(10);
    group.bench_function("create and stop", |b| {
        b.iter(|| {
            let (pipeline, _) = core.sequence();
            let stop = Command::StopPipeline { pipeline, reason: "bench".to_owned() };
            core.turn(Actor::Connection(1), &stop)
        });
    });
    group.bench_function("create and complete", |b| {
        b.iter(|| {
            let (_, tasks) = core.sequence();
            tasks.into_iter().map(|task| core.complete(task)).sum::<u64>()
        });
    });
    group.finish();
}

fn recovery(c: &mut Criterion) {
    let mut core = Core::new(100);
    core.log.clear();
    let mut base = Vec::new();
    core.state.save(&mut base).expect("a vector takes every byte");
    for _ in 0..100 {
        core.round(None);
    }
    let mut bytes = Vec::new();
    let mut ends = Vec::new();
    for envelope in &core.log {
        codec::encode(envelope, &mut bytes).expect("it is short");
        ends.push(bytes.len());
    }
    let mut group = c.benchmark_group("recovery");
    group.throughput(Throughput::Elements(ends.len() as u64)).sample_size(10);
    let load = || State::load(&base).expect("it was just saved");
    group.bench_function("decode+apply", |b| {
        b.iter_batched(
            load,
            |mut state| {
                let mut begin = 0;
                state.begin_recovery();
                for end in &ends {
                    let envelope = codec::decode(&bytes[begin..*end]).expect("it was just encoded");
                    apply(&mut state, &envelope).expect("it was live");
                    begin = *end;
                }
                state.end_recovery();
                state
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
    let mut group = c.benchmark_group("records");
    group.throughput(Throughput::Elements(ends.len() as u64));
    group.bench_function("encode", |b| {
        let mut out = Vec::with_capacity(bytes.len());
        b.iter(|| {
            out.clear();
            for envelope in &core.log {
                codec::encode(envelope, &mut out).expect("it is short");
            }
        });
    });
    group.bench_function("decode", |b| {
        b.iter(|| {
            let mut begin = 0;
            for end in &ends {
                black_box(codec::decode(&bytes[begin..*end]).expect("it was just encoded"));
                begin = *end;
            }
        });
    });
    group.finish();
}

criterion_group!(benches, commands, sequential, recovery);
criterion_main!(benches);
