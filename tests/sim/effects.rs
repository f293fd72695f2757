//! What an event says, held against the request that led to it: an effect is that of the body that was sent, and of no other.

use super::audit::Asked;
use everlog_replay::Event;
use serde_json::Value;

/// Whether this can be the first event of what was asked for.
pub(super) fn fits(event: &Event, asked: &Asked) -> bool {
    let params: Value = serde_json::from_str(&asked.params).unwrap_or_default();
    let named = |name: &str, id: &dyn ToString| params[name] == id.to_string();
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    match (asked.method, event) {
        ("pipeline/create", Event::PipelineCreated(e)) => named("name", &e.name),
        ("pipeline/start", Event::PipelineStarted(e)) => named("pipeline_id", &e.pipeline),
        ("pipeline/pause", Event::PipelinePaused(e)) => named("pipeline_id", &e.pipeline),
        ("pipeline/resume", Event::PipelineResumed(e)) => named("pipeline_id", &e.pipeline),
        ("pipeline/stop", Event::PipelineStopped(e)) => named("pipeline_id", &e.pipeline),
        ("pipeline/delete", Event::PipelineDeleted(e)) => named("pipeline_id", &e.pipeline),
        ("pipeline/stop" | "pipeline/delete", Event::TaskCancelled(_)) => true,
        ("pipeline/retry", Event::PipelineCreated(e)) => json(e.config.as_str())["retry_of"] == params["pipeline_id"],
        ("task/retry" | "error/recover", Event::PipelineCreated(_)) => true,
        // They repeat what hangs together, of which what was named need not be the first.
        ("pipeline/retry" | "task/retry" | "error/recover", Event::TaskCreated(e)) => e.retry_of.is_some(),
        ("task/retry", Event::TaskReleased(e)) => named("task_id", &e.task),
        ("error/recover", Event::TaskReleased(_)) => true,
        ("error/recover", Event::ErrorRecovered(e)) => named("error_id", &e.error),
        ("task/create", Event::TaskCreated(e)) => {
            params["tasks"].as_array().is_some_and(|tasks| tasks.iter().any(|task| task["name"] == e.name))
        }
        ("task/cancel", Event::TaskCancelled(e)) => named("task_id", &e.task),
        ("task/assign" | "agent/assign", Event::TaskAssigned(e)) => {
            named("task_id", &e.task) && named("agent_id", &e.agent)
        }
        ("task/assign" | "agent/assign", Event::AssignmentConfirmed(e)) => {
            named("task_id", &e.task) && named("agent_id", &e.agent)
        }
        ("task/completed", Event::TaskCompleted(e)) => named("task_id", &e.task) && params["success"] == true,
        ("task/completed", Event::TaskFailed(e)) => {
            named("task_id", &e.task) && named("agent_id", &e.agent) && params["success"] == false
        }
        ("agent/register", Event::AgentRegistered(e)) => named("id", &e.agent) && params["slots"] == e.slots,
        ("agent/unregister", Event::AgentUnregistered(e)) => named("agent_id", &e.agent),
        ("agent/unregister" | "agent/register", Event::TaskRequeued(_) | Event::TaskCancelled(_)) => true,
        ("memory/set", Event::MemorySet(e)) => named("key", &e.key) && json(e.value.as_str()) == params["value"],
        ("memory/delete", Event::MemoryDeleted(e)) => named("key", &e.key),
        ("error/report", Event::ErrorReported(e)) => named("component", &e.component) && named("message", &e.message),
        ("claude-flow/hook", Event::HookRecorded(e)) => json(e.body.as_str()) == params,
        ("model/report", Event::ModelReported(e)) => named("model_id", &e.model),
        _ => false,
    }
}
