//! The envelope of a message. It is read without looking into `params`, so that a frame is dispatched, hashed and refused under its
//! own id whatever its parameters hold.

use super::field::{Field, cut, is_null, text_of};
use super::json::JsonProblem;
use super::params::Key;
use everlog_replay::{Refusal, limits};
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Characters in the id of a message (protocol §1): a UUID has 36; what is remembered for law 11 must stay small.
pub(crate) const ID_CHARS_MAX: usize = 128;
/// The id of an answer to a frame whose own id could not be read (protocol §1).
pub(crate) const ID_UNKNOWN: &str = "unknown";

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameType {
    /// It wants an answer.
    Request,
    /// It answers a request of the server.
    Response,
    /// It wants none.
    Notification,
    /// It answers a request of the server with an error.
    Error,
}

impl FrameType {
    const ALL: [Self; 4] = [Self::Request, Self::Response, Self::Notification, Self::Error];

    /// The word on the wire.
    #[must_use]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Response => "response",
            Self::Notification => "notification",
            Self::Error => "error",
        }
    }
}

/// A message; everything is borrowed from its text where the text allows it.
#[derive(Clone, Debug)]
pub(crate) struct Frame<'a> {
    /// What the sender calls it; `""` where a message that wants no answer has none.
    pub id: Cow<'a, str>,
    /// What it is.
    pub frame_type: FrameType,
    /// What is asked or told; `""` in answers.
    pub method: Cow<'a, str>,
    /// Parameters: the raw text that belongs into the hash of law 11.
    pub params: Option<&'a RawValue>,
}

/// A frame that is no message, and what to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadFrame {
    /// The id to answer under; [`ID_UNKNOWN`] where it could not be read.
    pub id: String,
    /// The refusal, code −32600.
    pub refusal: Refusal,
}

impl BadFrame {
    fn new(id: Option<Cow<'_, str>>, sentence: String) -> Self {
        Self {
            id: id.map_or_else(|| ID_UNKNOWN.to_owned(), Cow::into_owned),
            refusal: Refusal::InvalidRequest(sentence),
        }
    }

    /// The answer to a frame that did not pass [`super::json::clean`]: under its own id, if that can be read all the same.
    #[must_use]
    pub(crate) fn unclean(text: &str, problem: JsonProblem) -> Self {
        let fields = serde_json::from_str::<Fields<'_>>(text).unwrap_or_default();
        Self::new(id_of(fields.id).unwrap_or_default(), problem.to_string())
    }
}

/// Reads the envelope of a text that [`super::json::clean`] has passed. Unknown fields are ignored, of duplicate ones the last
/// counts.
///
/// # Errors
/// When the text is not one JSON object, or its `id`, `type` or `method` is missing where needed or of the wrong form.
pub(crate) fn parse(text: &str) -> Result<Frame<'_>, BadFrame> {
    let fields: Fields<'_> = serde_json::from_str(text).map_err(|error| {
        let why = cut(&error.to_string(), ERROR_CHARS_MAX).into_owned();
        BadFrame::new(None, format!("the frame is no message: {why}; send one JSON object a text frame"))
    })?;
    let id = id_of(fields.id).map_err(|sentence| BadFrame::new(None, sentence))?;
    let envelope = frame_type_of(fields.frame_type).and_then(|frame_type| Ok((frame_type, method_of(fields.method)?)));
    let (frame_type, method) = match envelope {
        Ok(envelope) => envelope,
        Err(sentence) => return Err(BadFrame::new(id, sentence)),
    };
    match frame_type {
        FrameType::Request if id.is_none() => {
            return Err(BadFrame::new(
                None,
                "the request has no id; give it one, so that it can be answered".to_owned(),
            ));
        }
        FrameType::Request | FrameType::Notification if method.is_empty() => {
            let what = frame_type.as_str();
            return Err(BadFrame::new(id, format!("the {what} has no method; name one, such as \"pipeline/list\"")));
        }
        FrameType::Request | FrameType::Notification | FrameType::Response | FrameType::Error => {}
    }
    Ok(Frame { id: id.unwrap_or_default(), frame_type, method, params: fields.params })
}

/// Characters of a parser's message that are passed on; it may quote the client's own text at length.
const ERROR_CHARS_MAX: usize = 200;

fn id_of(id: Option<&RawValue>) -> Result<Option<Cow<'_, str>>, String> {
    let Some(raw) = id.filter(|raw| !is_null(raw)) else { return Ok(None) };
    let field = Field::new("", "id", raw);
    let text = match raw.get().as_bytes() {
        [b'-' | b'0'..=b'9', ..] => Cow::Borrowed(raw.get()),
        _ => text_of(raw).ok_or_else(|| field.sentence("a string"))?,
    };
    if text.chars().count() > ID_CHARS_MAX {
        return Err(format!("the id of a message has at most {ID_CHARS_MAX} characters; use a UUID"));
    }
    Ok(Some(text))
}

/// The type, in any letter case and as an enum's qualified name: clients in the field send `MCPMessageType.REQUEST`.
fn frame_type_of(raw: Option<&RawValue>) -> Result<FrameType, String> {
    const EXPECTED: &str = "one of request, response, notification, error";
    let Some(raw) = raw.filter(|raw| !is_null(raw)) else { return Err(format!("type is missing; give {EXPECTED}")) };
    let field = Field::new("", "type", raw);
    let text = text_of(raw).ok_or_else(|| field.sentence(EXPECTED))?;
    let word = text.rsplit('.').next().unwrap_or_default();
    let known = FrameType::ALL.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(word));
    known.ok_or_else(|| field.sentence(EXPECTED))
}

fn method_of(raw: Option<&RawValue>) -> Result<Cow<'_, str>, String> {
    let Some(raw) = raw.filter(|raw| !is_null(raw)) else { return Ok(Cow::Borrowed("")) };
    let method = text_of(raw).ok_or_else(|| Field::new("", "method", raw).sentence("a string"))?;
    if method.len() > limits::NAME_CHARS_MAX && method.chars().count() > limits::NAME_CHARS_MAX {
        return Err(format!("the name of a method has at most {} characters", limits::NAME_CHARS_MAX));
    }
    Ok(method)
}

/// The envelope's fields as they came. The sender's time decides nothing, and on an answer nothing rests: they are passed over.
#[derive(Default)]
struct Fields<'a> {
    id: Option<&'a RawValue>,
    frame_type: Option<&'a RawValue>,
    method: Option<&'a RawValue>,
    params: Option<&'a RawValue>,
}

/// By hand, since a derived implementation refuses duplicate keys.
impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Fields::default();
        while let Some(key) = map.next_key::<Key<'de>>()? {
            let value = Some(map.next_value::<&RawValue>()?);
            match &*key.0 {
                "id" => fields.id = value,
                "type" => fields.frame_type = value,
                "method" => fields.method = value,
                "params" => fields.params = value,
                _ => {}
            }
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::json::clean;

    fn bad(text: &str) -> (String, String) {
        let bad = parse(text).unwrap_err();
        assert_eq!(bad.refusal.code(), -32_600);
        (bad.id, bad.refusal.to_string())
    }

    #[test]
    fn the_envelope_is_borrowed() {
        let text = r#"{"id":"a","type":"request","method":"task/status","timestamp":"2026-01-01T00:00:00",
            "params":{"task_id": [1]},"result":null,"error":null,"eighth":{"any":"thing"}}"#;
        let frame = parse(text).unwrap();
        assert_eq!((&*frame.id, frame.frame_type, &*frame.method), ("a", FrameType::Request, "task/status"));
        assert!(matches!((&frame.id, &frame.method), (Cow::Borrowed(_), Cow::Borrowed(_))));
        assert_eq!(frame.params.map(RawValue::get), Some(r#"{"task_id": [1]}"#));
    }

    #[test]
    fn the_type_is_read_as_clients_spell_it() {
        for (word, expected) in [
            ("request", FrameType::Request),
            ("REQUEST", FrameType::Request),
            ("MCPMessageType.REQUEST", FrameType::Request),
            ("protocol.MCPMessageType.NOTIFICATION", FrameType::Notification),
            ("Response", FrameType::Response),
            ("MessageType.error", FrameType::Error),
        ] {
            let text = format!(r#"{{"id":"1","type":"{word}","method":"m/m"}}"#);
            assert_eq!(parse(&text).unwrap().frame_type, expected, "{word}");
        }
    }

    #[test]
    fn ids_are_texts_or_numbers_of_up_to_128_characters() {
        let long = "ü".repeat(128);
        for (id, expected) in
            [("\"\"", ""), ("7", "7"), ("-1.5", "-1.5"), (r#""a\u00e9\n""#, "aé\n"), (&format!("\"{long}\""), &long)]
        {
            let text = format!(r#"{{"id":{id},"type":"request","method":"m/m"}}"#);
            assert_eq!(parse(&text).unwrap().id, expected, "{id}");
        }
        let too_long = format!(r#"{{"id":"{}","type":"request","method":"m/m"}}"#, "i".repeat(129));
        let sentence = "the id of a message has at most 128 characters; use a UUID";
        assert_eq!(bad(&too_long), ("unknown".into(), sentence.into()));
        for text in [r#"{"type":"notification","method":"m/m"}"#, r#"{"id":null,"type":"response"}"#] {
            assert_eq!(parse(text).unwrap().id, "", "{text}");
        }
    }

    #[test]
    fn of_duplicate_keys_the_last_counts() {
        let frame = parse(r#"{"id":"1","id":"2","type":"error","type":"request","method":"a","method":"b"}"#).unwrap();
        assert_eq!((&*frame.id, frame.frame_type, &*frame.method), ("2", FrameType::Request, "b"));
    }

    #[test]
    fn what_is_no_message_is_refused_with_a_sentence() {
        let types = "one of request, response, notification, error";
        for (text, id, sentence) in [
            (
                "",
                "unknown",
                "the frame is no message: EOF while parsing a value at line 1 column 0; send one JSON object a text frame",
            ),
            (
                "{\"id\":\"1\"",
                "unknown",
                "the frame is no message: EOF while parsing an object at line 1 column 9; send one JSON object a text frame",
            ),
            (
                "[1]",
                "unknown",
                "the frame is no message: invalid type: sequence, expected a JSON object at line 1 column 0; send one JSON object a text frame",
            ),
            (
                "{} {}",
                "unknown",
                "the frame is no message: trailing characters at line 1 column 4; send one JSON object a text frame",
            ),
            (r#"{"id":"1","method":"m"}"#, "1", &format!("type is missing; give {types}")),
            (r#"{"id":"1","type":7}"#, "1", &format!("type must be {types}, not the number 7")),
            (r#"{"id":"1","type":"ask"}"#, "1", &format!("type must be {types}, not the string \"ask\"")),
            (r#"{"id":"1","type":""}"#, "1", &format!("type must be {types}, not the string \"\"")),
            (r#"{"id":{},"type":"request","method":"m"}"#, "unknown", "id must be a string, not an object"),
            (r#"{"id":true,"type":"request","method":"m"}"#, "unknown", "id must be a string, not true"),
            (
                r#"{"type":"request","method":"m"}"#,
                "unknown",
                "the request has no id; give it one, so that it can be answered",
            ),
            (r#"{"id":"1","type":"request"}"#, "1", "the request has no method; name one, such as \"pipeline/list\""),
            (
                r#"{"id":"1","type":"notification","method":""}"#,
                "1",
                "the notification has no method; name one, such as \"pipeline/list\"",
            ),
            (r#"{"id":"1","type":"request","method":[]}"#, "1", "method must be a string, not a list"),
            (
                &format!(r#"{{"id":"1","type":"request","method":"{}"}}"#, "m".repeat(513)),
                "1",
                "the name of a method has at most 512 characters",
            ),
        ] {
            assert_eq!(bad(text), (id.into(), sentence.into()), "{text}");
        }
        let quoted = bad(&format!("\"{}\"", "x".repeat(100_000))).1;
        assert!(quoted.chars().count() < 300, "a parser's message that quotes the frame is cut: {quoted}");
    }

    #[test]
    fn a_frame_that_is_too_deep_is_refused_under_its_own_id() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        let text = format!(r#"{{"params":{deep},"id":"7","type":"request","method":"m/m"}}"#);
        let refused = BadFrame::unclean(&text, clean(&text).unwrap_err());
        assert_eq!((refused.id.as_str(), refused.refusal.code()), ("7", -32_600));
        let open = "[".repeat(100_000);
        assert_eq!(BadFrame::unclean(&open, clean(&open).unwrap_err()).id, "unknown");
        assert_eq!(parse(&text).unwrap().id, "7", "nor does depth cost stack in the parser");
    }
}
