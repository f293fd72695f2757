//! From what is written to what is submitted: defaults filled in, replicas written out, names checked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::error::Mistake;
use super::{Document, PipelineFile, TaskEntry};
use crate::submission::{Circle, Submission, Task};

/// Copies of one task; more is more likely a slip than a plan.
const REPLICAS_MAX: u32 = 10_000;

/// Tasks of one file, replicas counted one by one.
const TASKS_MAX: usize = 100_000;

/// What each task of the file is called once it is expanded, by the name in the file.
type Names = BTreeMap<String, Vec<String>>;

pub(super) fn expand(document: Document, directory: &Path) -> Result<PipelineFile, Mistake> {
    if document.tasks.is_empty() {
        return Err(Mistake::new("there are no tasks; a pipeline needs at least one under `tasks`"));
    }
    let defaults = document.defaults.as_ref();
    if let Some(defaults) = defaults {
        check_defaults(defaults)?;
    }
    let names = names(&document.tasks)?;
    let all = document.tasks.iter().flat_map(|entry| names_of(entry, &names));
    let places: BTreeMap<&str, usize> = all.enumerate().map(|(place, name)| (name.as_str(), place)).collect();
    let mut tasks = Vec::with_capacity(places.len());
    let mut capabilities = BTreeSet::new();
    for entry in &document.tasks {
        let mut config = settings(defaults, entry, directory)?;
        let required = config.get("required_capabilities").and_then(Value::as_array);
        let required = required.into_iter().flatten().filter_map(Value::as_str);
        capabilities.extend(required.map(str::to_owned));
        let depends_on = dependencies(entry, &names, &places)?;
        if !depends_on.is_empty() {
            config.insert("depends_on".to_owned(), json!(depends_on));
        }
        let upstream = depends_on.iter().filter_map(|name| places.get(name.as_str()).copied()).collect();
        push_replicas(&mut tasks, names_of(entry, &names), upstream, config, entry.replicas.is_some());
    }
    let config = fields(&document)?;
    let names: Vec<String> = tasks.iter().map(|task: &Task| task.name.clone()).collect();
    let submission = Submission::new(document.name, config, tasks).map_err(|circle| in_circle(&circle, &names))?;
    Ok(PipelineFile { submission, capabilities })
}

fn in_circle(circle: &Circle, names: &[String]) -> Mistake {
    let names: Vec<&str> = circle.0.iter().map(|place| names[*place].as_str()).collect();
    let circle = names.join(" → ");
    Mistake::new(format!("the tasks wait for each other in a circle: {circle}; remove one of these dependencies"))
}

/// What belongs to one task cannot be a default.
fn check_defaults(defaults: &TaskEntry) -> Result<(), Mistake> {
    let own = [
        ("name", defaults.name.is_some()),
        ("depends_on", !defaults.depends_on.is_empty()),
        ("replicas", defaults.replicas.is_some()),
    ];
    match own.iter().find(|(_, given)| *given) {
        Some((field, _)) => {
            Err(Mistake::new(format!("`{field}` cannot be one of the `defaults`; write it at each task that needs it")))
        }
        None => Ok(()),
    }
}

/// Gives every task its name or names, each once.
fn names(tasks: &[TaskEntry]) -> Result<Names, Mistake> {
    let mut names = Names::new();
    let mut taken = BTreeSet::new();
    for (index, entry) in tasks.iter().enumerate() {
        let Some(name) = &entry.name else {
            return Err(Mistake::new(format!("task {} has no `name`; give it one", index + 1)));
        };
        let expanded = replicate(&name.value, entry)?;
        if let Some(twice) = expanded.iter().find(|one| !taken.insert((*one).clone())) {
            let message = format!("two tasks are named `{twice}`; rename one of them");
            return Err(Mistake::at(name.referenced, message));
        }
        if taken.len() > TASKS_MAX {
            return Err(Mistake::new(format!("there are more than {TASKS_MAX} tasks; split the pipeline")));
        }
        if names.insert(name.value.clone(), expanded).is_some() {
            let message = format!("two tasks are named `{}`; rename one of them", name.value);
            return Err(Mistake::at(name.referenced, message));
        }
    }
    Ok(names)
}

fn replicate(name: &str, entry: &TaskEntry) -> Result<Vec<String>, Mistake> {
    match &entry.replicas {
        None => Ok(vec![name.to_owned()]),
        Some(count) if (1..=REPLICAS_MAX).contains(&count.value) => {
            Ok((1..=count.value).map(|number| format!("{name}-{number}")).collect())
        }
        Some(count) => {
            let message = format!("`replicas` is {}; it must be between 1 and {REPLICAS_MAX}", count.value);
            Err(Mistake::at(count.referenced, message))
        }
    }
}

fn names_of<'a>(entry: &TaskEntry, names: &'a Names) -> &'a [String] {
    let name = entry.name.as_ref().map_or("", |name| name.value.as_str());
    names.get(name).map_or(&[], Vec::as_slice)
}

/// The names a task waits for: a replicated task's name stands for all its replicas.
fn dependencies(entry: &TaskEntry, names: &Names, places: &BTreeMap<&str, usize>) -> Result<Vec<String>, Mistake> {
    let mut all = Vec::new();
    for wanted in &entry.depends_on {
        if let Some(expanded) = names.get(&wanted.value) {
            all.extend(expanded.iter().cloned());
        } else if places.contains_key(wanted.value.as_str()) {
            all.push(wanted.value.clone());
        } else {
            let message = format!(
                "`depends_on` names `{}`, and no task is called that; correct the name, or add the task",
                wanted.value
            );
            return Err(Mistake::at(wanted.referenced, message));
        }
    }
    Ok(all)
}

/// A task's config: the defaults, then its own settings, then the keys under `config`.
fn settings(defaults: Option<&TaskEntry>, entry: &TaskEntry, directory: &Path) -> Result<Map<String, Value>, Mistake> {
    let mut config = Map::new();
    let mut env = BTreeMap::new();
    let mut cwd = directory.to_owned();
    let mut own = Map::new();
    for layer in defaults.into_iter().chain([entry]) {
        config.extend(fields(layer)?);
        env.extend(layer.env.clone());
        own.extend(layer.config.clone());
        if let Some(given) = &layer.cwd {
            cwd = directory.join(given);
        }
    }
    config.insert("cwd".to_owned(), json!(cwd));
    if !env.is_empty() {
        config.insert("env".to_owned(), json!(env));
    }
    for key in own.keys() {
        if let Some((_, name)) = RESERVED.iter().find(|(reserved, _)| reserved == key) {
            let task = entry.name.as_ref().map_or("(defaults)", |name| name.value.as_str());
            return Err(Mistake::new(format!(
                "`config.{key}` of task `{task}` has a name with a meaning of its own; write `{name}` beside `config`, or choose another name",
            )));
        }
    }
    config.extend(own);
    Ok(config)
}

/// The keys of a task's config that the coordinator or the agent reads, each with what to write in the file instead.
const RESERVED: [(&str, &str); 16] = [
    ("command", "command"),
    ("env", "env"),
    ("cwd", "cwd"),
    ("depends_on", "depends_on"),
    ("required_capabilities", "required_capabilities"),
    ("priority", "priority"),
    ("cpu_requirement", "cpu_requirement"),
    ("memory_requirement", "memory_requirement"),
    ("gpu_requirement", "gpu_requirement"),
    ("resource_weight", "resource_weight"),
    ("execution_time", "execution_time"),
    ("timeout", "timeout"),
    ("retry", "retry"),
    ("on_failure", "on_failure"),
    ("task_timeout", "timeout"),
    ("retry_attempts", "retry: {attempts: …}"),
];

/// Adds a task under each of its names; replicas are told their number.
fn push_replicas(
    tasks: &mut Vec<Task>,
    names: &[String],
    depends_on: Vec<usize>,
    config: Map<String, Value>,
    numbered: bool,
) {
    for (index, name) in names.iter().enumerate() {
        let mut config = Value::Object(config.clone());
        if numbered {
            config["env"]["EVERLOG_REPLICA"] = json!((index + 1).to_string());
            config["env"]["EVERLOG_REPLICAS"] = json!(names.len().to_string());
        }
        let json = json!({"name": name, "config": config}).to_string();
        tasks.push(Task { name: name.clone(), depends_on: depends_on.clone(), json });
    }
}

/// The fields that go onto the wire as they are written.
fn fields(of: &impl serde::Serialize) -> Result<Map<String, Value>, Mistake> {
    match serde_json::to_value(of) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(other) => Err(Mistake::new(format!("{other} is not a mapping"))),
        Err(error) => Err(Mistake::new(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn submitted(text: &str) -> Value {
        parse(text, Path::new("/work")).expect("a good file").submission.whole()
    }

    fn mistake(text: &str) -> String {
        let mistake = parse(text, Path::new("/work")).expect_err("a faulty file");
        mistake.within(Path::new("p.yaml"), text.to_owned()).to_string()
    }

    #[test]
    fn fields_keep_their_names_on_the_wire() {
        let submission = submitted(
            "name: demo\nstrategy: priority_based\nmax_concurrent_tasks: 4\ntask_timeout: 1.5\n\
             retry_attempts: 2\non_failure: skip_downstream\ntasks:\n\
             - name: a\n  command: [echo, hi]\n  env: {N: 1.10}\n  priority: 7\n  timeout: 3\n\
             \x20 retry: {attempts: 2, backoff_s: 0.5}\n  required_capabilities: [gpu]\n  config: {mine: [1, no]}\n",
        );
        assert_eq!(
            submission,
            json!({"name": "demo", "config": {
                "strategy": "priority_based", "max_concurrent_tasks": 4, "task_timeout": 1.5,
                "retry_attempts": 2, "on_failure": "skip_downstream",
                "tasks": [{"name": "a", "config": {
                    "command": ["echo", "hi"], "env": {"N": "1.10"}, "priority": 7, "timeout": 3.0,
                    "retry": {"attempts": 2, "backoff_s": 0.5}, "required_capabilities": ["gpu"],
                    "mine": [1, "no"], "cwd": "/work"}}]}})
        );
    }

    #[test]
    fn defaults_are_filled_in_and_relative_directories_start_at_the_file() {
        let submission = submitted(
            "name: d\ndefaults: {env: {A: x, B: x}, cwd: sub, priority: 1, command: [x]}\n\
             tasks:\n- {name: a}\n- {name: b, env: {B: y}, cwd: /abs, priority: 2}\n",
        );
        let config = |index: usize| &submission["config"]["tasks"][index]["config"];
        assert_eq!(
            config(0),
            &json!({"env": {"A": "x", "B": "x"}, "cwd": "/work/sub", "priority": 1, "command": ["x"]})
        );
        assert_eq!(config(1), &json!({"env": {"A": "x", "B": "y"}, "cwd": "/abs", "priority": 2, "command": ["x"]}));
    }

    #[test]
    fn replicas_are_written_out_and_depended_on_together() {
        let submission = submitted(
            "name: d\ntasks:\n- {name: a, replicas: 2, command: [x]}\n\
             - {name: all, depends_on: [a]}\n- {name: one, depends_on: [a-2]}\n",
        );
        let tasks = submission["config"]["tasks"].as_array().expect("tasks");
        assert_eq!(tasks.len(), 4);
        assert_eq!(tasks[1]["name"], "a-2");
        assert_eq!(tasks[1]["config"]["env"], json!({"EVERLOG_REPLICA": "2", "EVERLOG_REPLICAS": "2"}));
        assert_eq!(tasks[2]["config"]["depends_on"], json!(["a-1", "a-2"]));
        assert_eq!(tasks[3]["config"]["depends_on"], json!(["a-2"]));
    }

    #[test]
    fn mistakes_name_their_place() {
        let unknown = mistake("name: d\ntasks:\n- name: a\n  comand: [x]\n");
        assert!(unknown.contains("p.yaml:4:") && unknown.contains("comand"), "{unknown}");
        let dependency = mistake("name: d\ntasks:\n- name: a\n  depends_on: [b]\n");
        assert!(dependency.starts_with("p.yaml:4:") && dependency.contains("`b`"), "{dependency}");
        let twice = mistake("name: d\ntasks:\n- {name: a-1}\n- {name: a, replicas: 3}\n");
        assert!(twice.starts_with("p.yaml:4:") && twice.contains("`a-1`"), "{twice}");
        let replicas = mistake("name: d\ntasks:\n- {name: a, replicas: 99999}\n");
        assert!(replicas.contains("10000"), "{replicas}");
        let reserved = mistake("name: d\ntasks:\n- {name: a, config: {timeout: 3}}\n");
        assert!(reserved.contains("`config.timeout`"), "{reserved}");
        for (key, name) in [("task_timeout", "`timeout`"), ("retry_attempts", "`retry: {attempts: …}`")] {
            let other = mistake(&format!("name: d\ntasks:\n- {{name: a, config: {{{key}: 3}}}}\n"));
            assert!(other.contains(key) && other.contains(&format!("write {name} beside")), "{other}");
        }
        assert!(mistake("name: d\ntasks: []\n").contains("no tasks"));
        assert!(mistake("name: d\ndefaults: {replicas: 2}\ntasks: [{name: a}]\n").contains("`replicas`"));
        assert!(mistake("name: d\ntasks:\n- {command: [x]}\n").contains("task 1"));
        assert!(mistake("name: [\n").starts_with("p.yaml:"));
    }

    #[test]
    fn usual_slips_are_answered_with_the_right_form() {
        for (line, words) in [
            ("command: echo hi", "a list such as [echo, hi]"),
            ("timeout: 5s", "seconds as a number"),
            ("timeout: '5'", "seconds as a number"),
            ("retry: {backoff_s: 2m}", "seconds as a number"),
        ] {
            let told = mistake(&format!("name: d\ntasks:\n- name: a\n  {line}\n"));
            assert!(told.starts_with("p.yaml:4:") && told.contains(words), "{told}");
        }
        for empty in ["", "\n \n", "# later\n"] {
            assert!(mistake(empty).contains("is empty"), "{empty:?}: {}", mistake(empty));
        }
        let none = submitted("name: d\ntasks: [{name: a, command: null, timeout: }]\n");
        assert_eq!(none["config"]["tasks"][0]["config"], json!({"cwd": "/work"}));
    }
}
