//! How agents come, come back and go.

use super::{Fold, Illegal};
use crate::event;
use crate::ids::AgentId;
use crate::limits::LOST_AGENTS_MAX;
use crate::state::{Agent, AgentIx, Presence, SCORE_FULL};

impl Fold<'_> {
    pub(super) fn agent_registered(&mut self, e: &event::AgentRegistered) {
        let known = self.state.agents.find(e.agent.as_str());
        let old = known.map(|ix| self.state.agents[ix].clone());
        let agent = Agent {
            id: e.agent.clone(),
            name: e.name.as_str().into(),
            kind: e.kind.as_str().into(),
            capabilities: e.capabilities.as_slice().into(),
            resources: e.resources,
            slots: e.slots,
            presence: Presence::Active,
            connection: e.connection,
            pid: e.pid,
            registered_at: self.at,
            running: old.as_ref().map(|old| old.running.clone()).unwrap_or_default(),
            used: old.as_ref().map(|old| old.used).unwrap_or_default(),
            score_ppm: old.as_ref().map_or(SCORE_FULL, |old| old.score_ppm),
            completed: old.as_ref().map_or(0, |old| old.completed),
            failed: old.as_ref().map_or(0, |old| old.failed),
            busy_us: old.as_ref().map_or(0, |old| old.busy_us),
        };
        self.state.lost.retain(|lost| *lost != e.agent);
        let ix = match known {
            Some(ix) => {
                self.recharge(ix, false);
                self.state.agents[ix] = agent;
                self.recharge(ix, true);
                ix
            }
            None => self.state.agents.insert(agent),
        };
        self.state.seat_agent(ix);
    }

    /// An agent that declares something else than before moves its running work from one account to the other.
    pub(super) fn recharge(&mut self, ix: AgentIx, starts: bool) {
        for task in self.state.agents[ix].running.clone() {
            let demand = self.state.tasks[task].spec.demand;
            self.state.charge(ix, demand, starts);
        }
    }

    pub(super) fn agent_presence(&mut self, id: &AgentId, presence: Presence) -> Result<(), Illegal> {
        let ix = self.agent(id)?;
        self.state.agents[ix].presence = presence;
        self.state.refresh_agent(ix);
        Ok(())
    }

    /// An agent goes only after its leases have ended.
    pub(super) fn expect_idle(&self, id: &AgentId) -> Result<AgentIx, Illegal> {
        let ix = self.agent(id)?;
        if self.state.agents[ix].running.is_empty() {
            return Ok(ix);
        }
        Err(self.contradiction(format!("agent {id} goes before its leases have ended")))
    }

    pub(super) fn agent_lost(&mut self, e: &event::AgentLost) -> Result<(), Illegal> {
        self.agent_presence(&e.agent, Presence::Lost)?;
        self.state.lost.push_back(e.agent.clone());
        while self.state.lost.len() > LOST_AGENTS_MAX {
            // One that still holds leases stays until they have ended.
            let Some(Ok(ix)) = self.state.lost.front().map(|oldest| self.expect_idle(oldest)) else { break };
            self.state.lost.pop_front();
            self.drop_agent(ix);
        }
        Ok(())
    }

    pub(super) fn agent_unregistered(&mut self, e: &event::AgentUnregistered) -> Result<(), Illegal> {
        let ix = self.expect_idle(&e.agent)?;
        self.state.lost.retain(|lost| *lost != e.agent);
        self.drop_agent(ix);
        Ok(())
    }

    pub(super) fn drop_agent(&mut self, ix: AgentIx) {
        self.state.queue.unseat(ix);
        self.state.agents.remove(ix);
    }
}
