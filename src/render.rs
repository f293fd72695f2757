//! Stub of the JSON texts for the wire; replaced at the merge.

use crate::protocol::{Query, Reply};
use crate::shared::Shared;
use everlog_replay::{Envelope, Notice, PipelineId, Refusal};

/// The `result` object's JSON.
#[must_use]
pub fn reply(reply: Reply, events: &[Envelope]) -> String {
    format!("{{\"reply\":\"{reply:?}\",\"events\":{}}}", events.len())
}

/// The `error` object's JSON.
#[must_use]
pub fn refusal(refusal: &Refusal) -> String {
    serde_json::json!({ "code": refusal.code(), "message": refusal.to_string() }).to_string()
}

/// The answer to a question.
///
/// # Errors
/// What the state refuses.
pub fn read(shared: &Shared, query: &Query, frame_bytes_max: usize) -> Result<String, Refusal> {
    match query {
        Query::MemoryGet { key } => Err(Refusal::InvalidParams(key.clone())),
        Query::MemoryList { prefix, .. } => Ok(format!("{{\"padding\":\"{prefix}\"}}")),
        _ => Ok(format!("{{\"seq\":{},\"max\":{frame_bytes_max}}}", shared.state.read().seq)),
    }
}

/// The method, the pipeline that it concerns, and the JSON of the parameters.
#[must_use]
pub fn notice(_: &Shared, notice: &Notice, _: usize) -> (&'static str, Option<PipelineId>, String) {
    match notice {
        Notice::Assigned(assignment) => {
            ("task/assigned", assignment.pipeline, format!("{{\"task_id\":\"{}\"}}", assignment.task))
        }
        Notice::Cancel { task, .. } => ("task/cancelled", None, format!("{{\"task_id\":\"{task}\"}}")),
        Notice::Pipeline { method, pipeline, .. } => (method, Some(*pipeline), "{}".to_owned()),
        Notice::TaskChanged(change) => ("task/changed", change.pipeline, "{}".to_owned()),
        Notice::Hook(body) => ("claude-flow/hook", None, body.as_str().to_owned()),
    }
}
