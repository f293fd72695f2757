//! What was reached at least once: a simulation that never comes somewhere proves nothing about it.

use super::faults::Fault;
use everlog_replay::Event;
use serde_json::Value;
use std::collections::BTreeMap;

/// Where the coordinator is when a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It is down.
    Down,
    /// It serves.
    Serving,
    /// Everything heals: what strikes is what agents that are gone for good do not do, and the last restart.
    Healing,
}

/// The reasons to refuse, which are the variants of `Refusal`, and all of which a client can meet: the code of each (protocol §2), and where reasons share a code, the
/// detail that only this one tells.
const REASONS: [(&str, i64, Option<&str>); 25] = [
    ("InvalidRequest", -32_600, None),
    ("MethodNotFound", -32_601, None),
    ("ErrorNotFound", -32_602, Some("error_id")),
    ("InvalidParams", -32_602, None),
    ("Internal", -32_603, None),
    ("PipelineNotFound", -40_001, None),
    ("PipelineRunning", -40_002, None),
    ("PipelineNotRunning", -40_003, None),
    ("PipelineNotPaused", -40_004, None),
    ("PipelineNeeded", -40_005, Some("task_id")),
    ("PipelineAlive", -40_005, None),
    ("PipelineEnded", -40_006, None),
    ("PipelineIncomplete", -40_007, None),
    ("TaskNotFound", -40_011, None),
    ("TaskAssigned", -40_012, None),
    ("TaskEnded", -40_013, None),
    ("AgentNotFound", -40_021, None),
    ("TaskNotReady", -40_022, Some("task_id")),
    ("AgentNotAvailable", -40_022, None),
    ("ModelNotFound", -40_031, None),
    ("ModelState", -40_032, None),
    ("Forbidden", -40_042, None),
    ("Overloaded", -40_051, None),
    ("StaleAttempt", -40_061, None),
    ("RequestReused", -40_071, None),
];

/// What a start makes of damage, and of what can not be read.
const OUTCOMES: [&str; 5] =
    ["rot refused", "rot harmless", "rot named when read", "unread refused", "unread passed over"];

/// How often each was reached.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks(BTreeMap<String, u64>);

impl Marks {
    pub(super) fn event(&mut self, event: &Event) {
        self.hit(event_mark(event.name()));
    }

    /// A client was refused with this.
    pub(super) fn refusal(&mut self, error: &Value) {
        let is_it = |(_, code, detail): &&(&str, i64, Option<&str>)| {
            error["code"] == *code && detail.is_none_or(|detail| !error["data"][detail].is_null())
        };
        let reason = REASONS.iter().find(is_it).unwrap_or_else(|| panic!("nobody knows this refusal: {error}"));
        self.hit(refusal_mark(reason.0));
    }

    pub(super) fn fault(&mut self, fault: Fault, phase: Phase) {
        self.hit(fault_mark(fault, phase));
    }

    /// What should have been reached and was not.
    pub(super) fn missing(&self) -> Vec<String> {
        let events = Event::KINDS.iter().map(|(_, _, name)| event_mark(name));
        let refusals = REASONS.iter().map(|(name, ..)| refusal_mark(name));
        let faults = Fault::ALL.iter().flat_map(|fault| fault.phases().iter().map(|phase| fault_mark(*fault, *phase)));
        let outcomes = OUTCOMES.map(str::to_owned);
        events.chain(refusals).chain(faults).chain(outcomes).filter(|mark| !self.0.contains_key(mark)).collect()
    }

    /// How many faults struck before everything healed.
    pub(super) fn kinds_of_fault(&self) -> u64 {
        let marks = |fault: &Fault| [Phase::Down, Phase::Serving].map(|phase| fault_mark(*fault, phase));
        let struck = |fault: &&Fault| marks(fault).iter().any(|mark| self.0.contains_key(mark));
        Fault::ALL.iter().filter(struck).count() as u64
    }

    pub(super) fn hit(&mut self, mark: impl Into<String>) {
        *self.0.entry(mark.into()).or_default() += 1;
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (mark, count) in &other.0 {
            *self.0.entry(mark.clone()).or_default() += count;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(mark, count)| (mark.as_str(), *count))
    }
}

fn event_mark(name: &str) -> String {
    format!("event {name}")
}

fn refusal_mark(reason: &str) -> String {
    format!("refusal {reason}")
}

fn fault_mark(fault: Fault, phase: Phase) -> String {
    format!("fault {} while {}", fault.name(), format!("{phase:?}").to_lowercase())
}
