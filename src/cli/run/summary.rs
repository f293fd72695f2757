//! What a run came to: every task with its result, the models it trained, and where to look further.

use std::io::{self, Write};
use std::path::Path;

use serde_json::{Value, json};

use super::shell_word;
use crate::cli::exit::Trouble;
use crate::cli::output::{self, Output, cell};
use crate::cli::tasks::{self, Counts, TaskRow};
use crate::cli::terminal;
use crate::client::{Client, ClientError};

/// Of more tasks than twice this, the first and the last are shown: the last are what the rest was for.
const ROWS_EACH_END: usize = 10;

/// Failures told in full below the table.
const FAILURES_TOLD_MAX: usize = 5;

/// The fields of a model's report that are shown, where any model has them (protocol §5).
const MODEL_FIELDS: [&str; 6] = ["accuracy", "precision", "recall", "f1_score", "loss", "training_time"];

/// Prints the summary of an ended pipeline; whether it went well.
pub(super) async fn print(
    out: &mut impl Write,
    client: &Client,
    info: &Value,
    data: &Path,
    output: Output,
) -> Result<bool, Trouble> {
    let id = info["id"].as_str().unwrap_or_default();
    let tasks = tasks::list(client, id, None, usize::MAX).await?;
    let models = models(client, info).await?;
    let stopped = info["metrics"]["stopped"].as_bool().unwrap_or(false);
    let well = info["status"] == "completed" && !stopped;
    let printed = match output {
        Output::Table => print_table(out, info, &tasks, &models, stopped),
        Output::Json => {
            output::print(out, &json!({"pipeline": info, "tasks": tasks, "models": models, "data": data}), output)
        }
        Output::Ndjson => print_lines(out, info, &tasks, &models),
    };
    crate::cli::unless_left(printed)?;
    tell_failures(&tasks);
    let data = shell_word(data);
    crate::cli::hint(&format!("the history is in {data}; look at it with: everlog log --data {data}"));
    Ok(well)
}

/// The latest report of each model that was made since the pipeline began.
async fn models(client: &Client, info: &Value) -> Result<Vec<Value>, ClientError> {
    let answer = client.call("model/metrics", json!({})).await?;
    let since = moment(&info["created_at"]);
    let reports = answer["metrics"].as_array().cloned().unwrap_or_default();
    let mut latest: Vec<Value> = Vec::new();
    for report in reports.into_iter().filter(|report| moment(&report["timestamp"]) >= since) {
        match latest.iter_mut().find(|known| known["model_id"] == report["model_id"]) {
            Some(known) => *known = report,
            None => latest.push(report),
        }
    }
    Ok(latest)
}

fn moment(text: &Value) -> Option<jiff::Timestamp> {
    text.as_str()?.parse().ok()
}

fn print_lines(out: &mut impl Write, info: &Value, tasks: &[TaskRow], models: &[Value]) -> io::Result<()> {
    writeln!(out, "{}", output::compact(&output::tagged("pipeline", info)))?;
    for task in tasks {
        writeln!(out, "{}", output::compact(&output::tagged("task", &json!(task))))?;
    }
    for model in models {
        writeln!(out, "{}", output::compact(&output::tagged("model", model)))?;
    }
    Ok(())
}

fn print_table(
    out: &mut impl Write,
    info: &Value,
    tasks: &[TaskRow],
    models: &[Value],
    stopped: bool,
) -> io::Result<()> {
    let header = ["task", "status", "seconds", "result"];
    let (first, last) = ends(tasks);
    let rows = first.iter().map(row).chain(gap(tasks)).chain(last.iter().map(row));
    writeln!(out, "{}", output::table(header, rows))?;
    if !models.is_empty() {
        writeln!(out, "{}", models_table(models))?;
    }
    let how = if stopped { "stopped by request".to_owned() } else { cell(&info["status"]) };
    let name = terminal::one_line(&cell(&info["name"]));
    writeln!(out, "pipeline {name}: {}; {}", terminal::one_line(&how), Counts::of(info))?;
    out.flush()
}

/// The rows shown: all, or the first and the last.
fn ends(tasks: &[TaskRow]) -> (&[TaskRow], &[TaskRow]) {
    if tasks.len() <= 2 * ROWS_EACH_END {
        return (tasks, &[]);
    }
    (&tasks[..ROWS_EACH_END], &tasks[tasks.len() - ROWS_EACH_END..])
}

fn gap(tasks: &[TaskRow]) -> Option<[String; 4]> {
    let hidden = tasks.len().checked_sub(2 * ROWS_EACH_END).filter(|hidden| *hidden > 0)?;
    Some([format!("… {hidden} more …"), String::new(), String::new(), String::new()])
}

fn row(task: &TaskRow) -> [String; 4] {
    let seconds = task.seconds().map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.2}"));
    let result = task.error().unwrap_or_else(|| cell(&task.result));
    [task.name.clone(), task.status.clone(), seconds, result]
}

fn models_table(models: &[Value]) -> String {
    let row = |model: &Value| {
        let [a, p, r, f, l, t] = MODEL_FIELDS.map(|field| match model[field].as_f64() {
            Some(number) => format!("{number:.4}"),
            None => "-".to_owned(),
        });
        [cell(&model["model_id"]), a, p, r, f, l, t]
    };
    let [a, p, r, f, l, t] = MODEL_FIELDS;
    output::table(["model", a, p, r, f, l, t], models.iter().map(row))
}

/// The words of the first failures, in full: a table has no room for a stack trace.
fn tell_failures(tasks: &[TaskRow]) {
    let failed = || tasks.iter().filter(|task| task.status == "failed");
    for task in failed().take(FAILURES_TOLD_MAX) {
        let name = terminal::one_line(&task.name);
        crate::cli::hint(&format!("{name} failed: {}", terminal::lines(&task.error().unwrap_or_default())));
    }
    let more = failed().count().saturating_sub(FAILURES_TOLD_MAX);
    if more > 0 {
        crate::cli::hint(&format!("{more} more tasks failed"));
    }
}
