//! One task of the file, many of the pipeline: `replicas`, `matrix` and `foreach`. How many is known before any is made.

use std::borrow::Cow;
use std::rc::Rc;

use super::expression::{Scope, Values};
use crate::yaml::{self, Data, Key, Mistake, Mistakes, NODES_MAX, Node, Span};

/// Copies by `replicas`; more is more likely a slip than a plan.
pub(super) const REPLICAS_MAX: u32 = 10_000;

/// Tasks of one file, copies counted one by one.
pub(super) const TASKS_MAX: usize = 100_000;

/// How a task is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Once,
    Replicas,
    Matrix,
    Foreach,
}

/// A task's copies.
#[derive(Debug)]
pub(super) struct Spread<'t> {
    pub(super) kind: Kind,
    /// What is different in each: the values that its expressions see.
    pub(super) copies: Vec<Values<'t>>,
}

/// The copies of a task of which at most `room` fit.
pub(super) fn spread<'t>(entry: &Node<'t>, scope: Scope<'_, 't>, room: usize, mistakes: &mut Mistakes) -> Spread<'t> {
    let given = |(name, kind)| entry.get(name).map(|node| (kind, node));
    let ways = [("replicas", Kind::Replicas), ("matrix", Kind::Matrix), ("foreach", Kind::Foreach)];
    let mut ways = ways.into_iter().filter_map(given);
    let Some((kind, node)) = ways.next() else { return Spread { kind: Kind::Once, copies: vec![Vec::new()] } };
    if let Some((_, second)) = ways.next() {
        let message = "`replicas`, `matrix` and `foreach` exclude each other";
        mistakes.add(Mistake::at(second.span, message).help("a `matrix` with one more key gives every combination"));
    }
    let Some(node) = scope.fill(node, mistakes) else { return Spread { kind, copies: Vec::new() } };
    let copies = match kind {
        Kind::Once => Ok(Vec::new()),
        Kind::Replicas => replicas(&node, room),
        Kind::Matrix => matrix(&node, room),
        Kind::Foreach => foreach(&node, room),
    };
    Spread { kind, copies: mistakes.note(copies).unwrap_or_default() }
}

impl<'t> Spread<'t> {
    /// What tells a copy from the others in its name.
    pub(super) fn label(&self, copy: usize) -> String {
        let values = &self.copies[copy];
        match self.kind {
            Kind::Once => String::new(),
            Kind::Replicas => (copy + 1).to_string(),
            Kind::Matrix => {
                let parts = values.iter().map(|(key, value)| format!("{}{}", last(key), tame(value)));
                parts.collect::<Vec<_>>().join("-")
            }
            Kind::Foreach => match values.first() {
                Some((_, item)) if item.text().is_some() => tame(item),
                _ => (copy + 1).to_string(),
            },
        }
    }

    /// What the command of a copy finds in its environment.
    pub(super) fn env(&self, copy: usize) -> Vec<(String, String)> {
        if self.kind == Kind::Replicas {
            let (number, all) = (copy + 1, self.copies.len());
            return vec![
                ("EVERLOG_REPLICA".to_owned(), number.to_string()),
                ("EVERLOG_REPLICAS".to_owned(), all.to_string()),
            ];
        }
        let variable = |key: &str| {
            let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
            format!("EVERLOG_{}", key.chars().map(plain).collect::<String>())
        };
        let text = |value: &Node<'_>| match value.text() {
            Some(text) => text.to_owned(),
            None => serde_json::to_string(value).unwrap_or_default(),
        };
        self.copies[copy].iter().map(|(key, value)| (variable(key), text(value))).collect()
    }

    /// Whether a copy has this value under a key, as `name[key=value]` asks.
    pub(super) fn has(&self, copy: usize, key: &str, wanted: &str) -> bool {
        let values = self.copies[copy].iter();
        let found = values.clone().find(|(known, _)| last(known) == key).map(|(_, value)| value);
        let part = || values.clone().find_map(|(_, item)| item.get(key));
        found.or_else(part).and_then(Node::text) == Some(wanted)
    }

    /// Whether this copy of both belongs together, as `name[same]` asks.
    pub(super) fn pairs_with(&self, other: &Self, copy: usize) -> bool {
        let own = || self.copies[copy].iter().map(|(key, value)| (key, &value.data));
        self.kind == other.kind
            && self.copies.len() == other.copies.len()
            && (self.kind != Kind::Matrix || own().eq(other.copies[copy].iter().map(|(key, value)| (key, &value.data))))
    }
}

/// `lr` of `matrix.lr`.
fn last(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

/// A value as a part of a name: letters, digits and what stands in numbers.
fn tame(value: &Node<'_>) -> String {
    let plain = |c: char| if c.is_alphanumeric() || "._+-".contains(c) { c } else { '_' };
    value.text().unwrap_or_default().chars().map(plain).collect()
}

fn too_many(span: Span, count: Option<usize>, room: usize) -> Mistake {
    let count = count.map_or_else(|| "more than can be counted".to_owned(), |count| count.to_string());
    let message = format!("these are {count} tasks, and of the {TASKS_MAX} of a file {room} are left");
    Mistake::at(span, message).help("give fewer values, or split the pipeline")
}

fn numbered(number: usize, span: Span) -> Node<'static> {
    Node { data: Data::Number(Cow::Owned(number.to_string())), span }
}

fn replicas<'t>(node: &Node<'t>, room: usize) -> Result<Vec<Values<'t>>, Mistake> {
    let count = node.number().and_then(|number| number.as_u64()).and_then(|count| usize::try_from(count).ok());
    let count = count
        .filter(|count| (1..=REPLICAS_MAX as usize).contains(count))
        .ok_or_else(|| Mistake::at(node.span, format!("`replicas` must be a whole number from 1 to {REPLICAS_MAX}")))?;
    if count > room {
        return Err(too_many(node.span, Some(count), room));
    }
    Ok((1..=count).map(|number| vec![("index".into(), numbered(number, node.span))]).collect())
}

fn matrix<'t>(node: &Node<'t>, room: usize) -> Result<Vec<Values<'t>>, Mistake> {
    let own = |name: &str| matches!(name, "include" | "exclude");
    let axes: Vec<_> = node.entries().iter().filter(|(key, _)| !own(&key.name)).collect();
    let listed = |name| node.get(name).map_or(&[][..], Node::items);
    let (include, exclude) = (listed("include"), listed("exclude"));
    for combination in include.iter().chain(exclude) {
        for (key, _) in combination.entries() {
            if !axes.iter().any(|(axis, _)| axis.name == key.name) {
                let known = axes.iter().map(|(axis, _)| &*axis.name);
                return Err(
                    Mistake::at(key.span, format!("the matrix has no key `{}`", key.name)).known(&key.name, known)
                );
            }
        }
    }
    let mut sizes = axes.iter().map(|(_, values)| values.items().len());
    let product = sizes.try_fold(1_usize, |product, size| product.checked_mul(size));
    if product.is_none_or(|product| product.saturating_add(include.len()) > room) {
        return Err(too_many(node.span, product, room));
    }
    // Each combination holds its values.
    let repeated = |values: &Node<'_>| yaml::size(values) * product.unwrap_or(0) / values.items().len().max(1);
    if axes.iter().map(|(_, values)| repeated(values)).sum::<usize>() > NODES_MAX {
        let message = "the values of this matrix are too long for so many combinations";
        return Err(Mistake::at(node.span, message).help("put the data into files, and give their names"));
    }
    let names: Vec<Rc<str>> = axes.iter().map(|(key, _)| format!("matrix.{}", key.name).into()).collect();
    let mut all: Vec<Values<'t>> = vec![Vec::new()];
    for (name, (_, values)) in names.iter().zip(&axes) {
        let longer =
            |values: &Values<'t>, value: &Node<'t>| [values.as_slice(), &[(Rc::clone(name), value.clone())]].concat();
        all = all
            .iter()
            .flat_map(|combination| values.items().iter().map(move |value| longer(combination, value)))
            .collect();
    }
    let is = |values: &Values<'t>, combination: &Node<'t>| {
        let mut wanted = combination.entries().iter();
        wanted.all(|(key, wanted)| {
            values.iter().any(|(name, value)| last(name) == key.name && value.text() == wanted.text())
        })
    };
    all.retain(|values| !exclude.iter().any(|combination| is(values, combination)));
    for combination in include {
        let value = |(name, (axis, _)): (&Rc<str>, &&(Key<'t>, Node<'t>))| {
            let value = combination.get(&axis.name).cloned().ok_or_else(|| {
                Mistake::at(
                    combination.span,
                    format!("`{}` is missing; a combination has a value for every key", axis.name),
                )
            });
            Ok((Rc::clone(name), value?))
        };
        all.push(names.iter().zip(&axes).map(value).collect::<Result<_, Mistake>>()?);
    }
    if all.is_empty() || axes.is_empty() {
        return Err(Mistake::at(node.span, "the matrix has no combination; give each key at least one value"));
    }
    Ok(all)
}

fn foreach<'t>(node: &Node<'t>, room: usize) -> Result<Vec<Values<'t>>, Mistake> {
    let one = |(place, item): (usize, Node<'t>)| {
        let index = numbered(place + 1, item.span);
        vec![("item".into(), item), ("index".into(), index)]
    };
    if let Some(range) = node.get("range") {
        return Ok(numbers(range, room)?.into_iter().enumerate().map(one).collect());
    }
    let items = node.items();
    if items.len() > room {
        return Err(too_many(node.span, Some(items.len()), room));
    }
    Ok(items.iter().cloned().enumerate().map(one).collect())
}

/// The whole numbers from start up to stop, as Python counts them.
fn numbers(range: &Node<'_>, room: usize) -> Result<Vec<Node<'static>>, Mistake> {
    let bounds: Option<Vec<i64>> = range.items().iter().map(|bound| bound.number()?.as_i64()).collect();
    let wrong = || {
        Mistake::at(
            range.span,
            "a range is [start, stop] or [start, stop, step], in whole numbers, with a step that is not 0",
        )
    };
    let (start, stop, step) = match bounds.as_deref() {
        Some([start, stop]) => (*start, *stop, 1),
        Some([start, stop, step]) if *step != 0 => (*start, *stop, *step),
        _ => return Err(wrong()),
    };
    let way = (i128::from(stop) - i128::from(start)) * i128::from(step.signum());
    let count = (way.max(0) as u128).div_ceil(u128::from(step.unsigned_abs()));
    let count = usize::try_from(count).ok();
    match count {
        Some(0) => Err(Mistake::at(range.span, format!("the range from {start} to {stop} has no numbers"))),
        Some(count) if count <= room => {
            let number = |place: usize| i128::from(start) + place as i128 * i128::from(step);
            let node = |place| Node { data: Data::Number(Cow::Owned(number(place).to_string())), span: range.span };
            Ok((0..count).map(node).collect())
        }
        _ => Err(too_many(range.span, count, room)),
    }
}
