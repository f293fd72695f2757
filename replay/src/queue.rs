//! Who can start now: the index that the scheduler reads.
//!
//! Derived from the facts of the state and never stored: built again when a snapshot is read. Ready tasks stand in *lanes*, one a
//! (scope, class): a scope is a pipeline, or the tasks without one; a class is what a task needs. Free agents stand in *pools*, one
//! a set of capabilities, ordered by merit, once for every demand that a class makes on the pool. A class is *runnable* while one
//! of its lanes offers a task and one of its pools holds an agent that fits. So the next assignment is the first entry of one
//! ordered set, however many tasks wait.

use crate::limits::IDLE_CLASSES_MAX;
use crate::registry::{AgentIx, PipelineIx, TaskIx};
use crate::slab::Slab;
use crate::spec::{Resources, Usage};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Order among ready tasks: smaller goes first. The rank does not change as time passes (ageing is built into it).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// Log time in microseconds at which the task counts as having come, after priority and weight.
    pub rank: i64,
    /// Order of creation, for equals.
    pub ordinal: u64,
}

/// Order among agents: smaller is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Merit {
    /// Performance score, in coarse steps so that noise does not decide.
    pub score: Reverse<u32>,
    /// Share of slots in use, in thousandths.
    pub load_milli: u32,
}

/// Dense number of a class; valid while a live task uses the class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ClassIx(u32);

/// Tasks that share limits: a pipeline, or (number 0) all tasks without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Scope(u32);

impl From<Option<PipelineIx>> for Scope {
    fn from(pipeline: Option<PipelineIx>) -> Self {
        Self(pipeline.map_or(0, |ix| ix.0 + 1))
    }
}

/// What a scope lets through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Nothing: not running, or at its limit.
    #[default]
    Shut,
    /// Only its first task.
    First,
    /// All of its tasks.
    Open,
}

/// What a task needs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Needs {
    /// Capabilities, sorted.
    pub capabilities: Arc<[String]>,
    /// Resources.
    pub demand: Resources,
    /// Whether agents that declare nothing are held to the coordinator's own limits.
    pub aware: bool,
}

/// What the coordinator and its local agents may still take on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Budget {
    /// The limits.
    pub limits: Resources,
    /// What runs on agents that declare nothing.
    pub used: Usage,
    /// How many tasks that is.
    pub running: u32,
    /// Whether the machine is measured to be over a limit.
    pub over: bool,
}

impl Budget {
    fn fits(&self, demand: Resources) -> bool {
        let within = self.limits.less(self.used).covers(Resources { gpu: 0, ..demand });
        within && (!self.over || self.running == 0)
    }
}

#[derive(Debug)]
struct Class {
    needs: Needs,
    /// Live tasks of this class.
    tasks: u32,
    pools: BTreeSet<u32>,
    heads: BTreeSet<(Key, Scope)>,
    runnable: Option<Key>,
}

#[derive(Debug, Default)]
struct Lane {
    ready: BTreeSet<(Key, TaskIx)>,
    offered: Option<Key>,
}

#[derive(Debug)]
struct Pool {
    capabilities: Arc<[String]>,
    /// Whether its agents declare their resources.
    bound: bool,
    members: BTreeSet<AgentIx>,
    demands: BTreeMap<Resources, Free>,
}

/// The agents of a pool that fit one demand, and the classes that make it.
#[derive(Debug, Default)]
struct Free {
    classes: BTreeSet<ClassIx>,
    agents: BTreeSet<(Merit, AgentIx)>,
}

#[derive(Debug)]
struct Seat {
    pool: u32,
    offer: Option<(Merit, Resources)>,
}

/// The next assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Match {
    pub task: TaskIx,
    pub agent: AgentIx,
}

/// The agents that could take a task.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fit {
    pub best: AgentIx,
    pub candidates: u32,
    /// Whether the best has a higher score than every other.
    pub by_score: bool,
}

/// The index.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// Nobody reads it now, so it keeps nothing (see [`crate::State::begin_recovery`]).
    asleep: bool,
    classes: Slab<Class>,
    class_of: BTreeMap<Needs, ClassIx>,
    lanes: BTreeMap<(Scope, ClassIx), Lane>,
    gates: BTreeMap<Scope, Gate>,
    pools: Slab<Pool>,
    pool_of: BTreeMap<(Arc<[String]>, bool), u32>,
    seats: BTreeMap<AgentIx, Seat>,
    aware: BTreeSet<ClassIx>,
    /// Classes without tasks, the longest idle first.
    idle: VecDeque<ClassIx>,
    budget: Budget,
    runnable: BTreeSet<(Key, ClassIx)>,
}

impl Queue {
    /// A queue that takes no notice of anything.
    pub(crate) fn asleep() -> Self {
        Self { asleep: true, ..Self::default() }
    }

    /// The best task that an agent can start now, and the best agent for it.
    pub(crate) fn next(&self) -> Option<Match> {
        let (key, class) = self.runnable.first()?;
        let (_, scope) = self.classes[class.0].heads.first()?;
        let (head, task) = self.lanes.get(&(*scope, *class))?.ready.first()?;
        debug_assert_eq!(head, key, "a lane offers its head");
        Some(Match { task: *task, agent: self.fit(*class)?.best })
    }

    /// The agents that fit a class now: the best, how many, and whether another is as good.
    pub(crate) fn fit(&self, class: ClassIx) -> Option<Fit> {
        let mut best: Option<(Merit, AgentIx)> = None;
        let mut runner_up: Option<Merit> = None;
        let mut candidates = 0;
        for free in self.free_for(class) {
            candidates += u32::try_from(free.agents.len()).unwrap_or(u32::MAX);
            for entry in free.agents.iter().take(2) {
                let (first, other) = match best {
                    Some(first) if first < *entry => (first, Some(entry.0)),
                    before => (*entry, before.map(|(merit, _)| merit)),
                };
                best = Some(first);
                runner_up = [runner_up, other].into_iter().flatten().min();
            }
        }
        let (merit, best) = best?;
        let by_score = runner_up.is_none_or(|other| other.score != merit.score);
        Some(Fit { best, candidates, by_score })
    }

    /// Whether an agent fits a class now.
    fn is_fit(&self, class: ClassIx) -> bool {
        self.free_for(class).any(|free| !free.agents.is_empty())
    }

    fn free_for(&self, class: ClassIx) -> impl Iterator<Item = &Free> {
        let class = &self.classes[class.0];
        class.pools.iter().filter_map(|pool| {
            let pool = &self.pools[*pool];
            let held_back = class.needs.aware && !pool.bound && !self.budget.fits(class.needs.demand);
            pool.demands.get(&pool.demand(class.needs.demand)).filter(|_| !held_back)
        })
    }

    /// Whether what a demand asks of agents without declared resources is within the coordinator's limits now.
    pub(crate) fn budget_fits(&self, demand: Resources) -> bool {
        self.budget.fits(demand)
    }

    /// Number of classes in use.
    pub(crate) fn class_count(&self) -> usize {
        self.class_of.len() - self.idle.len()
    }

    /// Whether a class for these needs is in use.
    pub(crate) fn has_class(&self, needs: &Needs) -> bool {
        self.class_of.get(needs).is_some_and(|ix| self.classes[ix.0].tasks > 0)
    }

    // Classes.

    pub(crate) fn join_class(&mut self, needs: Needs) -> ClassIx {
        if self.asleep {
            return ClassIx::default();
        }
        if let Some(ix) = self.class_of.get(&needs).copied() {
            if self.classes[ix.0].tasks == 0 {
                self.idle.retain(|idle| *idle != ix);
            }
            self.classes[ix.0].tasks += 1;
            return ix;
        }
        let class =
            Class { needs: needs.clone(), tasks: 1, pools: BTreeSet::new(), heads: BTreeSet::new(), runnable: None };
        let ix = ClassIx(self.classes.insert(class));
        if needs.aware {
            self.aware.insert(ix);
        }
        self.class_of.insert(needs, ix);
        for pool in self.pool_of.values().copied().collect::<Vec<_>>() {
            self.link(pool, ix);
        }
        ix
    }

    /// A class whose last task has left is kept for a while: where tasks come one by one, each would otherwise make its class, and
    /// with it the order of all agents, anew.
    pub(crate) fn leave_class(&mut self, ix: ClassIx) {
        if self.asleep {
            return;
        }
        self.classes[ix.0].tasks -= 1;
        if self.classes[ix.0].tasks > 0 {
            return;
        }
        self.idle.push_back(ix);
        if self.idle.len() > IDLE_CLASSES_MAX
            && let Some(oldest) = self.idle.pop_front()
        {
            self.drop_class(oldest);
        }
    }

    fn drop_class(&mut self, ix: ClassIx) {
        let Some(class) = self.classes.remove(ix.0) else { return };
        debug_assert!(class.heads.is_empty(), "a class without tasks offers none");
        self.class_of.remove(&class.needs);
        self.aware.remove(&ix);
        for pool in class.pools {
            let pool = &mut self.pools[pool];
            let demand = pool.demand(class.needs.demand);
            if let Some(free) = pool.demands.get_mut(&demand) {
                free.classes.remove(&ix);
                if free.classes.is_empty() {
                    pool.demands.remove(&demand);
                }
            }
        }
    }

    /// Joins a pool and a class where the pool's agents are able.
    fn link(&mut self, pool_no: u32, class_ix: ClassIx) {
        let (pool, class) = (&mut self.pools[pool_no], &mut self.classes[class_ix.0]);
        let able = class.needs.capabilities.iter().all(|need| pool.capabilities.binary_search(need).is_ok());
        if !able {
            return;
        }
        class.pools.insert(pool_no);
        let demand = pool.demand(class.needs.demand);
        let seats = &self.seats;
        let free = pool.demands.entry(demand).or_insert_with(|| Free {
            classes: BTreeSet::new(),
            agents: pool.members.iter().filter_map(|agent| seats.get(agent)?.listing(*agent, demand)).collect(),
        });
        free.classes.insert(class_ix);
    }

    // Tasks.

    /// A task became ready.
    pub(crate) fn push(&mut self, task: TaskIx, scope: Scope, class: ClassIx, key: Key) {
        if self.asleep {
            return;
        }
        self.lanes.entry((scope, class)).or_default().ready.insert((key, task));
        self.offer(scope, class);
    }

    /// A task is no longer ready.
    pub(crate) fn remove(&mut self, task: TaskIx, scope: Scope, class: ClassIx, key: Key) {
        if self.asleep {
            return;
        }
        if let Some(lane) = self.lanes.get_mut(&(scope, class)) {
            lane.ready.remove(&(key, task));
        }
        self.offer(scope, class);
        if self.lanes.get(&(scope, class)).is_some_and(|lane| lane.ready.is_empty()) {
            self.lanes.remove(&(scope, class));
        }
    }

    /// What a scope lets through from here on.
    pub(crate) fn set_gate(&mut self, scope: Scope, gate: Gate) {
        if self.asleep || self.gates.insert(scope, gate) == Some(gate) {
            return;
        }
        for class in self.classes_in(scope) {
            self.offer_lane(scope, class);
        }
    }

    /// The scope is gone; it has no ready tasks.
    pub(crate) fn drop_scope(&mut self, scope: Scope) {
        self.gates.remove(&scope);
    }

    /// The ready tasks of a scope.
    pub(crate) fn ready_in(&self, scope: Scope) -> Vec<TaskIx> {
        let all = (scope, ClassIx(0))..=(scope, ClassIx(u32::MAX));
        self.lanes.range(all).flat_map(|(_, lane)| lane.ready.iter().map(|(_, task)| *task)).collect()
    }

    fn classes_in(&self, scope: Scope) -> Vec<ClassIx> {
        let all = (scope, ClassIx(0))..=(scope, ClassIx(u32::MAX));
        self.lanes.range(all).map(|((_, class), _)| *class).collect()
    }

    /// A lane has changed: what it offers may have, too; where only the first task counts, so may every lane of the scope.
    fn offer(&mut self, scope: Scope, class: ClassIx) {
        match self.gates.get(&scope).copied().unwrap_or_default() {
            Gate::Shut | Gate::Open => self.offer_lane(scope, class),
            Gate::First => {
                for class in self.classes_in(scope) {
                    self.offer_lane(scope, class);
                }
            }
        }
    }

    fn offer_lane(&mut self, scope: Scope, class: ClassIx) {
        let gate = self.gates.get(&scope).copied().unwrap_or_default();
        let head = |lane: &Lane| lane.ready.first().map(|(key, _)| *key);
        let own = self.lanes.get(&(scope, class)).and_then(head);
        let wanted = match gate {
            Gate::Shut => None,
            Gate::Open => own,
            Gate::First => {
                let all = (scope, ClassIx(0))..=(scope, ClassIx(u32::MAX));
                let first = self.lanes.range(all).filter_map(|(_, lane)| head(lane)).min();
                own.filter(|own| Some(*own) == first)
            }
        };
        let Some(lane) = self.lanes.get_mut(&(scope, class)) else { return };
        let before = std::mem::replace(&mut lane.offered, wanted);
        if before == wanted {
            return;
        }
        let heads = &mut self.classes[class.0].heads;
        if let Some(key) = before {
            heads.remove(&(key, scope));
        }
        if let Some(key) = wanted {
            heads.insert((key, scope));
        }
        self.refresh(class);
    }

    /// Brings the set of runnable classes up to date.
    fn refresh(&mut self, ix: ClassIx) {
        let head = self.classes[ix.0].heads.first().map(|(key, _)| *key);
        let wanted = head.filter(|_| self.is_fit(ix));
        let before = std::mem::replace(&mut self.classes[ix.0].runnable, wanted);
        if before == wanted {
            return;
        }
        if let Some(key) = before {
            self.runnable.remove(&(key, ix));
        }
        if let Some(key) = wanted {
            self.runnable.insert((key, ix));
        }
    }

    // Agents.

    /// An agent came, or came back with other abilities.
    pub(crate) fn seat(&mut self, agent: AgentIx, capabilities: &Arc<[String]>, bound: bool) {
        if self.asleep {
            return;
        }
        self.unseat(agent);
        let key = (Arc::clone(capabilities), bound);
        let pool = match self.pool_of.get(&key) {
            Some(pool) => *pool,
            None => {
                let pool = self.pools.insert(Pool {
                    capabilities: Arc::clone(capabilities),
                    bound,
                    members: BTreeSet::new(),
                    demands: BTreeMap::new(),
                });
                self.pool_of.insert(key, pool);
                for class in self.class_of.values().copied().collect::<Vec<_>>() {
                    self.link(pool, class);
                }
                pool
            }
        };
        self.pools[pool].members.insert(agent);
        self.seats.insert(agent, Seat { pool, offer: None });
    }

    /// An agent left.
    pub(crate) fn unseat(&mut self, agent: AgentIx) {
        self.offer_agent(agent, None);
        let Some(seat) = self.seats.remove(&agent) else { return };
        let pool = &mut self.pools[seat.pool];
        pool.members.remove(&agent);
        if pool.members.is_empty() {
            let Some(pool) = self.pools.remove(seat.pool) else { return };
            for class in pool.demands.values().flat_map(|free| &free.classes) {
                self.classes[class.0].pools.remove(&seat.pool);
            }
            self.pool_of.remove(&(pool.capabilities, pool.bound));
        }
    }

    /// What an agent can take now; `None` when it is full or away.
    pub(crate) fn offer_agent(&mut self, agent: AgentIx, offer: Option<(Merit, Resources)>) {
        let Some(seat) = self.seats.get_mut(&agent) else { return };
        let before = std::mem::replace(&mut seat.offer, offer);
        if before == offer {
            return;
        }
        let mut turned = Vec::new();
        for (demand, free) in &mut self.pools[seat.pool].demands {
            let was_empty = free.agents.is_empty();
            if let Some((merit, _)) = before.filter(|(_, have)| have.covers(*demand)) {
                free.agents.remove(&(merit, agent));
            }
            if let Some((merit, _)) = offer.filter(|(_, have)| have.covers(*demand)) {
                free.agents.insert((merit, agent));
            }
            if was_empty != free.agents.is_empty() {
                turned.extend(free.classes.iter().copied());
            }
        }
        for class in turned {
            self.refresh(class);
        }
    }

    /// The coordinator's own limits, or what counts against them, have changed.
    pub(crate) fn set_budget(&mut self, change: impl FnOnce(&mut Budget)) {
        change(&mut self.budget);
        for class in self.aware.iter().copied().collect::<Vec<_>>() {
            self.refresh(class);
        }
    }
}

impl Pool {
    /// The demand to look under: agents that declare nothing take any but a GPU.
    fn demand(&self, demand: Resources) -> Resources {
        if self.bound { demand } else { Resources { gpu: demand.gpu, ..Resources::NONE } }
    }
}

impl Seat {
    fn listing(&self, agent: AgentIx, demand: Resources) -> Option<(Merit, AgentIx)> {
        self.offer.filter(|(_, have)| have.covers(demand)).map(|(merit, _)| (merit, agent))
    }
}
