//! The command handler with real processes.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio::process::Command;

use super::cancel::CancelToken;
use super::command::CommandHandler;
use super::exec;
use super::handler::{Assignment, Handler, Outcome, TaskContext};
use super::output::TAIL_BYTES_MAX;
use super::report::{self, Reporter};
use crate::client::OUTBOUND_FRAME_BYTES_MAX;

fn assignment(config: Value) -> Assignment {
    serde_json::from_value(json!({
        "task_id": "t", "attempt": 3, "name": "demo", "pipeline_id": "p",
        "config": config, "inputs": {"before": [1, 2]},
    }))
    .expect("an assignment")
}

fn context(cancel: &CancelToken) -> TaskContext {
    let (news, _dropped) = report::channel();
    TaskContext::new(cancel.clone(), Reporter::new(news, "t", "a"))
}

async fn run(config: Value) -> Outcome {
    CommandHandler.run(assignment(config), context(&CancelToken::new())).await
}

async fn shell(script: &str) -> Outcome {
    run(json!({"command": ["sh", "-c", script]})).await
}

/// The result of a success, which says how the command ended beside it.
async fn done(outcome: impl Future<Output = Outcome>) -> Value {
    let outcome = outcome.await;
    assert_eq!((outcome.error, &outcome.output["exit_code"]), (None, &json!(0)));
    outcome.result
}

/// A named pipe: whoever reads it sees its end when the last process that holds it is dead.
struct Fifo {
    path: PathBuf,
    _directory: tempfile::TempDir,
}

impl Fifo {
    async fn create() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("fifo");
        let made = Command::new("mkfifo").arg(&path).status().await.expect("mkfifo runs");
        assert!(made.success());
        Self { path, _directory: directory }
    }

    /// Reads a line, raises `cancel`, and returns once nobody holds the pipe any more.
    fn cancel_after_first_line(&self, cancel: CancelToken) -> tokio::task::JoinHandle<String> {
        let path = self.path.clone();
        tokio::task::spawn_blocking(move || {
            let mut pipe = BufReader::new(std::fs::File::open(path).expect("opened"));
            let mut said = String::new();
            pipe.read_line(&mut said).expect("a line");
            cancel.cancel();
            pipe.read_to_string(&mut said).expect("the end");
            said
        })
    }
}

#[tokio::test]
async fn the_result_file_comes_before_the_last_line() {
    let outcome = shell(r#"echo '{"from": "file"}' > "$EVERLOG_RESULT"; echo line; echo why >&2"#).await;
    assert_eq!((&outcome.result, &outcome.error), (&json!({"from": "file"}), &None));
    let kept = json!({"exit_code": 0, "signal": null, "stdout_tail": "line\n", "stderr_tail": "why\n"});
    assert_eq!(outcome.output, kept, "the ends of the output are kept");
}

#[tokio::test]
async fn the_last_line_is_the_result_as_json_or_as_text() {
    assert_eq!(done(shell("echo noise; echo '{\"n\": 1}'")).await, json!({"n": 1}));
    assert_eq!(done(shell("echo all is well")).await, json!("all is well"));
    assert_eq!(done(shell("printf 42")).await, json!(42));
    assert_eq!(done(shell("echo '{\"loss\": NaN}'")).await, json!({"loss": null}));
    assert_eq!(done(shell("true")).await, Value::Null);
}

#[tokio::test]
async fn a_result_file_that_is_not_json_is_a_failure() {
    let outcome = shell(r#"echo '{oops' > "$EVERLOG_RESULT""#).await;
    let error = outcome.error.expect("a failure");
    assert!(error.contains("EVERLOG_RESULT") && error.contains("not JSON"), "{error}");
}

#[tokio::test]
async fn a_result_that_no_frame_would_hold_is_a_failure_that_says_so() {
    let bytes = OUTBOUND_FRAME_BYTES_MAX + 1;
    let limit = OUTBOUND_FRAME_BYTES_MAX.to_string();
    let file = shell(&format!(r#"head -c {bytes} /dev/zero > "$EVERLOG_RESULT""#)).await;
    let line = shell(&format!("head -c {bytes} /dev/zero | tr '\\0' x")).await;
    for outcome in [file, line] {
        let error = outcome.error.expect("a failure");
        assert!(error.contains(&limit) && error.contains("return its path"), "{error}");
    }
}

#[tokio::test]
async fn inputs_task_environment_and_directory_are_as_promised() {
    let directory = tempfile::tempdir().expect("a directory");
    let script = r#"printf '{"inputs": %s, "task": %s, "env": "%s", "cwd": "%s"}' \
        "$(cat "$EVERLOG_INPUTS")" "$(cat "$EVERLOG_TASK")" "$MINE-$NUMBER" "$(pwd -P)""#;
    let config = json!({
        "command": ["sh", "-c", script], "env": {"MINE": "yes", "NUMBER": 7},
        "cwd": directory.path(), "other": {"key": true},
    });
    let outcome = run(config.clone()).await;
    assert_eq!(outcome.error, None);
    assert_eq!(outcome.result["inputs"], json!({"before": [1, 2]}));
    assert_eq!(
        outcome.result["task"],
        json!({"task_id": "t", "name": "demo", "attempt": 3, "pipeline_id": "p", "config": config})
    );
    assert_eq!(outcome.result["env"], "yes-7");
    let real = directory.path().canonicalize().expect("a real path");
    assert_eq!(outcome.result["cwd"], json!(real));
}

#[tokio::test]
async fn the_files_of_an_attempt_go_with_it() {
    let outcome = shell(r#"echo "$EVERLOG_INPUTS""#).await;
    let path = outcome.result.as_str().expect("a path").to_owned();
    assert!(path.starts_with('/') && !Path::new(&path).parent().expect("a directory").exists(), "{path}");
}

#[tokio::test]
async fn an_exit_code_and_the_last_words_make_the_failure() {
    let outcome = shell("echo working; echo disk is full >&2; exit 3").await;
    let error = outcome.error.expect("a failure");
    assert!(error.contains("exit code 3") && error.contains("disk is full"), "{error}");
    assert_eq!(
        outcome.result,
        json!({"exit_code": 3, "signal": null, "stdout_tail": "working\n", "stderr_tail": "disk is full\n"})
    );
}

#[tokio::test]
async fn the_tails_are_bounded() {
    let outcome = shell("head -c 100000 /dev/zero | tr '\\0' x >&2; echo end >&2; exit 1").await;
    let tail = outcome.result["stderr_tail"].as_str().expect("text");
    assert_eq!((tail.len(), tail.ends_with("xend\n")), (TAIL_BYTES_MAX, true));
}

#[tokio::test]
async fn a_signal_is_named() {
    let outcome = shell("kill -9 $$").await;
    let error = outcome.error.expect("a failure");
    assert!(error.contains("signal 9"), "{error}");
    assert_eq!((&outcome.result["exit_code"], &outcome.result["signal"]), (&Value::Null, &json!(9)));
}

#[tokio::test]
async fn what_cannot_be_started_is_named_with_the_next_step() {
    let error = async |config| run(config).await.error.expect("a failure");
    let missing = error(json!({"command": ["no-such-program-here"]})).await;
    assert!(missing.contains("`no-such-program-here`") && missing.contains("install it"), "{missing}");
    let directory = error(json!({"command": ["true"], "cwd": "/no/such/place"})).await;
    assert!(directory.contains("/no/such/place") && directory.contains("`cwd`"), "{directory}");
    let none = error(json!({"something": "else"})).await;
    assert!(none.contains("command"), "{none}");
    let empty = error(json!({"command": []})).await;
    assert!(empty.contains("empty"), "{empty}");
    let env = error(json!({"command": ["true"], "env": {"LIST": [1]}})).await;
    assert!(env.contains("env.LIST"), "{env}");
}

#[tokio::test]
async fn model_metrics_are_read_whole_or_line_by_line_and_need_a_model() {
    let outcome = shell(
        r#"printf '{"model_id": "a", "loss": NaN}\n{"model_id": "b"}\n{"loss": 1}\n' > "$EVERLOG_MODEL_METRICS""#,
    )
    .await;
    assert_eq!(outcome.model_metrics, [json!({"model_id": "a", "loss": null}), json!({"model_id": "b"})]);
    assert_eq!(outcome.error, None);
}

#[tokio::test]
async fn cancelling_kills_the_children_of_children() {
    let fifo = Fifo::create().await;
    let cancel = CancelToken::new();
    let reader = fifo.cancel_after_first_line(cancel.clone());
    // Both the shell and the grandchild hold the pipe: its end proves that both are dead.
    let script = r#"exec 3>"$FIFO"; sh -c 'echo alive >&3; sleep 1000' & sleep 1000"#;
    let config = json!({"command": ["sh", "-c", script], "env": {"FIFO": fifo.path}});
    let outcome = CommandHandler.run(assignment(config), context(&cancel)).await;
    assert!(outcome.error.is_some());
    assert_eq!(reader.await.expect("read"), "alive\n");
}

#[tokio::test]
async fn who_ignores_the_request_to_end_is_killed_after_the_grace() {
    let fifo = Fifo::create().await;
    let cancel = CancelToken::new();
    let reader = fifo.cancel_after_first_line(cancel.clone());
    let script = r#"trap '' TERM; exec 3>"$FIFO"; echo alive >&3; while :; do sleep 1000; done"#;
    let config = json!({"command": ["sh", "-c", script], "env": {"FIFO": fifo.path}});
    let begun = tokio::time::Instant::now();
    CommandHandler.run(assignment(config), context(&cancel)).await;
    assert!(begun.elapsed() >= exec::KILL_GRACE);
    assert_eq!(reader.await.expect("read"), "alive\n");
}

#[tokio::test]
async fn dropping_the_attempt_kills_its_processes() {
    let fifo = Fifo::create().await;
    let stop = CancelToken::new();
    let reader = fifo.cancel_after_first_line(stop.clone());
    let script = r#"exec 3>"$FIFO"; sh -c 'echo alive >&3; sleep 1000' & sleep 1000"#;
    let config = json!({"command": ["sh", "-c", script], "env": {"FIFO": fifo.path}});
    tokio::select! {
        outcome = CommandHandler.run(assignment(config), context(&CancelToken::new())) => panic!("{outcome:?}"),
        () = stop.cancelled() => {}
    }
    assert_eq!(reader.await.expect("read"), "alive\n");
}

#[tokio::test]
async fn what_a_command_leaves_behind_neither_delays_its_result_nor_outlives_it() {
    let (fifo, gate) = (Fifo::create().await, Fifo::create().await);
    let child_lives = CancelToken::new();
    let reader = fifo.cancel_after_first_line(child_lives.clone());
    let script = r#"sh -c 'exec 3>"$FIFO"; echo alive >&3; sleep 1000' & read -r _ < "$GATE"; echo done"#;
    let gate_path = gate.path.clone();
    let open_gate = async {
        child_lives.cancelled().await;
        let opened = tokio::task::spawn_blocking(move || std::fs::write(gate_path, "go\n")).await;
        opened.expect("joined").expect("opened");
    };
    let config = json!({"command": ["sh", "-c", script], "env": {"FIFO": fifo.path, "GATE": gate.path}});
    let (result, ()) = tokio::join!(done(run(config)), open_gate);
    assert_eq!(result, json!("done"));
    assert_eq!(reader.await.expect("read"), "alive\n");
}
