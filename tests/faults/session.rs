//! A scripted session with the real binary: always the same operations, whatever happens in between. Whoever is not answered
//! asks again under the same id, so a session that was broken off ends as one that was not, or something is wrong.

use super::scratch;
use super::shim::Shim;
use crate::harness::{
    Acknowledged, Assignment, Deadline, Ended, Frame, Gone, Peer, Process, all, envelope, everlog, plain,
};
use rustix::process::Signal;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use uuid::Uuid;

/// Starts of the coordinator in a session: enough for one more snapshot than are kept.
pub(super) const LIVES: usize = 4;
const ROUNDS: usize = 5;
/// Lengths in characters: of a value that has its only place in the commit log, and of results that the store holds too. Together
/// they fill the first segment, so that the log goes on in a second one.
const LARGE: usize = 20_000;
const RESULT: usize = 6_000;
/// How long an agent listens before it looks why no work comes, and how often.
const LISTEN: Duration = Duration::from_millis(500);
const SILENCES: u32 = 100;
/// What the coordinator says to whoever comes while the disk is full.
pub(super) const OVERLOADED: i64 = -40_051;
const AGENT: &str = "agent";
const TASKS_A_PIPELINE: usize = 3;

/// One step of the script.
enum Step {
    /// A request; `@name` in its params stands for the id that the creation of `name` was answered with.
    Ask(&'static str, Value),
    /// The agent completes what it was given.
    Work,
    /// The coordinator ends as asked, and is started again.
    Reopen,
}

fn script() -> Vec<Step> {
    use Step::{Ask, Reopen, Work};
    let mut steps = Vec::new();
    for life in 0..LIVES {
        for round in 0..ROUNDS {
            let n = life * ROUNDS + round;
            let (pipeline, this) = (format!("p{n}"), json!({"pipeline_id": format!("@p{n}")}));
            let tasks = json!([{"name": format!("p{n}a")}, {"name": format!("p{n}b"), "depends_on": [format!("p{n}a")]},
                {"name": format!("p{n}c"), "depends_on": [format!("p{n}b")]}]);
            steps.push(Ask("pipeline/create", json!({"name": pipeline, "tasks": tasks})));
            steps.push(Ask("pipeline/start", this.clone()));
            steps.push(Work);
            steps.push(Ask("memory/set", json!({"key": format!("m{n}"), "value": n})));
            steps.push(Ask("memory/set", json!({"key": "large", "value": format!("{n:0LARGE$}")})));
            steps.push(Ask("pipeline/pause", this.clone()));
            steps.push(Work);
            steps.push(Ask("pipeline/resume", this));
            steps.push(Work);
            steps.push(Ask("task/create", json!({"tasks": [{"name": format!("x{n}a")}, {"name": format!("x{n}b")}]})));
            steps.extend([Work, Work]);
        }
        steps.push(Ask("memory/delete", json!({"key": format!("m{}", life * ROUNDS)})));
        steps.push(Ask("model/metrics", json!({"model_id": "m", "accuracy": 0.5, "loss": life})));
        steps.push(Ask("error/report", json!({"message": format!("e{life}")})));
        steps.push(Reopen);
    }
    steps
}

/// The id of a step's request, known before.
pub(super) fn id_of(step: usize) -> String {
    Uuid::from_u128(0x5e55_1011_0000_4000_8000_0000_0000_0000 + step as u128).to_string()
}

/// The directory of a session, and what its client knows.
pub(super) struct Session {
    home: TempDir,
    script: Vec<Step>,
    /// The first step that was not answered.
    next: usize,
    /// Ids by name.
    ids: BTreeMap<String, String>,
    acknowledged: Acknowledged,
    /// Attempts that the agent was given and has not completed, and all that it was ever given.
    held: Vec<(String, u64)>,
    given: BTreeSet<(String, u64)>,
    /// The disk is full, as the last answer had it.
    full: bool,
    /// How often no work came for a while.
    silences: u32,
}

/// How a part of a session ended.
#[derive(Debug)]
pub(super) enum Break {
    /// The process ended.
    Died(Ended),
    /// The disk was full, so it was asked to end.
    Full(Ended),
}

/// A process with a client.
struct Life {
    process: Process,
    peer: Peer,
}

impl Session {
    pub(super) fn new() -> Self {
        Self {
            home: scratch(),
            script: script(),
            next: 0,
            ids: BTreeMap::new(),
            acknowledged: Acknowledged::default(),
            held: Vec::new(),
            given: BTreeSet::new(),
            full: false,
            silences: 0,
        }
    }

    pub(super) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(super) fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// Number of segments of the log.
    pub(super) fn segments(&self) -> usize {
        let names = std::fs::read_dir(self.data().join("commit")).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().ends_with(".seg")).count()
    }

    /// Number of steps of the script.
    pub(super) fn steps(&self) -> usize {
        self.script.len()
    }

    /// Whether the whole script was gone through.
    pub(super) fn is_over(&self) -> bool {
        self.next == self.steps()
    }

    /// Number of operations of a whole session.
    pub(super) fn operations(&self) -> usize {
        self.script.iter().filter(|step| !matches!(step, Step::Reopen)).count()
    }

    /// Starts it without faults and without surgery.
    fn live_again(&self) -> Life {
        self.live(None).unwrap_or_else(|broken| panic!("it does not start again: {broken:#?}"))
    }

    /// Starts the coordinator on what is there, and connects.
    fn live(&self, shim: Option<&Shim>) -> Result<Life, Break> {
        let mut command = everlog(["serve", "--host", "127.0.0.1", "--port", "0", "--data"]);
        command.arg(self.data()).current_dir(self.home());
        if let Some(shim) = shim {
            shim.put_under(&mut command);
        }
        let mut process = Process::start(command);
        let line = process.line().map_err(Break::Died)?;
        let address = line.strip_prefix("ready ws://").unwrap_or_else(|| panic!("the first line is {line:?}"));
        match Peer::try_connect(address) {
            Ok(peer) => Ok(Life { process, peer }),
            Err(_) => Err(Break::Died(process.end())),
        }
    }

    /// Goes on from the first step that was not answered, to the end of the script.
    pub(super) fn run(&mut self, shim: Option<&Shim>) -> Result<(), Break> {
        self.run_until(self.steps(), shim)
    }

    /// The same, to the first end of a life at or after a step.
    pub(super) fn run_until(&mut self, step: usize, shim: Option<&Shim>) -> Result<(), Break> {
        while self.next < step {
            let mut life = self.live(shim)?;
            self.join(&mut life).ok_or(()).or_else(|()| died(&mut life))?;
            loop {
                match self.script[self.next] {
                    Step::Reopen => break,
                    Step::Ask(..) | Step::Work => match self.perform(&mut life.peer) {
                        Some(()) => self.next += 1,
                        None if self.full => return Err(Break::Full(life.end())),
                        None => return died(&mut life),
                    },
                }
            }
            let ended = life.end();
            assert!(shim.is_some() || ended.code == 0, "it ends in order: {ended:#?}");
            if ended.code != 0 {
                return Err(Break::Died(ended));
            }
            self.next += 1;
        }
        Ok(())
    }

    /// The agent is there, and names what it works on.
    fn join(&mut self, life: &mut Life) -> Option<()> {
        let mut params = plain(AGENT);
        params["running"] =
            self.held.iter().map(|(task, attempt)| json!({"task_id": task, "attempt": attempt})).collect();
        self.ask(&mut life.peer, &Uuid::new_v4().to_string(), "agent/register", &params).map(drop)
    }

    /// Asks and waits for the answer; `None` when the connection ends before it.
    fn ask(&mut self, peer: &mut Peer, id: &str, method: &str, params: &Value) -> Option<Value> {
        peer.try_send_text(envelope("request", id, method, params)).ok()?;
        loop {
            let frame = match self.read(peer, Deadline::usual()) {
                Err(Gone::Late) => panic!("{method} is not answered"),
                read => read.ok()?,
            };
            if frame.id() == id {
                self.full = frame.result().is_null() && frame.refused().code == OVERLOADED;
                return if self.full { None } else { Some(frame.granted()) };
            }
        }
    }

    /// The next frame; what the agent is given is noted on the way.
    fn read(&mut self, peer: &mut Peer, deadline: Deadline) -> Result<Frame, Gone> {
        let frame = peer.read(deadline)?;
        if frame.method() == "task/assigned" {
            let Assignment { task, attempt, .. } = Assignment::of(&frame);
            assert!(self.given.insert((task.clone(), attempt)), "attempt {attempt} of {task} was given twice");
            self.held.push((task, attempt));
        }
        Ok(frame)
    }

    /// Why no work comes: nothing is given away while the disk is full, and there is no other reason.
    fn look_around(&mut self, peer: &mut Peer) -> Option<()> {
        let errors = self.ask(peer, &Uuid::new_v4().to_string(), "error/list", &json!({"error_type": "disk_full"}))?;
        self.full = errors["errors"].as_array().unwrap().iter().any(|error| error["status"] == "reported");
        self.silences += 1;
        assert!(self.silences < SILENCES, "step {} is stuck: {errors}", self.next);
        (!self.full).then_some(())
    }

    fn perform(&mut self, peer: &mut Peer) -> Option<()> {
        let id = id_of(self.next);
        match &self.script[self.next] {
            Step::Ask(method, params) => {
                let (method, params) = (*method, self.fill_in(params));
                let result = self.ask(peer, &id, method, &params)?;
                self.note(method, &params, &result);
            }
            Step::Work => {
                while self.held.is_empty() {
                    match self.read(peer, Deadline::after(LISTEN)) {
                        Err(Gone::Late) => self.look_around(peer)?,
                        read => drop(read.ok()?),
                    }
                }
                let (task, attempt) = self.held[0].clone();
                let params = json!({"task_id": task, "agent_id": AGENT, "attempt": attempt, "success": true,
                    "result": {"attempt": attempt, "padding": "x".repeat(RESULT)}});
                self.ask(peer, &id, "task/completed", &params)?;
                self.held.remove(0);
                self.acknowledged.completed.insert(task, attempt);
            }
            Step::Reopen => {}
        }
        Some(())
    }

    fn fill_in(&self, params: &Value) -> Value {
        let filled = |value: &Value| match value.as_str().and_then(|text| text.strip_prefix('@')) {
            Some(name) => json!(self.ids[name]),
            None => value.clone(),
        };
        let fields = params.as_object().unwrap().iter();
        Value::Object(fields.map(|(name, value)| (name.clone(), filled(value))).collect::<Map<_, _>>())
    }

    fn note(&mut self, method: &str, params: &Value, result: &Value) {
        let known = &mut self.acknowledged;
        let tasks = || result["task_ids"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
        let pipeline = || params["pipeline_id"].as_str().unwrap_or_default().to_owned();
        match method {
            "pipeline/create" => {
                let id = result["pipeline_id"].as_str().unwrap();
                self.ids.insert(params["name"].as_str().unwrap().to_owned(), id.to_owned());
                known.pipelines.insert(id.to_owned(), tasks().collect());
            }
            "pipeline/start" => drop(known.started.insert(pipeline())),
            "task/create" => known.tasks.extend(tasks()),
            "memory/set" => {
                if let Some(value) = params["value"].as_u64() {
                    known.memory.insert(params["key"].as_str().unwrap().to_owned(), value);
                }
            }
            "memory/delete" => drop(known.memory.remove(params["key"].as_str().unwrap())),
            _ => {}
        }
    }

    /// Starts it without surgery and without faults: what was acknowledged is there, what was not is whole or absent.
    pub(super) fn check(&mut self) {
        let mut life = self.live_again();
        // A deletion that was not answered may have happened.
        if let Some(Step::Ask("memory/delete", params)) = self.script.get(self.next) {
            self.acknowledged.memory.remove(params["key"].as_str().unwrap());
        }
        self.acknowledged.check(&mut life.peer);
        for info in all(&mut life.peer, "pipeline/list", "pipelines").values() {
            assert_eq!(info["metrics"]["tasks_total"], json!(TASKS_A_PIPELINE), "half a pipeline: {info}");
        }
        let tasks = all(&mut life.peer, "task/list", "tasks");
        let alone = tasks.values().filter(|task| task["name"].as_str().is_some_and(|name| name.starts_with('x')));
        assert!(alone.count() % 2 == 0, "half of what was created together");
        life.process.signal(Signal::KILL);
        life.process.end().expect_code(137);
    }

    /// What there is at the end, by name: it does not depend on what happened on the way.
    pub(super) fn outcome(&mut self) -> Value {
        let mut life = self.live_again();
        self.acknowledged.check(&mut life.peer);
        let peer = &mut life.peer;
        let named = |records: BTreeMap<String, Value>, fields: &[&str]| -> BTreeMap<String, Value> {
            let kept = |record: &Value| fields.iter().map(|field| record[*field].clone()).collect();
            let by_name = records.values().map(|record| (record["name"].as_str().unwrap().to_owned(), kept(record)));
            let count = records.len();
            let named: BTreeMap<_, _> = by_name.collect();
            assert_eq!(named.len(), count, "what was asked twice was done once");
            named
        };
        let keys = peer.request("memory/list", json!({}))["keys"].clone();
        let values: Map<_, _> = keys
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .filter(|key| *key != "server/metrics")
            .map(|key| (key.to_owned(), peer.request("memory/get", json!({"key": key}))["value"].clone()))
            .collect();
        let errors = peer.request("error/list", json!({}))["errors"].clone();
        let errors = errors.as_array().unwrap().iter().filter(|error| error["error_type"] != "disk_full").count();
        let outcome = json!({
            "pipelines": named(all(peer, "pipeline/list", "pipelines"), &["status"]),
            "tasks": named(all(peer, "task/list", "tasks"), &["status"]),
            "memory": values,
            "errors": errors,
            "models": peer.request("model/metrics", json!({}))["metrics"][0]["loss"],
        });
        life.end().expect_code(0);
        outcome
    }
}

impl Life {
    /// The client leaves, and the coordinator is told to end.
    fn end(self) -> Ended {
        let Self { mut process, peer } = self;
        drop(peer);
        process.signal(Signal::TERM);
        process.end()
    }
}

/// Whoever closes connections that nobody asked it to close has ended.
fn died<T>(life: &mut Life) -> Result<T, Break> {
    Err(Break::Died(life.process.end()))
}
