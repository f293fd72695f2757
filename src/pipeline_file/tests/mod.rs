//! Files from their text to what is submitted, or to what is wrong with them.

mod mistakes;
mod properties;
mod schema;

use serde_json::{Value, json};

use super::*;

fn settings(all: &[&str]) -> Vec<Setting> {
    all.iter().map(|one| one.parse().expect("NAME=VALUE")).collect()
}

fn loaded(text: &str, set: &[&str]) -> PipelineFile {
    let told = |mistakes: Mistakes| panic!("{:?}", mistakes.within(Path::new("p.yaml"), Some(text.to_owned())));
    parse(text, Path::new("/work"), &settings(set)).unwrap_or_else(told)
}

/// The parameters of the one `pipeline/create`.
fn submitted(text: &str, set: &[&str]) -> Value {
    loaded(text, set).submission.whole()
}

/// The tasks as `(name, config)`.
fn tasks(text: &str, set: &[&str]) -> Vec<(String, Value)> {
    let whole = submitted(text, set);
    let tasks = whole["config"]["tasks"].as_array().expect("tasks").clone();
    tasks.into_iter().map(|task| (task["name"].as_str().expect("a name").to_owned(), task["config"].clone())).collect()
}

fn names(text: &str) -> Vec<String> {
    tasks(text, &[]).into_iter().map(|(name, _)| name).collect()
}

#[test]
fn fields_keep_their_names_on_the_wire() {
    let text = "name: demo\nstrategy: priority_based\nmax_concurrent_tasks: 4\ntask_timeout: 1.5\n\
         retry_attempts: 2\non_failure: skip_downstream\ntasks:\n\
         - name: a\n  command: [sleep, 1.10]\n  env: {N: 1.10}\n  priority: 7\n  timeout: 3\n\
         \x20 retry: {attempts: 2, backoff_s: 0.5}\n  required_capabilities: [gpu]\n  config: {mine: [1, no]}\n\
         \x20 on_failure:\n";
    let expected = json!({"name": "demo", "config": {
        "strategy": "priority_based", "max_concurrent_tasks": 4, "task_timeout": 1.5,
        "retry_attempts": 2, "on_failure": "skip_downstream",
        "tasks": [{"name": "a", "config": {
            "command": ["sleep", "1.10"], "env": {"N": "1.10"}, "priority": 7, "timeout": 3,
            "retry": {"attempts": 2, "backoff_s": 0.5}, "required_capabilities": ["gpu"],
            "mine": [1, "no"], "cwd": "/work"}}]}});
    assert_eq!(submitted(text, &[]), expected);
    assert_eq!(loaded(text, &[]).capabilities, BTreeSet::from(["gpu".to_owned()]));
}

#[test]
fn json_says_the_same_as_yaml() {
    let yaml = "name: d\nparams: {n: 2}\ntasks:\n- name: a\n  foreach: {range: [0, 3]}\n  command: [x, '${{ item }}']\n\
                \x20 timeout: ${{ params.n }}\n";
    let json = r#"{"name": "d", "params": {"n": 2}, "tasks": [
        {"name": "a", "foreach": {"range": [0, 3]}, "command": ["x", "${{ item }}"], "timeout": "${{ params.n }}"}]}"#;
    assert_eq!(submitted(json, &[]), submitted(yaml, &[]));
}

#[test]
fn defaults_are_filled_in_and_relative_directories_start_at_the_file() {
    let tasks = tasks(
        "name: d\ndefaults: {env: {A: x, B: x}, cwd: sub, priority: 1, command: [x], config: {k: 1, l: 1}}\n\
         tasks:\n- {name: a}\n- {name: b, env: {B: y}, cwd: /abs, priority: 2, config: {k: 2}}\n",
        &[],
    );
    let defaults =
        json!({"env": {"A": "x", "B": "x"}, "cwd": "/work/sub", "priority": 1, "command": ["x"], "k": 1, "l": 1});
    assert_eq!(tasks[0].1, defaults);
    let own = json!({"env": {"A": "x", "B": "y"}, "cwd": "/abs", "priority": 2, "command": ["x"], "k": 2, "l": 1});
    assert_eq!(tasks[1].1, own);
}

#[test]
fn replicas_are_written_out_and_depended_on_together() {
    let tasks = tasks(
        "name: d\ntasks:\n- {name: a, replicas: 2, command: [x]}\n- {name: all, depends_on: [a]}\n\
         - {name: one, depends_on: [a-2]}\n- {name: b, replicas: 2, depends_on: ['a[same]']}\n",
        &[],
    );
    assert_eq!(tasks[1].0, "a-2");
    assert_eq!(tasks[1].1["env"], json!({"EVERLOG_REPLICA": "2", "EVERLOG_REPLICAS": "2"}));
    let waits = |place: usize| tasks[place].1["depends_on"].clone();
    assert_eq!([waits(2), waits(3), waits(5)], [json!(["a-1", "a-2"]), json!(["a-2"]), json!(["a-2"])]);
}

#[test]
fn a_matrix_makes_a_copy_for_each_combination() {
    let text = "name: d\ntasks:\n- name: train\n  matrix:\n    lr: [0.1, 1e-3]\n    net: [small, a/b]\n\
                \x20   exclude: [{lr: 0.1, net: small}]\n    include: [{lr: 5, net: huge}]\n\
                \x20 timeout: ${{ matrix.lr }}\n  command: [train, '--lr=${{matrix.lr}}']\n\
                - {name: best, depends_on: [train]}\n- {name: some, depends_on: ['train[lr=1e-3]']}\n\
                - {name: one, inputs: {m: 'train[net=huge].outputs.model', x: train-lr5-nethuge.a.b}}\n";
    let tasks = tasks(text, &[]);
    let expected = ["train-lr0.1-neta_b", "train-lr1e-3-netsmall", "train-lr1e-3-neta_b", "train-lr5-nethuge"];
    assert_eq!(tasks.iter().map(|(name, _)| name.as_str()).take(4).collect::<Vec<_>>(), expected);
    let second = json!({
        "command": ["train", "--lr=1e-3"], "cwd": "/work", "matrix": {"lr": 0.001, "net": "small"}, "timeout": 0.001,
        "env": {"EVERLOG_MATRIX_LR": "1e-3", "EVERLOG_MATRIX_NET": "small"},
    });
    assert_eq!(tasks[1].1, second);
    assert_eq!(tasks[4].1["depends_on"], json!(expected));
    assert_eq!(tasks[5].1["depends_on"], json!(expected[1..3]));
    let inputs = json!({
        "m": {"task": expected[3], "path": ["outputs", "model"]}, "x": {"task": expected[3], "path": ["a", "b"]},
    });
    assert_eq!((&tasks[6].1["inputs"], &tasks[6].1["depends_on"]), (&inputs, &json!([expected[3]])));
}

#[test]
fn foreach_makes_a_copy_for_each_item() {
    let text = "name: d\ntasks:\n- name: prep\n  foreach: [{id: a, files: [x, y]}, {id: b, files: []}]\n\
                \x20 command: [p, '${{ item.id }}', '${{ index }}', '$${{ item.id }}']\n  config: {files: '${{ item.files }}'}\n\
                \x20 outputs: {data: '${{ item.id }}.csv'}\n\
                - name: fit-${{ item }}\n  foreach: [a, b]\n  inputs: {data: 'prep[same].outputs.data', all: prep}\n\
                - {name: end, depends_on: [fit]}\n- {name: count, foreach: {range: [4, 0, -2]}}\n";
    let tasks = tasks(text, &[]);
    let told: Vec<&str> = tasks.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(told, ["prep-1", "prep-2", "fit-a", "fit-b", "end", "count-4", "count-2"]);
    assert_eq!(tasks[0].1["command"], json!(["p", "a", "1", "${{ item.id }}"]));
    assert_eq!((&tasks[0].1["files"], &tasks[0].1["outputs"]), (&json!(["x", "y"]), &json!({"data": "a.csv"})));
    let item = json!({"EVERLOG_INDEX": "1", "EVERLOG_ITEM": r#"{"id":"a","files":["x","y"]}"#});
    assert_eq!((&tasks[0].1["env"], &tasks[0].1["index"]), (&item, &json!(1)));
    let inputs = json!({
        "data": {"task": "prep-2", "path": ["outputs", "data"]}, "all": {"tasks": ["prep-1", "prep-2"], "path": []},
    });
    assert_eq!((&tasks[3].1["inputs"], &tasks[3].1["item"]), (&inputs, &json!("b")));
    assert_eq!(tasks[4].1["depends_on"], json!(["fit-a", "fit-b"]));
}

#[test]
fn parameters_have_defaults_and_keep_their_types() {
    let text = "name: d-${{ params.tag }}\nparams:\n  lr: 0.10\n  tag: v1\n  seed: {default: 7, description: of the shuffle}\n\
                \x20 data:\nmax_concurrent_tasks: ${{ params.seed }}\ntasks:\n- name: a\n  timeout: ${{ params.lr }}\n\
                \x20 command: [x, '--lr=${{ params.lr }}', '${{ params.data }}']\n  replicas: ${{ params.seed }}\n";
    let whole = submitted(text, &["data=a.csv"]);
    assert_eq!((&whole["name"], &whole["config"]["max_concurrent_tasks"]), (&json!("d-v1"), &json!(7)));
    let first = &whole["config"]["tasks"][0]["config"];
    assert_eq!((&first["timeout"], &first["command"]), (&json!(0.1), &json!(["x", "--lr=0.10", "a.csv"])));
    let other = submitted(text, &["data=1", "lr=3", "lr=2", "tag=007", "seed=1"]);
    assert_eq!(other["name"], "d-007");
    assert_eq!(other["config"]["tasks"][0]["config"]["command"], json!(["x", "--lr=2", "1"]));
    // What a value holds is never read again.
    let literal = "name: d\nparams: {p: x}\ntasks: [{name: a, command: ['${{ params.p }}']}]\n";
    assert_eq!(tasks(literal, &["p=${{ params.p }}"])[0].1["command"], json!(["${{ params.p }}"]));
}

#[test]
fn a_hundred_thousand_tasks_come_from_a_few_lines() {
    let list = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    let text =
        |a: usize, b: usize| format!("name: d\ntasks:\n- name: t\n  matrix: {{a: [{}], b: [{}]}}\n", list(a), list(b));
    assert_eq!(names(&text(400, 250)).len(), 100_000);
    let range = "name: d\ntasks:\n- name: t\n  foreach: {range: [0, 100000]}\n";
    assert_eq!(names(range)[99_999], "t-99999");
}
