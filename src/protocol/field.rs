//! One value of a client, read as what it should be, with refusals that say where it stands, what was expected and what came.

use super::params::Params;
use everlog_replay::{Json, Refusal, limits};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Characters of a client's value that a refusal quotes.
const QUOTE_CHARS_MAX: usize = 40;
/// The largest f64 below which every whole number is exact: 2^53.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// One field and its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'p, 'a> {
    prefix: &'p str,
    name: &'p str,
    raw: &'a RawValue,
}

impl<'p, 'a> Field<'p, 'a> {
    /// A field that stands at `prefix` + `name`.
    #[must_use]
    pub(crate) fn new(prefix: &'p str, name: &'p str, raw: &'a RawValue) -> Self {
        Self { prefix, name, raw }
    }

    /// Where it stands, such as `tasks[3].config.priority`.
    #[must_use]
    pub(crate) fn path(&self) -> String {
        format!("{}{}", self.prefix, self.name)
    }

    /// Its text as it came.
    #[must_use]
    pub(crate) fn json(&self) -> Json {
        Json::from(self.raw.get())
    }

    /// Whether it is the word `null`.
    #[must_use]
    pub(crate) fn is_null(&self) -> bool {
        is_null(self.raw)
    }

    /// Its text as it came, borrowed.
    #[must_use]
    pub(crate) fn text(&self) -> &'a str {
        self.raw.get()
    }

    /// Whether it is a list without items.
    #[must_use]
    pub(crate) fn is_empty_list(&self) -> bool {
        let inner = self.raw.get().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        inner.is_some_and(|inner| inner.trim_ascii().is_empty())
    }

    /// "X must be A, not B".
    #[must_use]
    pub(crate) fn sentence(&self, expected: &str) -> String {
        format!("{}{} must be {expected}, not {}", self.prefix, self.name, describe(self.raw))
    }

    /// The refusal of a field that is not what was expected.
    #[must_use]
    pub(crate) fn wrong(&self, expected: &str) -> Refusal {
        Refusal::InvalidParams(self.sentence(expected))
    }

    /// A text.
    ///
    /// # Errors
    /// When it is not a string.
    pub(crate) fn string(self) -> Result<Cow<'a, str>, Refusal> {
        text_of(self.raw).ok_or_else(|| self.wrong("a string"))
    }

    /// A name: not empty, at most [`limits::NAME_CHARS_MAX`] characters.
    ///
    /// # Errors
    /// When it is something else.
    pub(crate) fn name(self) -> Result<String, Refusal> {
        let text = self.string()?;
        self.check_name(&text)?;
        Ok(text.into_owned())
    }

    pub(super) fn check_name(&self, text: &str) -> Result<(), Refusal> {
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
    pub(crate) fn word<T: Copy>(self, known: &[(&str, T)]) -> Result<T, Refusal> {
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
    pub(crate) fn boolean(self) -> Result<bool, Refusal> {
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
    pub(crate) fn number(self, min: f64, max: f64) -> Result<f64, Refusal> {
        let number = number_of(self.raw).filter(|number| (min..=max).contains(number));
        number.ok_or_else(|| self.wrong(&format!("a number from {min} to {max}")))
    }

    /// Any finite number.
    ///
    /// # Errors
    /// When it is something else.
    pub(crate) fn any_number(self) -> Result<f64, Refusal> {
        number_of(self.raw).ok_or_else(|| self.wrong("a number"))
    }

    /// A whole number from `min` to `max`; `1.0` is the whole number 1.
    ///
    /// # Errors
    /// When it is something else.
    pub(crate) fn whole(self, min: u64, max: u64) -> Result<u64, Refusal> {
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
    pub(crate) fn whole_u32(self, min: u32, max: u32) -> Result<u32, Refusal> {
        let whole = self.whole(u64::from(min), u64::from(max))?;
        u32::try_from(whole).map_err(|_| self.wrong("a whole number of 32 bits"))
    }

    /// An object.
    ///
    /// # Errors
    /// When it is something else.
    pub(crate) fn object(self) -> Result<Params<'a>, Refusal> {
        Params::read(self.raw, format!("{}.", self.path())).ok_or_else(|| self.wrong("an object"))
    }

    /// A list of at most `max` items.
    ///
    /// # Errors
    /// When it is something else or longer.
    pub(crate) fn list(self, max: usize) -> Result<Vec<&'a RawValue>, Refusal> {
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
    pub(crate) fn objects(self, max: usize) -> Result<Vec<Params<'a>>, Refusal> {
        self.each(max, |item| item.object())
    }

    /// A list of at most `max` names.
    ///
    /// # Errors
    /// When it, or an item of it, is something else.
    pub(crate) fn names(self, max: usize) -> Result<Vec<String>, Refusal> {
        self.each(max, |item| item.name())
    }

    /// A list of at most `max` items, each read by `read`.
    ///
    /// # Errors
    /// When it is something else or longer, and those of `read`.
    pub(crate) fn each<T>(
        self,
        max: usize,
        read: impl Fn(Field<'_, 'a>) -> Result<T, Refusal>,
    ) -> Result<Vec<T>, Refusal> {
        let items = self.list(max)?.into_iter().enumerate();
        items
            .map(|(index, raw)| read(Field { prefix: self.prefix, name: &format!("{}[{index}]", self.name), raw }))
            .collect()
    }
}

/// Whether a value is the word `null`.
#[must_use]
pub(crate) fn is_null(raw: &RawValue) -> bool {
    raw.get() == "null"
}

/// The text of a JSON string, borrowed where nothing is escaped in it; `None` where the value is no string.
#[must_use]
pub(crate) fn text_of(raw: &RawValue) -> Option<Cow<'_, str>> {
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
pub(crate) fn cut(text: &str, chars: usize) -> Cow<'_, str> {
    match text.char_indices().nth(chars) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> &RawValue {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn numbers_are_finite_and_whole_ones_exact() {
        let number = |text| Field::new("a.", "b", raw(text)).any_number().map_err(|refusal| refusal.to_string());
        assert_eq!(number("-2.5e3"), Ok(-2_500.0));
        assert_eq!(number("1e999"), Err("a.b must be a number, not the number 1e999".to_owned()));
        let whole = |text| Field::new("", "b", raw(text)).whole(0, u64::MAX).ok();
        for (text, expected) in [
            ("18446744073709551615", Some(u64::MAX)),
            ("1.0", Some(1)),
            ("9007199254740992.0", Some(1 << 53)),
            ("9007199254740994.0", None),
            ("-0.0", Some(0)),
            ("-1", None),
            ("0.5", None),
            ("\"1\"", None),
            ("true", None),
        ] {
            assert_eq!(whole(text), expected, "{text}");
        }
    }

    #[test]
    fn a_refusal_quotes_no_more_than_a_little() {
        let long = format!("\"{}\"", "é".repeat(1_000));
        let sentence = Field::new("", "b", raw(&long)).sentence("a list");
        assert_eq!(sentence, format!("b must be a list, not the string \"{}…", "é".repeat(39)));
    }
}
