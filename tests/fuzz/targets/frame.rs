//! Any text as a frame: the way that a session takes with it, up to the record and the answer.

use super::world::{Answer, World};
use crate::protocol::{BadFrame, Frame, FrameType, Operation, Reply, frame as envelope, interpret, json};
use crate::render;
use everlog_replay::spec::Settings;
use everlog_replay::{Actor, Envelope, Refusal, codec};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;

/// Bytes of the longest frame that the server sends to anybody (protocol §1).
pub(super) const FRAME_BYTES_MAX: usize = 1 << 20;
/// Characters of the longest sentence that a refusal may be, whatever it quotes.
const SENTENCE_CHARS_MAX: usize = 1_000;

/// A message that is accepted is accepted again in the server's own spelling, means the same then, and its events fit records;
/// every other gets a refusal that can be sent.
pub fn frame(bytes: &[u8]) {
    // What is not UTF-8 never comes this far: the WebSocket refuses it.
    let text = String::from_utf8_lossy(bytes);
    let cleaned = match json::clean(&text) {
        Ok(cleaned) => cleaned,
        Err(problem) => return told(&BadFrame::unclean(&text, problem).refusal),
    };
    let once = json::clean(&cleaned.text).expect("what passed once passes");
    assert!(!once.replaced, "cleaning is done at once");
    let frame = match envelope::parse(&cleaned.text) {
        Ok(frame) => frame,
        Err(bad) => return told(&bad.refusal),
    };
    let operation = interpret(&frame, &mut ids());
    let spelt = spelt(&frame);
    let again = envelope::parse(&spelt).unwrap_or_else(|bad| panic!("{spelt}: {}", bad.refusal));
    assert_eq!((&frame.id, frame.frame_type, &frame.method), (&again.id, again.frame_type, &again.method));
    assert_eq!(operation, interpret(&again, &mut ids()), "{spelt}");
    match operation {
        Ok(Operation::Change { command, reply }) => {
            let mut world = World::new(Settings::default());
            match world.turn(Actor::Connection(1), None, &command) {
                Answer::Done(events) => answered(reply, &world.log[events]),
                Answer::Refused { refusal, .. } => told(&refusal),
                Answer::Repeated(_) => panic!("nothing was asked before"),
            }
        }
        Ok(
            Operation::Register { .. }
            | Operation::Progress { .. }
            | Operation::AgentMetrics { .. }
            | Operation::Read(_)
            | Operation::Session(_)
            | Operation::Observe,
        ) => {}
        Err(refusal) => told(&refusal),
    }
}

/// New identities, the same every time.
fn ids() -> impl FnMut() -> Uuid {
    let mut made = 0;
    move || {
        made += 1;
        Uuid::from_u128(made)
    }
}

/// The message in the spelling of the protocol.
fn spelt(frame: &Frame<'_>) -> String {
    #[derive(Serialize)]
    struct Message<'a> {
        id: Option<&'a str>,
        r#type: &'a str,
        method: &'a str,
        params: Option<&'a RawValue>,
    }
    let wants_answer = frame.frame_type == FrameType::Request;
    let id = (wants_answer || !frame.id.is_empty()).then_some(&*frame.id);
    let message = Message { id, r#type: frame.frame_type.as_str(), method: &frame.method, params: frame.params };
    serde_json::to_string(&message).expect("all of it is JSON")
}

/// The client hears a sentence with a code.
pub(super) fn told(refusal: &Refusal) {
    let text = render::refusal(refusal);
    let error: Value = serde_json::from_str(&text).expect("a refusal is JSON");
    assert_eq!(error["code"], refusal.code());
    let sentence = error["message"].as_str().unwrap_or_default();
    assert!((1..=SENTENCE_CHARS_MAX).contains(&sentence.chars().count()), "a sentence of another length: {sentence}");
}

/// The client hears what became of it, and every event fits a record.
pub(super) fn answered(reply: Reply, events: &[Envelope]) {
    let text = render::reply(reply, events, FRAME_BYTES_MAX);
    let result: Value = serde_json::from_str(&text).expect("an answer is JSON");
    assert!(result.is_object(), "{reply:?} is answered with {text}");
    for envelope in events {
        let mut record = Vec::new();
        codec::encode(envelope, &mut record).expect("a frame fits a record");
        assert_eq!(codec::decode(&record).expect("it was just written"), *envelope);
    }
}
