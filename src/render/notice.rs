//! Notifications.

use super::told::{PipelineStep, TaskAssigned, TaskCancelled, TaskChanged, TaskProgress};
use super::{fetch_within, raw, resolve, text};
use crate::shared::Shared;
use everlog_replay::limits::INPUT_OVERHEAD_BYTES;
use everlog_replay::record::{Reference, Shown};
use everlog_replay::{AgentId, Assignment, Json, Notice, Payload, PipelineId, Refusal, TaskChange, TaskId, Timestamp};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Bytes of a frame kept for what is neither configuration nor input.
const ASSIGNMENT_OVERHEAD_BYTES: usize = 4_096;

/// A notification: its method, the pipeline that it concerns, its parameters.
///
/// # Errors
/// What belongs into it can not be read from the log.
pub(crate) fn notice(
    shared: &Shared,
    notice: &Notice,
    frame_bytes_max: usize,
) -> Result<(&'static str, Option<PipelineId>, String), Refusal> {
    Ok(match notice {
        Notice::Assigned(assignment) => {
            ("task/assigned", assignment.pipeline, assigned(shared, assignment, frame_bytes_max)?)
        }
        Notice::Cancel { agent, task, attempt, reason, .. } => {
            let params = TaskCancelled { task_id: Shown(*task), agent_id: agent.as_str(), attempt: *attempt, reason };
            ("task/cancelled", None, text(&params))
        }
        Notice::Pipeline { method, pipeline, name } => {
            (method, Some(*pipeline), text(&PipelineStep { pipeline_id: Shown(*pipeline), name }))
        }
        Notice::TaskChanged(change) => ("task/changed", change.pipeline, changed(change)),
        Notice::Hook(body) => ("claude-flow/hook", None, body.as_str().to_owned()),
    })
}

/// The parameters of a relayed `task/progress`.
#[must_use]
pub(crate) fn progress(
    task: TaskId,
    pipeline: Option<PipelineId>,
    agent: &AgentId,
    progress: f64,
    details: &Json,
    at: Timestamp,
) -> Json {
    let params = TaskProgress {
        task_id: Shown(task),
        pipeline_id: pipeline.map(|id| id.to_string()).unwrap_or_default(),
        agent_id: agent.as_str(),
        progress,
        details: raw(details),
        timestamp: Shown(at),
    };
    text(&params).into()
}

fn changed(change: &TaskChange) -> String {
    text(&TaskChanged {
        task_id: Shown(change.task),
        pipeline_id: change.pipeline.map(|id| id.to_string()).unwrap_or_default(),
        name: &change.name,
        status: change.status.as_str(),
        attempt: change.attempt,
        agent_id: change.agent.as_ref().map(AgentId::as_str),
        error: change.error.as_deref(),
        result: change.result.as_ref().map(raw),
    })
}

fn assigned(shared: &Shared, assignment: &Assignment, frame_bytes_max: usize) -> Result<String, Refusal> {
    let names = assignment.inputs.iter().map(|(_, name, _)| name.len() + INPUT_OVERHEAD_BYTES).sum::<usize>();
    let mut room = frame_bytes_max.saturating_sub(ASSIGNMENT_OVERHEAD_BYTES + names);
    let mut take = |payload: &Payload, target: &dyn Fn() -> String| {
        let mut payload = payload.clone();
        fetch_within(shared, &mut payload, room, target)?;
        let mut json = resolve(shared, &payload)?;
        if json.as_str().len() > room {
            json = text(&Reference { target: target() }).into();
        }
        room = room.saturating_sub(json.as_str().len());
        Ok::<_, Refusal>(raw(&json))
    };
    let config = take(&assignment.config, &|| format!("task:{}/config", assignment.task))?;
    let mut inputs: BTreeMap<String, Box<RawValue>> = BTreeMap::new();
    for (task, name, result) in &assignment.inputs {
        // Of two tasks with one name, which only ids can tell apart, the second goes by its id.
        let name = if inputs.contains_key(&**name) { task.to_string() } else { name.to_string() };
        inputs.insert(name, take(result, &|| format!("task:{task}/result"))?);
    }
    Ok(text(&TaskAssigned {
        task_id: Shown(assignment.task),
        pipeline_id: assignment.pipeline.map(|id| id.to_string()).unwrap_or_default(),
        name: &assignment.name,
        attempt: assignment.attempt,
        config,
        inputs,
        lease_expires_at: Shown(assignment.lease_until),
        agent_id: assignment.agent.as_str(),
    }))
}
