//! The free agents: which of them fit a class, and which is the best.
//!
//! Agents with the same capabilities are alike to every class, so a class meets a handful of pools instead of every agent, and the
//! order of merit within a pool is kept once for all classes with the same demand.

use super::{ClassIx, Queue};
use crate::registry::AgentIx;
use crate::spec::{Resources, Usage};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Order among agents: smaller is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Merit {
    /// Performance score, in coarse steps so that noise does not decide.
    pub score: Reverse<u32>,
    /// Share of slots in use, in thousandths.
    pub load_milli: u32,
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
    pub(super) fn fits(&self, demand: Resources) -> bool {
        let within = self.limits.less(self.used).covers(Resources { gpu: 0, ..demand });
        within && (!self.over || self.running == 0)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Pool {
    capabilities: Arc<[String]>,
    /// Whether its agents declare their resources.
    bound: bool,
    members: BTreeSet<AgentIx>,
    demands: BTreeMap<Resources, Free>,
}

/// The agents of a pool that fit one demand, and the classes that make it.
#[derive(Clone, Debug, Default)]
struct Free {
    classes: BTreeSet<ClassIx>,
    agents: BTreeSet<(Merit, AgentIx)>,
}

#[derive(Debug)]
pub(super) struct Seat {
    pool: u32,
    offer: Option<(Merit, Resources)>,
}

/// The agents that could take a task.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fit {
    pub best: AgentIx,
    pub candidates: u32,
    /// Whether the best has a higher score than every other.
    pub by_score: bool,
}

impl Queue {
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
    pub(super) fn is_fit(&self, class: ClassIx) -> bool {
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

    /// Joins a pool and a class where the pool's agents are able.
    pub(super) fn link(&mut self, pool_no: u32, class_ix: ClassIx) {
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
}

impl Pool {
    /// The demand to look under: agents that declare nothing take any but a GPU.
    fn demand(&self, demand: Resources) -> Resources {
        if self.bound { demand } else { Resources { gpu: demand.gpu, ..Resources::NONE } }
    }

    /// A class with this demand is gone.
    pub(super) fn forget(&mut self, class: ClassIx, demand: Resources) {
        let demand = self.demand(demand);
        if let Some(free) = self.demands.get_mut(&demand) {
            free.classes.remove(&class);
            if free.classes.is_empty() {
                self.demands.remove(&demand);
            }
        }
    }
}

impl Seat {
    fn listing(&self, agent: AgentIx, demand: Resources) -> Option<(Merit, AgentIx)> {
        self.offer.filter(|(_, have)| have.covers(demand)).map(|(merit, _)| (merit, agent))
    }
}
