//! What a seed draws before anything happens: sizes, limits, and how often each fault strikes.

use super::faults::{Fault, Rates};
use super::random::Random;
use everlog_replay::spec::Settings;
use std::collections::BTreeSet;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Swarm {
    pub(super) agents: usize,
    pub(super) hosts: usize,
    pub(super) tasks: u64,
    pub(super) steps: u64,
    /// Messages in one turn of the writer, at most.
    pub(super) batch: usize,
    pub(super) segment_bytes: u64,
    pub(super) snapshot_every: u64,
    /// How much time passes in a step, in milliseconds, at most, mostly.
    pub(super) pace_ms: u64,
    pub(super) settings: Settings,
    pub(super) rates: Rates,
}

impl Swarm {
    pub(super) fn draw(seed: u64, without: &BTreeSet<Fault>) -> Self {
        let random = &mut Random::named(seed, "sizes");
        Self {
            agents: random.between(20, 26) as usize,
            hosts: random.between(2, 5) as usize,
            tasks: random.between(220, 320),
            steps: random.between(1_500, 2_500),
            batch: random.between(1, 64) as usize,
            segment_bytes: random.between(16, 96) << 10,
            snapshot_every: random.between(100, 1_500),
            pace_ms: random.between(5, 60),
            settings: settings(&mut Random::named(seed, "settings")),
            rates: Rates::draw(seed, without),
        }
    }
}

/// Settings that differ in what decides who waits for how long.
pub(super) fn settings(random: &mut Random) -> Settings {
    Settings {
        lease_ms: random.between(1_000, 10_000),
        ended_kept: random.between(20, 400) as u32,
        concurrent_max: random.between(1, 12) as u32,
        // Without a time limit nothing but the lease ends what an agent has forgotten.
        timeout_ms: random.percent(50).then(|| random.between(2_000, 20_000)),
        ..Settings::default()
    }
}
