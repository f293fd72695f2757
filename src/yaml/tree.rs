//! A YAML or JSON text as a tree in which every part knows its place, so that whatever is found wrong later can be shown.
//!
//! JSON is read as the YAML that it is. A scalar stays the text it was written as until somebody asks for a number: `1.10` in an
//! environment is `1.10`.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Number;
use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Span as ParserSpan};

use super::{Mistake, Mistakes};

/// Levels of lists and mappings in a file. What a task's config nests goes into a frame of at most 64 levels, below six others.
const DEPTH_MAX: usize = 48;

/// Parts of a file, with what its aliases repeat: a pipeline of 100,000 tasks of 40 parts.
pub(crate) const NODES_MAX: usize = 4_000_000;

/// Bytes of a text that count as one more part: about what a part takes in memory beside its text.
const NODE_BYTES: usize = 64;

/// A part of the text: bytes from the start up to the end, which is not part of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node<'t> {
    pub(crate) data: Data<'t>,
    pub(crate) span: Span,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Data<'t> {
    Null,
    Bool(bool),
    /// A number, as it is written.
    Number(Cow<'t, str>),
    Text(Cow<'t, str>),
    List(Vec<Node<'t>>),
    Map(Vec<(Key<'t>, Node<'t>)>),
}

/// A key and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Key<'t> {
    pub(crate) name: Cow<'t, str>,
    pub(crate) span: Span,
}

impl<'t> Node<'t> {
    /// A plain scalar, read by the core schema of YAML 1.2: `no` and `off` are texts.
    pub(crate) fn plain(text: Cow<'t, str>, span: Span) -> Self {
        let data = match &*text {
            "" | "~" | "null" | "Null" | "NULL" => Data::Null,
            "true" | "True" | "TRUE" => Data::Bool(true),
            "false" | "False" | "FALSE" => Data::Bool(false),
            number if number_of(number).is_some() => Data::Number(text),
            _ => Data::Text(text),
        };
        Self { data, span }
    }

    /// The text of a scalar, as it is written.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.data {
            Data::Text(text) | Data::Number(text) => Some(text),
            Data::Bool(true) => Some("true"),
            Data::Bool(false) => Some("false"),
            Data::Null | Data::List(_) | Data::Map(_) => None,
        }
    }

    /// The items of a list; none of anything else.
    pub(crate) fn items(&self) -> &[Self] {
        if let Data::List(items) = &self.data { items } else { &[] }
    }

    /// The entries of a mapping; none of anything else.
    pub(crate) fn entries(&self) -> &[(Key<'t>, Self)] {
        if let Data::Map(entries) = &self.data { entries } else { &[] }
    }

    /// The value under a key; null counts as not given.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        let found = self.entries().iter().find(|(key, _)| key.name == name);
        found.map(|(_, value)| value).filter(|value| value.data != Data::Null)
    }

    pub(crate) fn number(&self) -> Option<Number> {
        if let Data::Number(text) = &self.data { number_of(text) } else { None }
    }
}

/// A decimal number that JSON can hold.
fn number_of(text: &str) -> Option<Number> {
    if !text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E')) {
        return None;
    }
    let whole = text.parse::<i64>().map(Number::from).or_else(|_| text.parse::<u64>().map(Number::from));
    whole.ok().or_else(|| Number::from_f64(text.parse().ok()?))
}

impl Serialize for Node<'_> {
    fn serialize<S: Serializer>(&self, into: S) -> Result<S::Ok, S::Error> {
        match &self.data {
            Data::Null => into.serialize_unit(),
            Data::Bool(yes) => into.serialize_bool(*yes),
            Data::Number(text) => number_of(text).serialize(into),
            Data::Text(text) => into.serialize_str(text),
            Data::List(items) => into.collect_seq(items),
            Data::Map(entries) => {
                let mut map = into.serialize_map(Some(entries.len()))?;
                entries.iter().try_for_each(|(key, value)| map.serialize_entry(&key.name, value))?;
                map.end()
            }
        }
    }
}

/// Reads a text, in which there may be nothing; keys that are given twice are noted.
///
/// # Errors
/// What is no YAML, and what of YAML has no meaning here.
pub(crate) fn parse<'t>(text: &'t str, mistakes: &mut Mistakes) -> Result<Option<Node<'t>>, Mistake> {
    let mut builder = Builder { mistakes, open: Vec::new(), anchors: Vec::new(), nodes: 0, root: None };
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, span)) => builder.take(event, to_span(&span))?,
            Err(error) => {
                let at = error.marker().byte_offset().and_then(|at| u32::try_from(at).ok()).unwrap_or(0);
                let message = error.to_string();
                let message = message.split(" at byte ").next().unwrap_or_default();
                return Err(Mistake::at(Span { start: at, end: at + 1 }, format!("this is no YAML: {message}")));
            }
        }
    }
    Ok(builder.root)
}

fn to_span(span: &ParserSpan) -> Span {
    let at = |offset: Option<usize>| offset.and_then(|at| u32::try_from(at).ok()).unwrap_or(0);
    Span { start: at(span.start.byte_offset()), end: at(span.end.byte_offset()) }
}

/// A list or mapping whose end has not come yet.
struct Open<'t> {
    node: Node<'t>,
    /// The number of its anchor; 0 is none.
    anchor: usize,
    /// The key whose value comes next.
    key: Option<Key<'t>>,
}

/// Puts the parser's events together. Without recursion, and bounded by [`DEPTH_MAX`] and [`NODES_MAX`].
struct Builder<'t, 'm> {
    mistakes: &'m mut Mistakes,
    open: Vec<Open<'t>>,
    anchors: Vec<(usize, Node<'t>)>,
    nodes: usize,
    root: Option<Node<'t>>,
}

impl<'t> Builder<'t, '_> {
    fn take(&mut self, event: Event<'t>, span: Span) -> Result<(), Mistake> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = tag.as_ref().is_some_and(|tag| tag.core_suffix() == Some("str"));
                if tag.is_some() && !is_text {
                    return Err(Mistake::at(span, "tags have no meaning here; remove what begins with `!`"));
                }
                let node = if style == ScalarStyle::Plain && !is_text {
                    Node::plain(text, span)
                } else {
                    Node { data: Data::Text(text), span }
                };
                self.put(node, anchor)
            }
            Event::SequenceStart(_, anchor, _) => self.begin(Data::List(Vec::new()), anchor, span),
            Event::MappingStart(_, anchor, _) => self.begin(Data::Map(Vec::new()), anchor, span),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open { mut node, anchor, .. }) => {
                    note_twice(&node, self.mistakes);
                    merge(&mut node)?;
                    node.span.end = node.span.end.max(span.start);
                    self.put(node, anchor)
                }
                None => Ok(()),
            },
            Event::Alias(anchor) => {
                let named = self.anchors.iter().rev().find(|(known, _)| *known == anchor);
                let Some((_, node)) = named else {
                    return Err(Mistake::at(span, "an alias inside of what it names has no end; write the value out"));
                };
                // Counted before it is copied: aliases of aliases grow without end.
                self.nodes += size(node);
                within_limit(self.nodes, span)?;
                within_depth(self.open.len() + height(node), span)?;
                let node = node.clone();
                self.put(node, 0)
            }
            Event::DocumentStart(..) if self.root.is_some() => {
                Err(Mistake::at(span, "a second document begins here; give it a file of its own"))
            }
            Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(..)
            | Event::DocumentEnd
            | Event::Anchor(..)
            | Event::UnresolvedAlias(_)
            | Event::Comment(..)
            | _ => Ok(()),
        }
    }

    fn begin(&mut self, data: Data<'t>, anchor: usize, span: Span) -> Result<(), Mistake> {
        within_depth(self.open.len() + 1, span)?;
        self.open.push(Open { node: Node { data, span }, anchor, key: None });
        Ok(())
    }

    fn put(&mut self, node: Node<'t>, anchor: usize) -> Result<(), Mistake> {
        self.nodes += 1;
        within_limit(self.nodes, node.span)?;
        if anchor != 0 {
            self.nodes += size(&node);
            self.anchors.push((anchor, node.clone()));
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut open.node.data {
            Data::List(items) => items.push(node),
            Data::Map(entries) => match open.key.take() {
                None => open.key = Some(key(node)?),
                Some(key) => entries.push((key, node)),
            },
            Data::Null | Data::Bool(_) | Data::Number(_) | Data::Text(_) => {}
        }
        Ok(())
    }
}

fn within_limit(nodes: usize, span: Span) -> Result<(), Mistake> {
    if nodes > NODES_MAX {
        return Err(Mistake::at(span, format!("the file has more than {NODES_MAX} values; split it")));
    }
    Ok(())
}

fn within_depth(levels: usize, span: Span) -> Result<(), Mistake> {
    if levels > DEPTH_MAX {
        return Err(Mistake::at(span, format!("this nests deeper than {DEPTH_MAX} levels; flatten it")));
    }
    Ok(())
}

fn key(node: Node<'_>) -> Result<Key<'_>, Mistake> {
    let span = node.span;
    let name = match node.data {
        Data::Text(text) | Data::Number(text) => text,
        Data::Bool(_) | Data::Null | Data::List(_) | Data::Map(_) => {
            return Err(Mistake::at(span, "a key must be a text; put it in quotes"));
        }
    };
    Ok(Key { name, span })
}

/// How many parts a value comes to, where it is repeated.
pub(crate) fn size(node: &Node<'_>) -> usize {
    let text = |text: &str| text.len() / NODE_BYTES;
    1 + match &node.data {
        Data::List(items) => items.iter().map(size).sum(),
        Data::Map(entries) => entries.iter().map(|(key, value)| text(&key.name) + size(value)).sum(),
        Data::Number(number) => text(number),
        Data::Text(own) => text(own),
        Data::Null | Data::Bool(_) => 0,
    }
}

/// About what a value takes in memory, in bytes.
pub(crate) fn bytes(node: &Node<'_>) -> usize {
    size(node) * NODE_BYTES
}

/// Levels of lists and mappings in a value.
fn height(node: &Node<'_>) -> usize {
    match &node.data {
        Data::List(items) => 1 + items.iter().map(height).max().unwrap_or(0),
        Data::Map(entries) => 1 + entries.iter().map(|(_, value)| height(value)).max().unwrap_or(0),
        Data::Null | Data::Bool(_) | Data::Number(_) | Data::Text(_) => 0,
    }
}

fn note_twice(node: &Node<'_>, mistakes: &mut Mistakes) {
    let mut keys: Vec<&Key<'_>> = node.entries().iter().map(|(key, _)| key).collect();
    keys.sort_by_key(|key| (&key.name, key.span));
    for pair in keys.windows(2) {
        if pair[0].name == pair[1].name {
            mistakes.add(Mistake::at(pair[1].span, format!("`{}` is given twice; remove one of them", pair[1].name)));
        }
    }
}

/// Replaces the `<<` of a mapping by the entries that it names; the mapping's own ones count more.
fn merge(node: &mut Node<'_>) -> Result<(), Mistake> {
    let Data::Map(entries) = &mut node.data else { return Ok(()) };
    let Some(place) = entries.iter().position(|(key, _)| key.name == "<<") else { return Ok(()) };
    let (key, merged) = entries.remove(place);
    let mut known: BTreeSet<Cow<'_, str>> = entries.iter().map(|(key, _)| key.name.clone()).collect();
    let sources = if let Data::List(all) = merged.data { all } else { vec![merged] };
    for source in sources {
        let Data::Map(more) = source.data else {
            return Err(Mistake::at(key.span, "`<<` takes a mapping, or a list of them; name one with `*`"));
        };
        for (key, value) in more {
            if known.insert(key.name.clone()) {
                entries.push((key, value));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(text: &str) -> Value {
        serde_json::to_value(parse(text, &mut Mistakes::default()).expect("YAML")).expect("JSON")
    }

    fn refused(text: &str) -> String {
        parse(text, &mut Mistakes::default()).expect_err("no tree").message
    }

    #[test]
    fn scalars_are_what_the_core_schema_says() {
        let text = "[1, -2, 1.10, 1e3, .5, +7, 18446744073709551615, 0x10, .inf, 1_000, no, off, yes, true, False, ~, '1', \"\\u00e9\", 1.2.3, e]";
        let expected = json!([
            1,
            -2,
            1.1,
            1000.0,
            0.5,
            7,
            u64::MAX,
            "0x10",
            ".inf",
            "1_000",
            "no",
            "off",
            "yes",
            true,
            false,
            null,
            "1",
            "é",
            "1.2.3",
            "e"
        ]);
        assert_eq!(read(text), expected);
        assert_eq!(parse("1.10", &mut Mistakes::default()).expect("YAML").expect("a number").text(), Some("1.10"));
        assert_eq!(read("a: !!str 5\nb:\nc: |\n  two\n  lines\n"), json!({"a": "5", "b": null, "c": "two\nlines\n"}));
    }

    #[test]
    fn json_is_read_as_it_is() {
        let text = "{\n\t\"a\":\t[1, 2.5e-3, true, null, \"\\ud83d\\ude00 \\/ \\n\"],\n\t\"b\": {\"c\": {}}\n}\n";
        assert_eq!(read(text), serde_json::from_str::<Value>(text).expect("JSON"));
    }

    #[test]
    fn aliases_repeat_and_merge_keys_fill_in() {
        assert_eq!(read("a: &x {k: 1, l: 2}\nb: *x\nc: {<<: *x, k: 3}\n")["b"], json!({"k": 1, "l": 2}));
        assert_eq!(read("a: &x {k: 1, l: 2}\nc: {<<: [*x, {m: 4}], k: 3}\n")["c"], json!({"k": 3, "l": 2, "m": 4}));
        let bomb = (1..20).fold("a0: &a0 [x, x]\n".to_owned(), |text, n| {
            format!("{text}a{n}: &a{n} [*a{0}, *a{0}, *a{0}, *a{0}]\n", n - 1)
        });
        assert!(refused(&bomb).contains("more than"), "{}", refused(&bomb));
        let long = format!("a: &a \"{}\\n\"\nb: [{}]\n", "x".repeat(1_000_000), "*a,".repeat(1_000));
        assert!(refused(&long).contains("more than"), "{}", refused(&long));
    }

    #[test]
    fn aliases_nest_no_deeper_than_what_is_written_out() {
        let (open, close) = ("[".repeat(30), "]".repeat(30));
        let deep = |levels: usize| format!("a: &a {open}{close}\nb: {}*a{}\n", "[".repeat(levels), "]".repeat(levels));
        assert!(read(&deep(17)).is_object());
        assert!(refused(&deep(18)).contains("48 levels"), "{}", refused(&deep(18)));
    }

    #[test]
    fn what_has_no_meaning_here_is_refused() {
        assert!(refused(&("[".repeat(49) + &"]".repeat(49))).contains("48 levels"));
        assert!(refused("a: 1\n---\nb: 2\n").contains("second document"));
        assert!(refused("a: !python/object x\n").contains("tags"));
        assert!(refused("? [a]\n: 1\n").contains("key must be a text"));
        assert!(refused("a: &x [*x]\n").contains("has no end"));
        assert!(refused("a: [\n").contains("no YAML"));
        assert_eq!(parse("# nothing\n", &mut Mistakes::default()), Ok(None));
    }
}
