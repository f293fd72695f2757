//! Law 1 the hard way: the real binary is killed again and again while agents work and hosts steer, and every acknowledged
//! operation is there afterwards, no attempt is given twice, and nothing is stuck at the end.
//!
//! All choices come from seeds; when exactly the kill falls does not, and that is the point. `tests/faults/campaign kills` is the
//! long form.

use crate::bad_input::log;
use crate::faults::{Dice, setting};
use crate::harness::{Acknowledged, Assignment, Deadline, Gone, Peer, Server, all, envelope};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;
use uuid::Uuid;

/// How often the coordinator of one history is killed.
const KILLS: u64 = 100;
/// How often coordinators are killed in the campaign, unless the environment says otherwise.
const CAMPAIGN_KILLS: u64 = 10_000;
/// Acknowledgements between two kills, at most.
const ACKS_BETWEEN: usize = 50;
/// What each host does between two kills before it waits for the next: the load is in the traffic, not in the pile.
const OPERATIONS_A_LIFE: u64 = 60;
/// Ended tasks stay in the views, so that all of them can be checked.
const CONFIG: &str = "retention:\n  ended_tasks: 1000000\n";
/// Agents, and how much each takes at a time.
const AGENTS: u64 = 3;
const SLOTS: usize = 4;
const HOSTS: u64 = 2;
/// How long an agent listens before it goes on with what it holds.
const LISTEN: Duration = Duration::from_millis(20);

/// What all threads share.
#[derive(Default)]
struct World {
    /// Where the coordinator listens now.
    address: Mutex<String>,
    acknowledged: Mutex<Acknowledged>,
    more: Condvar,
    /// How often the coordinator was started again.
    life: Mutex<u64>,
    reborn: Condvar,
    /// Every attempt that an agent was given.
    given: Mutex<BTreeSet<(String, u64)>>,
    hosts_done: AtomicBool,
    agents_done: AtomicBool,
}

impl World {
    fn connect(&self) -> Option<Peer> {
        let address = self.address.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Peer::try_connect(&address).ok()
    }

    /// A new coordinator listens here.
    fn moved(&self, server: &Server) {
        server.address().clone_into(&mut self.address.lock().unwrap_or_else(PoisonError::into_inner));
        *self.life.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.reborn.notify_all();
    }

    fn send_hosts_home(&self) {
        let life = self.life.lock().unwrap_or_else(PoisonError::into_inner);
        self.hosts_done.store(true, Ordering::Release);
        drop(life);
        self.reborn.notify_all();
    }

    fn life(&self) -> u64 {
        *self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next life, or for the end of the test.
    fn wait_for_life_after(&self, life: u64) {
        let now = self.life.lock().unwrap_or_else(PoisonError::into_inner);
        let over = |now: &mut u64| *now <= life && !self.hosts_done.load(Ordering::Acquire);
        drop(self.reborn.wait_while(now, over).unwrap_or_else(PoisonError::into_inner));
    }

    fn note<T>(&self, change: impl FnOnce(&mut Acknowledged) -> T) {
        let mut acknowledged = self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut acknowledged);
        acknowledged.count += 1;
        self.more.notify_all();
    }

    fn snapshot(&self) -> Acknowledged {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until so many operations were acknowledged.
    fn wait_until(&self, until: u64) {
        let known = self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.more.wait_timeout_while(known, Duration::from_secs(30), |known| known.count < until);
        let (known, late) = waited.unwrap_or_else(PoisonError::into_inner);
        let (count, late) = (known.count, late.timed_out());
        drop(known);
        assert!(!late, "only {count} operations were acknowledged, {until} were awaited");
    }
}

/// A client that comes back after every kill and asks again under the same id until it is answered.
struct Stubborn<'w> {
    world: &'w World,
    peer: Option<Peer>,
}

impl Stubborn<'_> {
    fn ask(&mut self, method: &str, params: &Value) -> Result<Value, i64> {
        let id = Uuid::new_v4().to_string();
        let deadline = Deadline::after(Duration::from_secs(60));
        loop {
            assert!(deadline.left().is_some(), "{method} {params} is not answered");
            let Some(peer) = &mut self.peer else {
                self.peer = self.world.connect();
                continue;
            };
            match peer.ask_once(&id, method, params) {
                Some(answer) if answer.result().is_null() => return Err(answer.refused().code),
                Some(answer) => return Ok(answer.granted()),
                None => self.peer = None,
            }
        }
    }
}

/// A host: creates, starts, stops, remembers, until there were enough kills.
fn host(world: &World, number: u64, seed: u64) {
    let mut dice = Dice(seed + 1_000 + number);
    let mut client = Stubborn { world, peer: None };
    let mut mine = Vec::new();
    let (mut life, mut done) = (world.life(), 0);
    for n in 0.. {
        if done == OPERATIONS_A_LIFE {
            world.wait_for_life_after(life);
        }
        if world.hosts_done.load(Ordering::Acquire) {
            break;
        }
        if world.life() != life {
            (life, done) = (world.life(), 0);
        }
        done += 1;
        match dice.throw(10) {
            0..=3 => {
                let key = format!("host{number}/{}", dice.throw(20));
                client.ask("memory/set", &json!({"key": key, "value": n})).unwrap();
                world.note(|known| known.memory.insert(key, n));
            }
            4..=6 => {
                let created =
                    client.ask("pipeline/create", &pipeline(&mut dice, &format!("host {number}, {n}"))).unwrap();
                let id = created["pipeline_id"].as_str().unwrap().to_owned();
                let tasks = created["task_ids"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect();
                world.note(|known| known.pipelines.insert(id.clone(), tasks));
                client.ask("pipeline/start", &json!({"pipeline_id": id})).unwrap();
                world.note(|known| known.started.insert(id.clone()));
                mine.push(id);
            }
            7 | 8 => {
                let config = json!({"retry": {"attempts": 20, "backoff": 0.01}});
                let id =
                    client.ask("task/create", &json!({"name": "alone", "config": config})).unwrap()["task_id"].clone();
                world.note(|known| known.tasks.insert(id.as_str().unwrap().to_owned()));
            }
            _ => {
                let Some(id) = mine.pop() else { continue };
                let this = json!({"pipeline_id": id});
                if dice.throw(3) > 0 {
                    // It may have ended meanwhile.
                    let paused = client.ask("pipeline/pause", &this).map(drop);
                    assert!(matches!(paused, Ok(()) | Err(-40_003)), "{paused:?}");
                    let resumed = client.ask("pipeline/resume", &this).map(drop);
                    assert!(matches!(resumed, Ok(()) | Err(-40_004)), "{resumed:?}");
                } else {
                    client.ask("pipeline/stop", &this).unwrap();
                    world.note(|known| known.stopped.insert(id));
                }
            }
        }
    }
}

/// A small DAG.
fn pipeline(dice: &mut Dice, name: &str) -> Value {
    let tasks: Vec<Value> = (0..2 + dice.throw(5))
        .map(|n| {
            let upstream: Vec<String> = (0..n).filter(|_| dice.throw(3) == 0).map(|n| format!("t{n}")).collect();
            json!({"name": format!("t{n}"), "depends_on": upstream, "priority": dice.throw(10)})
        })
        .collect();
    let strategies = ["sequential", "parallel", "priority_based", "adaptive"];
    let strategy = strategies[dice.throw(4)];
    json!({"name": name, "tasks": tasks, "strategy": strategy, "config": {"retry": {"attempts": 20, "backoff": 0.01}}})
}

/// An agent with a memory: what it works on survives the coordinator.
struct Worker<'w> {
    world: &'w World,
    id: String,
    dice: Dice,
    /// Attempts at work, each with the id of the request that will report it.
    held: BTreeMap<(String, u64), String>,
}

impl Worker<'_> {
    fn run(mut self) {
        while !self.world.agents_done.load(Ordering::Acquire) {
            if let Some(mut peer) = self.world.connect() {
                // Ends with the connection.
                let _ = self.session(&mut peer);
            }
        }
    }

    fn session(&mut self, peer: &mut Peer) -> Option<()> {
        let running: Vec<Value> =
            self.held.keys().map(|(task, attempt)| json!({"task_id": task, "attempt": attempt})).collect();
        let params = json!({"id": self.id, "name": self.id, "slots": SLOTS, "ready": true, "running": running});
        let id = Uuid::new_v4().to_string();
        peer.try_send_text(envelope("request", &id, "agent/register", &params)).ok()?;
        let mut reported: BTreeMap<String, (String, u64)> = BTreeMap::new();
        while !self.world.agents_done.load(Ordering::Acquire) {
            match peer.read(Deadline::after(LISTEN)) {
                Ok(frame) if frame.method() == "task/assigned" => {
                    let given = Assignment::of(&frame);
                    let attempt = (given.task, given.attempt);
                    let first = self.world.given.lock().unwrap_or_else(PoisonError::into_inner).insert(attempt.clone());
                    assert!(first, "{attempt:?} was given twice");
                    self.held.insert(attempt.clone(), Uuid::new_v4().to_string());
                    assert!(self.held.len() <= SLOTS + reported.len(), "more than its slots: {:?}", self.held);
                    self.begin(peer, &attempt, &mut reported)?;
                }
                Ok(frame) if frame.method() == "task/cancelled" => {
                    let task = frame.params()["task_id"].as_str().unwrap_or_default().to_owned();
                    let attempt = frame.params()["attempt"].as_u64().unwrap_or_default();
                    self.held.remove(&(task, attempt));
                }
                Ok(frame) => {
                    if let Some(attempt) = reported.remove(frame.id()) {
                        self.held.remove(&attempt);
                        if frame.result().is_null() {
                            let code = frame.refused().code;
                            // Cancelled or taken back meanwhile.
                            assert!(matches!(code, -40_013 | -40_061), "{attempt:?}: {code}");
                        } else {
                            self.world.note(|known| known.completed.insert(attempt.0, attempt.1));
                        }
                    }
                }
                Err(Gone::Late) => {
                    let open: Vec<_> = self
                        .held
                        .keys()
                        .filter(|held| !reported.values().any(|known| known == *held))
                        .cloned()
                        .collect();
                    for attempt in open {
                        self.report(peer, &attempt, &mut reported)?;
                    }
                }
                Err(Gone::Closed(_)) => return None,
            }
        }
        None
    }

    /// Some attempts are reported at once, some later, some without asking for an answer, and some fail.
    fn begin(
        &mut self,
        peer: &mut Peer,
        attempt: &(String, u64),
        reported: &mut BTreeMap<String, (String, u64)>,
    ) -> Option<()> {
        match self.dice.throw(10) {
            0..=4 => self.report(peer, attempt, reported),
            5 => {
                // Nobody says whether this arrives: the agent forgets it, as clients do.
                self.held.remove(attempt);
                let done = self.completion(attempt, true);
                peer.try_send_text(envelope("notification", "n", "task/completed", &done)).ok()
            }
            6 => {
                self.held.remove(attempt);
                let failed = self.completion(attempt, false);
                peer.try_send_text(envelope("notification", "n", "task/completed", &failed)).ok()
            }
            _ => {
                let begun = json!({"task_id": attempt.0, "agent_id": self.id, "progress": 0.5});
                peer.try_send_text(envelope("notification", "n", "task/progress", &begun)).ok()
            }
        }
    }

    fn report(
        &self,
        peer: &mut Peer,
        attempt: &(String, u64),
        reported: &mut BTreeMap<String, (String, u64)>,
    ) -> Option<()> {
        let Some(id) = self.held.get(attempt) else { return Some(()) };
        reported.insert(id.clone(), attempt.clone());
        peer.try_send_text(envelope("request", id, "task/completed", &self.completion(attempt, true))).ok()
    }

    fn completion(&self, (task, attempt): &(String, u64), success: bool) -> Value {
        json!({"task_id": task, "agent_id": self.id, "attempt": attempt, "success": success,
            "result": {"agent": self.id, "attempt": attempt}})
    }
}

#[test]
fn a_hundred_kills_under_load_lose_nothing() {
    one_history(0);
}

#[test]
#[ignore = "a campaign: tests/faults/campaign kills"]
fn kills() {
    let wanted = setting("EVERLOG_KILLS").unwrap_or(CAMPAIGN_KILLS);
    let first = setting("EVERLOG_SEED").unwrap_or(0);
    for nth in 0..wanted.div_ceil(KILLS) {
        eprintln!("{} kills done; the next history is EVERLOG_SEED={}", nth * KILLS, first + nth);
        one_history(first + nth);
    }
}

/// A coordinator, its hosts and its agents, from the first event to the last, through all its deaths.
fn one_history(seed: u64) {
    let seed = seed << 32;
    let world = World::default();
    let mut server = Server::configured(CONFIG);
    world.moved(&server);
    std::thread::scope(|scope| {
        // Whatever fails, everybody goes home.
        let _home = GoHome(&world);
        let hosts: Vec<_> = (0..HOSTS)
            .map(|n| {
                scope.spawn({
                    let world = &world;
                    move || host(world, n, seed)
                })
            })
            .collect();
        let agents: Vec<_> = (0..AGENTS)
            .map(|n| Worker { world: &world, id: format!("agent{n}"), dice: Dice(seed + n), held: BTreeMap::new() })
            .map(|worker| scope.spawn(|| worker.run()))
            .collect();
        let mut dice = Dice(seed + 7);
        let mut known = world.snapshot();
        for _ in 0..KILLS {
            world.wait_until(known.count + 1 + dice.throw(ACKS_BETWEEN) as u64);
            known = world.snapshot();
            server.kill();
            server.restart();
            world.moved(&server);
            known.check(&mut server.peer());
            assert!(hosts.iter().chain(&agents).all(|thread| !thread.is_finished()), "a client has failed");
        }
        world.send_hosts_home();
        hosts.into_iter().for_each(|host| host.join().unwrap());
        until_all_ended(&server);
        world.agents_done.store(true, Ordering::Release);
        agents.into_iter().for_each(|agent| agent.join().unwrap());
    });
    let known = world.snapshot();
    let mut peer = server.peer();
    known.check(&mut peer);
    let pipelines = all(&mut peer, "pipeline/list", "pipelines");
    assert_eq!(pipelines.len(), known.pipelines.len(), "what was asked twice was done once");
    let tasks = all(&mut peer, "task/list", "tasks");
    let given = world.given.lock().unwrap();
    for (id, info) in &tasks {
        assert!(matches!(info["status"].as_str(), Some("completed" | "failed" | "cancelled")), "it is stuck: {info}");
        if info["status"] == "completed" {
            let attempt = info["attempt"].as_u64().unwrap();
            assert_eq!(info["result"]["attempt"], json!(attempt), "the result of the live attempt: {info}");
            assert!(given.contains(&(id.clone(), attempt)), "of an attempt that somebody was given: {info}");
        }
    }
    assert_eq!(server.terminate().code, 0);
    check_history(&log(&server.data()), tasks.len());
}

/// Every task ends once, every attempt begins once, and the log has no gap.
fn check_history(events: &[Value], tasks: usize) {
    let mut ended = BTreeSet::new();
    let mut assigned = BTreeSet::new();
    for (n, event) in events.iter().enumerate() {
        assert_eq!(event["seq"], json!(n + 1), "no gap");
        let detail = &event["detail"];
        let task = detail["task"].to_string();
        match event["kind"].as_str() {
            Some("TaskAssigned") => {
                assert!(assigned.insert((task, detail["attempt"].as_u64())), "given twice: {event}")
            }
            Some("TaskCompleted" | "TaskCancelled") => assert!(ended.insert(task), "ended twice: {event}"),
            Some("TaskFailed") if detail["then"].get("Retry").is_none() => {
                assert!(ended.insert(task), "ended twice: {event}")
            }
            _ => {}
        }
    }
    assert_eq!(ended.len(), tasks);
    let starts = events.iter().filter(|event| event["kind"] == "CoordinatorStarted").count();
    assert_eq!(json!(starts), json!(KILLS + 1));
}

/// Waits until nothing is left to do.
fn until_all_ended(server: &Server) {
    let mut peer = server.peer();
    let deadline = Deadline::after(Duration::from_secs(60));
    let open = ["pending", "assigned", "running"];
    loop {
        let left = open.map(|status| peer.request("task/list", json!({"status": status, "limit": 3})));
        if left.iter().all(|left| left["total"] == 0) {
            return;
        }
        assert!(deadline.left().is_some(), "this is stuck: {left:?}");
    }
}

/// Tells all threads to end, also when the test fails.
struct GoHome<'w>(&'w World);

impl Drop for GoHome<'_> {
    fn drop(&mut self) {
        self.0.send_hosts_home();
        self.0.agents_done.store(true, Ordering::Release);
    }
}
