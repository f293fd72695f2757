//! What happens to the coordinator itself, and what it observes.

use crate::ids::{ConnectionNo, Timestamp};
use crate::spec::Settings;
use serde::{Deserialize, Serialize};

/// The coordinator began to run on this log. Every lease that was live gets a fresh term, so that its agent can come back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoordinatorStarted {
    /// Version of the program.
    pub version: String,
    /// The configuration that decisions rest on from here on.
    pub settings: Settings,
}

/// The configuration changed while the coordinator ran. What was settled before stays: the options of pipelines, the limits of
/// tasks, the terms of leases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoordinatorConfigured {
    /// The configuration that decisions rest on from here on.
    pub settings: Settings,
}

/// The coordinator was asked to end and did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoordinatorStopped {
    /// Why, for a person.
    pub reason: String,
}

/// A client connected and spoke: names the connection that later events have as their actor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionOpened {
    /// Number of the connection.
    pub connection: ConnectionNo,
    /// Address of the peer, as text.
    pub peer: String,
}

/// Reads and repeated refusals of one actor in one time bucket, counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationsObserved {
    /// Begin of the bucket.
    pub bucket: Timestamp,
    /// Who called.
    pub connection: ConnectionNo,
    /// The method.
    pub method: String,
    /// Calls answered.
    pub count: u64,
    /// Calls refused beyond those recorded singly.
    pub refused: u64,
}

/// An operation was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationRefused {
    /// The method.
    pub method: String,
    /// The error code of the protocol (§2).
    pub code: i32,
    /// The sentence that the client was told.
    pub message: String,
}

/// The load of coordinator and local agents crossed a limit, in either direction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineLoadObserved {
    /// Processor time used, in hundredths of a percent of one core.
    pub cpu: u32,
    /// Memory used, in KiB.
    pub memory: u64,
    /// Whether the processor time is over its limit.
    pub over_cpu: bool,
    /// Whether the memory is over its limit.
    pub over_memory: bool,
}
