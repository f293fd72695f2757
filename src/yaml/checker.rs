//! Checks a tree against a JSON Schema, and notes everything that is wrong.
//!
//! It knows the few keywords that our schemas use; a schema with any other does not load, so that none is ever ignored.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::{Data, Mistake, Mistakes, Node, Span};

/// A schema.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct Form {
    #[serde(rename = "$ref")]
    reference: Option<String>,
    #[serde(rename = "$defs")]
    definitions: BTreeMap<String, Form>,
    #[serde(rename = "type")]
    types: Types,
    properties: BTreeMap<String, Form>,
    additional_properties: Option<Rule>,
    property_names: Option<Box<Form>>,
    required: Vec<String>,
    prefix_items: Vec<Form>,
    items: Option<Rule>,
    #[serde(rename = "enum")]
    words: Vec<Option<String>>,
    minimum: Option<f64>,
    maximum: Option<f64>,
    min_length: Option<usize>,
    max_length: Option<usize>,
    min_items: Option<usize>,
    max_items: Option<usize>,
    pattern: Option<Pattern>,
    any_of: Vec<Form>,
    /// What is expected, in words; editors show it too.
    error_message: Option<String>,
    #[serde(rename = "$schema")]
    _dialect: IgnoredAny,
    #[serde(rename = "title")]
    _title: IgnoredAny,
    #[serde(rename = "description")]
    _description: IgnoredAny,
    #[serde(rename = "format")]
    _format: IgnoredAny,
    #[serde(rename = "default")]
    _default: IgnoredAny,
}

/// The patterns that texts may have to match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Pattern {
    /// An expression that stands for a whole value.
    #[serde(rename = r"^\s*\$\{\{.*\}\}\s*$")]
    Expression,
    #[serde(rename = r"^[^\x00]*$")]
    NoNul,
    #[serde(rename = r"^[^=\x00]+$")]
    Variable,
}

/// A schema, or whether anything goes.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Rule {
    Flag(bool),
    Form(Box<Form>),
}

#[derive(Debug, Default, Deserialize)]
#[serde(from = "OneOrMany")]
struct Types(Vec<String>);

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl From<OneOrMany> for Types {
    fn from(types: OneOrMany) -> Self {
        Self(match types {
            OneOrMany::One(only) => vec![only],
            OneOrMany::Many(all) => all,
        })
    }
}

/// The schema of a file, ready to check with.
#[derive(Debug)]
pub(crate) struct Checker {
    root: Form,
    is_template: fn(&str) -> bool,
}

/// Whether texts are what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// A template may become anything: it is checked when it is filled in.
    Written,
    Filled,
}

impl Checker {
    /// A checker for files in which some texts are templates.
    ///
    /// # Errors
    /// If the schema uses what is not known here.
    pub(crate) fn new(schema: Value, is_template: fn(&str) -> bool) -> Result<Self, Mistake> {
        let faulty = |error| Mistake::new(format!("the schema of such files is faulty: {error}; please report it"));
        Ok(Self { root: serde_json::from_value(schema).map_err(faulty)?, is_template })
    }

    /// Checks a whole file.
    pub(crate) fn file(&self, node: &Node<'_>, mistakes: &mut Mistakes) {
        self.check(&self.root, "the file", node, Stage::Written, mistakes);
    }

    /// Checks the value of a key, in which all templates are filled in; the key is one `of` a definition, or of the file itself.
    pub(crate) fn value(&self, of: Option<&str>, key: &str, node: &Node<'_>, mistakes: &mut Mistakes) {
        if let Some(form) = self.keys(of).and_then(|keys| keys.get(key)) {
            self.check(form, key, node, Stage::Filled, mistakes);
        }
    }

    /// Whether there is such a key.
    pub(crate) fn has_key(&self, of: Option<&str>, key: &str) -> bool {
        self.keys(of).is_some_and(|keys| keys.contains_key(key))
    }

    fn keys(&self, of: Option<&str>) -> Option<&BTreeMap<String, Form>> {
        let form = of.map_or(Some(&self.root), |name| self.root.definitions.get(name));
        form.map(|form| &form.properties)
    }

    fn check(&self, form: &Form, name: &str, node: &Node<'_>, stage: Stage, mistakes: &mut Mistakes) {
        if mistakes.is_full() || (stage == Stage::Written && node.text().is_some_and(self.is_template)) {
            return;
        }
        let form = self.resolve(form);
        if !form.any_of.is_empty() {
            let choices = || {
                form.any_of
                    .iter()
                    .map(|choice| self.resolve(choice))
                    .filter(|one| one.pattern != Some(Pattern::Expression))
            };
            match choices().find(|choice| choice.admits(node)).or_else(|| choices().next()) {
                Some(choice) => self.check(choice, name, node, stage, mistakes),
                None => mistakes.add(wrong(form, name, node)),
            }
            return;
        }
        if !form.admits(node) || !form.allows(node) {
            return mistakes.add(wrong(form, name, node));
        }
        match &node.data {
            Data::List(items) => {
                let rest = if let Some(Rule::Form(rule)) = &form.items { Some(&**rule) } else { None };
                for (index, item) in items.iter().enumerate() {
                    if let Some(rule) = form.prefix_items.get(index).or(rest) {
                        self.check(rule, &format!("{name}[{index}]"), item, stage, mistakes);
                    }
                }
            }
            Data::Map(_) => self.check_entries(form, name, node, stage, mistakes),
            Data::Text(text) => mistakes.extend(form.mismatch(name, text, node.span)),
            Data::Null | Data::Bool(_) | Data::Number(_) => {}
        }
    }

    fn check_entries(&self, form: &Form, name: &str, node: &Node<'_>, stage: Stage, mistakes: &mut Mistakes) {
        for (key, value) in node.entries() {
            let names = form.property_names.as_ref();
            mistakes.extend(names.and_then(|names| names.mismatch(name, &key.name, key.span)));
            match (form.properties.get(&*key.name), &form.additional_properties) {
                (Some(rule), _) => self.check(rule, &key.name, value, stage, mistakes),
                (None, Some(Rule::Form(rule))) => self.check(rule, &key.name, value, stage, mistakes),
                (None, Some(Rule::Flag(false))) => {
                    let known = form.properties.keys().map(String::as_str);
                    let message = format!("there is no key `{}` here", key.name);
                    mistakes.add(Mistake::at(key.span, message).known(&key.name, known));
                }
                (None, Some(Rule::Flag(true)) | None) => {}
            }
        }
        for key in &form.required {
            if node.get(key).is_none() {
                mistakes.add(Mistake::at(node.span, format!("`{key}` is missing in {name}; add it")));
            }
        }
    }

    fn resolve<'a>(&'a self, form: &'a Form) -> &'a Form {
        let name = form.reference.as_ref().and_then(|reference| reference.strip_prefix("#/$defs/"));
        name.and_then(|name| self.root.definitions.get(name)).unwrap_or(form)
    }
}

impl Form {
    /// Whether a value is of one of the types.
    fn admits(&self, node: &Node<'_>) -> bool {
        let is = |name: &str| match &node.data {
            Data::Null => name == "null",
            Data::Bool(_) => name == "boolean",
            Data::Number(_) => name == "number" || (name == "integer" && is_whole(node)),
            Data::Text(_) => name == "string",
            Data::List(_) => name == "array",
            Data::Map(_) => name == "object",
        };
        self.types.0.is_empty() || self.types.0.iter().any(|name| is(name))
    }

    /// Whether a value of the right type is within the limits.
    fn allows(&self, node: &Node<'_>) -> bool {
        match &node.data {
            Data::Null | Data::Bool(_) | Data::Map(_) => true,
            Data::Number(_) => {
                let number = node.number().and_then(|number| number.as_f64()).unwrap_or(f64::NAN);
                self.minimum.is_none_or(|least| number >= least) && self.maximum.is_none_or(|most| number <= most)
            }
            Data::Text(text) => {
                let chars = || text.chars().count();
                let word = |word: &Option<String>| word.as_deref() == Some(text);
                (self.words.is_empty() || self.words.iter().any(word))
                    && self.min_length.is_none_or(|least| chars() >= least)
                    && self.max_length.is_none_or(|most| chars() <= most)
            }
            Data::List(items) => {
                self.min_items.is_none_or(|least| items.len() >= least)
                    && self.max_items.is_none_or(|most| items.len() <= most)
            }
        }
    }

    /// What is wrong with a text that does not match the pattern.
    fn mismatch(&self, name: &str, text: &str, span: Span) -> Option<Mistake> {
        let (matches, message) = match self.pattern? {
            Pattern::Expression => return None,
            Pattern::NoNul => {
                (!text.contains('\0'), format!("`{name}` holds the character NUL, which no program can be given"))
            }
            Pattern::Variable => {
                (!text.is_empty() && !text.contains(['=', '\0']), format!("`{text}` in `{name}` names no variable"))
            }
        };
        let help =
            if text.contains('\0') { "remove it" } else { "a name has at least one character, and no `=` in it" };
        (!matches).then(|| Mistake::at(span, message).help(help))
    }

    /// What is expected, in words.
    fn expected(&self) -> String {
        if let Some(message) = &self.error_message {
            return message.clone();
        }
        let words: Vec<&str> = self.words.iter().flatten().map(String::as_str).collect();
        if !words.is_empty() {
            return format!("one of {}", words.join(", "));
        }
        let names = self.types.0.iter().filter(|name| *name != "null").map(|name| match name.as_str() {
            "integer" => format!("a whole number{}", range(self.minimum, self.maximum, "")),
            "number" => format!("a number{}", range(self.minimum, self.maximum, "")),
            "string" => format!("a text{}", range_of(self.min_length, self.max_length, " characters")),
            "array" => format!("a list{}", range_of(self.min_items, self.max_items, " items")),
            "object" => "a mapping".to_owned(),
            _ => "true or false".to_owned(),
        });
        names.collect::<Vec<_>>().join(" or ")
    }
}

fn is_whole(node: &Node<'_>) -> bool {
    node.number().and_then(|number| number.as_f64()).is_some_and(|number| number.fract() == 0.0)
}

fn range_of(least: Option<usize>, most: Option<usize>, unit: &str) -> String {
    if (least, most) == (Some(1), None) {
        return " that is not empty".to_owned();
    }
    let range = range(least.map(|n| n as f64), most.map(|n| n as f64), unit);
    if range.is_empty() { range } else { format!(" of{}", range.replacen(" from ", " ", 1)) }
}

fn range(least: Option<f64>, most: Option<f64>, unit: &str) -> String {
    match (least, most) {
        (Some(least), Some(most)) => format!(" from {least} to {most}{unit}"),
        (Some(least), None) => format!(" from {least}{unit} on"),
        (None, Some(most)) => format!(" from 0 to {most}{unit}"),
        (None, None) => String::new(),
    }
}

fn wrong(form: &Form, name: &str, node: &Node<'_>) -> Mistake {
    let found = match &node.data {
        Data::Null => "nothing".to_owned(),
        Data::Bool(_) | Data::Number(_) => node.text().unwrap_or_default().to_owned(),
        Data::Text(text) if text.is_empty() => "an empty text".to_owned(),
        Data::Text(text) => format!("the text `{}`", quoted(text)),
        Data::List(items) => format!("a list of {}", items.len()),
        Data::Map(_) => "a mapping".to_owned(),
    };
    let mistake = Mistake::at(node.span, format!("`{name}` must be {}, not {found}", form.expected()));
    match (&node.data, form.words.is_empty(), form.types.0.iter().any(|name| name == "string")) {
        (Data::Text(text), false, _) => mistake.near(text, form.words.iter().flatten().map(String::as_str)),
        (Data::Number(_) | Data::Bool(_), true, true) => mistake.help("put it in quotes"),
        (Data::Text(text), true, false) if form.admits(&Node::plain(text.clone(), node.span)) => {
            mistake.help("take the quotes off")
        }
        _ => mistake,
    }
}

/// Characters of a wrong value that a sentence repeats.
const QUOTED_CHARS_MAX: usize = 40;

fn quoted(text: &str) -> String {
    let cut = text.char_indices().nth(QUOTED_CHARS_MAX);
    cut.map_or_else(|| text.to_owned(), |(end, _)| format!("{}…", &text[..end]))
}
