//! The laws over random histories: many agents, pipelines and graphs, every command, time that passes.
//!
//! A history is a list of small numbers; each is read against the state of the moment (the n-th leased task, the n-th agent), so
//! that most commands are legal, and a history that fails shrinks to a short one.

use crate::laws;
use crate::world::{Answer, World};
use everlog_replay::event::{ModelFigures, PauseRunning};
use everlog_replay::spec::{Declared, OnFailure, PipelineWish, Resources, RetryWish, Settings, Strategy, TaskWish};
use everlog_replay::state::{Agent, Task};
use everlog_replay::{
    Actor, AgentId, Command, ErrorId, Event, Json, NewIds, NewTask, Observation, PipelineId, Refusal, RequestKey,
    TaskId, codec, wake_at,
};
use proptest::prelude::*;
use proptest::test_runner::Config;
use std::collections::BTreeSet;
use uuid::Uuid;

/// Commands of one history.
const COMMANDS: usize = 220;
/// Histories of each law; with [`COMMANDS`] about half a minute in a debug build.
const HISTORIES: u32 = 256;
const AGENTS: u16 = 8;
const CAPABILITIES: [&str; 3] = ["cpu", "gpu", "net"];

/// One step: which command, and three numbers to fill it with.
type Step = (u8, u16, u16, u16);

fn steps() -> impl proptest::strategy::Strategy<Value = Vec<Step>> {
    proptest::collection::vec(any::<Step>(), COMMANDS..=COMMANDS)
}

fn config() -> Config {
    Config { cases: HISTORIES, failure_persistence: None, max_shrink_iters: 500, ..Config::default() }
}

fn settings() -> Settings {
    let limits = Resources { cpu: 300, memory: 300, gpu: 0 };
    Settings { ended_kept: 20, limits, retry_attempts: 2, ..Settings::default() }
}

fn id(sort: u64, n: u64) -> Uuid {
    Uuid::from_u64_pair(sort << 32 | n, n.wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

/// Reads steps as commands against the state of the moment.
struct Player {
    world: World,
    made: u64,
    connection: u64,
}

impl Player {
    fn new() -> Self {
        Self { world: World::new(settings()), made: 0, connection: 1 }
    }

    fn fresh(&mut self, sort: u64) -> Uuid {
        self.made += 1;
        id(sort, self.made)
    }

    fn new_ids(&mut self) -> NewIds {
        NewIds { pipeline: PipelineId(self.fresh(1)), task: TaskId(self.fresh(2)) }
    }

    fn nth_task(&self, n: u16, is_meant: impl Fn(&Task) -> bool) -> Option<&Task> {
        let tasks: Vec<&Task> = self.world.state.tasks.iter().map(|(_, task)| task).filter(|t| is_meant(t)).collect();
        tasks.get(n as usize % tasks.len().max(1)).copied()
    }

    fn nth_agent(&self, n: u16) -> Option<&Agent> {
        let agents: Vec<&Agent> = self.world.state.agents.iter().map(|(_, agent)| agent).collect();
        agents.get(n as usize % agents.len().max(1)).copied()
    }

    fn nth_pipeline(&self, n: u16) -> PipelineId {
        let ids: Vec<PipelineId> = self.world.state.pipelines.iter().map(|(_, pipeline)| pipeline.id).collect();
        ids.get(n as usize % ids.len().max(1)).copied().unwrap_or(PipelineId(id(9, 9)))
    }

    fn play(&mut self, step: Step) {
        let (kind, a, b, c) = step;
        let client = Actor::Connection(self.connection);
        let (actor, command) = match kind % 64 {
            // What a step shrinks to.
            0 => return,
            1..=9 => (client, self.register(a, b, c)),
            10..=15 => (client, self.create(a, b, c)),
            16..=20 => (client, Command::StartPipeline { pipeline: self.idle(a) }),
            21..=24 => {
                let pipeline = (!a.is_multiple_of(4)).then(|| self.nth_pipeline(a));
                (client, Command::CreateTasks { pipeline, tasks: self.tasks(b, c, pipeline) })
            }
            25..=39 => match self.complete(a, b, c) {
                Some(turn) => turn,
                None => return,
            },
            40..=42 => match self.nth_task(a, |task| task.lease.is_some()) {
                Some(task) => {
                    let agent = &self.world.state.agents[task.lease.as_ref().expect("it has one").agent];
                    (Actor::Coordinator, Command::StartTask { task: task.id, agent: agent.id.clone() })
                }
                None => return,
            },
            43..=45 => {
                self.world.now = self.world.now.plus_ms(u64::from(a) % 2_000 * (1 + u64::from(b % 8)));
                self.world.settle();
                return;
            }
            46 if b.is_multiple_of(2) => match self.nth_task(a, |task| task.status.is_final()).map(|task| task.id) {
                Some(task) => (client, Command::RetryTask { task, new: self.new_ids() }),
                None => return,
            },
            46 => match self.nth_task(a, |_| true) {
                Some(task) => (client, Command::CancelTask { task: task.id, reason: "asked".to_owned() }),
                None => return,
            },
            47 | 48 => {
                let running = if b.is_multiple_of(2) { PauseRunning::Cancel } else { PauseRunning::Finish };
                (client, Command::PausePipeline { pipeline: self.nth_pipeline(a), running })
            }
            51 if b.is_multiple_of(2) => {
                (client, Command::RetryPipeline { pipeline: self.nth_pipeline(a), new: self.new_ids() })
            }
            49..=51 => (client, Command::ResumePipeline { pipeline: self.nth_pipeline(a) }),
            52 => (client, Command::StopPipeline { pipeline: self.nth_pipeline(a), reason: "asked".to_owned() }),
            53 => (client, Command::DeletePipeline { pipeline: self.nth_pipeline(a) }),
            54..=58 => match self.agent_leaves(kind, a, b) {
                Some(turn) => turn,
                None => return,
            },
            59 => (
                Actor::Coordinator,
                Command::ObserveLoad { cpu: u32::from(a % 2) * 400, memory: u64::from(b % 3) * 200 },
            ),
            60 => match (self.nth_task(a, Task::is_ready), self.nth_agent(b)) {
                (Some(task), Some(agent)) => (client, Command::AssignTask { task: task.id, agent: agent.id.clone() }),
                _ => return,
            },
            61 => {
                self.connection += 1;
                let settings = Settings { concurrent_max: 1 + u32::from(a % 5), ..settings() };
                (Actor::Coordinator, Command::StartCoordinator { version: "0.1.0".to_owned(), settings })
            }
            62 => {
                let limits = Resources { cpu: u32::from(b % 3) * 300, ..settings().limits };
                let settings = Settings { limits, ended_kept: u32::from(a % 9), ..settings() };
                (Actor::Coordinator, Command::ConfigureCoordinator { settings })
            }
            _ => (client, self.register_entry(a, b, c)),
        };
        let request = b.is_multiple_of(3).then(|| RequestKey { id: format!("{}", a % 64), body: [(a % 5) as u8; 16] });
        self.world.turn(actor, request, &command);
    }

    fn register(&mut self, a: u16, b: u16, c: u16) -> Command {
        let agent = AgentId::from(format!("agent-{}", a % AGENTS).as_str());
        let held = self.world.state.agents.by_key(agent.as_str());
        let tasks: Vec<&Task> =
            held.into_iter().flat_map(|agent| &agent.running).map(|ix| &self.world.state.tasks[*ix]).collect();
        let running = tasks
            .iter()
            .filter(|_| !c.is_multiple_of(3))
            .map(|task| (task.id, task.attempt + u32::from(c.is_multiple_of(7))));
        // What an agent declares hangs on its name: one that shrinks may hold more than it would be given.
        let (caps, slots) = (a % AGENTS, 1 + u32::from(a % AGENTS) % 3);
        let declared = Declared {
            cpu: Some(200),
            memory: (a % 4 == 1).then_some(250),
            gpu: Some(u32::from(a % AGENTS % 3) * 1_000),
        };
        let gpu = (a % AGENTS == 6).then_some(2_000);
        Command::RegisterAgent {
            name: agent.to_string(),
            kind: "generic".to_owned(),
            capabilities: (0..3).filter(|n| caps >> n & 1 == 0).map(|n| CAPABILITIES[n].to_owned()).collect(),
            resources: if a % 2 == 1 { declared } else { Declared { gpu, ..Declared::default() } },
            slots,
            running: running.collect(),
            pid: b.is_multiple_of(5).then_some(u32::from(b)),
            agent,
        }
    }

    fn idle(&self, n: u16) -> PipelineId {
        let is_idle =
            |pipeline: &&everlog_replay::state::Pipeline| pipeline.status == everlog_replay::PipelineStatus::Idle;
        let ids: Vec<PipelineId> =
            self.world.state.pipelines.iter().map(|(_, pipeline)| pipeline).filter(is_idle).map(|p| p.id).collect();
        ids.get(n as usize % ids.len().max(1)).copied().unwrap_or_else(|| self.nth_pipeline(n))
    }

    fn create(&mut self, a: u16, b: u16, c: u16) -> Command {
        Command::CreatePipeline {
            pipeline: PipelineId(self.fresh(1)),
            name: format!("p{}", self.made),
            wish: PipelineWish {
                strategy: Some(Strategy::ALL[a as usize % Strategy::ALL.len()]),
                concurrent_max: Some(1 + u32::from(b % 6)),
                timeout_ms: Some(u64::from(c % 3) * 4_000),
                retry: RetryWish { backoff_ms: Some(u64::from(b % 4) * 500), ..RetryWish::default() },
                on_failure: Some([OnFailure::Fail, OnFailure::Continue, OnFailure::SkipDownstream][c as usize % 3]),
                tasks_expected: a.is_multiple_of(8).then_some(u32::from(b % 6)),
            },
            config: Json::from("{}"),
            tasks: self.tasks(b.rotate_left(3), c.rotate_left(5), None),
        }
    }

    fn tasks(&mut self, a: u16, b: u16, joins: Option<PipelineId>) -> Vec<NewTask> {
        let known = joins.and_then(|id| self.world.state.pipeline(id).ok());
        let mut upstream: Vec<String> = known
            .into_iter()
            .flat_map(|pipeline| pipeline.tasks.iter().take(2))
            .map(|ix| self.world.state.tasks[*ix].id.to_string())
            .collect();
        let mut tasks = Vec::new();
        for n in 0..a % 14 {
            let mix = b.wrapping_mul(n.wrapping_mul(2).wrapping_add(1)).rotate_left(u32::from(n));
            let name = format!("t{}", self.made + 1);
            let picks = upstream.iter().enumerate().filter(|(at, _)| mix >> (at % 16) & 5 == 5);
            let depends_on = picks.map(|(_, name)| name.clone()).collect();
            upstream.push(name.clone());
            tasks.push(NewTask {
                task: TaskId(self.fresh(2)),
                name,
                wish: wish(mix),
                depends_on,
                config: Json::from("{}"),
            });
        }
        tasks
    }

    fn complete(&self, a: u16, b: u16, c: u16) -> Option<(Actor, Command)> {
        let task = self.nth_task(a, |task| task.lease.is_some()).or_else(|| self.nth_task(a, |_| true))?;
        let holder = task.lease.as_ref().map(|lease| &self.world.state.agents[lease.agent]);
        let agent = holder.filter(|_| !c.is_multiple_of(16)).or_else(|| self.nth_agent(c))?;
        let connection = if c % 32 == 1 { agent.connection + 1 } else { agent.connection };
        let command = Command::CompleteTask {
            task: task.id,
            agent: agent.id.clone(),
            attempt: b.is_multiple_of(2).then_some(task.attempt - u32::from(b.is_multiple_of(22) && task.attempt > 0)),
            success: !b.is_multiple_of(4),
            result: if c.is_multiple_of(8) { Json::from(format!("\"{}\"", "x".repeat(600))) } else { Json::from("{}") },
            error: b.is_multiple_of(8).then(|| "out of memory".to_owned()),
            output: c.is_multiple_of(5).then(|| Json::from(r#"{"exit_code":0}"#)),
        };
        Some((Actor::Connection(connection), command))
    }

    fn agent_leaves(&self, kind: u8, a: u16, b: u16) -> Option<(Actor, Command)> {
        let agent = self.nth_agent(a)?;
        let id = agent.id.clone();
        Some(match (kind, b % 2) {
            (_, 0) => {
                let agents = vec![id];
                (Actor::Coordinator, Command::DisconnectAgents { connection: agent.connection, agents })
            }
            (kind, _) if kind % 3 == 0 => (Actor::Connection(agent.connection), Command::UnregisterAgent { agent: id }),
            _ => (Actor::Coordinator, Command::LoseAgent { agent: id, silent_ms: 30_000 }),
        })
    }

    fn register_entry(&mut self, a: u16, b: u16, c: u16) -> Command {
        let key = format!("key-{}", b % 4);
        match a % 8 {
            0 => Command::SetMemory { key, value: Json::from("1") },
            1 => Command::DeleteMemory { key },
            2 => Command::ReportError {
                error: ErrorId(id(3, u64::from(b % 8))),
                component: String::new(),
                error_type: String::new(),
                message: String::new(),
                task: self.nth_task(c, |_| !c.is_multiple_of(9)).map(|task| task.id),
                details: Json::null(),
            },
            3 | 4 => Command::RecoverError {
                error: ErrorId(id(3, u64::from(b % 8))),
                action: ["retry", "retry", "ignore", "?"][c as usize % 4].to_owned(),
                new: self.new_ids(),
            },
            5 => {
                let mut figures = ModelFigures::default();
                figures.set("accuracy", f64::from(b) / 65_536.0);
                Command::ReportModel { model: key, figures, extra: Json::null() }
            }
            6 => {
                let bucket = self.world.now;
                let line = Observation { bucket, connection: 1, method: key, count: u64::from(c), refused: 0 };
                Command::RecordObservations { observed: vec![line] }
            }
            _ => Command::RecordHook {
                task: self.nth_task(b, |_| true).map(|task| task.id),
                agent: self.nth_agent(c).map(|agent| agent.id.clone()),
                body: Json::null(),
            },
        }
    }

    /// Every agent comes back, every pipeline may run, every attempt is answered, time passes: what can end does.
    fn finish(&mut self) {
        self.world.turn(Actor::Coordinator, None, &Command::ObserveLoad { cpu: 0, memory: 0 });
        for n in 0..AGENTS {
            let command = Command::RegisterAgent {
                agent: AgentId::from(format!("agent-{n}").as_str()),
                name: format!("agent-{n}"),
                kind: "generic".to_owned(),
                capabilities: CAPABILITIES.map(str::to_owned).to_vec(),
                resources: Declared { cpu: Some(1_000), memory: Some(10_000), gpu: Some(8_000) },
                slots: 3,
                running: Vec::new(),
                pid: None,
            };
            self.world.turn(Actor::Connection(99), None, &command);
        }
        let pipelines: Vec<PipelineId> = self.world.state.pipelines.iter().map(|(_, pipeline)| pipeline.id).collect();
        for pipeline in pipelines {
            let started = self.world.turn(Actor::Connection(99), None, &Command::StartPipeline { pipeline });
            if matches!(started, Answer::Refused { refusal: Refusal::PipelineIncomplete { .. }, .. }) {
                self.world.turn(Actor::Connection(99), None, &Command::DeletePipeline { pipeline });
            }
            self.world.turn(Actor::Connection(99), None, &Command::ResumePipeline { pipeline });
        }
        while let Some((actor, command)) = self.complete(0, 1, 17).filter(|_| self.world.state.counts.live() > 0) {
            if self.world.state.counts.leased() > 0 {
                self.world.turn(actor, None, &command);
            } else {
                let Some(at) = wake_at(&self.world.state) else { break };
                self.world.now = self.world.now.max(at);
                self.world.settle();
            }
        }
    }
}

fn wish(mix: u16) -> TaskWish {
    TaskWish {
        capabilities: (0..3).filter(|n| mix >> (n * 2) & 3 == 3).map(|n| CAPABILITIES[n].to_owned()).collect(),
        priority: i32::from(mix >> 4 & 7) - 3,
        demand: Resources {
            cpu: u32::from(mix >> 7 & 3) * 60,
            memory: u64::from(mix >> 9 & 3) * 60,
            gpu: if mix >> 11 & 7 == 7 { 500 } else { 0 },
        },
        weight_milli: (mix & 1 == 1).then_some(u32::from(mix)),
        estimate_ms: (mix & 12 == 12).then_some(5),
        timeout_ms: (mix & 6 == 6).then_some(3_000),
        retry: RetryWish {
            attempts: (mix & 3 == 3).then_some(u32::from(mix >> 13)),
            not_on: (mix & 24 == 24).then(|| vec!["timeout".to_owned(), "memory".to_owned()]),
            ..RetryWish::default()
        },
        on_failure: (mix & 96 == 96).then_some(OnFailure::Continue),
    }
}

proptest! {
    #![proptest_config(config())]

    /// Every decided event applies (`World` panics otherwise), the plan ends, every limit and law holds after every turn.
    #[test]
    fn the_laws_hold_after_every_turn(steps in steps()) {
        let mut player = Player::new();
        for step in steps {
            player.play(step);
            laws::check(&player.world.state);
        }
        prop_assert_eq!(player.world.replayed().hash(), player.world.state.hash(), "law 5");
    }

    /// A frozen state is what a snapshot of its moment holds, whatever becomes of the live one.
    #[test]
    fn a_frozen_state_stays_as_it_was(steps in steps(), at: prop::sample::Index) {
        let mut player = Player::new();
        let at = at.index(steps.len() + 1);
        steps[..at].iter().for_each(|step| player.play(*step));
        let (frozen, hash) = (player.world.state.frozen(), player.world.state.hash());
        steps[at..].iter().for_each(|step| player.play(*step));
        prop_assert_eq!(frozen.hash(), hash);
    }

    /// A state that is saved and loaded, or replayed, again and again goes on exactly as one that never was: facts, and what is
    /// derived.
    #[test]
    fn a_reload_changes_nothing(steps in steps()) {
        let (mut player, mut twin) = (Player::new(), Player::new());
        for step in steps {
            player.play(step);
            twin.play(step);
            match step.3 % 32 {
                0 => twin.world.state = twin.world.replayed(),
                1..=8 => twin.world.reload(),
                _ => {}
            }
        }
        prop_assert_eq!(&player.world.log, &twin.world.log);
        prop_assert_eq!(player.world.state.hash(), twin.world.state.hash());
    }

    /// When every agent answers, all work ends.
    #[test]
    fn nothing_is_stuck(steps in steps()) {
        let mut player = Player::new();
        for step in steps {
            player.play(step);
        }
        player.finish();
        laws::check(&player.world.state);
        let live: Vec<String> = player.world.state.tasks.iter().map(|(_, task)| task)
            .filter(|task| !task.status.is_final()).map(|task| format!("{task:?}")).collect();
        prop_assert!(live.is_empty(), "still alive: {live:#?}");
    }

    /// What the log holds is what was decided: the records of a whole history, encoded and decoded.
    #[test]
    fn records_hold_the_history(steps in steps()) {
        let mut player = Player::new();
        for step in steps {
            player.play(step);
        }
        let mut record = Vec::new();
        let mut attempts = BTreeSet::new();
        for envelope in &player.world.log {
            if let Event::TaskAssigned(e) = &envelope.event {
                prop_assert!(attempts.insert((e.task, e.attempt)), "an attempt is given once (law 8)");
            }
            record.clear();
            codec::encode(envelope, &mut record).expect("it is short");
            prop_assert_eq!(&codec::decode(&record).expect("it was just written"), envelope);
        }
    }
}
