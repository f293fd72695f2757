//! `${{ … }}` in a text: a name that stands for a value. Nothing is computed, and what a value holds is never read again.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::EXPANDED_BYTES_MAX;
use crate::yaml::{self, Data, Key, Mistake, Mistakes, Node, Span};

/// What begins an expression; `$${{` is the text `${{`.
const BEGIN: &str = "${{";
const END: &str = "}}";

/// The parameters of a file.
#[derive(Default)]
pub(super) struct Params<'t> {
    pub(super) by_name: BTreeMap<String, Node<'t>>,
    /// Bytes that the expressions of the file have come to so far, all copies of all tasks.
    filled: Cell<usize>,
}

/// Values of one copy of a task: `matrix.KEY`, `item` and `index`.
pub(super) type Values<'t> = Vec<(Rc<str>, Node<'t>)>;

/// The names that mean something at some place.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a, 't> {
    /// The text of the file, where mistakes are shown.
    pub(super) source: &'t str,
    pub(super) params: &'a Params<'t>,
    pub(super) values: &'a [(Rc<str>, Node<'t>)],
}

/// Whether there is an expression, or an escaped one, in a text.
pub(super) fn is_in(text: &str) -> bool {
    text.contains(BEGIN)
}

/// What stands before the first expression, if there is one.
pub(super) fn before(text: &str) -> Option<&str> {
    text.split_once(BEGIN).map(|(before, _)| before)
}

/// Whether an expression is anywhere in a value.
fn is_inside(node: &Node<'_>) -> bool {
    match &node.data {
        Data::Text(text) => is_in(text),
        Data::List(items) => items.iter().any(is_inside),
        Data::Map(entries) => entries.iter().any(|(_, value)| is_inside(value)),
        Data::Null | Data::Bool(_) | Data::Number(_) => false,
    }
}

/// What to do where no name means anything yet.
fn first_name(wanted: &str) -> String {
    match wanted.strip_prefix("params.") {
        Some(name) => format!("declare it with its default: `params: {{{name}: …}}`"),
        None => "names are `params.NAME` of what `params` declares, `matrix.KEY`, `item` and `index`".to_owned(),
    }
}

impl<'t> Scope<'_, 't> {
    /// The value with every expression filled in; nothing, if one cannot be. An expression that is a whole value keeps its type.
    pub(super) fn fill<'n>(&self, node: &'n Node<'t>, mistakes: &mut Mistakes) -> Option<Cow<'n, Node<'t>>> {
        if is_inside(node) { self.filled(node, mistakes).map(Cow::Owned) } else { Some(Cow::Borrowed(node)) }
    }

    fn filled(&self, node: &Node<'t>, mistakes: &mut Mistakes) -> Option<Node<'t>> {
        let data = match &node.data {
            Data::Text(text) if is_in(text) => mistakes.note(self.text(text, node.span))?,
            Data::List(items) => {
                // All of them, for their mistakes.
                let filled: Vec<_> = items.iter().map(|item| self.filled(item, mistakes)).collect();
                Data::List(filled.into_iter().collect::<Option<_>>()?)
            }
            Data::Map(entries) => {
                let mut filled =
                    |(key, value): &(Key<'t>, Node<'t>)| Some((key.clone(), self.filled(value, mistakes)?));
                let filled: Vec<_> = entries.iter().map(&mut filled).collect();
                Data::Map(filled.into_iter().collect::<Option<_>>()?)
            }
            other @ (Data::Null | Data::Bool(_) | Data::Number(_) | Data::Text(_)) => other.clone(),
        };
        Some(Node { data, span: node.span })
    }

    fn text(&self, text: &str, span: Span) -> Result<Data<'t>, Mistake> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(BEGIN) {
            if let Some(before) = before.strip_suffix('$') {
                filled.push_str(before);
                filled.push_str(BEGIN);
                rest = after;
                continue;
            }
            let Some((name, after)) = after.split_once(END) else {
                let at = self.place(BEGIN, span);
                return Err(Mistake::at(at, "`${{` has no `}}` behind it").help("write `$${{` for the text `${{`"));
            };
            let value = self.find(name, span)?;
            self.count(before.len() + yaml::bytes(&value), span)?;
            if before.trim().is_empty() && after.trim().is_empty() && rest.len() == text.len() {
                return Ok(value.data);
            }
            let Some(value) = value.text() else {
                let message = format!("`{}` is no text or number, so it must be the whole value", name.trim());
                return Err(Mistake::at(self.place(name, span), message));
            };
            filled.push_str(before);
            filled.push_str(value);
            rest = after;
        }
        filled.push_str(rest);
        Ok(Data::Text(Cow::Owned(filled)))
    }

    /// A long value that stands in many places is too much at some time.
    fn count(&self, bytes: usize, span: Span) -> Result<(), Mistake> {
        let filled = self.params.filled.get().saturating_add(bytes);
        self.params.filled.set(filled);
        if filled > EXPANDED_BYTES_MAX {
            let message = format!("the expressions of this file come to more than {EXPANDED_BYTES_MAX} bytes");
            return Err(Mistake::at(span, message).help("put the data into a file, and name that"));
        }
        Ok(())
    }

    fn find(&self, name: &str, span: Span) -> Result<Node<'t>, Mistake> {
        let wanted = name.trim();
        let param = wanted.strip_prefix("params.").and_then(|name| self.params.by_name.get(name));
        let own = || self.values.iter().find(|(known, _)| **known == *wanted).map(|(_, value)| value);
        let part = || {
            let (_, item) = self.values.iter().find(|(known, _)| **known == *"item")?;
            item.get(wanted.strip_prefix("item.")?)
        };
        param.or_else(own).or_else(part).cloned().ok_or_else(|| {
            let known = self.known();
            let message = format!("`{wanted}` stands for nothing here");
            let mistake = Mistake::at(self.place(name, span), message);
            if known.is_empty() {
                mistake.help(first_name(wanted))
            } else {
                mistake.known(wanted, known.iter().map(String::as_str))
            }
        })
    }

    fn known(&self) -> Vec<String> {
        let params = self.params.by_name.keys().map(|name| format!("params.{name}"));
        let items = self.values.iter().flat_map(|(name, value)| match &value.data {
            Data::Map(entries) => entries.iter().map(|(key, _)| format!("{name}.{}", key.name)).collect(),
            Data::Null | Data::Bool(_) | Data::Number(_) | Data::Text(_) | Data::List(_) => vec![name.to_string()],
        });
        params.chain(items).collect()
    }

    /// Where `part` of a text stands in the file; all of the text, if it is written in another way.
    fn place(&self, part: &str, span: Span) -> Span {
        let written = self.source.get(span.start as usize..span.end as usize).unwrap_or_default();
        let found = written.find(part).and_then(|at| u32::try_from(at).ok());
        found.map_or(span, |at| {
            let start = span.start + at + u32::try_from(part.len() - part.trim_start().len()).unwrap_or(0);
            Span { start, end: start + u32::try_from(part.trim().len()).unwrap_or(0) }
        })
    }
}
