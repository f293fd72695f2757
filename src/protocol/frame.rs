//! The envelope of a message. It is read without looking into `params`, so that a frame is dispatched, hashed and refused under its
//! own id whatever its parameters hold.

use super::json::JsonProblem;
use super::params::{Field, cut, is_null, text_of};
use everlog_replay::{Refusal, limits};
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Characters in the id of a message (protocol §1): a UUID has 36; what is remembered for law 11 must stay small.
pub const ID_CHARS_MAX: usize = 128;
/// The id of an answer to a frame whose own id could not be read (protocol §1).
pub const ID_UNKNOWN: &str = "unknown";

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameType {
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
    pub fn as_str(self) -> &'static str {
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
pub struct Frame<'a> {
    /// What the sender calls it; `""` where a message that wants no answer has none.
    pub id: Cow<'a, str>,
    /// What it is.
    pub frame_type: FrameType,
    /// What is asked or told; `""` in answers.
    pub method: Cow<'a, str>,
    /// The sender's time as it wrote it. Kept, never ordered by.
    pub timestamp: Option<&'a RawValue>,
    /// Parameters: the raw text that belongs into the hash of law 11.
    pub params: Option<&'a RawValue>,
    /// An answer's result.
    pub result: Option<&'a RawValue>,
    /// An answer's error.
    pub error: Option<&'a RawValue>,
}

/// A frame that is no message, and what to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadFrame {
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
    pub fn unclean(text: &str, problem: JsonProblem) -> Self {
        let fields = serde_json::from_str::<Fields<'_>>(text).unwrap_or_default();
        Self::new(id_of(fields.id).unwrap_or_default(), problem.to_string())
    }
}

/// Reads the envelope of a text that [`super::json::clean`] has passed. Unknown fields are ignored, of duplicate ones the last
/// counts.
///
/// # Errors
/// When the text is not one JSON object, or its `id`, `type` or `method` is missing where needed or of the wrong form.
pub fn parse(text: &str) -> Result<Frame<'_>, BadFrame> {
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
    Ok(Frame {
        id: id.unwrap_or_default(),
        frame_type,
        method,
        timestamp: fields.timestamp,
        params: fields.params,
        result: fields.result,
        error: fields.error,
    })
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

/// The envelope's fields as they came.
#[derive(Default)]
struct Fields<'a> {
    id: Option<&'a RawValue>,
    frame_type: Option<&'a RawValue>,
    method: Option<&'a RawValue>,
    timestamp: Option<&'a RawValue>,
    params: Option<&'a RawValue>,
    result: Option<&'a RawValue>,
    error: Option<&'a RawValue>,
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
        while let Some(key) = map.next_key::<super::params::Key<'de>>()? {
            let value = Some(map.next_value::<&RawValue>()?);
            match &*key.0 {
                "id" => fields.id = value,
                "type" => fields.frame_type = value,
                "method" => fields.method = value,
                "timestamp" => fields.timestamp = value,
                "params" => fields.params = value,
                "result" => fields.result = value,
                "error" => fields.error = value,
                _ => {}
            }
        }
        Ok(fields)
    }
}
