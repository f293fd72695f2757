//! Scripts: commands in words, events in words. A line that begins with `>` is a command; the indented lines below it are what it
//! led to, and nothing else did.

use crate::laws;
use crate::world::{Answer, EPOCH, World};
use everlog_replay::event::{AfterFailure, CancelReason, Event, ModelFigures, PauseRunning};
use everlog_replay::spec::{Declared, OnFailure, PipelineWish, Resources, RetryWish, Settings, Strategy, TaskWish};
use everlog_replay::{
    Actor, AgentId, Command, ErrorId, Json, NewIds, NewTask, PipelineId, RequestKey, TaskId, Timestamp,
};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use uuid::Uuid;

/// Runs a script; gives it back with what each of its commands led to.
pub(crate) fn transcript(script: &str) -> (String, World) {
    let mut stage = Stage { world: World::empty(), names: Names::default(), shown: 0 };
    let mut out = String::new();
    for line in script.lines().filter(|line| !line.starts_with("  ") && *line != END) {
        writeln!(out, "{line}").expect("a string takes every line");
        if let Some(command) = line.strip_prefix("> ") {
            stage.perform(command, &mut out);
        }
    }
    stage.end();
    writeln!(out, "{END}").expect("a string takes every line");
    (out, stage.world)
}

const END: &str = "and nothing else happened";

/// Words after the verb: bare ones in order, `key=value` by key.
struct Words<'a> {
    bare: Vec<&'a str>,
    keyed: BTreeMap<&'a str, &'a str>,
}

impl<'a> Words<'a> {
    fn of(text: &'a str) -> Self {
        let (keyed, bare): (Vec<&str>, Vec<&str>) = text.split_whitespace().partition(|word| word.contains('='));
        Self { bare, keyed: keyed.into_iter().map(|word| word.split_once('=').expect("it has one")).collect() }
    }

    fn at(&self, n: usize) -> &'a str {
        self.bare.get(n).unwrap_or_else(|| panic!("word {n} is missing in {:?}", self.bare))
    }

    fn get(&self, key: &str) -> Option<&'a str> {
        self.keyed.get(key).copied()
    }

    fn number<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        self.get(key).map(|text| text.parse().unwrap_or_else(|_| panic!("{key}={text} is not a number")))
    }

    fn ms(&self, key: &str) -> Option<u64> {
        self.get(key).map(ms)
    }

    fn list(&self, key: &str) -> Vec<String> {
        self.get(key).map(|text| text.split(',').map(str::to_owned).collect()).unwrap_or_default()
    }
}

fn ms(text: &str) -> u64 {
    let number = |digits: &str| digits.parse::<u64>().unwrap_or_else(|_| panic!("'{text}' is not a duration"));
    match text.strip_suffix("ms") {
        Some(digits) => number(digits),
        None => 1_000 * number(text.strip_suffix('s').unwrap_or(text)),
    }
}

fn strategy(word: &str) -> Option<Strategy> {
    Strategy::ALL.into_iter().find(|strategy| strategy.as_str() == word)
}

fn on_failure(word: &str) -> OnFailure {
    match word {
        "fail" => OnFailure::Fail,
        "continue" => OnFailure::Continue,
        "skip_downstream" => OnFailure::SkipDownstream,
        other => panic!("on_failure={other}"),
    }
}

fn retry(words: &Words<'_>) -> RetryWish {
    RetryWish {
        attempts: words.number("retries"),
        backoff_ms: words.ms("backoff"),
        factor_milli: words.number("factor_milli"),
        backoff_max_ms: words.ms("backoff_max"),
        not_on: words.get("not_on").map(|_| words.list("not_on")),
    }
}

fn demand(words: &Words<'_>) -> Resources {
    Resources {
        cpu: words.number("cpu").unwrap_or(0),
        memory: words.number("memory").unwrap_or(0),
        gpu: words.number("gpu").unwrap_or(0),
    }
}

fn settings(words: &Words<'_>) -> Settings {
    let standard = Settings::default();
    Settings {
        strategy: words.get("strategy").map_or(standard.strategy, |word| strategy(word).expect("a strategy")),
        concurrent_max: words.number("concurrent_max").unwrap_or(standard.concurrent_max),
        timeout_ms: words.ms("timeout").or(standard.timeout_ms),
        retry_attempts: words.number("retry_attempts").unwrap_or(standard.retry_attempts),
        limits: Resources {
            cpu: words.number("cpu").unwrap_or(standard.limits.cpu),
            memory: words.number("memory").unwrap_or(standard.limits.memory),
            gpu: 0,
        },
        lease_ms: words.ms("lease").unwrap_or(standard.lease_ms),
        ended_kept: words.number("ended_kept").unwrap_or(standard.ended_kept),
    }
}

/// Identities by name, in both directions. A name that is given again means the newest.
#[derive(Default)]
struct Names {
    ids: BTreeMap<(char, String), Uuid>,
    names: BTreeMap<Uuid, String>,
}

impl Names {
    fn new_id(&mut self, sort: char, name: &str) -> Uuid {
        let id = Uuid::from_u128((u128::from(u32::from(sort)) << 64) + self.names.len() as u128 + 1);
        self.ids.insert((sort, name.to_owned()), id);
        self.names.insert(id, name.to_owned());
        id
    }

    /// An identity that exists, or (for refusals) one that does not.
    fn id(&mut self, sort: char, name: &str) -> Uuid {
        match self.ids.get(&(sort, name.to_owned())) {
            Some(id) => *id,
            None => self.new_id(sort, name),
        }
    }

    fn task(&mut self, name: &str) -> TaskId {
        TaskId(self.id('t', name))
    }

    fn pipeline(&mut self, name: &str) -> PipelineId {
        PipelineId(self.id('p', name))
    }

    fn of(&self, id: Uuid) -> &str {
        self.names.get(&id).map_or("?", String::as_str)
    }

    /// `text` with names instead of identities.
    fn readable(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (id, name)| text.replace(&id.to_string(), name))
    }

    /// `a, b(a) priority=2, c(a b), t*3`.
    fn tasks(&mut self, text: &str) -> Vec<NewTask> {
        let mut tasks = Vec::new();
        for item in text.split(',').filter(|item| !item.trim().is_empty()) {
            let (head, deps, rest) = match item.split_once('(') {
                Some((head, rest)) => {
                    let (deps, rest) = rest.split_once(')').expect("a closing bracket");
                    (head.trim(), deps, rest)
                }
                None => {
                    let (head, rest) = item.trim().split_once(' ').unwrap_or((item.trim(), ""));
                    (head, "", rest)
                }
            };
            let names: Vec<String> = match head.split_once('*') {
                Some((stem, count)) => {
                    (1..=count.parse::<u32>().expect("a count")).map(|n| format!("{stem}{n}")).collect()
                }
                None => vec![head.to_owned()],
            };
            for name in names {
                tasks.push(self.task_of(name, deps, &Words::of(rest)));
            }
        }
        tasks
    }

    fn task_of(&mut self, name: String, deps: &str, words: &Words<'_>) -> NewTask {
        // `id=x` uses the identity of the task x again, `@x` depends on x by its identity.
        let task = TaskId(match words.get("id") {
            Some(other) => self.id('t', other),
            None => self.new_id('t', &name),
        });
        let dep = |dep: &str| match dep.strip_prefix('@') {
            Some(name) => self.ids.get(&('t', name.to_owned())).map_or(name.to_owned(), Uuid::to_string),
            None => dep.to_owned(),
        };
        NewTask {
            task,
            depends_on: deps.split_whitespace().map(dep).collect(),
            name,
            wish: TaskWish {
                capabilities: words.get("caps").map(|c| c.split('+').map(str::to_owned).collect()).unwrap_or_default(),
                priority: words.number("priority").unwrap_or(0),
                demand: demand(words),
                weight_milli: words.number("weight_milli"),
                estimate_ms: words.ms("estimate"),
                timeout_ms: words.ms("timeout"),
                retry: retry(words),
                on_failure: words.get("on_failure").map(on_failure),
            },
            config: Json::from(
                words
                    .get("config")
                    .map_or("{}".to_owned(), |n| format!("\"{}\"", "x".repeat(n.parse().expect("a length")))),
            ),
        }
    }
}

/// A script in performance.
struct Stage {
    world: World,
    names: Names,
    /// Events of the log already shown.
    shown: usize,
}

impl Stage {
    fn perform(&mut self, line: &str, out: &mut String) {
        let (connection, line) = match line.strip_prefix("by ") {
            Some(rest) => {
                let (no, rest) = rest.split_once(": ").expect("by N: command");
                (no.parse().expect("a number"), rest)
            }
            None => (1, line),
        };
        // `request ID/BODY: command`
        let (request, line) = match line.strip_prefix("request ") {
            Some(rest) => {
                let (key, rest) = rest.split_once(": ").expect("request ID/BODY: command");
                let (id, body) = key.split_once('/').expect("request ID/BODY: command");
                (Some(RequestKey { id: id.to_owned(), body: [body.as_bytes()[0]; 16] }), rest)
            }
            None => (None, line),
        };
        if let Some(time) = line.strip_prefix("at +") {
            self.world.now = self.world.now.plus_ms(ms(time));
            self.world.settle();
        } else if line == "reload" {
            self.world.reload();
            self.world.settle();
        } else if let Some(times) = line.strip_prefix("repeat ") {
            let (count, line) = times.split_once(": ").expect("repeat N: command");
            for n in 1..=count.parse::<u32>().expect("a count") {
                let (actor, command) = self.command(&line.replace("{n}", &n.to_string()), connection);
                let answer = self.world.turn(actor, request.clone(), &command);
                assert!(matches!(answer, Answer::Done(_)), "{command:?}: {answer:?}");
            }
            writeln!(out, "  {} events", self.world.log.len() - self.shown).expect("a string takes every line");
            self.shown = self.world.log.len();
        } else {
            let (actor, command) = self.command(line, connection);
            let answer = self.world.turn(actor, request, &command);
            self.show_answer(&answer, out);
        }
        self.show_events(out);
        laws::check(&self.world.state);
    }

    /// The end of every script: no event is left over, time alone changes nothing, and the log gives the same state.
    fn end(&mut self) {
        let before = self.world.log.len();
        self.world.settle();
        assert_eq!(before, self.world.log.len(), "something else happened");
        assert_eq!(self.world.replayed().hash(), self.world.state.hash(), "the log gives the live state (law 5)");
        let hash = self.world.state.hash();
        self.world.reload();
        assert_eq!(hash, self.world.state.hash(), "a snapshot holds the facts");
        self.world.settle();
        assert_eq!(before, self.world.log.len(), "a reload changes what the scheduler wants");
    }

    fn command(&mut self, line: &str, connection: u64) -> (Actor, Command) {
        let (head, tasks) = line.split_once(": ").unwrap_or((line.trim_end_matches(':'), ""));
        let (verb, rest) = head.split_once(' ').unwrap_or((head, ""));
        let words = Words::of(rest);
        let (client, coordinator) = (Actor::Connection(connection), Actor::Coordinator);
        match verb {
            "coordinator" => {
                (coordinator, Command::StartCoordinator { version: "0.1.0".to_owned(), settings: settings(&words) })
            }
            "configure" => (coordinator, Command::ConfigureCoordinator { settings: settings(&words) }),
            "stop-coordinator" => (coordinator, Command::StopCoordinator { reason: rest.to_owned() }),
            "open" => (client, Command::OpenConnection { peer: rest.to_owned() }),
            "observe" => (coordinator, Command::RecordObservations { observed: vec![self.observation(&words)] }),
            "load" => (
                coordinator,
                Command::ObserveLoad {
                    cpu: words.number("cpu").unwrap_or(0),
                    memory: words.number("memory").unwrap_or(0),
                },
            ),
            "register" | "unregister" | "disconnect" | "lose" => self.agent_command(verb, &words, connection),
            "create" => (client, self.create(&words, tasks)),
            "add" => {
                let pipeline = words.bare.first().map(|name| self.names.pipeline(name));
                (client, Command::CreateTasks { pipeline, tasks: self.names.tasks(tasks) })
            }
            "retry" => {
                let new = self.new_ids(&words);
                let command = match self.names.ids.get(&('p', words.at(0).to_owned())) {
                    Some(id) => Command::RetryPipeline { pipeline: PipelineId(*id), new },
                    None => Command::RetryTask { task: self.names.task(words.at(0)), new },
                };
                (client, command)
            }
            "start" | "pause" | "resume" | "stop" | "delete" => (client, self.pipeline_command(verb, &words)),
            "assign" | "begin" | "complete" | "fail" | "cancel" => (client, self.task_command(verb, &words)),
            _ => (client, self.register_command(verb, &words)),
        }
    }

    fn observation(&mut self, words: &Words<'_>) -> everlog_replay::Observation {
        everlog_replay::Observation {
            bucket: EPOCH,
            connection: 1,
            method: words.at(0).to_owned(),
            count: words.number("count").unwrap_or(0),
            refused: words.number("refused").unwrap_or(0),
        }
    }

    fn agent_command(&mut self, verb: &str, words: &Words<'_>, connection: u64) -> (Actor, Command) {
        let agent = AgentId::from(words.bare.first().copied().unwrap_or(""));
        match verb {
            "register" => {
                let of = |text: String| {
                    let (name, attempt) = text.split_once('#').expect("task#attempt");
                    (name.to_owned(), attempt.parse().expect("a number"))
                };
                let running: Vec<(String, u32)> = words.list("running").into_iter().map(of).collect();
                let command = Command::RegisterAgent {
                    name: agent.to_string(),
                    agent,
                    kind: "generic".to_owned(),
                    capabilities: words.list("caps"),
                    resources: Declared {
                        cpu: words.number("cpu"),
                        memory: words.number("memory"),
                        gpu: words.number("gpu"),
                    },
                    slots: words.number("slots").unwrap_or(1),
                    running: running.into_iter().map(|(name, n)| (self.names.task(&name), n)).collect(),
                    pid: words.number("pid"),
                };
                (Actor::Connection(connection), command)
            }
            "unregister" => (Actor::Connection(connection), Command::UnregisterAgent { agent }),
            "disconnect" => {
                let agents = words.bare.iter().map(|name| AgentId::from(*name)).collect();
                (Actor::Coordinator, Command::DisconnectAgents { connection, agents })
            }
            _ => (Actor::Coordinator, Command::LoseAgent { agent, silent_ms: 30_000 }),
        }
    }

    fn create(&mut self, words: &Words<'_>, tasks: &str) -> Command {
        let again = words.bare.get(2) == Some(&"again");
        let pipeline =
            PipelineId(if again { self.names.id('p', words.at(0)) } else { self.names.new_id('p', words.at(0)) });
        Command::CreatePipeline {
            pipeline,
            name: words.at(0).to_owned(),
            wish: PipelineWish {
                strategy: words.bare.get(1).map(|word| strategy(word).unwrap_or_else(|| panic!("strategy {word}"))),
                concurrent_max: words.number("concurrent_max"),
                timeout_ms: words.ms("timeout"),
                retry: retry(words),
                on_failure: words.get("on_failure").map(on_failure),
                tasks_expected: words.number("expected"),
            },
            config: Json::from("{}"),
            tasks: self.names.tasks(tasks),
        }
    }

    /// `run=p2 new=t2,u2`: what runs again, in order; names that are given one after the other have identities that do so too.
    fn new_ids(&mut self, words: &Words<'_>) -> NewIds {
        let pipeline = PipelineId(self.names.new_id('p', words.get("run").unwrap_or("no run")));
        let tasks: Vec<TaskId> = words.list("new").iter().map(|name| TaskId(self.names.new_id('t', name))).collect();
        let given = words.get("id").map(|name| self.names.task(name));
        NewIds { pipeline, task: given.or(tasks.first().copied()).unwrap_or_else(|| self.names.task("unused")) }
    }

    fn pipeline_command(&mut self, verb: &str, words: &Words<'_>) -> Command {
        let pipeline = self.names.pipeline(words.at(0));
        match verb {
            "start" => Command::StartPipeline { pipeline },
            "pause" => {
                let cancel = words.at(1) == "cancel";
                let running = if cancel { PauseRunning::Cancel } else { PauseRunning::Finish };
                Command::PausePipeline { pipeline, running }
            }
            "resume" => Command::ResumePipeline { pipeline },
            "stop" => Command::StopPipeline { pipeline, reason: "asked".to_owned() },
            _ => Command::DeletePipeline { pipeline },
        }
    }

    fn task_command(&mut self, verb: &str, words: &Words<'_>) -> Command {
        let task = self.names.task(words.at(0));
        let agent = AgentId::from(words.bare.get(1).copied().unwrap_or(""));
        let attempt = words.number("attempt");
        match verb {
            "assign" => Command::AssignTask { task, agent },
            "begin" => Command::StartTask { task, agent },
            "complete" => {
                let result = Json::from(words.get("result").unwrap_or("null"));
                Command::CompleteTask { task, agent, attempt, success: true, result, error: None, output: None }
            }
            "fail" => {
                let error = words.get("error").map(str::to_owned);
                Command::CompleteTask {
                    task,
                    agent,
                    attempt,
                    success: false,
                    result: Json::null(),
                    error,
                    output: None,
                }
            }
            _ => Command::CancelTask { task, reason: "asked".to_owned() },
        }
    }

    fn register_command(&mut self, verb: &str, words: &Words<'_>) -> Command {
        match verb {
            "set" => Command::SetMemory {
                key: words.bare.first().copied().unwrap_or("").to_owned(),
                value: words.bare.get(1).copied().unwrap_or("null").into(),
            },
            "unset" => Command::DeleteMemory { key: words.at(0).to_owned() },
            "report" => Command::ReportError {
                error: ErrorId(self.names.id('e', words.at(0))),
                component: "trainer".to_owned(),
                error_type: "ValueError".to_owned(),
                message: "bad".to_owned(),
                task: words.get("task").map(|name| self.names.task(name)),
                details: Json::from("{}"),
            },
            "recover" => Command::RecoverError {
                error: ErrorId(self.names.id('e', words.at(0))),
                action: words.at(1).to_owned(),
                new: self.new_ids(words),
            },
            "model" => {
                let mut figures = ModelFigures::default();
                for (name, value) in &words.keyed {
                    assert!(figures.set(name, value.parse().expect("a number")), "figure {name}");
                }
                Command::ReportModel { model: words.at(0).to_owned(), figures, extra: Json::from("{}") }
            }
            "hook" => Command::RecordHook {
                task: words.get("task").map(|name| self.names.task(name)),
                agent: words.get("agent").map(AgentId::from),
                body: Json::from("{}"),
            },
            other => panic!("there is no command '{other}'"),
        }
    }

    // What is shown.

    fn show_answer(&mut self, answer: &Answer, out: &mut String) {
        let line = match answer {
            Answer::Done(events) if events.is_empty() => "nothing to do".to_owned(),
            Answer::Done(_) => return,
            Answer::Repeated(repeat) => {
                format!("answered before, by {} events", repeat.last - repeat.first + 1)
            }
            Answer::Refused { refusal, recorded } => {
                let note = if *recorded { "" } else { " (counted)" };
                format!("refused {}: {}{note}", refusal.code(), self.names.readable(&refusal.to_string()))
            }
        };
        writeln!(out, "  {line}").expect("a string takes every line");
    }

    fn show_events(&mut self, out: &mut String) {
        for envelope in &self.world.log[self.shown..] {
            if !matches!(envelope.event, Event::OperationRefused(_)) {
                writeln!(out, "  {}", self.names.event(&envelope.event, envelope.at))
                    .expect("a string takes every line");
            }
        }
        self.shown = self.world.log.len();
    }
}

impl Names {
    fn event(&self, event: &Event, at: Timestamp) -> String {
        let subject = event.subject();
        let mut line = event.name().to_owned();
        if let Some(task) = subject.task {
            line = format!("{line} {}", self.of(task.0));
        } else if let Some(pipeline) = subject.pipeline {
            line = format!("{line} {}", self.of(pipeline.0));
        }
        let details = match self.details(event, at) {
            details if details.is_empty() => details,
            details => format!(" {details}"),
        };
        format!("{line}{details}")
    }

    fn details(&self, event: &Event, now: Timestamp) -> String {
        let seconds = |at: Timestamp| format!("+{:.3}s", (at.0 - now.0) as f64 / 1e6);
        match event {
            Event::TaskCreated(e) => match e.retry_of {
                Some(task) => format!("again for {}", self.of(task.0)),
                None => String::new(),
            },
            Event::TaskAssigned(e) => {
                let mode = e.mode.as_str();
                format!("#{} to {}, {:?} of {}, {mode}", e.attempt, e.agent, e.choice, e.candidates)
            }
            Event::TaskStarted(e) => format!("#{}", e.attempt),
            Event::AssignmentConfirmed(e) => format!("#{} at {}", e.attempt, e.agent),
            Event::TaskCompleted(e) => format!("#{} result {}", e.attempt, e.result.as_str()),
            Event::TaskFailed(e) => {
                let then = match e.then {
                    AfterFailure::Retry { not_before } => format!("retry at {}", seconds(not_before)),
                    AfterFailure::Final => "final".to_owned(),
                    AfterFailure::Quarantined => "quarantined".to_owned(),
                };
                format!("#{} on {}, {}: {}; {then}", e.attempt, e.agent, e.failure.as_str(), e.message)
            }
            Event::TaskRequeued(e) => format!("#{} from {}, {:?}", e.attempt, e.agent, e.reason),
            Event::TaskCancelled(e) => {
                let from = e.agent.as_ref().map(|agent| format!(" from {agent}")).unwrap_or_default();
                let why = match e.reason {
                    CancelReason::Skipped { upstream } => format!("skipped for {}", self.of(upstream.0)),
                    reason @ (CancelReason::Requested
                    | CancelReason::PipelineStopped
                    | CancelReason::PipelineFailed) => format!("{reason:?}"),
                };
                format!("{why}{from}")
            }
            Event::TasksExpected(e) => e.tasks.to_string(),
            Event::PipelineStarted(e) => format!("as {}", e.mode.as_str()),
            Event::PipelinePaused(e) => format!("{:?}", e.running),
            Event::PipelineFailed(e) => e.error.clone(),
            Event::ModeChosen(e) => format!("{} with {} ready, over limit: {}", e.mode.as_str(), e.ready, e.over_limit),
            Event::AgentRegistered(e) => {
                let stale: Vec<String> = e.stale.iter().map(|(id, n)| format!("{}#{n}", self.of(id.0))).collect();
                let stale = if stale.is_empty() { String::new() } else { format!(", stale {}", stale.join(" ")) };
                format!("{} at connection {}{stale}", e.agent, e.connection)
            }
            Event::AgentDisconnected(e) => e.agent.to_string(),
            Event::AgentLost(e) => e.agent.to_string(),
            Event::AgentUnregistered(e) => e.agent.to_string(),
            Event::MemorySet(e) => format!("{} = {}", e.key, e.value.as_str()),
            Event::MemoryDeleted(e) => format!("{}, existed: {}", e.key, e.existed),
            Event::ErrorReported(e) => self.of(e.error.0).to_owned(),
            Event::ErrorRecovered(e) => {
                let retried = e.retried.map(|task| format!(", retried {}", self.of(task.0))).unwrap_or_default();
                format!("{} by {}{retried}", self.of(e.error.0), e.action)
            }
            Event::ModelReported(e) => e.model.clone(),
            Event::MachineLoadObserved(e) => format!("over cpu: {}, over memory: {}", e.over_cpu, e.over_memory),
            Event::OperationsObserved(e) => format!("{} {} answered, {} refused", e.method, e.count, e.refused),
            Event::ConnectionOpened(e) => format!("{} from {}", e.connection, e.peer),
            Event::CoordinatorStopped(e) => e.reason.clone(),
            Event::CoordinatorStarted(_)
            | Event::CoordinatorConfigured(_)
            | Event::OperationRefused(_)
            | Event::PipelineCreated(_)
            | Event::PipelineResumed(_)
            | Event::PipelineStopped(_)
            | Event::PipelineCompleted(_)
            | Event::PipelineDeleted(_)
            | Event::TaskReleased(_)
            | Event::HookRecorded(_) => String::new(),
        }
    }
}
