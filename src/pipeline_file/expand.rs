//! From what is written to what is submitted: defaults and expressions filled in, copies written out, names resolved.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;

use everlog_replay::limits::{INPUT_BYTES_MAX, INPUT_OVERHEAD_BYTES};
use serde_json::{Map, Value, json};

use super::PipelineFile;
use super::checker::Checker;
use super::error::{Mistake, Mistakes};
use super::expression::{Params, Scope};
use super::names::Names;
use super::tree::{Data, Node};
use super::wire::{Input, TaskJson};
use crate::submission::{Circle, Submission, TASK_BYTES_MAX, Task};

/// Dependencies of a whole file: each is a name on the wire and a place in memory. It bounds what `depends_on` between two tasks of
/// many copies each comes to.
const EDGES_MAX: usize = 2_000_000;

/// What of the file goes with the pipeline as it is.
const SETTINGS: [&str; 5] = ["strategy", "max_concurrent_tasks", "task_timeout", "retry_attempts", "on_failure"];

/// What of a task is read by its copies, not by its command.
const RESOLVED: [&str; 6] = ["name", "depends_on", "replicas", "matrix", "foreach", "inputs"];

/// Keys of a task's config that the coordinator or the agent reads, beside the names of settings, each with what to write instead.
const RESERVED: [(&str, &str); 6] = [
    ("task_timeout", "timeout"),
    ("retry_attempts", "retry: {attempts: …}"),
    ("dependencies", "depends_on"),
    ("pipeline_id", "another name"),
    ("item", "another name"),
    ("index", "another name"),
];

/// A file at work.
pub(super) struct Expansion<'a, 't> {
    pub(super) source: &'t str,
    pub(super) directory: &'a Path,
    pub(super) checker: &'a Checker,
    pub(super) params: &'a Params<'t>,
    pub(super) document: &'a Node<'t>,
}

impl<'a, 't> Expansion<'a, 't> {
    /// The pipeline, unless something is wrong.
    pub(super) fn run(&self, mistakes: &mut Mistakes) -> Option<PipelineFile> {
        let names = Names::of(self.document.get("tasks")?.items(), self.source, self.params, mistakes);
        let mut tasks = Vec::with_capacity(names.count());
        let mut capabilities = BTreeSet::new();
        let mut edges = 0;
        for group in 0..names.groups.len() {
            for copy in 0..names.groups[group].names.len() {
                if mistakes.is_full() {
                    return None;
                }
                let task = self.task(&names, group, copy, &mut edges, &mut capabilities, mistakes);
                tasks.extend(task);
            }
        }
        let scope = self.scope(&[]);
        let name = scope.fill(self.document.get("name")?, mistakes);
        let config = self.settings(scope, mistakes);
        if !mistakes.is_empty() {
            return None;
        }
        let circle = |circle| in_circle(&circle, &names);
        let name = name?.text()?.to_owned();
        let submission = mistakes.note(Submission::new(name, config, tasks).map_err(circle))?;
        Some(PipelineFile { submission, capabilities })
    }

    fn scope<'s>(&self, values: &'s [(std::rc::Rc<str>, Node<'t>)]) -> Scope<'s, 't>
    where
        'a: 's,
    {
        Scope { source: self.source, params: self.params, values }
    }

    fn settings(&self, scope: Scope<'_, 't>, mistakes: &mut Mistakes) -> Map<String, Value> {
        let mut config = Map::new();
        for name in SETTINGS {
            if let Some(node) = self.document.get(name).and_then(|node| scope.fill(node, mistakes)) {
                self.checker.setting(name, &node, mistakes);
                config.insert(name.to_owned(), json!(*node));
            }
        }
        config
    }

    /// One copy of a task.
    fn task(
        &self,
        names: &Names<'_, 't>,
        group: usize,
        copy: usize,
        edges: &mut usize,
        capabilities: &mut BTreeSet<String>,
        mistakes: &mut Mistakes,
    ) -> Option<Task> {
        let own = &names.groups[group];
        let scope = self.scope(&own.spread.copies[copy]);
        let name = own.names[copy].as_str();
        let name_node = Node { data: Data::Text(Cow::Borrowed(name)), span: own.entry.get("name")?.span };
        self.checker.task_value("name", &name_node, mistakes);
        let (mut inputs, mut upstream) = (Vec::new(), Vec::new());
        for (reference, input) in self.references(own.entry) {
            let filled = scope.fill(reference, mistakes)?;
            let text = filled.text()?;
            let found = mistakes.note(names.find(text, input.is_some(), group, copy, reference.span))?;
            *edges += found.tasks.len();
            if *edges > EDGES_MAX {
                let message = format!("the tasks of this file have more than {EDGES_MAX} dependencies");
                mistakes
                    .add(Mistake::at(reference.span, message).help("let one task join the many, and depend on that"));
                return None;
            }
            upstream.extend(&found.tasks);
            inputs.extend(input.map(|name| Input { name, found }));
        }
        upstream.sort_unstable();
        upstream.dedup();
        let bytes: usize = upstream.iter().map(|place| names.name(*place).len() + INPUT_OVERHEAD_BYTES).sum();
        if bytes > INPUT_BYTES_MAX {
            let message = format!(
                "`{name}` waits for {} tasks, whose names alone are {bytes} bytes of inputs, more than {INPUT_BYTES_MAX}",
                upstream.len()
            );
            mistakes.add(Mistake::at(own.entry.span, message).help("join them in two steps, or shorten the names"));
        }
        let fields = self.fields(own.entry, scope, mistakes);
        let required = fields.iter().find(|(key, _)| *key == "required_capabilities");
        capabilities
            .extend(required.into_iter().flat_map(|(_, list)| list.items()).filter_map(Node::text).map(str::to_owned));
        let json =
            TaskJson { name, fields, upstream: &upstream, inputs, names, group: own, copy, directory: self.directory };
        let json = mistakes.note(serde_json::to_string(&json).map_err(|error| Mistake::new(error.to_string())))?;
        if json.len() > TASK_BYTES_MAX {
            let message = format!("`{name}` takes {} bytes, and one task may take {TASK_BYTES_MAX}", json.len());
            mistakes.add(Mistake::at(own.entry.span, message).help("put the data into a file, and name that"));
        }
        Some(Task { name: name.to_owned(), depends_on: upstream, json })
    }

    /// What names other tasks: `depends_on`, and `inputs` with their names.
    fn references<'e>(&self, entry: &'e Node<'t>) -> impl Iterator<Item = (&'e Node<'t>, Option<&'e str>)> {
        let depends_on = entry.get("depends_on").into_iter().flat_map(Node::items).map(|node| (node, None));
        let inputs = entry.get("inputs").into_iter().flat_map(Node::entries);
        depends_on.chain(inputs.map(|(key, node)| (node, Some(&*key.name))))
    }

    /// The keys of a task and of the defaults, the task's own first, with every expression filled in.
    fn fields<'n>(
        &'n self,
        entry: &'n Node<'t>,
        scope: Scope<'_, 't>,
        mistakes: &mut Mistakes,
    ) -> Vec<(&'n str, Cow<'n, Node<'t>>)> {
        let defaults = self.document.get("defaults").map_or(&[][..], Node::entries);
        let mut fields: Vec<(&str, Cow<'_, Node<'t>>)> = Vec::with_capacity(entry.entries().len() + defaults.len());
        for (key, node) in entry.entries().iter().chain(defaults) {
            let merged = matches!(&*key.name, "env" | "config");
            let known = !merged && fields.iter().any(|(name, _)| *name == key.name);
            if known || node.data == Data::Null || RESOLVED.contains(&&*key.name) {
                continue;
            }
            let Some(filled) = scope.fill(node, mistakes) else { continue };
            if matches!(filled, Cow::Owned(_)) {
                self.checker.task_value(&key.name, &filled, mistakes);
            }
            if key.name == "config" {
                self.note_reserved(node, mistakes);
            }
            fields.push((&key.name, filled));
        }
        fields
    }

    fn note_reserved(&self, config: &Node<'t>, mistakes: &mut Mistakes) {
        for (key, _) in config.entries() {
            let setting = self.checker.is_task_key(&key.name).then_some(&*key.name);
            let other = RESERVED.iter().find(|(name, _)| *name == key.name).map(|(_, instead)| *instead);
            if let Some(instead) = other.or(setting) {
                let message = format!("`config.{}` has a name with a meaning of its own", key.name);
                let help = format!("write `{instead}` beside `config`, or choose another name");
                mistakes.add(Mistake::at(key.span, message).help(help));
            }
        }
    }
}

fn in_circle(circle: &Circle, names: &Names<'_, '_>) -> Mistake {
    let told: Vec<&str> = circle.0.iter().map(|place| names.name(*place)).collect();
    let message = format!("the tasks wait for each other in a circle: {}", told.join(" → "));
    let first = circle.0.first().copied().unwrap_or(0);
    let group = names.groups.iter().rev().find(|group| group.first <= first);
    let mistake = match group.and_then(|group| group.entry.get("depends_on").or_else(|| group.entry.get("inputs"))) {
        Some(node) => Mistake::at(node.span, message),
        None => Mistake::new(message),
    };
    mistake.help("remove one of these dependencies")
}
