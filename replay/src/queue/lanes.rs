//! The ready tasks of one scope: which of them it offers.
//!
//! The heads of the lanes stand in one order, so that where only the first task counts, it is found without a look at every lane:
//! a change costs the logarithm of the number of lanes, whatever the gate. Only a gate that opens, or is open and closes, turns
//! every lane.

use super::ClassIx;
use crate::registry::{PipelineIx, TaskIx};
use std::collections::{BTreeMap, BTreeSet};

/// Order among ready tasks: smaller goes first. The rank does not change as time passes (ageing is built into it).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// Log time in microseconds at which the task counts as having come, after priority and weight.
    pub rank: i64,
    /// Order of creation, for equals.
    pub ordinal: u64,
}

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

/// The first task of a lane.
pub(super) type Head = (Key, ClassIx);

/// What a change turns: the heads that are no longer offered, and those that are from now on.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Turn<T> {
    pub gone: T,
    pub come: T,
}

type Lane = BTreeSet<(Key, TaskIx)>;

/// The lanes of one scope.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    gate: Gate,
    /// The ready tasks of each class that has any.
    ready: BTreeMap<ClassIx, Lane>,
    /// The first task of every lane.
    heads: BTreeSet<Head>,
}

impl Lanes {
    /// A task became ready.
    pub(super) fn push(&mut self, class: ClassIx, key: Key, task: TaskIx) -> Turn<Option<Head>> {
        self.alter(class, |lane| lane.insert((key, task)))
    }

    /// A task is no longer ready.
    pub(super) fn remove(&mut self, class: ClassIx, key: Key, task: TaskIx) -> Turn<Option<Head>> {
        self.alter(class, |lane| lane.remove(&(key, task)))
    }

    fn alter(&mut self, class: ClassIx, change: impl FnOnce(&mut Lane) -> bool) -> Turn<Option<Head>> {
        let head = |lane: &Lane| lane.first().map(|(key, _)| (*key, class));
        let lane = self.ready.entry(class).or_default();
        let before = head(lane);
        change(lane);
        let after = head(lane);
        if after.is_none() {
            self.ready.remove(&class);
        }
        if before == after {
            return Turn::default();
        }
        let first = self.heads.first().copied();
        if let Some(before) = before {
            self.heads.remove(&before);
        }
        self.heads.extend(after);
        match self.gate {
            Gate::Shut => Turn::default(),
            Gate::First if self.heads.first() == first.as_ref() => Turn::default(),
            Gate::First => Turn { gone: first, come: self.heads.first().copied() },
            Gate::Open => Turn { gone: before, come: after },
        }
    }

    /// What is let through from here on.
    pub(super) fn set_gate(&mut self, gate: Gate) -> Turn<Vec<Head>> {
        if self.gate == gate {
            return Turn::default();
        }
        let gone = self.offered();
        self.gate = gate;
        Turn { gone, come: self.offered() }
    }

    /// The heads that the gate lets through.
    fn offered(&self) -> Vec<Head> {
        match self.gate {
            Gate::Shut => Vec::new(),
            Gate::First => self.heads.first().copied().into_iter().collect(),
            Gate::Open => self.heads.iter().copied().collect(),
        }
    }

    /// The first ready task of a class.
    pub(super) fn first(&self, class: ClassIx) -> Option<(Key, TaskIx)> {
        self.ready.get(&class)?.first().copied()
    }

    /// The ready tasks, lane by lane.
    pub(super) fn tasks(&self) -> impl Iterator<Item = TaskIx> {
        self.ready.values().flatten().map(|(_, task)| *task)
    }

    /// Whether no task is ready.
    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Merit, Needs, Queue};
    use super::*;
    use crate::registry::AgentIx;
    use crate::spec::Resources;
    use proptest::prelude::*;
    use std::cmp::Reverse;

    /// Close to the most classes that there may be.
    const CLASSES: u32 = 4_000;

    fn key(rank: u32) -> Key {
        Key { rank: i64::from(rank), ordinal: u64::from(rank) }
    }

    /// A queue with one agent that can take everything, and as many classes as asked for.
    fn queue(classes: u32) -> (Queue, Vec<ClassIx>) {
        let mut queue = Queue::default();
        queue.seat(AgentIx(0), &[].into(), true);
        queue.offer_agent(AgentIx(0), Some((Merit { score: Reverse(0), load_milli: 0 }, Resources::UNBOUNDED)));
        let needs = |cpu| Needs { capabilities: [].into(), demand: Resources { cpu, ..Resources::NONE }, aware: false };
        let classes = (0..classes).map(|cpu| queue.join_class(needs(cpu))).collect();
        (queue, classes)
    }

    fn next(queue: &Queue) -> Option<u32> {
        queue.next().map(|next| next.task.0)
    }

    #[test]
    fn a_sequence_of_many_classes_comes_in_the_order_of_its_tasks() {
        let (mut queue, classes) = queue(CLASSES);
        let scope = Scope(1);
        let class = |n: u32| classes[(n % CLASSES) as usize];
        queue.set_gate(scope, Gate::First);
        // The last comes first, so that every task takes the place of the first; two tasks a lane.
        for n in (0..2 * CLASSES).rev() {
            queue.push(TaskIx(n), scope, class(n), key(n));
            assert_eq!(next(&queue), Some(n));
        }
        for n in 0..2 * CLASSES {
            assert_eq!(next(&queue), Some(n));
            queue.set_gate(scope, Gate::Shut);
            assert_eq!(next(&queue), None);
            queue.remove(TaskIx(n), scope, class(n), key(n));
            queue.set_gate(scope, Gate::First);
        }
        assert_eq!(next(&queue), None);
    }

    #[test]
    fn a_first_task_without_an_agent_holds_up_its_sequence() {
        let (mut queue, classes) = queue(1);
        let absent = Needs { capabilities: ["gpu".to_owned()].into(), demand: Resources::NONE, aware: false };
        let absent = queue.join_class(absent);
        let scope = Scope(1);
        queue.push(TaskIx(1), scope, absent, key(1));
        queue.push(TaskIx(2), scope, classes[0], key(2));
        queue.set_gate(scope, Gate::First);
        assert_eq!(next(&queue), None);
        queue.set_gate(scope, Gate::Open);
        assert_eq!(next(&queue), Some(2));
        queue.set_gate(scope, Gate::First);
        assert_eq!(next(&queue), None);
        queue.remove(TaskIx(1), scope, absent, key(1));
        assert_eq!(next(&queue), Some(2));
    }

    /// What may happen to a scope of 8 classes: task `n` comes or, where it is there, goes; or the gate changes.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Toggle(u32),
        Gate(Gate),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let gate = prop_oneof![Just(Gate::Shut), Just(Gate::First), Just(Gate::Open)];
        let step = prop_oneof![4 => (0_u32..64).prop_map(Step::Toggle), 1 => gate.prop_map(Step::Gate)];
        proptest::collection::vec(step, 1..200)
    }

    /// What should be offered, found by a look at every task.
    fn expected(gate: Gate, tasks: &BTreeSet<u32>) -> BTreeSet<Head> {
        let mut heads = BTreeMap::new();
        for task in tasks {
            heads.entry(ClassIx(task % 8)).or_insert(key(*task));
        }
        let heads = heads.into_iter().map(|(class, key)| (key, class));
        match gate {
            Gate::Shut => BTreeSet::new(),
            Gate::First => heads.min().into_iter().collect(),
            Gate::Open => heads.collect(),
        }
    }

    proptest! {
        #[test]
        fn the_turns_add_up_to_what_the_gate_lets_through(steps in steps()) {
            let (mut lanes, mut gate) = (Lanes::default(), Gate::Shut);
            let (mut tasks, mut offered) = (BTreeSet::new(), BTreeSet::new());
            for step in steps {
                let turn = match step {
                    Step::Gate(new) => {
                        gate = new;
                        lanes.set_gate(new)
                    }
                    Step::Toggle(n) => {
                        let turn = if tasks.remove(&n) {
                            lanes.remove(ClassIx(n % 8), key(n), TaskIx(n))
                        } else {
                            tasks.insert(n);
                            lanes.push(ClassIx(n % 8), key(n), TaskIx(n))
                        };
                        Turn { gone: turn.gone.into_iter().collect(), come: turn.come.into_iter().collect() }
                    }
                };
                for gone in turn.gone {
                    prop_assert!(offered.remove(&gone), "{gone:?} was not offered");
                }
                for come in turn.come {
                    prop_assert!(offered.insert(come), "{come:?} is offered twice");
                }
                prop_assert_eq!(&offered, &expected(gate, &tasks));
            }
        }
    }
}
