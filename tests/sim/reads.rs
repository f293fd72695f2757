//! Law 2 for reads: what one shows was so in the durable log, at some time, since the answer may have waited for its peer.

use super::audit::uuid_of;
use super::ledger::Book;
use everlog_replay::{PipelineId, Seq, TaskId};
use serde_json::Value;

/// Looks at what a read shows, when `durable` is the newest event that is durable.
pub(super) fn look(method: &str, result: &Value, durable: Seq, book: &Book) {
    let each = |name: &str| result[name].as_array().cloned().unwrap_or_default();
    match method {
        "task/status" | "task/result" => task(result, durable, book),
        "task/list" => each("tasks").iter().for_each(|record| task(record, durable, book)),
        "pipeline/status" => pipeline(result, durable, book),
        "pipeline/list" => each("pipelines").iter().for_each(|record| pipeline(record, durable, book)),
        "agent/status" => agent(result, durable, book),
        "agent/list" => each("agents").iter().for_each(|record| agent(record, durable, book)),
        "memory/get" if result["exists"] == true => value(result, durable, book),
        "memory/list" => each("keys").iter().for_each(|key| {
            let put = book.values.get(key.as_str().unwrap_or_default()).and_then(|values| values.first());
            begun("memory key", key, put.map(|(_, seq)| *seq), durable);
        }),
        "error/list" => each("errors").iter().for_each(|record| {
            let id = &record["error_id"];
            begun("error", id, book.errors.get(id.as_str().unwrap_or_default()).copied(), durable);
        }),
        "model/metrics" | "model/health" => model(result, durable, book),
        _ => {}
    }
}

fn task(record: &Value, durable: Seq, book: &Book) {
    let id = if record["id"].is_null() { &record["task_id"] } else { &record["id"] };
    let line = book.tasks.get(&TaskId(uuid_of(id)));
    let story = line.into_iter().flat_map(|line| &line.story).map(|step| (step.status.as_str(), step.seq));
    was("task", id, &record["status"], story, durable);
}

fn pipeline(record: &Value, durable: Seq, book: &Book) {
    let run = book.runs.get(&PipelineId(uuid_of(&record["id"]))).into_iter().flatten();
    let story = run.map(|(word, seq)| {
        let status = match *word {
            "created" => "idle",
            "started" | "resumed" => "running",
            "stopped" => "completed",
            other => other,
        };
        (status, *seq)
    });
    // That it is stopping follows from a task that failed.
    if record["status"] != "stopping" {
        was("pipeline", &record["id"], &record["status"], story, durable);
    }
}

fn agent(record: &Value, durable: Seq, book: &Book) {
    let story = book.presences.get(record["id"].as_str().unwrap_or_default()).into_iter().flatten().copied();
    was("agent", &record["id"], &record["status"], story, durable);
}

fn value(result: &Value, durable: Seq, book: &Book) {
    let key = result["key"].as_str().unwrap_or_default();
    let was = book.values.get(key).into_iter().flatten().any(|(text, seq)| {
        *seq <= durable && serde_json::from_str::<Value>(text).is_ok_and(|value| value == result["value"])
    });
    let shown = &result["value"];
    assert!(
        was,
        "law 2: memory/get shows {shown} for {key}, which it was not as far as event {durable}, the newest durable one"
    );
}

fn model(result: &Value, durable: Seq, book: &Book) {
    if let Some(id) = result["model_id"].as_str() {
        begun("model", &result["model_id"], book.models.get(id).copied(), durable);
    }
}

/// What is shown began with an event that was durable.
fn begun(what: &str, id: &Value, first: Option<Seq>, durable: Seq) {
    let is_known = first.is_some_and(|seq| seq <= durable);
    assert!(is_known, "law 2: {what} {id} is shown, and it began with event {first:?}, after {durable}");
}

fn was<'a>(what: &str, id: &Value, shown: &Value, mut story: impl Iterator<Item = (&'a str, Seq)>, durable: Seq) {
    let shown = shown.as_str().unwrap_or_default();
    assert!(
        story.any(|(status, seq)| status == shown && seq <= durable),
        "law 2: {what} {id} is shown as {shown}, which it is not as far as event {durable}, the newest durable one"
    );
}
