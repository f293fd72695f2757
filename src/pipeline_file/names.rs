//! What the tasks are called, and what the names in `depends_on` and `inputs` mean.

use std::collections::BTreeMap;

use everlog_replay::limits::NAME_CHARS_MAX;

use super::expression::{self, Params, Scope};
use super::spread::{self, Spread, TASKS_MAX};
use crate::yaml::{Mistake, Mistakes, Node, Span};

/// A task as it is written, with the copies that it stands for.
pub(super) struct Group<'a, 't> {
    pub(super) entry: &'a Node<'t>,
    pub(super) spread: Spread<'t>,
    pub(super) names: Vec<String>,
    /// The place of its first copy among all tasks.
    pub(super) first: usize,
}

/// What a name stands for.
#[derive(Clone, Copy)]
enum Meaning {
    /// All copies of a group, by its place.
    Group(usize),
    /// One task, by its place.
    Task(usize),
}

/// All groups, and all names.
pub(super) struct Names<'a, 't> {
    pub(super) groups: Vec<Group<'a, 't>>,
    by_name: BTreeMap<String, Meaning>,
}

/// The tasks that a reference means.
pub(super) struct Found {
    /// Their places.
    pub(super) tasks: Vec<usize>,
    /// Whether they are the copies of one task: then it is their list that is meant, however short.
    pub(super) many: bool,
    /// What stands behind the name: keys into the result.
    pub(super) path: Vec<String>,
}

impl<'a, 't> Names<'a, 't> {
    pub(super) fn of(tasks: &'a [Node<'t>], source: &'t str, params: &'a Params<'t>, mistakes: &mut Mistakes) -> Self {
        let mut names = Self { groups: Vec::with_capacity(tasks.len()), by_name: BTreeMap::new() };
        let mut first = 0;
        for entry in tasks {
            let Some(name) = entry.get("name") else { continue };
            // One that is too long was told of before; its copies would be long, too.
            let sound = |text: &&str| expression::is_in(text) || text.chars().count() <= NAME_CHARS_MAX;
            let Some(written) = name.text().filter(sound) else { continue };
            let spread = spread::spread(entry, Scope { source, params, values: &[] }, TASKS_MAX - first, mistakes);
            let explicit = expression::is_in(written);
            let name_of = |(copy, values)| {
                let filled = Scope { source, params, values }.fill(name, mistakes);
                let text = filled.as_ref().and_then(|name| name.text()).unwrap_or(written);
                let label = if explicit { String::new() } else { spread.label(copy) };
                if label.is_empty() { text.to_owned() } else { format!("{text}-{label}") }
            };
            let own: Vec<String> = spread.copies.iter().map(Vec::as_slice).enumerate().map(name_of).collect();
            names.add(written, name.span, Group { entry, spread, names: own, first }, mistakes);
            first = names.groups.last().map_or(0, |group| group.first + group.names.len());
        }
        names
    }

    fn add(&mut self, written: &str, span: Span, group: Group<'a, 't>, mistakes: &mut Mistakes) {
        let shared = expression::before(written).map_or(written, |before| before.trim_end_matches(['-', '_', '.']));
        let shared = (!shared.is_empty() && group.names.iter().all(|name| name != shared)).then(|| shared.to_owned());
        let place = self.groups.len();
        let own = group.names.iter().enumerate().map(|(copy, name)| (name.clone(), Meaning::Task(group.first + copy)));
        for (name, meaning) in own.chain(shared.map(|name| (name, Meaning::Group(place)))) {
            let message = format!("two tasks are named `{name}`; rename one of them");
            if self.by_name.insert(name, meaning).is_some() {
                mistakes.add(Mistake::at(span, message));
            }
        }
        self.groups.push(group);
    }

    /// How many tasks there are.
    pub(super) fn count(&self) -> usize {
        self.groups.last().map_or(0, |group| group.first + group.names.len())
    }

    /// The name of the task at this place.
    pub(super) fn name(&self, place: usize) -> &str {
        let group = self.groups.partition_point(|group| group.first <= place).saturating_sub(1);
        self.groups.get(group).and_then(|group| group.names.get(place - group.first)).map_or("", String::as_str)
    }

    /// What a reference means for a copy of a group. With `path`, keys may stand behind the name.
    pub(super) fn find(
        &self,
        text: &str,
        path: bool,
        (group, copy): (usize, usize),
        span: Span,
    ) -> Result<Found, Mistake> {
        let (head, path) = if path { self.split(text) } else { (text, Vec::new()) };
        let found = |tasks, many| Ok(Found { tasks, many, path: path.clone() });
        let (name, choice) = match head.strip_suffix(']').and_then(|head| head.split_once('[')) {
            Some((name, choice)) if !self.by_name.contains_key(head) => (name, Some(choice)),
            _ => (head, None),
        };
        let meant = match self.by_name.get(name) {
            None => return Err(self.unknown(name, span)),
            Some(Meaning::Task(place)) if choice.is_none() => return found(vec![*place], false),
            Some(Meaning::Task(_)) => {
                let message = format!("`{name}` is one task, so there is nothing to choose in `[…]`");
                return Err(Mistake::at(span, message));
            }
            Some(Meaning::Group(meant)) => &self.groups[*meant],
        };
        match choice.map(str::trim) {
            None => found((meant.first..meant.first + meant.names.len()).collect(), true),
            Some("same") if meant.spread.pairs_with(&self.groups[group].spread, copy) => {
                found(vec![meant.first + copy], false)
            }
            Some("same") => {
                let message = format!("`{name}` has other copies than this task, so none is the same");
                Err(Mistake::at(span, message).help("give both the same `replicas`, `matrix` or `foreach`"))
            }
            Some(choice) => {
                let pairs: Option<Vec<_>> = choice.split(',').map(|pair| pair.split_once('=')).collect();
                let pairs = pairs.ok_or_else(|| Mistake::at(span, "write `[same]` or `[key=value]` behind a name"))?;
                let has =
                    |copy: usize| pairs.iter().all(|(key, value)| meant.spread.has(copy, key.trim(), value.trim()));
                let chosen: Vec<_> = (0..meant.names.len()).filter(|copy| has(*copy)).collect();
                if chosen.is_empty() {
                    let message = format!("no copy of `{name}` has {choice}");
                    return Err(Mistake::at(span, message).known("", meant.names.iter().map(String::as_str)));
                }
                // With one value for each key the choice is one copy.
                let many = chosen.len() > 1;
                found(chosen.into_iter().map(|copy| meant.first + copy).collect(), many)
            }
        }
    }

    /// The name and the keys behind it: the longest name that there is, for names may hold dots.
    fn split<'r>(&self, text: &'r str) -> (&'r str, Vec<String>) {
        let keys = |path: &str| path.split('.').filter(|key| !key.is_empty()).map(str::to_owned).collect();
        if let Some(end) = text.find(']') {
            return (&text[..=end], keys(&text[end + 1..]));
        }
        let ends = std::iter::once(text.len()).chain(text.rmatch_indices('.').map(|(at, _)| at));
        let end = ends.into_iter().find(|end| self.by_name.contains_key(&text[..*end]));
        let end = end.or_else(|| text.find('.')).unwrap_or(text.len());
        (&text[..end], keys(&text[end..]))
    }

    fn unknown(&self, name: &str, span: Span) -> Mistake {
        let message = format!("no task is named `{name}`");
        Mistake::at(span, message).known(name, self.by_name.keys().map(String::as_str))
    }
}
