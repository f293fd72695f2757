//! Who was last heard when. A table of the shell: silence is measured in monotonic time, and only what follows from it becomes
//! an event.

use crate::exchange::Directory;
use everlog_replay::state::Presence;
use everlog_replay::{AgentId, ConnectionNo, State};
use std::collections::BTreeMap;

/// Between two looks over all agents, in milliseconds: their cost does not grow with the number of turns.
const LOOK_EVERY_MS: i64 = 200;

/// The agents that are not lost.
#[derive(Debug, Default)]
pub(super) struct Liveness {
    agents: BTreeMap<AgentId, Sign>,
    looked_ms: i64,
}

/// Where the newest sign of life of an agent is found.
#[derive(Clone, Copy, Debug)]
enum Sign {
    /// Its connection knows.
    Connected(ConnectionNo),
    /// It is not connected; this is when it was, in monotonic milliseconds.
    Gone(i64),
}

impl Liveness {
    /// The agents of a recovered state, as if all had been heard just now.
    pub(super) fn of(state: &State, mono_ms: i64) -> Self {
        let known = state.agents.iter().filter(|(_, agent)| agent.presence != Presence::Lost);
        let agents = known.map(|(_, agent)| (agent.id.clone(), Sign::Gone(mono_ms))).collect();
        Self { agents, looked_ms: mono_ms }
    }

    pub(super) fn registered(&mut self, agent: AgentId, connection: ConnectionNo) {
        self.agents.insert(agent, Sign::Connected(connection));
    }

    /// An agent left, or is lost.
    pub(super) fn left(&mut self, agent: &AgentId) {
        self.agents.remove(agent);
    }

    /// The agents whose connection this was.
    pub(super) fn closed(&mut self, connection: ConnectionNo, mono_ms: i64) -> Vec<AgentId> {
        let mut gone = Vec::new();
        for (agent, sign) in &mut self.agents {
            if matches!(sign, Sign::Connected(no) if *no == connection) {
                *sign = Sign::Gone(mono_ms);
                gone.push(agent.clone());
            }
        }
        gone
    }

    /// The agents that were silent for the term of a lease, with the length of their silence in milliseconds. They are lost, and
    /// are not named again before they register anew.
    pub(super) fn silent(&mut self, state: &State, directory: &Directory, mono_ms: i64) -> Vec<(AgentId, u64)> {
        if mono_ms < self.looked_ms + LOOK_EVERY_MS {
            return Vec::new();
        }
        self.looked_ms = mono_ms;
        let lease_ms = i64::try_from(state.settings.lease_ms).unwrap_or(i64::MAX);
        let mut silent = Vec::new();
        self.agents.retain(|agent, sign| {
            let heard = match *sign {
                Sign::Connected(no) => directory.get(no).map_or(mono_ms, |outbox| outbox.heard_ms()),
                Sign::Gone(at) => at,
            };
            let silence = mono_ms.saturating_sub(heard);
            if silence <= lease_ms {
                return true;
            }
            silent.push((agent.clone(), u64::try_from(silence).unwrap_or(0)));
            false
        });
        silent
    }
}
