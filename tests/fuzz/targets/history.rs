//! Any bytes as a history: requests of a grammar as frames, through the protocol, `decide`, `apply` and `plan`, with time that
//! passes, agents that vanish and starts in between.

use super::feed::Feed;
use super::frame::{FRAME_BYTES_MAX, answered, told};
use super::laws;
use super::world::{Answer, World};
use crate::protocol::{Operation, Reply, frame as envelope, interpret};
use crate::render;
use everlog_replay::spec::{Resources, Settings};
use everlog_replay::state::{Agent, Pipeline, Task};
use everlog_replay::{Actor, AgentId, Command, ConnectionNo, RequestKey};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Steps of one history: what is longer is cut, so that every execution is short.
const STEPS_MAX: usize = 64;
/// Tasks of one request.
const TASKS_MAX: usize = 6;
const AGENTS: usize = 6;
const CONNECTIONS: u64 = 3;
/// Choices among 256 that are a request; the others are what happens beside.
const REQUESTS: u8 = 200;

/// What is asked, and which parameters may be given.
const METHODS: [(&str, &[&str]); 21] = [
    ("pipeline/create", &["name", "tasks", "strategy", "max_concurrent_tasks", "task_timeout", "retry", "on_failure"]),
    ("pipeline/start", &["pipeline_id"]),
    ("pipeline/start", &["pipeline_id"]),
    ("pipeline/stop", &["pipeline_id", "reason"]),
    ("pipeline/pause", &["pipeline_id", "running"]),
    ("pipeline/resume", &["pipeline_id"]),
    ("pipeline/delete", &["pipeline_id"]),
    ("pipeline/retry", &["pipeline_id"]),
    ("task/create", &["pipeline_id", "tasks"]),
    ("task/create", &["pipeline_id", "name", "config"]),
    ("task/assign", &["task_id", "agent_id"]),
    ("task/cancel", &["task_id", "reason"]),
    ("task/retry", &["task_id"]),
    ("task/completed", &["task_id", "agent_id", "attempt", "success", "result", "error"]),
    ("task/completed", &["task_id", "agent_id", "success"]),
    ("task/progress", &["task_id", "agent_id", "progress"]),
    ("agent/register", &["id", "capabilities", "running"]),
    ("agent/unregister", &["agent_id"]),
    ("error/report", &["component", "task_id", "message"]),
    ("model/metrics", &["model_id", "accuracy", "loss"]),
    ("memory/set", &["key", "value"]),
];
const OF_TASK: [&str; 10] = [
    "depends_on",
    "priority",
    "required_capabilities",
    "cpu_requirement",
    "memory_requirement",
    "gpu_requirement",
    "resource_weight",
    "timeout",
    "retry",
    "on_failure",
];

/// All laws hold after every step, a repeated request gets the answer it got, and the log alone leads to the same state.
pub fn history(bytes: &[u8]) {
    let mut player = Player::new(Feed(bytes));
    for _ in 0..STEPS_MAX {
        if player.feed.is_empty() {
            break;
        }
        player.step();
        laws::check(&player.world.state);
    }
    assert_eq!(player.world.replayed().hash(), player.world.state.hash(), "law 5");
}

struct Player<'b> {
    feed: Feed<'b>,
    world: World,
    made: u128,
    /// The newest answer to each request: its method and parameters, and the text.
    answers: BTreeMap<(ConnectionNo, String), (String, String)>,
}

fn settings() -> Settings {
    let limits = Resources { cpu: 30_000, memory: 300 << 10, gpu: 0 };
    Settings { ended_kept: 4, limits, retry_attempts: 2, ..Settings::default() }
}

impl<'b> Player<'b> {
    fn new(feed: Feed<'b>) -> Self {
        Self { feed, world: World::new(settings()), made: 0, answers: BTreeMap::new() }
    }

    fn step(&mut self) {
        let kind = self.feed.byte();
        if kind < REQUESTS {
            return self.request(usize::from(kind) % METHODS.len());
        }
        let command = match kind % 8 {
            0..=3 => {
                let number = self.feed.number() as u64;
                self.world.now = self.world.now.plus_ms(number * (1 + number % 16));
                return self.world.settle();
            }
            4 => {
                self.world.reload();
                Command::StartCoordinator { version: "0.1.0".to_owned(), settings: settings() }
            }
            5 => Command::ObserveLoad { cpu: u32::from(self.feed.byte()) << 8, memory: 0 },
            6 => Command::LoseAgent { agent: self.agent_id().as_str().into(), silent_ms: 30_000 },
            _ => {
                let agent: AgentId = self.agent_id().as_str().into();
                let connection = self.world.state.agent(&agent).map_or(1, |agent| agent.connection);
                Command::DisconnectAgents { connection, agents: vec![agent] }
            }
        };
        self.world.turn(Actor::Coordinator, None, &command);
    }

    fn request(&mut self, nth: usize) {
        let (method, fields) = METHODS[nth];
        let params = self.object(fields, method == "agent/register");
        let connection = self.connection(method, &params);
        let id = if self.feed.byte() < 64 { format!("r{}", self.feed.below(4)) } else { self.fresh().to_string() };
        let text = json!({"id": id, "type": "request", "method": method, "params": params}).to_string();
        let frame = envelope::parse(&text).expect("it is spelt rightly");
        let operation = interpret(&frame, &mut || {
            self.made += 1;
            Uuid::from_u128(self.made)
        });
        match operation {
            Ok(Operation::Change { command, reply }) => {
                let body = format!("{method} {params}");
                let hash = Sha256::digest(&body);
                let key = RequestKey { id: id.clone(), body: *hash.first_chunk().expect("a hash is longer") };
                self.ask(connection, Some(key), &command, reply, (id, body));
            }
            // A registration belongs to its connection, which the shell looks after.
            Ok(Operation::Register { command, .. }) => {
                self.ask(connection, None, &command, Reply::AgentRegistered, (id, String::new()));
            }
            Ok(Operation::Progress { task, agent, .. }) => {
                self.world.turn(Actor::Connection(connection), None, &Command::StartTask { task, agent });
            }
            Ok(Operation::AgentMetrics { .. } | Operation::Read(_) | Operation::Session(_) | Operation::Observe) => {}
            Err(refusal) => told(&refusal),
        }
    }

    fn ask(
        &mut self,
        connection: ConnectionNo,
        key: Option<RequestKey>,
        command: &Command,
        reply: Reply,
        (id, body): (String, String),
    ) {
        match self.world.turn(Actor::Connection(connection), key.clone(), command) {
            Answer::Refused { refusal, .. } => told(&refusal),
            Answer::Done(events) => {
                let events = &self.world.log[events];
                answered(reply, events);
                if key.is_some() {
                    let text = render::reply(reply, events, FRAME_BYTES_MAX);
                    self.answers.insert((connection, id), (body, text));
                }
            }
            Answer::Repeated(repeat) => {
                let place = |seq| usize::try_from(seq).expect("a short log");
                let events = &self.world.log[place(repeat.first) - 1..place(repeat.last)];
                let known = self.answers.get(&(connection, id)).expect("it was answered before");
                assert_eq!(*known, (body, render::reply(reply, events, FRAME_BYTES_MAX)), "law 11");
            }
        }
    }

    fn fresh(&mut self) -> Uuid {
        self.made += 1;
        Uuid::from_u128(self.made)
    }

    /// Mostly the one over which the agent in question was registered.
    fn connection(&mut self, method: &str, params: &Value) -> ConnectionNo {
        let any = self.feed.below(64) as u64;
        let agent = params["agent_id"].as_str().and_then(|id| self.world.state.agent(&id.into()).ok());
        agent.filter(|_| method != "agent/register" && any > 4).map_or(any % CONNECTIONS + 1, |agent| agent.connection)
    }

    fn object(&mut self, fields: &[&str], registers: bool) -> Value {
        let mut object = Map::new();
        for field in fields {
            // Some field is left out now and then.
            if self.feed.byte() % 16 != 15 {
                let value = self.value(field);
                object.insert((*field).to_owned(), value);
            }
        }
        if registers {
            // What an agent has follows from its name: one that came back smaller may hold more than it would be given.
            let number = self.feed.below(AGENTS);
            object.insert("id".to_owned(), json!(format!("agent-{number}")));
            object.insert("name".to_owned(), json!("an agent"));
            object.insert("slots".to_owned(), json!(1 + number % 3));
            if number < 4 {
                object.insert("resources".to_owned(), json!({"cpu": 2 + number, "memory_mb": 300, "gpu": 2}));
            }
        }
        Value::Object(object)
    }

    fn value(&mut self, field: &str) -> Value {
        match field {
            "pipeline_id" => {
                let n = self.feed.below(256);
                json!(nth(n, self.world.state.pipelines.iter().map(|(_, p)| p)).map(|p: &Pipeline| p.id.to_string()))
            }
            "task_id" => json!(self.task(|_| true).map(|task| task.id.to_string())),
            "agent_id" | "id" => json!(self.holder().unwrap_or_else(|| self.agent_id())),
            "name" | "key" | "model_id" | "component" => json!(format!("t{}", self.feed.below(12))),
            "tasks" => {
                let count = self.feed.below(TASKS_MAX);
                (0..count)
                    .map(|nth| json!({"name": format!("t{nth}"), "config": self.object(&OF_TASK, false)}))
                    .collect()
            }
            "config" => self.object(&OF_TASK, false),
            "depends_on" => (0..self.feed.below(3)).map(|_| json!(format!("t{}", self.feed.below(6)))).collect(),
            "required_capabilities" | "capabilities" => {
                ["a", "b", "c"].iter().filter(|_| self.feed.byte() % 4 > 1).copied().collect()
            }
            "running" => match self.task(|task| task.lease.is_some()) {
                Some(task) => json!([{"task_id": task.id.to_string(), "attempt": task.attempt}]),
                None => Value::Null,
            },
            "attempt" => json!(self.feed.below(4)),
            "success" => json!(!self.feed.byte().is_multiple_of(4)),
            "retry" => {
                let (attempts, backoff) = (self.feed.below(4), self.feed.below(3));
                json!({"attempts": attempts, "backoff_s": backoff, "not_on": ["memory"]})
            }
            "strategy" => self.one(&["sequential", "parallel", "priority_based", "resource_aware", "adaptive", "?"]),
            "on_failure" => self.one(&["fail", "continue", "skip_downstream"]),
            "result" | "value" => self.one(&[json!(null), json!({"a": 1}), json!("x".repeat(600))]),
            "error" | "message" | "reason" => self.one(&["", "out of memory", "no"]),
            // Numbers: most are small, some do not fit.
            _ => self.one(&[0.0, 0.5, 1.0, 2.0, 3.0, 40.0, 120.0, 250.0, -1.0, 1e9, 1e300]),
        }
    }

    fn one<T: Clone + Into<Value>>(&mut self, of: &[T]) -> Value {
        self.feed.pick(of).cloned().map_or(Value::Null, Into::into)
    }

    fn agent_id(&mut self) -> String {
        format!("agent-{}", self.feed.below(AGENTS))
    }

    /// The agent of some task that is given out.
    fn holder(&mut self) -> Option<String> {
        let agents = self.world.state.agents.iter().map(|(_, agent)| agent).filter(|agent| !agent.running.is_empty());
        let n = self.feed.below(256);
        nth(n, agents).filter(|_| n % 8 != 7).map(|agent: &Agent| agent.id.as_str().to_owned())
    }

    /// Mostly one that is given out.
    fn task(&mut self, is_meant: impl Fn(&Task) -> bool) -> Option<&Task> {
        let n = self.feed.below(256);
        let all = || self.world.state.tasks.iter().map(|(_, task)| task).filter(|task| is_meant(task));
        let given = nth(n, all().filter(|task| task.lease.is_some())).filter(|_| n < 192);
        given.or_else(|| nth(n, all()))
    }
}

fn nth<T>(n: usize, of: impl Iterator<Item = T>) -> Option<T> {
    let mut all: Vec<T> = of.collect();
    let place = n % all.len().max(1);
    (place < all.len()).then(|| all.swap_remove(place))
}
