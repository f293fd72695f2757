//! The fields of a JSON object. They stay raw text until somebody asks for them: no tree is built, and what is only passed on is
//! never changed.

use super::field::{Field, cut, is_null};
use super::operation::{Called, Page};
use everlog_replay::{AgentId, Json, PipelineId, Refusal, TaskId};
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use uuid::Uuid;

/// Characters of an unknown id that a refusal repeats.
const ID_QUOTE_CHARS_MAX: usize = 128;

/// Why something is stopped or cancelled when the client gives no reason.
const REASON_DEFAULT: &str = "on request";

/// The fields of an object.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params<'a> {
    /// Where the object stands: `""` at the top, else ending in a dot, such as `tasks[3].config.`.
    prefix: String,
    fields: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Params<'a> {
    /// The parameters of a message; missing or null ones are empty.
    ///
    /// # Errors
    /// When they are not an object.
    pub(crate) fn of_message(params: Option<&'a RawValue>) -> Result<Self, Refusal> {
        let Some(raw) = params.filter(|raw| !is_null(raw)) else { return Ok(Self::default()) };
        Self::read(raw, String::new()).ok_or_else(|| Field::new("", "params", raw).wrong("an object"))
    }

    /// The fields of the object `raw`, which stands at `prefix`; `None` where it is none.
    pub(super) fn read(raw: &'a RawValue, prefix: String) -> Option<Self> {
        let fields: Fields<'a> = serde_json::from_str(raw.get()).ok()?;
        Some(Self { prefix, fields: fields.0 })
    }

    /// The field, or `None` where it is missing or null. Of duplicate ones the last counts.
    #[must_use]
    pub(crate) fn get<'p>(&'p self, name: &'p str) -> Option<Field<'p, 'a>> {
        self.present(name).filter(|field| !field.is_null())
    }

    /// The field, or `None` where it is missing: null is a value here.
    #[must_use]
    pub(crate) fn present<'p>(&'p self, name: &'p str) -> Option<Field<'p, 'a>> {
        let found = self.fields.iter().rev().find(|(key, _)| key == name);
        found.map(|(_, raw)| Field::new(&self.prefix, name, raw))
    }

    /// The field, which must be there.
    ///
    /// # Errors
    /// When it is missing or null: `expected` says what to give.
    pub(crate) fn need<'p>(&'p self, name: &'p str, expected: &str) -> Result<Field<'p, 'a>, Refusal> {
        self.get(name).ok_or_else(|| missing(&self.prefix, name, expected))
    }

    /// All fields in the order in which they came, duplicates included.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.fields.iter().map(|(key, raw)| (&**key, *raw))
    }

    /// A name that must be there: not empty, at most [`everlog_replay::limits::NAME_CHARS_MAX`] characters.
    ///
    /// # Errors
    /// When it is missing or not of this form.
    pub(crate) fn name(&self, name: &str) -> Result<String, Refusal> {
        self.need(name, "a name")?.name()
    }

    /// A name that may be missing.
    ///
    /// # Errors
    /// When it is not of the form of a name.
    pub(crate) fn opt_name(&self, name: &str) -> Result<Option<String>, Refusal> {
        self.get(name).map(Field::name).transpose()
    }

    /// A text that may be missing.
    ///
    /// # Errors
    /// When it is not a string.
    pub(crate) fn opt_string(&self, name: &str) -> Result<Option<Cow<'a, str>>, Refusal> {
        self.get(name).map(Field::string).transpose()
    }

    /// Yes or no; `default` where it is missing.
    ///
    /// # Errors
    /// When it is neither true nor false.
    pub(crate) fn bool_or(&self, name: &str, default: bool) -> Result<bool, Refusal> {
        self.get(name).map_or(Ok(default), Field::boolean)
    }

    /// A whole number between `min` and `max` that may be missing.
    ///
    /// # Errors
    /// When it is something else.
    pub(crate) fn opt_u64(&self, name: &str, min: u64, max: u64) -> Result<Option<u64>, Refusal> {
        self.get(name).map(|field| field.whole(min, max)).transpose()
    }

    /// A whole number between `min` and `max` that may be missing, for 32 bits.
    ///
    /// # Errors
    /// When it is something else.
    pub(crate) fn opt_u32(&self, name: &str, min: u32, max: u32) -> Result<Option<u32>, Refusal> {
        self.get(name).map(|field| field.whole_u32(min, max)).transpose()
    }

    /// The `task_id`, which must be there.
    ///
    /// # Errors
    /// −32602 when it is missing or not a string, −40011 when it is a string that can not be the id of a task.
    pub(crate) fn task_id(&self) -> Result<TaskId, Refusal> {
        let text = self.id_text("task_id", "the id of a task")?;
        Uuid::try_parse(&text)
            .map(TaskId)
            .map_err(|_| Refusal::TaskNotFound(cut(&text, ID_QUOTE_CHARS_MAX).into_owned()))
    }

    /// The `pipeline_id`, which must be there.
    ///
    /// # Errors
    /// −32602 when it is missing or not a string, −40001 when it is a string that can not be the id of a pipeline.
    pub(crate) fn pipeline_id(&self) -> Result<PipelineId, Refusal> {
        let text = self.id_text("pipeline_id", "the id of a pipeline")?;
        let id = Uuid::try_parse(&text).map(PipelineId);
        id.map_err(|_| Refusal::PipelineNotFound(cut(&text, ID_QUOTE_CHARS_MAX).into_owned()))
    }

    /// The `agent_id`, which must be there.
    ///
    /// # Errors
    /// −32602 when it is missing, not a string or too long to be one.
    pub(crate) fn agent_id(&self) -> Result<AgentId, Refusal> {
        const EXPECTED: &str = "the id of an agent";
        let field = self.need("agent_id", EXPECTED)?;
        let text = field.string()?;
        if text.is_empty() {
            return Err(missing(&self.prefix, "agent_id", EXPECTED));
        }
        field.check_name(&text)?;
        Ok(AgentId::from(&*text))
    }

    /// An id as text; an empty one counts as missing.
    fn id_text(&self, name: &str, expected: &str) -> Result<Cow<'a, str>, Refusal> {
        let text = self.need(name, expected)?.string()?;
        if text.is_empty() { Err(missing(&self.prefix, name, expected)) } else { Ok(text) }
    }

    /// The object `name` in this one; an empty one where it is missing.
    ///
    /// # Errors
    /// When it is something else.
    pub(crate) fn object_or_empty(&self, name: &str) -> Result<Self, Refusal> {
        self.get(name).map_or_else(|| Ok(Self::default()), Field::object)
    }

    /// The field, or `None` where it is missing, null or an empty text: clients send empty filters for none.
    #[must_use]
    pub(crate) fn filled<'p>(&'p self, name: &'p str) -> Option<Field<'p, 'a>> {
        self.get(name).filter(|field| field.text() != "\"\"")
    }

    /// A filter of a list; an empty one does not count.
    ///
    /// # Errors
    /// When it is not a string.
    pub(crate) fn filter(&self, name: &str) -> Result<Option<String>, Refusal> {
        Ok(self.filled(name).map(Field::string).transpose()?.map(Cow::into_owned))
    }

    /// The `reason` of a stop or a cancellation.
    ///
    /// # Errors
    /// When it is no text.
    pub(super) fn reason(&self) -> Result<String, Refusal> {
        let reason = self.opt_string("reason")?.filter(|reason| !reason.is_empty());
        Ok(reason.map_or_else(|| REASON_DEFAULT.to_owned(), Into::into))
    }

    /// The filter `match`.
    ///
    /// # Errors
    /// When it is no string.
    pub(crate) fn called(&self) -> Result<Option<Called>, Refusal> {
        Ok(self.filter("match")?.map(Called))
    }

    /// The `limit` and `offset` of a list.
    ///
    /// # Errors
    /// When one is no whole number, or negative.
    pub(crate) fn page(&self) -> Result<Page, Refusal> {
        let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let (limit, offset) = (self.opt_u64("limit", 0, u64::MAX)?, self.opt_u64("offset", 0, u64::MAX)?);
        Ok(Page { limit: limit.map(size), offset: offset.map_or(0, size) })
    }

    /// The raw text of a field; null where it is missing.
    #[must_use]
    pub(crate) fn json(&self, name: &str) -> Json {
        self.get(name).map_or_else(Json::null, |field| field.json())
    }
}

fn missing(prefix: &str, name: &str, expected: &str) -> Refusal {
    Refusal::InvalidParams(format!("{prefix}{name} is missing; give {expected}"))
}

/// The fields as one JSON object: the texts of the values stay as they came, and of fields with the same name the last counts.
#[must_use]
pub(crate) fn object_text<'a>(fields: impl Iterator<Item = (&'a str, &'a RawValue)>) -> Json {
    let fields: Vec<_> = fields.collect();
    let last: BTreeMap<&str, usize> = fields.iter().enumerate().map(|(index, (key, _))| (*key, index)).collect();
    let bytes: usize = fields.iter().map(|(key, raw)| key.len() + raw.get().len() + r#","":"#.len()).sum();
    let mut text = String::with_capacity(bytes + "{}".len());
    text.push('{');
    for (index, (key, raw)) in fields.iter().enumerate() {
        if last.get(key) != Some(&index) {
            continue;
        }
        if text.len() > 1 {
            text.push(',');
        }
        push_quoted(&mut text, key);
        text.push(':');
        text.push_str(raw.get());
    }
    text.push('}');
    Json::from(text)
}

/// Adds a text as JSON. Hardly a key needs an escape.
fn push_quoted(json: &mut String, text: &str) {
    if text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        json.push('"');
        json.push_str(text);
        json.push('"');
    } else {
        json.push_str(&serde_json::Value::from(text).to_string());
    }
}

/// A key of an object, borrowed where nothing is escaped in it.
pub(super) struct Key<'a>(pub(super) Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = Key<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Key(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Key(Cow::Owned(text.to_owned())))
    }
}

/// The fields of an object in the order in which they came.
struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        // A message of an existing client has up to six parameters.
        let mut fields = Vec::with_capacity(8);
        while let Some(key) = map.next_key::<Key<'de>>()? {
            fields.push((key.0, map.next_value()?));
        }
        Ok(Fields(fields))
    }
}
