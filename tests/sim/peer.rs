//! What agents and hosts have in common: a connection that fails them, and requests that they repeat.

use super::audit::{Asked, Audit};
use super::disk::Reads;
use super::faults::{Fault, Rates};
use super::marks::{Marks, Phase};
use super::random::Random;
use super::trace::Trace;
use super::wire::{Awaited, FRAME_BYTES_MAX, Line, Said, Wire};
use axum::extract::ws::Message;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// What everybody in the world shares.
pub(super) struct Around {
    pub(super) random: Random,
    pub(super) rates: Rates,
    pub(super) marks: Marks,
    pub(super) trace: Trace,
    pub(super) audit: Audit,
    pub(super) reads: Reads,
    pub(super) phase: Phase,
    /// Monotonic milliseconds.
    pub(super) now: u64,
    /// The newest assignment that reached its agent: the agent, the task, the attempt. What a liar claims for itself.
    pub(super) overheard: (String, String, u32),
}

impl Around {
    /// Whether the fault happens now; then it is on record.
    pub(super) fn strike(&mut self, fault: Fault) -> bool {
        let strikes = self.draws(fault);
        if strikes {
            self.struck(fault);
        }
        strikes
    }

    /// Whether the fault is to happen now: whoever asks says so when it has.
    pub(super) fn draws(&mut self, fault: Fault) -> bool {
        self.rates.strike(fault)
    }

    pub(super) fn struck(&mut self, fault: Fault) {
        self.marks.fault(fault, self.phase);
        self.trace.fault(fault.name());
    }

    pub(super) fn note(&mut self, what: &str) {
        self.trace.note(what);
    }
}

/// A client of the coordinator.
pub(super) struct Peer {
    pub(super) line: Option<Line>,
    /// When it tries to connect, while it is not.
    pub(super) connect_at: u64,
    /// It reads nothing before this time.
    deaf_until: u64,
    latency_ms: u64,
    /// What has not been answered, by id, oldest first by number.
    pub(super) unanswered: BTreeMap<u64, String>,
    sent: u64,
}

impl Peer {
    pub(super) fn new(around: &mut Around) -> Self {
        let (connect_at, latency_ms) = (around.random.between(0, 50), around.random.between(0, 5));
        Self { line: None, connect_at, deaf_until: 0, latency_ms, unanswered: BTreeMap::new(), sent: 0 }
    }

    /// A new connection, for the server to serve.
    pub(super) fn connect(&mut self, now: u64) -> Line {
        let line = Rc::new(RefCell::new(Wire::new(now)));
        self.line = Some(Rc::clone(&line));
        line
    }

    /// Gives the connection up; whether the server is told depends on how.
    pub(super) fn part(&mut self, told: bool, around: &mut Around) {
        if let Some(line) = self.line.take() {
            line.borrow_mut().client_gone = told;
        }
        self.connect_at = around.now + around.random.between(1, 800);
    }

    /// What befalls the connection.
    pub(super) fn trouble(&mut self, around: &mut Around) {
        let Some(line) = self.line.clone() else { return };
        if around.strike(Fault::Reset) {
            self.part(true, around);
        } else if around.strike(Fault::HalfOpen) {
            self.part(false, around);
        } else if around.strike(Fault::Partition) {
            line.borrow_mut().frozen_until = around.now + around.random.between(10, 8_000);
        } else if around.strike(Fault::SlowReader) {
            self.deaf_until = around.now + around.random.between(100, 30_000);
        } else if around.strike(Fault::Garbage) {
            // Each with the id under which it is refused.
            let texts = [
                ("garbage", "unknown"),
                ("{", "unknown"),
                ("[]", "unknown"),
                (r#"{"id":7}"#, "7"),
                ("null", "unknown"),
            ];
            let (text, id) = texts[around.random.below(texts.len())];
            self.say_garbage(text.to_owned(), id, around);
        } else if around.strike(Fault::FrameTooLong) {
            self.say_garbage(" ".repeat(FRAME_BYTES_MAX + 1), "unknown", around);
        }
    }

    fn say_garbage(&mut self, text: String, id: &str, around: &mut Around) {
        let Some(line) = &self.line else { return };
        line.borrow_mut().awaited.push_back(Awaited { id: id.to_owned(), asked: None });
        self.say(text, around);
    }

    fn say(&mut self, text: String, around: &mut Around) {
        let Some(line) = &self.line else { return };
        let due = around.now + around.random.between(0, self.latency_ms);
        line.borrow_mut().say(due, Message::text(text));
    }

    /// Asks something new; its id.
    pub(super) fn request(&mut self, method: &'static str, params: &Value, around: &mut Around) -> String {
        let id = around.random.uuid().to_string();
        self.unanswered.insert(self.sent, id.clone());
        self.sent += 1;
        self.ask(&id, method, params.to_string(), around);
        if around.strike(Fault::RequestReused) {
            let elsewhere = around.random.percent(50).then(|| ("memory/set", json!({ "key": "k" })));
            let (method, mut other) = elsewhere.unwrap_or((method, params.clone()));
            other["value"] = json!(format!("another {id}"));
            self.ask(&id, method, other.to_string(), around);
        }
        id
    }

    /// The same id with the same body is the same request.
    fn ask(&mut self, id: &str, method: &'static str, params: String, around: &mut Around) {
        let asked = Rc::new(Asked { method, params });
        around.audit.asked(id, Rc::clone(&asked));
        self.send_request(id, asked, around);
    }

    fn send_request(&mut self, id: &str, asked: Rc<Asked>, around: &mut Around) {
        let Some(line) = &self.line else { return };
        let (method, params) = (asked.method_sent(), &asked.params);
        let text = format!(r#"{{"id":"{id}","type":"request","method":"{method}","params":{params}}}"#);
        line.borrow_mut().awaited.push_back(Awaited { id: id.to_owned(), asked: Some(asked) });
        self.say(text, around);
    }

    pub(super) fn notify(&mut self, method: &str, params: &Value, around: &mut Around) {
        self.say(format!(r#"{{"id":"","type":"notification","method":"{method}","params":{params}}}"#), around);
    }

    /// Repeats what was not answered, or, out of caution, what was.
    pub(super) fn repeat(&mut self, id: &str, around: &mut Around) {
        if let Some(asked) = around.audit.find(id).cloned() {
            self.send_request(id, asked, around);
        }
    }

    /// The next frame; pings are answered, and the end of the connection is noticed.
    pub(super) fn hear(&mut self, around: &mut Around) -> Option<Rc<Value>> {
        if self.deaf_until > around.now {
            return None;
        }
        loop {
            let line = self.line.clone()?;
            let said = line.borrow_mut().hear(around.now);
            match said {
                Some(Said::Frame(frame)) => {
                    if let Some(id) = frame["id"].as_str().filter(|_| frame["type"] == "response") {
                        self.unanswered.retain(|_, asked| asked != id);
                    }
                    return Some(frame);
                }
                Some(Said::Ping) => {
                    let due = around.now + self.latency_ms;
                    line.borrow_mut().say(due, Message::Pong(Default::default()));
                }
                Some(Said::Closed) => self.part(true, around),
                None if line.borrow().server_gone => self.part(true, around),
                None => return None,
            }
        }
    }
}
