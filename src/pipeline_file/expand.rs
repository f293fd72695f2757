//! From what is written to what is submitted: defaults and expressions filled in, copies written out, names resolved.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;

use everlog_replay::limits::{INPUT_BYTES_MAX, INPUT_OVERHEAD_BYTES};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use super::expression::{Params, Scope};
use super::names::Names;
use super::wire::{Input, TaskJson};
use super::{EXPANDED_BYTES_MAX, PipelineFile};
use crate::submission::{Circle, Submission, TASK_BYTES_MAX, Task};
use crate::yaml::{Checker, Data, Mistake, Mistakes, Node};

/// Dependencies of a whole file: each is a name on the wire and a place in memory. It bounds what `depends_on` between two tasks of
/// many copies each comes to.
const EDGES_MAX: usize = 2_000_000;

/// What the schema calls a task.
const TASK: Option<&str> = Some("Task");

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

/// What is known of a file before its tasks are looked at.
pub(super) struct Context<'a, 't> {
    pub(super) source: &'t str,
    pub(super) directory: &'a Path,
    pub(super) checker: &'a Checker,
    pub(super) params: &'a Params<'t>,
    pub(super) document: &'a Node<'t>,
}

/// The pipeline, which is what the file says if no mistakes are noted.
pub(super) fn expand(context: &Context<'_, '_>, mistakes: &mut Mistakes) -> Option<PipelineFile> {
    let Context { source, params, document, .. } = *context;
    let names = Names::of(document.get("tasks")?.items(), source, params, mistakes);
    let mut work = Work { context, names: &names, edges: 0, bytes: 0, capabilities: BTreeSet::new(), mistakes };
    let mut tasks = Vec::with_capacity(names.count());
    for (group, own) in names.groups.iter().enumerate() {
        for copy in 0..own.names.len() {
            if work.mistakes.is_full() {
                return None;
            }
            let task = work.task(group, copy);
            work.bytes += task.json.get().len();
            if work.bytes > EXPANDED_BYTES_MAX {
                let message = format!("the tasks of this file come to more than {EXPANDED_BYTES_MAX} bytes");
                let mistake = Mistake::at(own.entry.span, message);
                work.mistakes.add(mistake.help("put the data into a file and name that, or split the pipeline"));
                return None;
            }
            tasks.push(task);
        }
    }
    let config = work.settings();
    let scope = Scope { source, params, values: &[] };
    let name = document.get("name").and_then(|name| scope.fill(name, work.mistakes));
    let name = name.as_ref().and_then(|name| name.text()).unwrap_or_default().to_owned();
    let Work { capabilities, mistakes, .. } = work;
    match Submission::new(name, config, tasks) {
        Ok(submission) => Some(PipelineFile { submission, capabilities }),
        Err(circles) => {
            mistakes.extend(circles.iter().map(|circle| in_circle(circle, &names)));
            None
        }
    }
}

/// A file whose tasks are being written out.
struct Work<'a, 't, 'm> {
    context: &'a Context<'a, 't>,
    names: &'a Names<'a, 't>,
    /// Dependencies so far.
    edges: usize,
    /// Bytes of the tasks so far.
    bytes: usize,
    capabilities: BTreeSet<String>,
    mistakes: &'m mut Mistakes,
}

impl<'a, 't> Work<'a, 't, '_> {
    fn settings(&mut self) -> Map<String, Value> {
        let Context { source, params, document, checker, .. } = *self.context;
        let scope = Scope { source, params, values: &[] };
        let mut config = Map::new();
        for name in SETTINGS {
            if let Some(node) = document.get(name).and_then(|node| scope.fill(node, self.mistakes)) {
                checker.value(None, name, &node, self.mistakes);
                config.insert(name.to_owned(), json!(*node));
            }
        }
        config
    }

    /// One copy of a task.
    fn task(&mut self, group: usize, copy: usize) -> Task {
        let Context { source, params, checker, directory, .. } = *self.context;
        let own = &self.names.groups[group];
        let scope = Scope { source, params, values: &own.spread.copies[copy] };
        let name = own.names[copy].as_str();
        let name_node = Node {
            data: Data::Text(Cow::Borrowed(name)),
            span: own.entry.get("name").map_or(own.entry.span, |name| name.span),
        };
        checker.value(TASK, "name", &name_node, self.mistakes);
        let (upstream, inputs) = self.upstream(group, copy, scope);
        let fields = self.fields(own.entry, scope);
        let required = fields.iter().filter(|(key, _)| *key == "required_capabilities");
        let required = required.flat_map(|(_, list)| list.items()).filter_map(Node::text);
        self.capabilities.extend(required.map(str::to_owned));
        let json =
            TaskJson { name, fields, upstream: &upstream, inputs, names: self.names, group: own, copy, directory };
        let json = to_raw_value(&json).map_err(|error| Mistake::at(own.entry.span, error.to_string()));
        let json = self.mistakes.note(json).unwrap_or_else(|| RawValue::NULL.to_owned());
        let bytes = json.get().len();
        if bytes > TASK_BYTES_MAX {
            let message = format!("`{name}` takes {bytes} bytes, and one task may take {TASK_BYTES_MAX}");
            self.mistakes.add(Mistake::at(own.entry.span, message).help("put the data into a file, and name that"));
        }
        Task { depends_on: upstream, json }
    }

    /// The places of the tasks that a copy waits for, each once, and its inputs.
    fn upstream(&mut self, group: usize, copy: usize, scope: Scope<'_, 't>) -> (Vec<usize>, Vec<Input<'a>>) {
        let own = &self.names.groups[group];
        let (mut upstream, mut inputs) = (Vec::new(), Vec::new());
        for (reference, input) in references(own.entry) {
            // What is wrong in one copy is wrong in the next, and finding out what was meant takes long.
            if self.mistakes.is_at(reference.span) {
                continue;
            }
            let filled = scope.fill(reference, self.mistakes);
            let Some(text) = filled.as_ref().and_then(|filled| filled.text()) else { continue };
            let found = self.names.find(text, input.is_some(), (group, copy), reference.span);
            let Some(found) = self.mistakes.note(found) else { continue };
            self.edges += found.tasks.len();
            if self.edges > EDGES_MAX {
                let message = format!("the tasks of this file have more than {EDGES_MAX} dependencies");
                let help = "let one task join the many, and depend on that";
                self.mistakes.add(Mistake::at(reference.span, message).help(help));
                break;
            }
            upstream.extend(&found.tasks);
            inputs.extend(input.map(|name| Input { name, found }));
        }
        upstream.sort_unstable();
        upstream.dedup();
        let bytes: usize = upstream.iter().map(|place| self.names.name(*place).len() + INPUT_OVERHEAD_BYTES).sum();
        if bytes > INPUT_BYTES_MAX {
            let (name, count) = (&own.names[copy], upstream.len());
            let message = format!(
                "`{name}` waits for {count} tasks, whose names alone are {bytes} bytes of inputs, more than {INPUT_BYTES_MAX}"
            );
            let help = "join them in two steps, or shorten the names";
            self.mistakes.add(Mistake::at(own.entry.span, message).help(help));
        }
        (upstream, inputs)
    }

    /// The keys of a task and of the defaults, the task's own first, with every expression filled in.
    fn fields(&mut self, entry: &'a Node<'t>, scope: Scope<'_, 't>) -> Vec<(&'a str, Cow<'a, Node<'t>>)> {
        let Context { document, checker, .. } = *self.context;
        let defaults = document.get("defaults").map_or(&[][..], Node::entries);
        let mut fields: Vec<(&str, Cow<'_, Node<'t>>)> = Vec::with_capacity(entry.entries().len() + defaults.len());
        for (key, node) in entry.entries().iter().chain(defaults) {
            let merged = matches!(&*key.name, "env" | "config");
            let known = !merged && fields.iter().any(|(name, _)| *name == key.name);
            if known || node.data == Data::Null || RESOLVED.contains(&&*key.name) {
                continue;
            }
            let Some(filled) = scope.fill(node, self.mistakes) else { continue };
            if matches!(filled, Cow::Owned(_)) {
                checker.value(TASK, &key.name, &filled, self.mistakes);
            }
            if key.name == "config" {
                note_reserved(node, checker, self.mistakes);
            }
            fields.push((&key.name, filled));
        }
        fields
    }
}

/// What names other tasks: `depends_on`, and `inputs` with their names.
fn references<'n, 't>(entry: &'n Node<'t>) -> impl Iterator<Item = (&'n Node<'t>, Option<&'n str>)> {
    let depends_on = entry.get("depends_on").into_iter().flat_map(Node::items).map(|node| (node, None));
    let inputs = entry.get("inputs").into_iter().flat_map(Node::entries);
    depends_on.chain(inputs.map(|(key, node)| (node, Some(&*key.name))))
}

fn note_reserved(config: &Node<'_>, checker: &Checker, mistakes: &mut Mistakes) {
    for (key, _) in config.entries() {
        let setting = checker.has_key(TASK, &key.name).then_some(&*key.name);
        let other = RESERVED.iter().find(|(name, _)| *name == key.name).map(|(_, instead)| *instead);
        if let Some(instead) = other.or(setting) {
            let message = format!("`config.{}` has a name with a meaning of its own", key.name);
            let help = format!("write `{instead}` beside `config`, or choose another name");
            mistakes.add(Mistake::at(key.span, message).help(help));
        }
    }
}

fn in_circle(circle: &Circle, names: &Names<'_, '_>) -> Mistake {
    let message = format!("the tasks wait for each other in a circle: {}", circle.told(|place| names.name(place)));
    let first = circle.0.first().copied().unwrap_or(0);
    let group = names.groups.iter().rev().find(|group| group.first <= first);
    let mistake = match group.and_then(|group| group.entry.get("depends_on").or_else(|| group.entry.get("inputs"))) {
        Some(node) => Mistake::at(node.span, message),
        None => Mistake::new(message),
    };
    mistake.help("remove one of these dependencies")
}
