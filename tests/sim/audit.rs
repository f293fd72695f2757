//! What leaves the coordinator, looked at in the moment in which it leaves.

use super::ledger::{Book, Taken};
use super::marks::Marks;
use super::wire::{Said, Wire};
use everlog_replay::{Envelope, Event, PipelineId, Seq, TaskId};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// What was asked and answered, over all connections and all lives of the coordinator.
#[derive(Default)]
pub(super) struct Audit {
    asked: BTreeMap<String, Asked>,
    /// The answers to what changed something, by request and its first event.
    answers: BTreeMap<(String, Seq), String>,
    delivered: BTreeSet<(TaskId, u32)>,
    /// The newest event that something rests on that has left.
    pub(super) acknowledged: Seq,
    pub(super) answered: u64,
}

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) method: &'static str,
    pub(super) params: String,
}

/// What an id is used for that was used before.
pub(super) const REUSED: &str = "memory/set";
/// Methods whose answers rest on events.
const CHANGES: [&str; 19] = [
    "pipeline/create",
    "pipeline/start",
    "pipeline/stop",
    "pipeline/pause",
    "pipeline/resume",
    "pipeline/delete",
    "task/create",
    "task/assign",
    "task/cancel",
    "task/completed",
    "agent/register",
    "agent/unregister",
    "memory/set",
    "memory/delete",
    "error/report",
    "error/recover",
    "claude-flow/hook",
    "model/report",
    "agent/assign",
];

impl Audit {
    pub(super) fn asked(&mut self, id: &str, method: &'static str, params: &str) {
        self.asked.insert(id.to_owned(), Asked { method, params: params.to_owned() });
    }

    pub(super) fn find(&self, id: &str) -> Option<&Asked> {
        self.asked.get(id)
    }

    /// Law 8: the attempt that ends is the one that was named.
    pub(super) fn follows(&self, envelope: &Envelope) {
        let attempt = match &envelope.event {
            Event::TaskCompleted(e) => e.attempt,
            Event::TaskFailed(e) => e.attempt,
            _ => return,
        };
        let asked = envelope.request.as_ref().and_then(|request| self.asked.get(&request.id));
        let params = asked.and_then(|asked| serde_json::from_str::<Value>(&asked.params).ok());
        let named = params.and_then(|params| params["attempt"].as_u64());
        let is_named = named.is_none_or(|named| named == u64::from(attempt));
        assert!(
            is_named,
            "law 8: attempt {named:?} is reported, and attempt {attempt} ends with event {}",
            envelope.seq
        );
    }

    /// The server wrote this to a connection, when `durable` was the newest event that was durable.
    pub(super) fn left(&mut self, wire: &mut Wire, said: &Said, durable: Seq, book: &Book, marks: &mut Marks) {
        let Said::Frame(frame) = said else { return };
        match frame["type"].as_str() {
            Some("response") => self.answer(wire, frame, durable, book, marks),
            Some("notification") => self.notification(frame, durable, book, marks),
            other => panic!("the server sends a frame of type {other:?}"),
        }
    }

    fn answer(&mut self, wire: &mut Wire, frame: &Value, durable: Seq, book: &Book, marks: &mut Marks) {
        let id = frame["id"].as_str().expect("an id is a text");
        let awaited = wire.awaited.pop_front().unwrap_or_else(|| panic!("nobody asked for {frame}"));
        assert_eq!(awaited.id, id, "answers leave in the order of the requests");
        self.answered += 1;
        if let Some(code) = frame["error"]["code"].as_i64() {
            marks.refusal(code);
            assert_ne!(code, -32_603, "an internal error: {frame}");
            return;
        }
        let Some(asked) = self.asked.get(id) else { return };
        let (result, method) = (&frame["result"], if awaited.reused { REUSED } else { asked.method });
        if !CHANGES.contains(&method) {
            return read(method, result, durable, book);
        }
        let known = book.requests.get(id);
        let taken = known.unwrap_or_else(|| panic!("law 1: {method} {id} is answered and not on record"));
        let fits = |taken: &&Taken| (taken.kind == "MemorySet") == (method == REUSED);
        let Some(Taken { seq, .. }) = taken.iter().find(fits) else {
            panic!("law 11: {method} {id} is answered with what another body did");
        };
        self.rests_on(*seq, durable, || format!("the answer to {method} {id}"));
        if taken.len() == 1 {
            let text = result.to_string();
            let before = self.answers.entry((id.to_owned(), *seq)).or_insert_with(|| text.clone());
            assert_eq!(*before, text, "law 11: a repeated {method} gets another answer");
        }
    }

    fn notification(&mut self, frame: &Value, durable: Seq, book: &Book, marks: &mut Marks) {
        let (method, params) = (frame["method"].as_str().unwrap_or_default(), &frame["params"]);
        marks.hit(format!("notice {method}"));
        if method == "task/assigned" {
            let task: TaskId = TaskId(uuid_of(&params["task_id"]));
            let attempt = params["attempt"].as_u64().unwrap_or(0) as u32;
            let Some((seq, agent)) = book.assigned.get(&(task, attempt)) else {
                panic!("law 2: attempt {attempt} of {task} leaves and is not on record");
            };
            assert_eq!(params["agent_id"].as_str(), Some(agent.as_str()), "who is given {task}");
            self.rests_on(*seq, durable, || format!("attempt {attempt} of {task}"));
            assert!(self.delivered.insert((task, attempt)), "law 8: attempt {attempt} of {task} is delivered twice");
        } else if let Some(word) = method.strip_prefix("pipeline/") {
            let pipeline = PipelineId(uuid_of(&params["pipeline_id"]));
            let found = book.notices.iter().find(|((told, about), _)| *told == word && *about == pipeline);
            let (_, seq) = found.unwrap_or_else(|| panic!("law 2: {method} of {pipeline} leaves and is not on record"));
            self.rests_on(*seq, durable, || format!("{method} of {pipeline}"));
        }
    }

    /// Law 2: nothing leaves before what it rests on is durable.
    fn rests_on(&mut self, seq: Seq, durable: Seq, what: impl Fn() -> String) {
        assert!(seq <= durable, "law 2: {} leaves before event {seq}, on which it rests, is durable", what());
        self.acknowledged = self.acknowledged.max(seq);
    }
}

/// What a read shows is durable as well.
fn read(method: &str, result: &Value, durable: Seq, book: &Book) {
    if method != "task/status" && method != "task/result" {
        return;
    }
    let id = if result["id"].is_null() { &result["task_id"] } else { &result["id"] };
    let Some(task) = book.tasks.get(&TaskId(uuid_of(id))) else { return };
    let shown = result["status"].as_str().unwrap_or_default();
    // It may have waited for its peer since it was read.
    let was = task.story.iter().any(|(status, seq)| status.as_str() == shown && *seq <= durable);
    assert!(
        was,
        "law 2: {method} shows {id} as {shown}, which it is not as far as event {durable}, the newest durable one"
    );
}

fn uuid_of(value: &Value) -> Uuid {
    value.as_str().and_then(|text| Uuid::try_parse(text).ok()).unwrap_or_default()
}
