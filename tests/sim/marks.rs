//! What was reached at least once: a simulation that never comes somewhere proves nothing about it.

use super::faults::Fault;
use everlog_replay::Event;
use std::collections::BTreeMap;

/// Where the coordinator is when a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It is down.
    Down,
    /// It serves.
    Serving,
    /// It serves, and everything heals.
    Healing,
}

/// Codes that clients are refused with (protocol §2). Missing: those of what does not exist yet (-40041), and of what the
/// coordinator must never say but of a failing disk (-32603, an internal error).
const REFUSALS: [i64; 21] = [
    -32_600, -32_601, -32_602, -40_001, -40_002, -40_003, -40_004, -40_005, -40_006, -40_007, -40_011, -40_012,
    -40_013, -40_021, -40_022, -40_031, -40_032, -40_042, -40_051, -40_061, -40_071,
];

/// How often each was reached.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks(BTreeMap<String, u64>);

impl Marks {
    pub(super) fn event(&mut self, event: &Event) {
        self.hit(event_mark(event.name()));
    }

    pub(super) fn refusal(&mut self, code: i64) {
        self.hit(refusal_mark(code));
    }

    pub(super) fn fault(&mut self, fault: Fault, phase: Phase) {
        self.hit(fault_mark(fault, phase));
    }

    /// What should have been reached and was not.
    pub(super) fn missing(&self) -> Vec<String> {
        let events = Event::KINDS.iter().map(|(_, _, name)| event_mark(name));
        let refusals = REFUSALS.into_iter().map(refusal_mark);
        let faults = Fault::ALL.iter().flat_map(|fault| fault.phases().iter().map(|phase| fault_mark(*fault, *phase)));
        let rot = ["rot refused", "rot harmless"].map(str::to_owned);
        events.chain(refusals).chain(faults).chain(rot).filter(|mark| !self.0.contains_key(mark)).collect()
    }

    /// How many faults struck at all.
    pub(super) fn kinds_of_fault(&self) -> u64 {
        let struck = |fault: &&Fault| self.0.keys().any(|mark| mark.starts_with(&format!("fault {} ", fault.name())));
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

fn refusal_mark(code: i64) -> String {
    format!("refusal {code}")
}

fn fault_mark(fault: Fault, phase: Phase) -> String {
    format!("fault {} while {}", fault.name(), format!("{phase:?}").to_lowercase())
}
