//! The notifications: who sends which, with what.

use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::agent::told::{AgentMetrics, Completion, Progress};
use crate::api::{Heartbeat, Hook, PipelineStep, SystemMetrics, TaskChanged, TaskProgress};
use crate::render::told::{TaskAssigned, TaskCancelled};

/// Who says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    Client,
    Coordinator,
}

/// A notification.
pub(super) struct Notice {
    pub(super) sender: Sender,
    /// Its method on the wire.
    pub(super) method: &'static str,
    /// What it says, and to whom.
    pub(super) summary: &'static str,
    /// The schema of its parameters.
    pub(super) params: fn(&mut SchemaGenerator) -> Schema,
}

const fn by_client<P: JsonSchema>(method: &'static str, summary: &'static str) -> Notice {
    Notice { sender: Sender::Client, method, summary, params: SchemaGenerator::subschema_for::<P> }
}

const fn by_coordinator<P: JsonSchema>(method: &'static str, summary: &'static str) -> Notice {
    Notice { sender: Sender::Coordinator, method, summary, params: SchemaGenerator::subschema_for::<P> }
}

/// All of them. What else a client says is recorded as observed, and has no effect.
pub(super) const NOTICES: &[Notice] = &[
    by_client::<Progress>("task/progress", "Says how far an attempt is; the first time, that it has begun."),
    by_client::<Completion>("task/completed", "Ends an attempt at a task."),
    by_client::<AgentMetrics>("agent/metrics", "Says how an agent does."),
    by_client::<Hook>("claude-flow/hook", "Keeps an event of the client's own, and passes it on."),
    by_coordinator::<TaskAssigned<'_>>("task/assigned", "Gives an attempt at a task to an agent."),
    by_coordinator::<TaskCancelled<'_>>("task/cancelled", "Takes an attempt from the agent that holds it."),
    by_coordinator::<TaskChanged>("task/changed", "A task has another status, or is new. For subscribers."),
    by_coordinator::<TaskProgress>("task/progress", "How far an attempt is, as its agent said. For subscribers."),
    by_coordinator::<Hook>("claude-flow/hook", "An event of some client's own, as it came. For subscribers."),
    by_coordinator::<PipelineStep>("pipeline/created", "There is a new pipeline."),
    by_coordinator::<PipelineStep>("pipeline/started", "A pipeline runs."),
    by_coordinator::<PipelineStep>("pipeline/paused", "Nothing of a pipeline starts any more."),
    by_coordinator::<PipelineStep>("pipeline/resumed", "A paused pipeline goes on."),
    by_coordinator::<PipelineStep>("pipeline/stopped", "A pipeline was ended by request."),
    by_coordinator::<PipelineStep>("pipeline/completed", "A pipeline has ended well."),
    by_coordinator::<PipelineStep>("pipeline/failed", "A pipeline has ended with a failure."),
    by_coordinator::<PipelineStep>("pipeline/deleted", "A pipeline has left the lists."),
    by_coordinator::<Heartbeat>("server/heartbeat", "The coordinator is there. Every 30 seconds."),
    by_coordinator::<SystemMetrics>("monitoring/system_metrics", "How the coordinator's machine does."),
];
