//! The handler of tasks that carry a `command`: what it is given, and how its result is found.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::{self, SeekFrom};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::process::Command;

use super::delivery::too_large_sentence;
use super::exec::{self, Exited};
use super::handler::{Assignment, Handler, Outcome, TaskContext};
use super::inputs::Selection;
use super::output::{Output, TooLong};
use super::outputs::Outputs;
use crate::client::OUTBOUND_FRAME_BYTES_MAX;
use crate::python_json;

/// How often the progress file is looked at.
const PROGRESS_POLL: Duration = Duration::from_millis(250);

/// How much of the progress file is read at once, in bytes: a command may write more than it should.
const PROGRESS_READ_BYTES_MAX: u64 = 64 * 1024;

/// How much of the standard error a failure's sentence quotes, in characters; the result has more.
const QUOTED_CHARS_MAX: usize = 1000;

/// Runs `command: [program, arguments…]` of a task's config as a process.
///
/// The process finds, each as the path of a file in its environment: `EVERLOG_INPUTS` and
/// `EVERLOG_TASK` to read, `EVERLOG_RESULT`, `EVERLOG_MODEL_METRICS` and `EVERLOG_PROGRESS` to write.
/// They are gone when the attempt has ended.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CommandHandler;

/// The part of a task's config that this handler reads; the rest is for the scheduler or the command.
#[derive(Debug, Deserialize)]
struct CommandConfig {
    command: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, Value>,
    #[serde(default)]
    cwd: Option<PathBuf>,
    #[serde(default)]
    inputs: Selection,
    #[serde(default)]
    outputs: Outputs,
}

impl Handler for CommandHandler {
    async fn run(&self, task: Assignment, context: TaskContext) -> Outcome {
        match attempt(&task, &context).await {
            Ok(outcome) => outcome,
            Err(sentence) => Outcome::failed(sentence),
        }
    }
}

async fn attempt(task: &Assignment, context: &TaskContext) -> Result<Outcome, String> {
    let config = CommandConfig::deserialize(&task.config).map_err(|error| {
        format!(
            "this agent runs commands, and the task's config has none it understands ({error}); \
             give it `command: [program, arguments…]`"
        )
    })?;
    let inputs = config.inputs.of(&task.inputs)?;
    let files = Files::create(task, &inputs).await.map_err(|error| {
        format!("the files of the task cannot be written: {error}; is the agent's temporary directory full?")
    })?;
    let mut command = build(&config, &files)?;
    let progress = forward_progress(&files.progress, context);
    match exec::execute(&mut command, context.cancel(), progress).await {
        Ok(Some(Exited { status, output })) => {
            let mut outcome = conclude(&config, &files, status, output).await;
            outcome.model_metrics = model_metrics(&files.model_metrics, &task.name).await;
            Ok(outcome)
        }
        Ok(None) => Ok(Outcome::failed("cancelled")),
        Err(error) => Err(not_started(&config, &error)),
    }
}

fn build(config: &CommandConfig, files: &Files) -> Result<Command, String> {
    let Some((program, arguments)) = config.command.split_first() else {
        return Err("`command` is empty; its first element names the program".to_owned());
    };
    let mut command = Command::new(program);
    command.args(arguments);
    for (name, value) in &config.env {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => {
                return Err(format!("`env.{name}` is neither text nor a number; write it as text"));
            }
        };
        command.env(name, text);
    }
    if let Some(directory) = &config.cwd {
        command.current_dir(directory);
    }
    for (name, path) in files.by_variable() {
        command.env(name, path);
    }
    Ok(command)
}

/// Why a command did not even start.
fn not_started(config: &CommandConfig, error: &io::Error) -> String {
    let program = config.command.first().map_or("", String::as_str);
    if let Some(directory) = config.cwd.as_ref().filter(|directory| !directory.is_dir()) {
        return format!("the working directory {} does not exist on this agent; correct `cwd`", directory.display());
    }
    let advice = if error.kind() == io::ErrorKind::NotFound {
        "install it on this agent, or give its full path"
    } else if error.kind() == io::ErrorKind::PermissionDenied {
        "check its path and its permissions (chmod +x)"
    } else {
        "try it by hand on this agent's machine"
    };
    format!("the command `{program}` cannot be started: {error}; {advice}")
}

/// The files of one attempt, removed with it.
#[derive(Debug)]
struct Files {
    // Held for its `Drop`.
    _directory: TempDir,
    inputs: PathBuf,
    task: PathBuf,
    result: PathBuf,
    model_metrics: PathBuf,
    progress: PathBuf,
}

impl Files {
    async fn create(task: &Assignment, inputs: &Map<String, Value>) -> io::Result<Self> {
        let directory = TempDir::with_prefix("everlog-")?;
        let path = |name: &str| directory.path().join(name);
        let files = Self {
            inputs: path("inputs.json"),
            task: path("task.json"),
            result: path("result.json"),
            model_metrics: path("model-metrics.json"),
            progress: path("progress.txt"),
            _directory: directory,
        };
        let about = json!({
            "task_id": task.task_id,
            "name": task.name,
            "attempt": task.attempt,
            "pipeline_id": task.pipeline_id,
            "config": task.config,
        });
        tokio::fs::write(&files.inputs, serde_json::to_vec(inputs)?).await?;
        tokio::fs::write(&files.task, serde_json::to_vec(&about)?).await?;
        Ok(files)
    }

    fn by_variable(&self) -> [(&'static str, &Path); 5] {
        [
            ("EVERLOG_INPUTS", &self.inputs),
            ("EVERLOG_TASK", &self.task),
            ("EVERLOG_RESULT", &self.result),
            ("EVERLOG_MODEL_METRICS", &self.model_metrics),
            ("EVERLOG_PROGRESS", &self.progress),
        ]
    }
}

/// Forwards the lines that the command appends to its progress file.
async fn forward_progress(path: &Path, context: &TaskContext) -> Infallible {
    let mut offset = 0;
    loop {
        tokio::time::sleep(PROGRESS_POLL).await;
        let Ok(fresh) = read_from(path, offset).await else {
            continue; // Not there yet, or not readable: progress is a courtesy.
        };
        let Some(end) = fresh.iter().rposition(|byte| *byte == b'\n') else {
            continue;
        };
        // Only the newest matters.
        let lines = String::from_utf8_lossy(&fresh[..end]);
        if let Some((fraction, message)) = lines.lines().rev().find_map(parse_progress) {
            context.progress(fraction, message);
        }
        offset += end as u64 + 1;
    }
}

/// At most [`PROGRESS_READ_BYTES_MAX`] bytes from `offset` on.
async fn read_from(path: &Path, offset: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path).await?;
    file.seek(SeekFrom::Start(offset)).await?;
    let mut bytes = Vec::new();
    file.take(PROGRESS_READ_BYTES_MAX).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// `0.5 message`: a fraction, and maybe a few words.
fn parse_progress(line: &str) -> Option<(f64, &str)> {
    let (fraction, message) = line.trim().split_once(char::is_whitespace).unwrap_or((line.trim(), ""));
    Some((fraction.parse().ok()?, message.trim()))
}

/// What the command's end means.
async fn conclude(config: &CommandConfig, files: &Files, status: ExitStatus, output: Output) -> Outcome {
    let Output { stdout, stderr, last_line, .. } = output;
    let (stdout, stderr) = (stdout.text(), stderr.text());
    let found = if status.success() {
        match read_result(&files.result).await {
            Ok(Some(result)) => Ok(result),
            Ok(None) => from_last_line(last_line.text()),
            Err(sentence) => Err(sentence),
        }
        .and_then(|result| config.outputs.add_to(result, config.cwd.as_deref()))
    } else {
        Err(ending_sentence(&config.command, status, &stderr))
    };
    let output = json!({
        "exit_code": status.code(),
        "signal": status.signal(),
        "stdout_tail": stdout,
        "stderr_tail": stderr,
    });
    match found {
        Ok(result) => Outcome { output, ..Outcome::done(result) },
        Err(error) => Outcome { result: output, ..Outcome::failed(error) },
    }
}

/// The result file's value, `None` if the command wrote none.
async fn read_result(path: &Path) -> Result<Option<Value>, String> {
    let Some(text) = read_bounded(path, "EVERLOG_RESULT").await? else {
        return Ok(None);
    };
    let value = python_json::parse(&text);
    value.map(Some).map_err(|error| format!("what the command wrote to EVERLOG_RESULT is not JSON: {error}"))
}

/// A file that the command may have written, unless it is larger than a coordinator would accept.
async fn read_bounded(path: &Path, variable: &str) -> Result<Option<String>, String> {
    let bytes = match tokio::fs::metadata(path).await {
        Ok(metadata) => usize::try_from(metadata.len()).unwrap_or(usize::MAX),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("the file of {variable} cannot be read: {error}")),
    };
    if bytes > OUTBOUND_FRAME_BYTES_MAX {
        return Err(too_large_sentence(bytes, OUTBOUND_FRAME_BYTES_MAX));
    }
    let text = tokio::fs::read_to_string(path).await;
    text.map(Some).map_err(|error| format!("the file of {variable} cannot be read: {error}"))
}

fn from_last_line(line: Result<Option<String>, TooLong>) -> Result<Value, String> {
    match line {
        Ok(None) => Ok(Value::Null),
        Ok(Some(line)) => Ok(python_json::parse(&line).unwrap_or(Value::String(line))),
        Err(TooLong { bytes, limit }) => Err(too_large_sentence(bytes, limit)),
    }
}

/// `… ended with exit code 3: the last words of its standard error`.
fn ending_sentence(command: &[String], status: ExitStatus, stderr: &str) -> String {
    let how = match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => format!("ended with {status}"),
    };
    let command = command.join(" ");
    let said = stderr.trim();
    if said.is_empty() {
        return format!("`{command}` {how} and said nothing on its standard error");
    }
    let skipped = said.chars().count().saturating_sub(QUOTED_CHARS_MAX);
    let quoted: String = said.chars().skip(skipped).collect();
    let ellipsis = if skipped > 0 { "…" } else { "" };
    format!("`{command}` {how}: {ellipsis}{quoted}")
}

/// The reports about models that the command left. One that cannot be used is said so in the log:
/// it must not turn a trained model into a failed task.
async fn model_metrics(path: &Path, task: &str) -> Vec<Value> {
    let text = match read_bounded(path, "EVERLOG_MODEL_METRICS").await {
        Ok(text) => text.unwrap_or_default(),
        Err(error) => {
            tracing::warn!(task, error, "model metrics dropped");
            return Vec::new();
        }
    };
    let (reports, trouble) = python_json::parse_many(&text);
    if let Some(error) = trouble {
        tracing::warn!(task, %error, "EVERLOG_MODEL_METRICS: what follows is not JSON, dropped");
    }
    let named = |report: &Value| report.get("model_id").is_some_and(Value::is_string);
    let (usable, unusable): (Vec<_>, Vec<_>) = reports.into_iter().partition(named);
    if !unusable.is_empty() {
        let dropped = unusable.len();
        tracing::warn!(task, dropped, "model metrics without a `model_id` dropped");
    }
    usable
}
