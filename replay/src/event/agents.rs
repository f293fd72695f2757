//! What happens to agents.

use crate::ids::{AgentId, ConnectionNo, TaskId};
use crate::spec::Declared;
use serde::{Deserialize, Serialize};

/// An agent introduced itself, or came back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRegistered {
    /// Its identity.
    pub agent: AgentId,
    /// Its name.
    pub name: String,
    /// Its type, a word of its own choosing.
    pub kind: String,
    /// What it can do; sorted, without duplicates.
    pub capabilities: Vec<String>,
    /// What it has.
    pub resources: Declared,
    /// Attempts it takes at a time.
    pub slots: u32,
    /// The connection it speaks through.
    pub connection: ConnectionNo,
    /// Its process, where it runs on the coordinator's machine and said so.
    pub pid: Option<u32>,
    /// Attempts it still works on although they are no longer its own: it is told to cancel them.
    pub stale: Vec<(TaskId, u32)>,
}

/// The connection of an agent ended; its leases go on until their term.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentDisconnected {
    /// Which.
    pub agent: AgentId,
}

/// An agent was silent for the term of a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentLost {
    /// Which.
    pub agent: AgentId,
    /// How long it was silent, in milliseconds.
    pub silent_ms: u64,
}

/// An agent said good-bye.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentUnregistered {
    /// Which.
    pub agent: AgentId,
}
