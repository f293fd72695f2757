//! Pipeline files from outside: checked, and run with everything that they may say.

use crate::harness::{Ended, Process, everlog};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// A directory with files.
fn home(files: &[(&str, &str)]) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(home.path().join(name), text).unwrap();
    }
    home
}

fn verb(home: &Path, args: &[&str]) -> Ended {
    let mut command = everlog(args);
    command.current_dir(home);
    Process::start(command).end()
}

/// The result of every task of a run, by its name.
fn results(home: &Path, args: &[&str]) -> Value {
    let args = [&["run", "--data", "data", "--output", "json"], args].concat();
    let ended = verb(home, &args).expect_code(0);
    let summary: Value = serde_json::from_str(&ended.stdout).unwrap();
    let tasks = summary["tasks"].as_array().unwrap().iter();
    tasks.map(|task| (task["name"].as_str().unwrap().to_owned(), task["result"].clone())).collect()
}

#[test]
fn a_good_file_is_said_to_be_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ended = verb(root, &["check", "examples/iris/pipeline.yaml"]).expect_code(0);
    assert_eq!(ended.stdout, "examples/iris/pipeline.yaml: ok, 3 tasks, 3 dependencies\n");
    let ended = verb(root, &["check", "examples/iris/grid.yaml", "--output", "json"]).expect_code(0);
    assert_eq!(ended.stdout, "[]\n");
}

#[test]
fn every_mistake_of_a_faulty_file_is_shown_at_its_place() {
    let text = "name: p\ntasks:\n- name: train\n  comand: [x]\n- name: test\n  timeout: 5s\n  depends_on: [trian]\n";
    let home = home(&[("p.yaml", text)]);
    let ended = verb(home.path(), &["check", "p.yaml"]).expect_code(2);
    assert!(ended.stdout.is_empty(), "{ended:?}");
    ended.expect_told(&[
        "p.yaml has 3 mistakes",
        "p.yaml:4:3: there is no key `comand` here",
        "did you mean `command`?",
        "4   comand: [x]",
        "p.yaml:6:12: `timeout` must be seconds as a number without a unit",
        "p.yaml:7:16: no task is named `trian`",
        "did you mean `train`?",
    ]);
    let ended = verb(home.path(), &["check", "p.yaml", "--output", "ndjson"]).expect_code(2);
    let first: Value = serde_json::from_str(ended.stdout.lines().next().unwrap()).unwrap();
    let expected = json!({
        "line": 4, "column": 3, "message": "there is no key `comand` here", "help": "did you mean `command`?",
    });
    assert_eq!((first, ended.stdout.lines().count()), (expected, 3));
}

#[test]
fn a_file_may_come_from_the_standard_input() {
    let home = home(&[("p.json", r#"{"name": "p", "tasks": [{"name": "a", "required_capabilities": ["gpu"]}]}"#)]);
    let mut command = Command::new("sh");
    let everlog = env!("CARGO_BIN_EXE_everlog");
    command.args(["-c", "\"$0\" check - < p.json", everlog]).current_dir(home.path());
    let ended = Process::start(command).end().expect_code(0);
    assert_eq!(ended.stdout, "-: ok, 1 task, 0 dependencies, needs gpu\n");
}

#[test]
fn the_schema_is_printed_as_it_is_shipped() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ended = verb(root, &["schema", "pipeline"]).expect_code(0);
    assert_eq!(ended.stdout, std::fs::read_to_string(root.join("docs/schema/pipeline.json")).unwrap());
}

#[test]
fn a_grid_search_finds_its_best_model() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let home = home(&[]);
    let models = format!("models={}", home.path().join("models").display());
    let file = root.join("examples/iris/grid.yaml");
    let file = file.to_str().unwrap();
    let results = results(home.path(), &[file, "--set", &models, "--set", "epochs=60"]);
    let best = &results["best"];
    let losses = best["validation_losses"].as_object().unwrap();
    assert_eq!(losses.len(), 9, "{best}");
    let least =
        losses.iter().min_by(|one, other| one.1.as_f64().unwrap().total_cmp(&other.1.as_f64().unwrap())).unwrap();
    assert_eq!(best["best"], least.0.as_str());
    assert!(best["accuracy"].as_f64().unwrap() >= 0.85, "{best}");
    let model = results[least.0]["outputs"]["model"].as_str().unwrap();
    assert!(Path::new(model).starts_with(home.path()) && Path::new(model).is_file(), "{model}");
}

#[test]
fn a_success_without_its_outputs_is_none() {
    let text = "name: p\nretry_attempts: 0\ntasks:\n- name: a\n  command: ['true']\n  outputs: {model: m.pkl}\n";
    let home = home(&[("p.yaml", text)]);
    let ended = verb(home.path(), &["run", "p.yaml", "--data", "data"]).expect_code(1);
    ended.expect_told(&["succeeded without making its output `model`", "m.pkl is not there"]);
}

#[test]
fn a_command_finds_its_copy_and_the_inputs_it_named() {
    let text = "name: p\nparams: {word: hello}\ntasks:\n\
        - name: prep\n  foreach: [n, s]\n  command: [sh, -c, 'echo $EVERLOG_ITEM > $0; echo \"{\\\"is\\\": \\\"$EVERLOG_ITEM$EVERLOG_INDEX\\\"}\"', '${{ item }}.txt']\n\
        \x20 outputs: {file: '${{ item }}.txt'}\n\
        - name: fit\n  foreach: [n, s]\n  inputs: {file: 'prep[same].outputs.file', all: prep.is}\n\
        \x20 command: [sh, -c, 'cat $EVERLOG_INPUTS']\n\
        - name: say\n  command: [echo, '${{ params.word }}!']\n";
    let home = home(&[("p.yaml", text)]);
    let results = results(home.path(), &["p.yaml", "--set", "word=bye"]);
    let file = std::fs::canonicalize(home.path()).unwrap().join("s.txt");
    assert_eq!(results["fit-s"], json!({"file": file, "all": {"prep-n": "n1", "prep-s": "s2"}}));
    assert_eq!(std::fs::read_to_string(file).unwrap(), "s\n");
    assert_eq!(results["say"], "bye!");
}

#[test]
fn a_pipeline_of_several_frames_is_whole_before_it_starts() {
    let filler = "x".repeat(60_000);
    let text = format!(
        "name: p\nstrategy: sequential\ntasks:\n- name: last\n  inputs: {{all: part}}\n  command: [sh, -c, 'wc -w < $EVERLOG_INPUTS']\n\
         - name: part\n  replicas: 40\n  command: ['true']\n  config: {{filler: {filler}}}\n"
    );
    let home = home(&[("p.yaml", &text)]);
    let ended = verb(home.path(), &["run", "p.yaml", "--data", "data"]).expect_code(0);
    assert!(ended.stdout.contains("41 of 41 completed"), "{ended:?}");
}
