//! The laws of a state, after every step.

#[path = "../../replay/tests/it/laws.rs"]
mod laws;

pub(super) use laws::{check as laws, standing};

use super::ledger::Ledger;
use everlog_replay::event::TaskAssigned;
use everlog_replay::spec::Strategy;
use everlog_replay::state::{Agent, Task};
use everlog_replay::{Actor, Envelope, Event, State, apply};
use serde::Serialize;

/// How much sooner the turn of a task comes for each point of its priority, in microseconds (`ARCHITECTURE.md`, the queue).
const AGEING_US: i64 = 10_000_000;

/// Law 5, at every step: what the events changed is, entity by entity, what their records change in a state that saw nothing else.
pub(super) fn follow(shadow: &mut State, state: &State, envelopes: &[Envelope]) {
    for envelope in envelopes {
        if let (Actor::Scheduler, Event::TaskAssigned(assigned)) = (envelope.actor, &envelope.event) {
            in_turn(shadow, assigned);
        }
        apply(shadow, envelope).unwrap_or_else(|illegal| panic!("law 5: {illegal}"));
    }
    assert_eq!((shadow.seq, shadow.at), (state.seq, state.at), "law 5: the newest event");
    assert_eq!(shadow.counts, state.counts, "law 5: the counts after event {}", state.seq);
    for subject in envelopes.iter().map(|envelope| envelope.event.subject()) {
        if let Some(id) = subject.task {
            same(shadow.task(id).ok(), state.task(id).ok());
        }
        if let Some(id) = subject.pipeline {
            same(shadow.pipeline(id).ok(), state.pipeline(id).ok());
        }
        if let Some(id) = subject.agent {
            same(shadow.agent(id).ok(), state.agent(id).ok());
        }
    }
}

/// Law 10, the bound of ageing: whoever gets a slot came first, of all that wait and could have had it, after priority and weight.
/// So nobody waits longer than these differ.
fn in_turn(state: &State, assigned: &TaskAssigned) {
    let (Ok(task), Ok(agent)) = (state.task(assigned.task), state.agent(&assigned.agent)) else { return };
    let came = counts_from(state, task);
    let could = |other: &&Task| other.is_ready() && laws::is_open(state, other) && laws::fits(state, other, agent);
    let mut others = state.tasks.iter().map(|(_, other)| other).filter(could);
    let before = others.find(|other| counts_from(state, other) < came);
    assert!(before.is_none(), "law 10: {} is overtaken by {} at {}", before.unwrap().id, task.id, state.seq + 1);
}

/// From when on the waiting of a task counts, in microseconds of log time, and its place among equals.
fn counts_from(state: &State, task: &Task) -> (i64, u64) {
    let pipeline = state.pipeline_of(task);
    let sooner = i64::from(task.spec.priority) * AGEING_US;
    let later = i64::from(task.spec.weight_milli) * AGEING_US / 1_000;
    let since = task.ready_since.0;
    let from = match pipeline.map_or(Strategy::PriorityBased, |pipeline| pipeline.mode) {
        Strategy::Sequential => pipeline.map_or(since, |pipeline| pipeline.created_at.0),
        Strategy::Parallel => since,
        Strategy::PriorityBased | Strategy::Adaptive => since - sooner,
        Strategy::ResourceAware => since - sooner + later,
    };
    (from, task.ordinal)
}

fn same<T: Serialize>(shadow: Option<&T>, state: Option<&T>) {
    let (shadow, state) = (serde_json::to_string(&shadow).unwrap(), serde_json::to_string(&state).unwrap());
    assert_eq!(shadow, state, "law 5: what is replayed, and what lives");
}

/// Law 9: an agent that is lost was silent for the term of a lease, and no message from it `waits`. Without a connection nobody
/// was silent but the network.
pub(super) fn silence(agent: &Agent, waits: bool, silent_ms: Option<u64>, lease_ms: u64) {
    assert!(!waits, "law 9: {} is lost and its message waits", agent.id);
    let is_over = silent_ms.is_none_or(|silent_ms| silent_ms >= lease_ms);
    assert!(is_over, "law 9: {} is lost after {silent_ms:?} ms of silence", agent.id);
}

/// Law 5 for all of the state; and the reference says the same.
pub(super) fn whole(ledger: &Ledger, shadow: &State, state: &State) {
    assert!(shadow.hash() == state.hash(), "law 5: the hash of the replay is not that of the state, at {}", state.seq);
    ledger.book.compare(state);
}
