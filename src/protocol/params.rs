//! Typed access to the fields of a JSON object, with refusals that say which field, what was expected and what came.
//!
//! Fields stay raw text until somebody asks for them: no tree is built, and what is only passed on is never changed.

use super::operation::Page;
use everlog_replay::{AgentId, Json, PipelineId, Refusal, TaskId, limits};
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use uuid::Uuid;

/// Characters of a client's value that a refusal quotes.
const QUOTE_CHARS_MAX: usize = 40;
/// Characters of an unknown id that a refusal repeats.
const ID_QUOTE_CHARS_MAX: usize = 128;
/// The largest f64 below which every whole number is exact: 2^53.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// The fields of an object.
#[derive(Clone, Debug, Default)]
pub struct Params<'a> {
    /// Where the object stands: `""` at the top, else ending in a dot, such as `tasks[3].config.`.
    prefix: String,
    fields: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Params<'a> {
    /// The parameters of a message; missing or null ones are empty.
    ///
    /// # Errors
    /// When they are not an object.
    pub fn of_message(params: Option<&'a RawValue>) -> Result<Self, Refusal> {
        params
            .filter(|raw| !is_null(raw))
            .map_or_else(|| Ok(Self::default()), |raw| Field::new("", "params", raw).read(""))
    }

    /// The field, or `None` where it is missing or null. Of duplicate ones the last counts.
    #[must_use]
    pub fn get<'p>(&'p self, name: &'p str) -> Option<Field<'p, 'a>> {
        self.present(name).filter(|field| !is_null(field.raw))
    }

    /// The field, or `None` where it is missing: null is a value here.
    #[must_use]
    pub fn present<'p>(&'p self, name: &'p str) -> Option<Field<'p, 'a>> {
        let found = self.fields.iter().rev().find(|(key, _)| key == name);
        found.map(|(_, raw)| Field { prefix: &self.prefix, name, raw })
    }

    /// The field, which must be there.
    ///
    /// # Errors
    /// When it is missing or null: `expected` says what to give.
    pub fn need<'p>(&'p self, name: &'p str, expected: &str) -> Result<Field<'p, 'a>, Refusal> {
        self.get(name).ok_or_else(|| missing(&self.prefix, name, expected))
    }

    /// All fields in the order in which they came, duplicates included.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.fields.iter().map(|(key, raw)| (&**key, *raw))
    }

    /// A name that must be there: not empty, at most [`limits::NAME_CHARS_MAX`] characters.
    ///
    /// # Errors
    /// When it is missing or not of this form.
    pub fn name(&self, name: &str) -> Result<String, Refusal> {
        self.need(name, "a name")?.name()
    }

    /// A name that may be missing.
    ///
    /// # Errors
    /// When it is not of the form of a name.
    pub fn opt_name(&self, name: &str) -> Result<Option<String>, Refusal> {
        self.get(name).map(Field::name).transpose()
    }

    /// A text that may be missing.
    ///
    /// # Errors
    /// When it is not a string.
    pub fn opt_string(&self, name: &str) -> Result<Option<Cow<'a, str>>, Refusal> {
        self.get(name).map(Field::string).transpose()
    }

    /// Yes or no; `default` where it is missing.
    ///
    /// # Errors
    /// When it is neither true nor false.
    pub fn bool_or(&self, name: &str, default: bool) -> Result<bool, Refusal> {
        self.get(name).map_or(Ok(default), Field::boolean)
    }

    /// A whole number between `min` and `max` that may be missing.
    ///
    /// # Errors
    /// When it is something else.
    pub fn opt_u64(&self, name: &str, min: u64, max: u64) -> Result<Option<u64>, Refusal> {
        self.get(name).map(|field| field.whole(min, max)).transpose()
    }

    /// A whole number between `min` and `max` that may be missing, for 32 bits.
    ///
    /// # Errors
    /// When it is something else.
    pub fn opt_u32(&self, name: &str, min: u32, max: u32) -> Result<Option<u32>, Refusal> {
        self.get(name).map(|field| field.whole_u32(min, max)).transpose()
    }

    /// The `task_id`, which must be there.
    ///
    /// # Errors
    /// −32602 when it is missing or not a string, −40011 when it is a string that can not be the id of a task.
    pub fn task_id(&self) -> Result<TaskId, Refusal> {
        let text = self.id_text("task_id", "the id of a task")?;
        Uuid::try_parse(&text)
            .map(TaskId)
            .map_err(|_| Refusal::TaskNotFound(cut(&text, ID_QUOTE_CHARS_MAX).into_owned()))
    }

    /// The `pipeline_id`, which must be there.
    ///
    /// # Errors
    /// −32602 when it is missing or not a string, −40001 when it is a string that can not be the id of a pipeline.
    pub fn pipeline_id(&self) -> Result<PipelineId, Refusal> {
        let text = self.id_text("pipeline_id", "the id of a pipeline")?;
        let id = Uuid::try_parse(&text).map(PipelineId);
        id.map_err(|_| Refusal::PipelineNotFound(cut(&text, ID_QUOTE_CHARS_MAX).into_owned()))
    }

    /// The `agent_id`, which must be there.
    ///
    /// # Errors
    /// −32602 when it is missing, not a string or too long to be one.
    pub fn agent_id(&self) -> Result<AgentId, Refusal> {
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
    pub fn object_or_empty(&self, name: &str) -> Result<Self, Refusal> {
        self.get(name).map_or_else(|| Ok(Self::default()), Field::object)
    }

    /// A filter of a list; an empty one does not count.
    ///
    /// # Errors
    /// When it is not a string.
    pub fn filter(&self, name: &str) -> Result<Option<String>, Refusal> {
        Ok(self.opt_string(name)?.filter(|text| !text.is_empty()).map(Cow::into_owned))
    }

    /// The `limit` and `offset` of a list.
    ///
    /// # Errors
    /// When one is no whole number, or negative.
    pub fn page(&self) -> Result<Page, Refusal> {
        let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let (limit, offset) = (self.opt_u64("limit", 0, u64::MAX)?, self.opt_u64("offset", 0, u64::MAX)?);
        Ok(Page { limit: limit.map(size), offset: offset.map_or(0, size) })
    }

    /// The raw text of a field; null where it is missing.
    #[must_use]
    pub fn json(&self, name: &str) -> Json {
        self.get(name).map_or_else(Json::null, |field| field.json())
    }
}

fn missing(prefix: &str, name: &str, expected: &str) -> Refusal {
    Refusal::InvalidParams(format!("{prefix}{name} is missing; give {expected}"))
}

/// One field and its place.
#[derive(Clone, Copy, Debug)]
pub struct Field<'p, 'a> {
    prefix: &'p str,
    name: &'p str,
    raw: &'a RawValue,
}

impl<'p, 'a> Field<'p, 'a> {
    /// A field that stands at `prefix` + `name`.
    #[must_use]
    pub fn new(prefix: &'p str, name: &'p str, raw: &'a RawValue) -> Self {
        Self { prefix, name, raw }
    }

    /// Where it stands, such as `tasks[3].config.priority`.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}{}", self.prefix, self.name)
    }

    /// Its text as it came.
    #[must_use]
    pub fn json(&self) -> Json {
        Json::from(self.raw.get())
    }

    /// Its text as it came, borrowed.
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.raw.get()
    }

    /// Whether it is a list without items.
    #[must_use]
    pub fn is_empty_list(&self) -> bool {
        let inner = self.raw.get().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        inner.is_some_and(|inner| inner.trim_ascii().is_empty())
    }

    /// "X must be A, not B".
    #[must_use]
    pub fn sentence(&self, expected: &str) -> String {
        format!("{}{} must be {expected}, not {}", self.prefix, self.name, describe(self.raw))
    }

    /// The refusal of a field that is not what was expected.
    #[must_use]
    pub fn wrong(&self, expected: &str) -> Refusal {
        Refusal::InvalidParams(self.sentence(expected))
    }

    /// A text.
    ///
    /// # Errors
    /// When it is not a string.
    pub fn string(self) -> Result<Cow<'a, str>, Refusal> {
        text_of(self.raw).ok_or_else(|| self.wrong("a string"))
    }

    /// A name: not empty, at most [`limits::NAME_CHARS_MAX`] characters.
    ///
    /// # Errors
    /// When it is something else.
    pub fn name(self) -> Result<String, Refusal> {
        let text = self.string()?;
        self.check_name(&text)?;
        Ok(text.into_owned())
    }

    fn check_name(&self, text: &str) -> Result<(), Refusal> {
        if text.is_empty() {
            return Err(Refusal::InvalidParams(format!("{} is empty; give it at least one character", self.path())));
        }
        // Most names have fewer bytes than the limit has characters.
        if text.len() > limits::NAME_CHARS_MAX && text.chars().count() > limits::NAME_CHARS_MAX {
            let (path, most) = (self.path(), limits::NAME_CHARS_MAX);
            return Err(Refusal::InvalidParams(format!("{path} has more than {most} characters; shorten it")));
        }
        Ok(())
    }

    /// One of the words of `known`, in any letter case and as an enum's qualified name (`TaskStatus.RUNNING`).
    ///
    /// # Errors
    /// When it is something else; the sentence lists the words.
    pub fn word<T: Copy>(self, known: &[(&str, T)]) -> Result<T, Refusal> {
        let text = text_of(self.raw);
        let word = text.as_deref().and_then(|text| text.rsplit('.').next()).unwrap_or_default();
        let found = known.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
        found.map(|(_, value)| *value).ok_or_else(|| {
            let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
            self.wrong(&format!("one of {}", names.join(", ")))
        })
    }

    /// Yes or no.
    ///
    /// # Errors
    /// When it is neither true nor false.
    pub fn boolean(self) -> Result<bool, Refusal> {
        match self.raw.get() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(self.wrong("true or false")),
        }
    }

    /// A number from `min` to `max`.
    ///
    /// # Errors
    /// When it is something else.
    pub fn number(self, min: f64, max: f64) -> Result<f64, Refusal> {
        let number = number_of(self.raw).filter(|number| (min..=max).contains(number));
        number.ok_or_else(|| self.wrong(&format!("a number from {min} to {max}")))
    }

    /// Any finite number.
    ///
    /// # Errors
    /// When it is something else.
    pub fn any_number(self) -> Result<f64, Refusal> {
        number_of(self.raw).ok_or_else(|| self.wrong("a number"))
    }

    /// A whole number from `min` to `max`; `1.0` is the whole number 1.
    ///
    /// # Errors
    /// When it is something else.
    pub fn whole(self, min: u64, max: u64) -> Result<u64, Refusal> {
        let whole = self.raw.get().parse().ok().or_else(|| number_of(self.raw).and_then(exact));
        whole.filter(|whole| (min..=max).contains(whole)).ok_or_else(|| match max {
            u64::MAX => self.wrong(&format!("a whole number of at least {min}")),
            _ => self.wrong(&format!("a whole number from {min} to {max}")),
        })
    }

    /// A whole number from `min` to `max`, for 32 bits.
    ///
    /// # Errors
    /// When it is something else.
    pub fn whole_u32(self, min: u32, max: u32) -> Result<u32, Refusal> {
        let whole = self.whole(u64::from(min), u64::from(max))?;
        u32::try_from(whole).map_err(|_| self.wrong("a whole number of 32 bits"))
    }

    /// An object.
    ///
    /// # Errors
    /// When it is something else.
    pub fn object(self) -> Result<Params<'a>, Refusal> {
        self.read(&format!("{}.", self.path()))
    }

    fn read(self, prefix: &str) -> Result<Params<'a>, Refusal> {
        let fields: Fields<'a> = serde_json::from_str(self.raw.get()).map_err(|_| self.wrong("an object"))?;
        Ok(Params { prefix: prefix.to_owned(), fields: fields.0 })
    }

    /// A list of at most `max` items.
    ///
    /// # Errors
    /// When it is something else or longer.
    pub fn list(self, max: usize) -> Result<Vec<&'a RawValue>, Refusal> {
        let items: Vec<&RawValue> = serde_json::from_str(self.raw.get()).map_err(|_| self.wrong("a list"))?;
        if items.len() > max {
            let (path, count) = (self.path(), items.len());
            return Err(Refusal::InvalidParams(format!("{path} has {count} items, more than the limit of {max}")));
        }
        Ok(items)
    }

    /// A list of at most `max` objects.
    ///
    /// # Errors
    /// When it, or an item of it, is something else.
    pub fn objects(self, max: usize) -> Result<Vec<Params<'a>>, Refusal> {
        self.each(max, |item| item.object())
    }

    /// A list of at most `max` names.
    ///
    /// # Errors
    /// When it, or an item of it, is something else.
    pub fn names(self, max: usize) -> Result<Vec<String>, Refusal> {
        self.each(max, |item| item.name())
    }

    /// A list of at most `max` items, each read by `read`.
    ///
    /// # Errors
    /// When it is something else or longer, and those of `read`.
    pub fn each<T>(self, max: usize, read: impl Fn(Field<'_, 'a>) -> Result<T, Refusal>) -> Result<Vec<T>, Refusal> {
        let items = self.list(max)?.into_iter().enumerate();
        items
            .map(|(index, raw)| read(Field { prefix: self.prefix, name: &format!("{}[{index}]", self.name), raw }))
            .collect()
    }
}

/// The fields as one JSON object: the texts of the values stay as they came, and of fields with the same name the last counts.
#[must_use]
pub fn object_text<'a>(fields: impl Iterator<Item = (&'a str, &'a RawValue)>) -> Json {
    let fields: Vec<_> = fields.collect();
    let last: BTreeMap<&str, usize> = fields.iter().enumerate().map(|(index, (key, _))| (*key, index)).collect();
    let mut text = String::from("{");
    for (index, (key, raw)) in fields.iter().enumerate() {
        if last.get(key) != Some(&index) {
            continue;
        }
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(&quoted(key));
        text.push(':');
        text.push_str(raw.get());
    }
    text.push('}');
    Json::from(text)
}

/// A text as JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Whether a value is the word `null`.
#[must_use]
pub fn is_null(raw: &RawValue) -> bool {
    raw.get() == "null"
}

/// The text of a JSON string, borrowed where nothing is escaped in it; `None` where the value is no string.
#[must_use]
pub fn text_of(raw: &RawValue) -> Option<Cow<'_, str>> {
    let inner = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') { serde_json::from_str(raw.get()).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(inner)) }
}

/// The number that a value is; `None` where it is none, or beyond f64.
fn number_of(raw: &RawValue) -> Option<f64> {
    let text = raw.get();
    let is_number = text.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    text.parse::<f64>().ok().filter(|number| is_number && number.is_finite())
}

/// The whole number that a float stands for, if it stands for exactly one that is not negative.
fn exact(number: f64) -> Option<u64> {
    (number.fract() == 0.0 && (0.0..=EXACT_MAX).contains(&number)).then_some(number as u64)
}

/// A value in a sentence.
fn describe(raw: &RawValue) -> String {
    let text = raw.get();
    match text.as_bytes() {
        [b'{', ..] => "an object".to_owned(),
        [b'[', ..] => "a list".to_owned(),
        [b'"', ..] => format!("the string {}", cut(text, QUOTE_CHARS_MAX)),
        [b'-' | b'0'..=b'9', ..] => format!("the number {}", cut(text, QUOTE_CHARS_MAX)),
        _ => text.to_owned(),
    }
}

/// At most the first `chars` characters of a text; a cut one ends in `…`.
#[must_use]
pub fn cut(text: &str, chars: usize) -> Cow<'_, str> {
    match text.char_indices().nth(chars) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
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
