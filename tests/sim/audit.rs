//! What leaves the coordinator, looked at in the moment in which it leaves.

use super::effects;
use super::ledger::{Book, Ledger, Step, Taken};
use super::marks::Marks;
use super::wire::{Said, Wire};
use everlog_replay::{Envelope, Event, PipelineId, Refusal, Seq, TaskId, TaskStatus};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use uuid::Uuid;

/// What was asked and answered, over all connections and all lives of the coordinator.
#[derive(Default)]
pub(super) struct Audit {
    /// The bodies that were sent under each id, the first one first.
    asked: BTreeMap<String, Vec<Rc<Asked>>>,
    /// The answers to what changed something, by id and body.
    answers: BTreeMap<(String, [u8; 16]), BTreeSet<String>>,
    delivered: BTreeSet<(TaskId, u32)>,
    /// What the writer refused, and the newest event when it first did: refusals rest on all that was decided before.
    refused: BTreeMap<String, Seq>,
    /// The newest event that something rests on that has left.
    pub(super) acknowledged: Seq,
    /// The disk has failed since the coordinator started.
    pub(super) disk_failed: bool,
    pub(super) answered: u64,
}

/// A request, apart from its id.
pub(super) struct Asked {
    pub(super) method: &'static str,
    pub(super) params: String,
}

impl Asked {
    /// The method on the wire, where one has two uses.
    pub(super) fn method_sent(&self) -> &'static str {
        if self.method == "model/report" { "model/metrics" } else { self.method }
    }

    /// What tells this body from others, as the log's format has it.
    fn body(&self) -> [u8; 16] {
        let hash: [u8; 32] = Sha256::digest([self.method_sent(), "\0", &self.params].concat()).into();
        std::array::from_fn(|nth| hash[nth])
    }
}

/// What a read is refused with when the disk fails under it.
const UNREAD: &str = "the log can not be read at the moment";
/// Methods whose answers rest on events.
const CHANGES: [&str; 21] = [
    "pipeline/create",
    "pipeline/start",
    "pipeline/stop",
    "pipeline/pause",
    "pipeline/resume",
    "pipeline/delete",
    "pipeline/retry",
    "task/create",
    "task/assign",
    "task/cancel",
    "task/retry",
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
    pub(super) fn asked(&mut self, id: &str, asked: Rc<Asked>) {
        self.asked.entry(id.to_owned()).or_default().push(asked);
    }

    /// What an id was used for first.
    pub(super) fn find(&self, id: &str) -> Option<&Rc<Asked>> {
        self.asked.get(id)?.first()
    }

    /// The writer has refused these in a turn that brought `fresh` events. What came without an id of its own is refused by
    /// sessions too, which rests on nothing.
    pub(super) fn refused<'a>(
        &mut self,
        refusals: impl Iterator<Item = (&'a str, &'a Refusal)>,
        fresh: &[Envelope],
        ledger: &Ledger,
    ) {
        for (id, refusal) in refusals.filter(|(id, _)| self.asked.contains_key(*id)) {
            if self.refused.contains_key(id) {
                continue;
            }
            self.refused.insert(id.to_owned(), ledger.last());
            let is_known = |fresh: &Envelope| ledger.book.remembers(id, fresh.seq, fresh.at);
            let may = matches!(refusal, Refusal::RequestReused(_)) || !fresh.first().is_some_and(is_known);
            assert!(may, "law 11: {id} took effect before, and is refused: {refusal}");
        }
    }

    /// A crash took everything after `last`; nobody was refused because of it.
    pub(super) fn forget_after(&mut self, last: Seq) {
        self.refused.retain(|_, newest| *newest <= last);
    }

    /// An event does what the body asks for that its request is on record with; law 8: the attempt that ends is the one that was
    /// named.
    pub(super) fn follows(&self, envelope: &Envelope) {
        let Some((request, bodies)) =
            envelope.request.as_ref().and_then(|request| Some((request, self.asked.get(&request.id)?)))
        else {
            return;
        };
        let (name, seq) = (envelope.event.name(), envelope.seq);
        let asked = bodies.iter().find(|asked| asked.body() == request.body);
        let asked =
            asked.unwrap_or_else(|| panic!("law 11: nobody sent the body of {} that {seq} carries", request.id));
        assert!(effects::fits(&envelope.event, asked), "{} {} leads to {name} at {seq}", asked.method, asked.params);
        let attempt = match &envelope.event {
            Event::TaskCompleted(e) => e.attempt,
            Event::TaskFailed(e) => e.attempt,
            _ => return,
        };
        let params: Value = serde_json::from_str(&asked.params).unwrap_or_default();
        let named = params["attempt"].as_u64();
        let is_named = named.is_none_or(|named| named == u64::from(attempt));
        assert!(is_named, "law 8: attempt {named:?} is reported, and attempt {attempt} ends with event {seq}");
    }

    /// The server wrote this to a connection, when `durable` was the newest event that was durable.
    pub(super) fn left(&mut self, wire: &mut Wire, said: &Said, durable: Seq, book: &Book, marks: &mut Marks) {
        let Said::Frame(frame) = said else { return };
        match frame["type"].as_str() {
            Some("response") => self.answer(wire, frame, durable, book, marks),
            Some("notification") => self.notification(wire, frame, durable, book, marks),
            other => panic!("the server sends a frame of type {other:?}"),
        }
    }

    fn answer(&mut self, wire: &mut Wire, frame: &Value, durable: Seq, book: &Book, marks: &mut Marks) {
        let id = frame["id"].as_str().expect("an id is a text");
        let awaited = wire.awaited.pop_front().unwrap_or_else(|| panic!("nobody asked for {frame}"));
        assert_eq!(awaited.id, id, "answers leave in the order of the requests");
        self.answered += 1;
        if let Some(code) = frame["error"]["code"].as_i64() {
            marks.refusal(&frame["error"]);
            let unread =
                self.disk_failed && frame["error"]["message"].as_str().is_some_and(|text| text.starts_with(UNREAD));
            assert!(code != -32_603 || unread, "an internal error: {frame}");
            if let Some(newest) = self.refused.get(id).copied() {
                self.rests_on(newest, durable, || format!("the refusal of {id}"));
            }
            return;
        }
        let Some(asked) = awaited.asked else { return };
        let (result, method) = (&frame["result"], asked.method);
        if !CHANGES.contains(&method) {
            return super::reads::look(method, result, durable, book);
        }
        let (known, body) = (book.requests.get(id), asked.body());
        let known = known.unwrap_or_else(|| panic!("law 1: {method} {id} is answered and not on record"));
        let effects: Vec<&Taken> = known.iter().filter(|taken| taken.body == body).collect();
        let Some(first) = effects.first() else {
            panic!("law 11: {method} {id} is answered with what another body did");
        };
        self.rests_on(first.seq, durable, || format!("the answer to {method} {id}"));
        let is_about = |taken: &&&Taken| {
            let names = |name: &str, id: Option<Uuid>| {
                result[name].is_null() || id.is_none_or(|id| uuid_of(&result[name]) == id)
            };
            names("pipeline_id", taken.pipeline.map(|id| id.0)) && names("task_id", taken.task.map(|id| id.0))
        };
        assert!(effects.iter().any(|taken| is_about(&taken)), "law 11: {method} {id} did something else than {result}");
        // A request that is no longer remembered takes effect once more, with an answer of its own.
        let answers = self.answers.entry((id.to_owned(), body)).or_default();
        answers.insert(result.to_string());
        assert!(answers.len() <= effects.len(), "law 11: a repeated {method} gets another answer");
    }

    fn notification(&mut self, wire: &mut Wire, frame: &Value, durable: Seq, book: &Book, marks: &mut Marks) {
        let (method, params) = (frame["method"].as_str().unwrap_or_default(), &frame["params"]);
        marks.hit(format!("notice {method}"));
        let (task, attempt) = (TaskId(uuid_of(&params["task_id"])), params["attempt"].as_u64().unwrap_or(0) as u32);
        let told = || format!("{method} of {task}, attempt {attempt}");
        let story = book.tasks.get(&task).map_or(&[][..], |line| line.story.as_slice());
        match method {
            "task/assigned" => {
                let assigned = book.assigned.get(&(task, attempt));
                let (seq, agent) = assigned.unwrap_or_else(|| panic!("law 2: {} is not on record", told()));
                assert_eq!(params["agent_id"].as_str(), Some(agent.as_str()), "who is given {task}");
                self.rests_on(*seq, durable, told);
                assert!(
                    self.delivered.insert((task, attempt)),
                    "law 8: attempt {attempt} of {task} is delivered twice"
                );
            }
            "task/changed" => {
                let shown = params["status"].as_str().unwrap_or_default();
                let is_it = |step: &&Step| step.status.as_str() == shown && step.attempt == attempt;
                self.rests_on_step(story.iter().find(is_it), durable, told);
            }
            "task/progress" => {
                let running = story.iter().find(|step| step.status == TaskStatus::Running);
                self.rests_on_step(running, durable, || format!("progress of {task}"));
            }
            // Of what was never given to anybody there is nothing to take back.
            "task/cancelled" if book.assigned.contains_key(&(task, attempt)) => {
                let is_over = |step: &&Step| step.attempt == attempt && !step.status.is_leased();
                self.rests_on_step(story.iter().find(is_over), durable, told);
            }
            _ => {
                if let Some(word) = method.strip_prefix("pipeline/") {
                    let pipeline = PipelineId(uuid_of(&params["pipeline_id"]));
                    // What this connection is told the second time happened a second time, or later.
                    let nth = wire.told.entry(format!("{word} {pipeline}")).or_default();
                    let run = book.runs.get(&pipeline).into_iter().flatten().filter(|(known, _)| *known == word);
                    let found = run.map(|(_, seq)| *seq).nth(*nth);
                    *nth += 1;
                    let seq = found.unwrap_or_else(|| panic!("law 2: {method} of {pipeline} is not on record"));
                    self.rests_on(seq, durable, || format!("{method} of {pipeline}"));
                }
            }
        }
    }

    fn rests_on_step(&mut self, step: Option<&Step>, durable: Seq, what: impl Fn() -> String) {
        let step = step.unwrap_or_else(|| panic!("law 2: {} leaves and is not on record", what()));
        self.rests_on(step.seq, durable, what);
    }

    /// Law 2: nothing leaves before what it rests on is durable.
    fn rests_on(&mut self, seq: Seq, durable: Seq, what: impl Fn() -> String) {
        assert!(seq <= durable, "law 2: {} leaves before event {seq}, on which it rests, is durable", what());
        self.acknowledged = self.acknowledged.max(seq);
    }
}

pub(super) fn uuid_of(value: &Value) -> Uuid {
    value.as_str().and_then(|text| Uuid::try_parse(text).ok()).unwrap_or_default()
}
