//! A task in the form in which it goes onto the wire: `{"name", "config"}`, written at once, without a tree of values between.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::names::{Found, Group, Names};
use super::spread::Kind;
use crate::yaml::Node;

/// A task's input: its name, and what it stands for.
pub(super) struct Input<'a> {
    pub(super) name: &'a str,
    pub(super) found: Found,
}

/// One copy of a task.
pub(super) struct TaskJson<'a, 't> {
    pub(super) name: &'a str,
    /// The keys of the file, the task's own before those of the defaults.
    pub(super) fields: Vec<(&'a str, Cow<'a, Node<'t>>)>,
    pub(super) upstream: &'a [usize],
    pub(super) inputs: Vec<Input<'a>>,
    pub(super) names: &'a Names<'a, 't>,
    pub(super) group: &'a Group<'a, 't>,
    pub(super) copy: usize,
    pub(super) directory: &'a Path,
}

impl Serialize for TaskJson<'_, '_> {
    fn serialize<S: Serializer>(&self, into: S) -> Result<S::Ok, S::Error> {
        let mut task = into.serialize_map(Some(2))?;
        task.serialize_entry("name", self.name)?;
        task.serialize_entry("config", &Config(self))?;
        task.end()
    }
}

struct Config<'a, 't>(&'a TaskJson<'a, 't>);

impl Serialize for Config<'_, '_> {
    fn serialize<S: Serializer>(&self, into: S) -> Result<S::Ok, S::Error> {
        let task = self.0;
        let mut config = into.serialize_map(None)?;
        for (key, node) in &task.fields {
            match *key {
                "env" | "cwd" | "config" => {}
                "command" => config.serialize_entry(key, &texts(node))?,
                "outputs" => config.serialize_entry(key, &text_map(node))?,
                _ => config.serialize_entry(key, node)?,
            }
        }
        config.serialize_entry("cwd", &task.cwd())?;
        let env = task.env();
        if !env.is_empty() {
            config.serialize_entry("env", &env)?;
        }
        if !task.upstream.is_empty() {
            config.serialize_entry("depends_on", &task.names_of(task.upstream))?;
        }
        if !task.inputs.is_empty() {
            let inputs = task.inputs.iter().map(|input| (input.name, task.source(&input.found)));
            config.serialize_entry("inputs", &inputs.collect::<BTreeMap<_, _>>())?;
        }
        task.values(&mut config)?;
        for (key, value) in task.layered("config") {
            config.serialize_entry(key, value)?;
        }
        config.end()
    }
}

/// Where an input comes from: a task, or all copies of one, and keys into the result.
#[derive(Serialize)]
struct Source<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks: Option<Vec<&'a str>>,
    path: &'a [String],
}

impl<'a, 't> TaskJson<'a, 't> {
    /// A relative directory starts at the file's.
    fn cwd(&self) -> PathBuf {
        let given = self.fields.iter().find(|(key, _)| *key == "cwd").and_then(|(_, node)| node.text());
        given.map_or_else(|| self.directory.to_owned(), |given| self.directory.join(given))
    }

    /// The entries of a mapping that the task and the defaults may both have, the task's own counting more.
    fn layered(&self, name: &str) -> BTreeMap<&str, &Node<'t>> {
        let layers = self.fields.iter().filter(|(key, _)| *key == name).map(|(_, node)| node.entries());
        layers.rev().flatten().map(|(key, value)| (&*key.name, value)).collect()
    }

    fn env(&self) -> BTreeMap<Cow<'_, str>, Cow<'_, str>> {
        let given = self.layered("env").into_iter();
        let given = given.filter_map(|(name, value)| Some((Cow::Borrowed(name), Cow::Borrowed(value.text()?))));
        let own = self.group.spread.env(self.copy).into_iter();
        given.chain(own.map(|(name, value)| (Cow::Owned(name), Cow::Owned(value)))).collect()
    }

    fn names_of(&self, places: &[usize]) -> Vec<&str> {
        places.iter().map(|place| self.names.name(*place)).collect()
    }

    fn source<'f>(&'f self, found: &'f Found) -> Source<'f> {
        let names = self.names_of(&found.tasks);
        let (task, tasks) = if found.many { (None, Some(names)) } else { (names.first().copied(), None) };
        Source { task, tasks, path: &found.path }
    }

    /// What is different in this copy: `matrix: {…}`, or `item` and `index`.
    fn values<M: SerializeMap>(&self, config: &mut M) -> Result<(), M::Error> {
        let values = &self.group.spread.copies[self.copy];
        match self.group.spread.kind {
            Kind::Once | Kind::Replicas => Ok(()),
            Kind::Matrix => {
                let bare = values.iter().map(|(key, value)| (key.trim_start_matches("matrix."), value));
                config.serialize_entry("matrix", &bare.collect::<BTreeMap<_, _>>())
            }
            Kind::Foreach => values.iter().try_for_each(|(key, value)| config.serialize_entry(&**key, value)),
        }
    }
}

fn texts<'n>(node: &'n Node<'_>) -> Vec<&'n str> {
    node.items().iter().filter_map(Node::text).collect()
}

fn text_map<'n>(node: &'n Node<'_>) -> BTreeMap<&'n str, &'n str> {
    node.entries().iter().filter_map(|(key, value)| Some((&*key.name, value.text()?))).collect()
}
