//! What holds for any text: nothing panics, the schema means the same to another validator, and what passes here passes there.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::Map;
use serde_json::value::to_raw_value;

use super::*;
use crate::submission::{Task, rehearse};

/// Pieces of which almost every file is faulty.
const PIECES: [&str; 44] = [
    "name: d\n",
    "tasks:\n",
    "- ",
    "name: a\n",
    "  name: b\n",
    "  ",
    "matrix: {k: [1, 2]}\n",
    "foreach: [a, {k: v}]\n",
    "foreach: {range: [0, 3, -1]}\n",
    "replicas: 3\n",
    "depends_on: [a, 'a[same]', 'a[k=1]', ']', 'a[']\n",
    "inputs: {x: a.b.c, y: '.'}\n",
    "outputs: {m: f}\n",
    "params: {p: 1, q: }\n",
    "${{ params.p }}",
    "${{ item",
    "}}",
    "$${{",
    "[",
    "]",
    "{",
    "}",
    "&x ",
    "*x",
    "<<: *x\n",
    "'",
    "\"",
    ": ",
    "\n",
    "\t",
    "é",
    "\u{feff}",
    "---\n",
    "...\n",
    "!!str ",
    "? ",
    "| \n",
    "null",
    "1e999",
    "-0",
    "command: [x]\n",
    "config: {a: 1}\n",
    "defaults:\n",
    "# c\n",
];

/// One of the values that a key may be given, right or wrong.
fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(null)),
        Just(json!(true)),
        Just(json!(0)),
        Just(json!(1.0)),
        Just(json!(2.5)),
        Just(json!(-1)),
        Just(json!(1_000)),
        Just(json!(1_001)),
        Just(json!(1e6)),
        Just(json!(1e10)),
        Just(json!("")),
        Just(json!("fail")),
        Just(json!("parallel")),
        Just(json!([])),
        Just(json!(["a"])),
        Just(json!(["gpu", ""])),
        Just(json!([1])),
        Just(json!({})),
        Just(json!({"attempts": 3})),
        Just(json!({"backoff_s": -1})),
        Just(json!({"factor": 1_000.5, "not_on": ["x"]})),
        Just(json!({"K": "v"})),
        Just(json!("x".repeat(513))),
        Just(json!(u64::MAX)),
    ]
}

/// Settings that mean the same in a file and on the wire, which passes over what it does not know in `retry`, and rounds a priority.
fn settings_of(keys: &'static [&'static str]) -> impl Strategy<Value = Map<String, Value>> {
    let one = (prop::sample::select(keys), value()).prop_map(|(key, value)| (key.to_owned(), value));
    let known = |(key, value): &(String, Value)| match key.as_str() {
        "retry" => value.get("K").is_none(),
        "priority" => value.as_f64().is_none_or(|number| number.fract() == 0.0),
        _ => true,
    };
    prop::collection::vec(one, 0..3).prop_map(move |all| all.into_iter().filter(known).collect())
}

const OF_PIPELINE: &[&str] = &["strategy", "max_concurrent_tasks", "task_timeout", "retry_attempts", "on_failure"];
const OF_TASK: &[&str] = &[
    "required_capabilities",
    "priority",
    "cpu_requirement",
    "memory_requirement",
    "gpu_requirement",
    "resource_weight",
    "execution_time",
    "timeout",
    "retry",
    "on_failure",
];

/// A document of tasks t0, t1, … that wait for some of t0 to t4.
fn document() -> impl Strategy<Value = Map<String, Value>> {
    let task = (settings_of(OF_TASK), prop::collection::vec(0_usize..5, 0..2));
    (settings_of(OF_PIPELINE), prop::collection::vec(task, 1..5)).prop_map(|(mut document, tasks)| {
        let task = |(place, (mut task, upstream)): (usize, (Map<String, Value>, Vec<usize>))| {
            task.insert("name".to_owned(), json!(format!("t{place}")));
            let upstream: Vec<String> = upstream.iter().map(|place| format!("t{place}")).collect();
            task.insert("depends_on".to_owned(), json!(upstream));
            Value::Object(task)
        };
        document.insert("name".to_owned(), json!("d"));
        document.insert("tasks".to_owned(), tasks.into_iter().enumerate().map(task).collect());
        document
    })
}

/// The document as somebody would send it who has no file: null is nothing on the wire as well.
fn on_the_wire(mut document: Map<String, Value>) -> Submission {
    let tasks = document.remove("tasks").expect("tasks");
    let task = |task: &Value| {
        let mut config = task.as_object().expect("a task").clone();
        let name = config.remove("name").expect("a name");
        let json = json!({"name": name, "config": config});
        Task { depends_on: Vec::new(), json: to_raw_value(&json).expect("JSON") }
    };
    document.remove("name");
    let tasks = tasks.as_array().expect("tasks").iter().map(task).collect();
    Submission::new("d".to_owned(), document, tasks).expect("no places, no circle")
}

proptest! {
    #[test]
    fn no_text_is_too_odd(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..40), any in ".{0,40}") {
        for text in [pieces.concat(), format!("name: d\ntasks:\n- name: a\n  {}", pieces.concat()), any] {
            if let Err(mistakes) = parse(&text, Path::new("/work"), &settings(&["p=1"])) {
                let error = mistakes.within(Path::new("p.yaml"), Some(text));
                prop_assert!(!error.faults().is_empty());
                let shown = format!("{:?}", miette::Report::new(error));
                prop_assert!(shown.contains("p.yaml"), "{}", shown);
            }
        }
    }

    #[test]
    fn what_is_told_of_a_document_is_what_a_coordinator_thinks_of_it(document in document()) {
        let text = Value::Object(document.clone()).to_string();
        let here = parse(&text, Path::new("/work"), &[]);
        let there = rehearse(&on_the_wire(document));
        match (&here, &there) {
            (Ok(file), Ok(())) => prop_assert_eq!(rehearse(&file.submission), Ok(())),
            (Err(_), Err(_)) => {}
            (Ok(_), Err(refusal)) => prop_assert!(false, "{}: {}", text, refusal),
            (Err(mistakes), Ok(())) => prop_assert!(false, "{}: {:?}", text, mistakes),
        }
    }

    #[test]
    fn the_schema_means_the_same_to_another_validator(document in document()) {
        let (told, valid) = both_opinions(&Value::Object(document));
        prop_assert_eq!(told.is_empty(), valid, "{:?}", told);
    }

    #[test]
    fn what_a_program_is_given_is_checked_as_the_schema_says(
        key in prop::sample::select(&["command", "env", "cwd", "outputs", "matrix", "foreach"][..]),
        value in given(),
    ) {
        let (told, valid) = both_opinions(&json!({"name": "d", "tasks": [{"name": "a", key: value}]}));
        prop_assert_eq!(told.is_empty(), valid, "{}: {:?}", key, told);
    }
}

/// Values around what programs can not be given.
fn given() -> impl Strategy<Value = Value> {
    let text = prop::sample::select(&["", "a", "A=B", "a\0b", "\0", "="][..]);
    text.prop_flat_map(|text| {
        prop_oneof![
            Just(json!(text)),
            Just(json!([text])),
            Just(json!(["x", text])),
            Just(json!([1, true, text])),
            Just(json!({text: "x"})),
            Just(json!({"K": text})),
            Just(json!({"K": [text]})),
            Just(json!([{"K": text}])),
            Just(json!({"K": ["x"], "include": [{"K": text}]})),
        ]
    })
}

/// What is told of a document, and whether another validator finds it valid.
fn both_opinions(document: &Value) -> (Mistakes, bool) {
    static VALIDATOR: LazyLock<jsonschema::Validator> =
        LazyLock::new(|| jsonschema::validator_for(&schema().to_value()).expect("a schema"));
    let text = document.to_string();
    let mut mistakes = Mistakes::default();
    let node = yaml::parse(&text, &mut mistakes).expect("JSON").expect("a value");
    let checker = Checker::new(schema().into(), expression::is_in).expect("a schema");
    checker.file(&node, &mut mistakes);
    (mistakes, VALIDATOR.is_valid(document))
}
