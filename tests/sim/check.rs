//! The laws of a state, after every step.

#[path = "../../replay/tests/it/laws.rs"]
mod laws;

pub(super) use laws::{check as laws, standing};

use super::ledger::Ledger;
use everlog_replay::state::Agent;
use everlog_replay::{Envelope, State, apply};
use serde::Serialize;

/// Law 5, at every step: what the events changed is, entity by entity, what their records change in a state that saw nothing else.
pub(super) fn follow(shadow: &mut State, state: &State, envelopes: &[Envelope]) {
    for envelope in envelopes {
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
