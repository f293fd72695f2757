//! Agents: they come, come back, fall silent, leave.

use super::{Decision, check_name};
use crate::command::{Command, Failure};
use crate::envelope::Actor;
use crate::event::{self, Event, FailureKind, RequeueReason};
use crate::ids::{AgentId, TaskId};
use crate::limits::{AGENTS_MAX, CAPABILITIES_MAX, SLOTS_MAX};
use crate::refusal::Refusal;
use crate::state::{Agent, Presence, Task};
use crate::text::Json;
use std::collections::BTreeSet;

impl Decision<'_> {
    /// Registering again is a take-over: the leases that the agent names go on, the others become a new attempt at once.
    pub(super) fn register_agent(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        let Command::RegisterAgent { agent, name, kind, capabilities, resources, slots, running, pid } = command else {
            return Ok(Vec::new());
        };
        let Actor::Connection(connection) = self.stamp.actor else {
            return Err(Refusal::Forbidden("an agent registers through a connection".to_owned()));
        };
        check_name("id", agent.as_str())?;
        check_name("name", name)?;
        check_name("type", kind)?;
        for capability in capabilities {
            check_name("a capability", capability)?;
        }
        if capabilities.len() > CAPABILITIES_MAX {
            return Err(Refusal::InvalidParams(format!(
                "an agent has at most CAPABILITIES_MAX, {CAPABILITIES_MAX}, capabilities"
            )));
        }
        if *slots == 0 || *slots > SLOTS_MAX {
            return Err(Refusal::InvalidParams(format!("slots is {slots}; give 1 to SLOTS_MAX, {SLOTS_MAX}")));
        }
        let known = self.state.agent(agent).ok();
        if known.is_none() && self.state.agents.len() >= AGENTS_MAX {
            return Err(Refusal::Overloaded(format!(
                "{AGENTS_MAX} agents are known, the limit AGENTS_MAX; unregister some with agent/unregister"
            )));
        }
        let named: BTreeSet<(TaskId, u32)> = running.iter().copied().collect();
        let held = |agent: &Agent| agent.running.iter().map(|ix| &self.state.tasks[*ix]).collect::<Vec<&Task>>();
        let held = known.map(held).unwrap_or_default();
        let kept: BTreeSet<(TaskId, u32)> = held.iter().map(|task| (task.id, task.attempt)).collect();
        let dropped = held.iter().copied().filter(|task| !named.contains(&(task.id, task.attempt)));
        let mut events = self.let_go(dropped, RequeueReason::NotNamed);
        let mut capabilities = capabilities.clone();
        capabilities.sort();
        capabilities.dedup();
        events.push(
            event::AgentRegistered {
                agent: agent.clone(),
                name: name.clone(),
                kind: kind.clone(),
                capabilities,
                resources: *resources,
                slots: *slots,
                connection,
                pid: *pid,
                stale: named.difference(&kept).copied().collect(),
            }
            .into(),
        );
        Ok(events)
    }

    pub(super) fn unregister_agent(&self, id: &AgentId) -> Result<Vec<Event>, Refusal> {
        let agent = self.state.agent(id)?;
        let running = agent.running.iter().map(|ix| &self.state.tasks[*ix]);
        let mut events = self.let_go(running, RequeueReason::Unregistered);
        events.push(event::AgentUnregistered { agent: id.clone() }.into());
        Ok(events)
    }

    pub(super) fn disconnect_agents(&self, connection: u64, agents: &[AgentId]) -> Vec<Event> {
        let is_gone = |id: &&AgentId| {
            let known = self.state.agent(id);
            known.is_ok_and(|agent| agent.connection == connection && agent.presence == Presence::Active)
        };
        agents.iter().filter(is_gone).map(|id| event::AgentDisconnected { agent: id.clone() }.into()).collect()
    }

    pub(super) fn lose_agent(&self, id: &AgentId, silent_ms: u64) -> Result<Vec<Event>, Refusal> {
        let agent = self.state.agent(id)?;
        if agent.presence == Presence::Lost {
            return Ok(Vec::new());
        }
        Ok(vec![event::AgentLost { agent: id.clone(), silent_ms }.into()])
    }

    /// The lease of an agent that is lost ends; that counts against the task, which may be what took the agent down.
    pub(super) fn expire_lease(&self, id: TaskId) -> Result<Vec<Event>, Refusal> {
        let Ok(task) = self.state.task(id) else { return Ok(Vec::new()) };
        let holder = task.lease.as_ref().map(|lease| &self.state.agents[lease.agent]);
        let Some(agent) = holder.filter(|agent| agent.presence == Presence::Lost) else { return Ok(Vec::new()) };
        let message = format!("agent {} was not heard for the term of a lease", agent.id);
        let failure = Failure { kind: FailureKind::AgentLost, message, result: Json::null() };
        let mut events = Vec::with_capacity(2);
        self.fail(task, &failure, &mut events);
        self.settle(task, &mut events);
        Ok(events)
    }
}
