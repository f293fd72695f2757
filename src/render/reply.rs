//! Replies and refusals. A reply is a function of the events that it tells of, so that a repeated request gets the same one.

use super::text;
use crate::protocol::Reply;
use everlog_replay::state::Counts;
use everlog_replay::{Envelope, Event, PipelineId, Refusal, TaskStatus};
use serde_json::{Map, Value, json};

/// The `result` of a request whose events these are, in at most `frame_bytes_max` bytes.
#[must_use]
pub(crate) fn reply(reply: Reply, events: &[Envelope], frame_bytes_max: usize) -> String {
    let result = match reply {
        Reply::PipelineCreated => pipeline_created(events).map(|result| with_tasks(result, events, frame_bytes_max)),
        Reply::PipelineStarted => {
            let at = events.first().map(|first| first.at.to_string());
            pipeline(events, "started").map(|result| with(result, "started_at", json!(at)))
        }
        Reply::PipelineStopped => pipeline_stopped(events),
        Reply::PipelinePaused => pipeline(events, "paused"),
        Reply::PipelineResumed => pipeline(events, "resumed"),
        Reply::PipelineDeleted => pipeline(events, "deleted"),
        Reply::TaskCreated => task_created(events),
        Reply::TasksCreated => Some(with_tasks(json!({ "status": "created" }), events, frame_bytes_max)),
        Reply::TaskAssigned => task_assigned(events),
        Reply::TaskCancelled => task_cancelled(events),
        Reply::Retried => Some(retried(events, frame_bytes_max)),
        Reply::AgentRegistered => agent_registered(events),
        Reply::AgentUnregistered => agent_unregistered(events),
        Reply::MemoryStored => memory_stored(events),
        Reply::MemoryDeleted => memory_deleted(events),
        Reply::ErrorReported => error_reported(events),
        Reply::ErrorRecovered => error_recovered(events),
        Reply::ModelRecorded => model_recorded(events),
        Reply::TaskRecorded | Reply::HookRecorded | Reply::None => Some(json!({ "status": "recorded" })),
    };
    text(&result)
}

/// The `error` of a refusal: `{code, message, data?}`.
#[must_use]
pub(crate) fn refusal(refusal: &Refusal) -> String {
    let mut error = json!({ "code": refusal.code(), "message": refusal.to_string() });
    let data: Map<String, Value> =
        refusal.data().into_iter().map(|(name, value)| (name.to_owned(), detail(name, value))).collect();
    if !data.is_empty() {
        error["data"] = Value::Object(data);
    }
    text(&error)
}

fn detail(name: &str, value: String) -> Value {
    match name {
        "allowed" => value.split(", ").collect(),
        "attempt" | "live" | "tasks" | "tasks_expected" => value.parse::<u32>().map_or(Value::Null, Value::from),
        _ => Value::String(value),
    }
}

fn with(mut result: Value, name: &str, value: Value) -> Value {
    result[name] = value;
    result
}

/// Bytes of one task's id in a list.
const TASK_ID_BYTES: usize = 39;
/// Bytes of a reply to a creation that are not the list of tasks: a name of the longest, escaped, and the fixed text.
const CREATION_BYTES: usize = 8_192;

/// Adds the ids of the created tasks: all of them where they fit; `task/list` has the rest.
fn with_tasks(mut result: Value, events: &[Envelope], frame_bytes_max: usize) -> Value {
    let mut ids = task_ids(events);
    let room = frame_bytes_max.saturating_sub(CREATION_BYTES) / TASK_ID_BYTES;
    let total = ids.len();
    ids.truncate(room);
    if ids.len() < total {
        result["task_ids_omitted"] = json!(total - ids.len());
    }
    with(result, "task_ids", json!(ids))
}

fn task_ids(events: &[Envelope]) -> Vec<String> {
    let created = |envelope: &Envelope| {
        if let Event::TaskCreated(e) = &envelope.event { Some(e.task.to_string()) } else { None }
    };
    events.iter().filter_map(created).collect()
}

fn first<T>(events: &[Envelope], read: impl Fn(&Event) -> Option<T>) -> Option<T> {
    events.iter().find_map(|envelope| read(&envelope.event))
}

fn pipeline_id(events: &[Envelope]) -> Option<PipelineId> {
    first(events, |event| event.subject().pipeline)
}

fn pipeline(events: &[Envelope], status: &str) -> Option<Value> {
    pipeline_id(events).map(|id| json!({ "pipeline_id": id.to_string(), "status": status }))
}

fn pipeline_created(events: &[Envelope]) -> Option<Value> {
    let created = events.first()?;
    let Event::PipelineCreated(e) = &created.event else { return None };
    Some(json!({
        "pipeline_id": e.pipeline.to_string(),
        "name": e.name,
        "status": "created",
        "created_at": created.at.to_string(),
    }))
}

fn pipeline_stopped(events: &[Envelope]) -> Option<Value> {
    first(events, |event| {
        let Event::PipelineStopped(e) = event else { return None };
        Some(
            json!({ "pipeline_id": e.pipeline.to_string(), "status": "stopped", "metrics": counts(&e.counts, e.ended_it) }),
        )
    })
}

fn counts(counts: &Counts, stopped: bool) -> Value {
    json!({
        "stopped": stopped,
        "tasks_total": counts.total(),
        "tasks_completed": counts.of(TaskStatus::Completed),
        "tasks_failed": counts.of(TaskStatus::Failed),
        "tasks_cancelled": counts.of(TaskStatus::Cancelled),
    })
}

fn task_created(events: &[Envelope]) -> Option<Value> {
    first(events, |event| {
        let Event::TaskCreated(e) = event else { return None };
        let pipeline = e.pipeline.map(|id| id.to_string()).unwrap_or_default();
        Some(json!({ "task_id": e.task.to_string(), "name": e.name, "status": "created", "pipeline_id": pipeline }))
    })
}

fn task_assigned(events: &[Envelope]) -> Option<Value> {
    let subject = events.first()?.event.subject();
    let (task, agent) = (subject.task?.to_string(), subject.agent?.as_str());
    Some(json!({ "task_id": task, "agent_id": agent, "status": "assigned" }))
}

fn task_cancelled(events: &[Envelope]) -> Option<Value> {
    let task = first(events, |event| event.subject().task)?;
    Some(json!({ "task_id": task.to_string(), "status": "cancelled" }))
}

/// The tasks that run again. One that was released from its back-off is still the same.
fn retried(events: &[Envelope], frame_bytes_max: usize) -> Value {
    let released = first(events, |event| {
        let Event::TaskReleased(e) = event else { return None };
        Some(json!({ "status": "released", "task_ids": [e.task.to_string()] }))
    });
    let pipeline = pipeline_id(events).map(|id| id.to_string()).unwrap_or_default();
    let result = || json!({ "status": "retried", "pipeline_id": pipeline });
    released.unwrap_or_else(|| with_tasks(result(), events, frame_bytes_max))
}

fn agent_registered(events: &[Envelope]) -> Option<Value> {
    first(events, |event| {
        let Event::AgentRegistered(e) = event else { return None };
        Some(json!({ "agent_id": e.agent.as_str(), "name": e.name, "type": e.kind, "status": "registered" }))
    })
}

fn agent_unregistered(events: &[Envelope]) -> Option<Value> {
    first(events, |event| {
        let Event::AgentUnregistered(e) = event else { return None };
        Some(json!({ "agent_id": e.agent.as_str(), "status": "unregistered" }))
    })
}

fn memory_stored(events: &[Envelope]) -> Option<Value> {
    first(events, |event| {
        let Event::MemorySet(e) = event else { return None };
        Some(json!({ "key": e.key, "status": "stored" }))
    })
}

fn memory_deleted(events: &[Envelope]) -> Option<Value> {
    first(events, |event| {
        let Event::MemoryDeleted(e) = event else { return None };
        Some(json!({ "key": e.key, "status": if e.existed { "deleted" } else { "not_found" } }))
    })
}

fn error_reported(events: &[Envelope]) -> Option<Value> {
    first(events, |event| {
        let Event::ErrorReported(e) = event else { return None };
        Some(json!({ "error_id": e.error.to_string(), "status": "reported" }))
    })
}

fn error_recovered(events: &[Envelope]) -> Option<Value> {
    let new = task_ids(events);
    first(events, |event| {
        let Event::ErrorRecovered(e) = event else { return None };
        let task = e.retried.map(|task| task.to_string());
        let details = task.map(|task| json!({ "new_task": new.contains(&task), "task_id": task }));
        Some(json!({
            "error_id": e.error.to_string(),
            "recovery_action": e.action,
            "status": if e.action == "retry" { "retried" } else { "recovered" },
            "details": details,
        }))
    })
}

fn model_recorded(events: &[Envelope]) -> Option<Value> {
    first(events, |event| {
        let Event::ModelReported(e) = event else { return None };
        Some(json!({ "model_id": e.model, "status": "recorded" }))
    })
}
