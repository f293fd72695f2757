//! The pipeline file: YAML that a person writes, checked, expanded and put into the wire's form.
//!
//! Field names are the wire's own (protocol §3), so there is nothing to look up twice. What this adds
//! is what only the file's reader can know: defaults, replicas, and where relative paths start.

mod error;
mod expand;
mod form;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use serde_saphyr::Spanned;

use crate::submission::Submission;
pub(crate) use error::PipelineFileError;

/// The largest pipeline file, in bytes: room for 100,000 tasks of the usual size.
const FILE_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// What a file says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PipelineFile {
    /// What is to be created.
    pub(crate) submission: Submission,
    /// Every capability that some task requires.
    pub(crate) capabilities: BTreeSet<String>,
}

/// Reads and expands the file at `path`.
///
/// # Errors
/// What is wrong with the file, with the line where that is known.
pub(crate) fn load(path: &Path) -> Result<PipelineFile, PipelineFileError> {
    let unreadable = |cause: std::io::Error| PipelineFileError::unreadable(path, &cause);
    let bytes = std::fs::metadata(path).map_err(unreadable)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(PipelineFileError::too_large(path, bytes, FILE_BYTES_MAX));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    let file = std::path::absolute(path).map_err(unreadable)?;
    let directory = file.parent().unwrap_or(Path::new("/"));
    parse(&text, directory).map_err(|mistake| mistake.within(path, text))
}

/// Expands the text of a file in `directory`, which must be absolute.
fn parse(text: &str, directory: &Path) -> Result<PipelineFile, error::Mistake> {
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Err(error::Mistake::new("the file is empty; a pipeline needs at least `name` and `tasks`"));
    }
    // YAML 1.1 reads `y`, `no` and `off` as booleans, which nobody means by them.
    let options = serde_saphyr::options! { strict_booleans: true };
    let document: Document = serde_saphyr::from_str_with_options(text, options)?;
    expand::expand(document, directory)
}

/// The file itself.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(skip_serializing)]
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    strategy: Option<Strategy>,
    #[serde(default, skip_serializing)]
    defaults: Option<TaskEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_concurrent_tasks: Option<u32>,
    /// Seconds.
    #[serde(default, deserialize_with = "form::seconds", skip_serializing_if = "Option::is_none")]
    task_timeout: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_failure: Option<OnFailure>,
    #[serde(skip_serializing)]
    tasks: Vec<TaskEntry>,
}

/// One task, or the defaults of all: every field that is written as it is goes into the task's config.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct TaskEntry {
    #[serde(skip_serializing)]
    name: Option<Spanned<String>>,
    #[serde(default, skip_serializing)]
    depends_on: Vec<Spanned<String>>,
    /// So many copies, named `name-1` and so on.
    #[serde(skip_serializing)]
    replicas: Option<Spanned<u32>>,
    /// Keys of the task's own, for its command to read.
    #[serde(default, skip_serializing)]
    config: Map<String, Value>,
    /// Text as it is written: `1.10` stays `1.10`.
    #[serde(default, skip_serializing)]
    env: BTreeMap<String, String>,
    #[serde(skip_serializing)]
    cwd: Option<PathBuf>,
    #[serde(default, deserialize_with = "form::command", skip_serializing_if = "Option::is_none")]
    command: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    required_capabilities: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<i64>,
    /// Percent of one processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_requirement: Option<f64>,
    /// MB.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_requirement: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gpu_requirement: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_weight: Option<f64>,
    /// An estimate, in seconds.
    #[serde(default, deserialize_with = "form::seconds", skip_serializing_if = "Option::is_none")]
    execution_time: Option<f64>,
    /// Seconds.
    #[serde(default, deserialize_with = "form::seconds", skip_serializing_if = "Option::is_none")]
    timeout: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<Retry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_failure: Option<OnFailure>,
}

/// When and how often to try again.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Retry {
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    #[serde(default, deserialize_with = "form::seconds", skip_serializing_if = "Option::is_none")]
    backoff_s: Option<f64>,
    #[serde(default, deserialize_with = "form::seconds", skip_serializing_if = "Option::is_none")]
    max_backoff_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    factor: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_on: Option<Vec<String>>,
}

/// How the next task is chosen (protocol §7).
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Strategy {
    Sequential,
    Parallel,
    PriorityBased,
    ResourceAware,
    Adaptive,
}

/// What a task's final failure means for its pipeline.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum OnFailure {
    Fail,
    Continue,
    SkipDownstream,
}
