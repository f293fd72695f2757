//! Who can start now: the index that the scheduler reads.
//!
//! Derived from the facts of the state and never stored: built again when a snapshot is read. Ready tasks stand in *lanes*, one a
//! (scope, class): a scope is a pipeline, or the tasks without one; a class is what a task needs. Free agents stand in *pools*, one
//! a set of capabilities, ordered by merit, once for every demand that a class makes on the pool. A class is *runnable* while one
//! of its lanes offers a task and one of its pools holds an agent that fits. So the next assignment is the first entry of one
//! ordered set, however many tasks wait.
//!
//! What a scope offers is decided in [`lanes`], which agents fit in [`pools`]; the classes, which join the two, stand here.

mod lanes;
mod pools;

pub(crate) use lanes::{Gate, Key, Scope};
pub(crate) use pools::Merit;

use crate::limits::IDLE_CLASSES_MAX;
use crate::registry::{AgentIx, TaskIx};
use crate::slab::Slab;
use crate::spec::Resources;
use lanes::{Head, Lanes, Turn};
use pools::{Budget, Pool, Seat};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Dense number of a class; valid while a live task uses the class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ClassIx(u32);

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

#[derive(Clone, Debug)]
struct Class {
    needs: Needs,
    /// Live tasks of this class.
    tasks: u32,
    pools: BTreeSet<u32>,
    heads: BTreeSet<(Key, Scope)>,
    runnable: Option<Key>,
}

/// The next assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Match {
    pub task: TaskIx,
    pub agent: AgentIx,
}

/// The index.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// Nobody reads it now, so it keeps nothing (see [`crate::State::begin_recovery`]).
    asleep: bool,
    classes: Slab<Class>,
    class_of: BTreeMap<Needs, ClassIx>,
    scopes: BTreeMap<Scope, Lanes>,
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
        let (head, task) = self.scopes.get(scope)?.first(*class)?;
        debug_assert_eq!(head, *key, "a lane offers its head");
        Some(Match { task, agent: self.fit(*class)?.best })
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
            self.pools[pool].forget(ix, class.needs.demand);
        }
    }

    // Tasks.

    /// A task became ready.
    pub(crate) fn push(&mut self, task: TaskIx, scope: Scope, class: ClassIx, key: Key) {
        if self.asleep {
            return;
        }
        let turn = self.scopes.entry(scope).or_default().push(class, key, task);
        self.offer(scope, turn);
    }

    /// A task is no longer ready.
    pub(crate) fn remove(&mut self, task: TaskIx, scope: Scope, class: ClassIx, key: Key) {
        let Some(lanes) = self.scopes.get_mut(&scope) else { return };
        let turn = lanes.remove(class, key, task);
        self.offer(scope, turn);
    }

    /// What a scope lets through from here on.
    pub(crate) fn set_gate(&mut self, scope: Scope, gate: Gate) {
        if self.asleep {
            return;
        }
        let turn = self.scopes.entry(scope).or_default().set_gate(gate);
        self.offer(scope, turn);
    }

    /// The scope is gone; it has no ready tasks.
    pub(crate) fn drop_scope(&mut self, scope: Scope) {
        let lanes = self.scopes.remove(&scope);
        debug_assert!(lanes.is_none_or(|lanes| lanes.is_empty()), "a scope without tasks has no lanes");
    }

    /// The ready tasks of a scope.
    pub(crate) fn ready_in(&self, scope: Scope) -> Vec<TaskIx> {
        self.scopes.get(&scope).map(|lanes| lanes.tasks().collect()).unwrap_or_default()
    }

    /// Tells the classes which heads a scope no longer offers, and which it does.
    fn offer(&mut self, scope: Scope, turn: Turn<impl IntoIterator<Item = Head>>) {
        for (key, class) in turn.gone {
            self.classes[class.0].heads.remove(&(key, scope));
            self.refresh(class);
        }
        for (key, class) in turn.come {
            self.classes[class.0].heads.insert((key, scope));
            self.refresh(class);
        }
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

    /// The coordinator's own limits, or what counts against them, have changed.
    pub(crate) fn set_budget(&mut self, change: impl FnOnce(&mut Budget)) {
        change(&mut self.budget);
        for class in self.aware.iter().copied().collect::<Vec<_>>() {
            self.refresh(class);
        }
    }
}
