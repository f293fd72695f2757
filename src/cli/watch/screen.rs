//! How a watched pipeline looks: a few living lines on a terminal, plain lines elsewhere. All on stderr.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use serde_json::Value;

use super::SHOWN_RUNNING_MAX;
use crate::cli::color::{self, Tone};
use crate::cli::grid::bar;
use crate::cli::list::ps;
use crate::cli::run::{Lines, Snapshot};
use crate::cli::tasks::TaskRow;
use crate::cli::{terminal, when};
use crate::client::Notification;

/// Characters of the bar of the pipeline, and of those of its tasks.
const BAR_CHARS: usize = 30;
const TASK_BAR_CHARS: usize = 12;

/// Characters of a task's name: the shortest line must still show how far it is.
const NAME_CHARS_MAX: usize = 32;

/// Characters of the reason of a failure.
const REASON_CHARS_MAX: usize = 300;

/// What a person watches.
pub(super) struct Screen {
    form: Form,
    /// What running tasks said last, by id.
    messages: BTreeMap<String, String>,
    /// The failed tasks that have been told.
    failed: BTreeSet<String>,
}

enum Form {
    Live { all: MultiProgress, lines: Vec<ProgressBar> },
    Plain(Lines),
}

impl Screen {
    pub(super) fn new() -> Self {
        let live = std::io::stderr().is_terminal();
        let form = if live {
            Form::Live { all: MultiProgress::new(), lines: Vec::new() }
        } else {
            Form::Plain(Lines::default())
        };
        Self { form, messages: BTreeMap::new(), failed: BTreeSet::new() }
    }

    /// Takes up what is told between two looks: words about progress, and failures that a look may not see.
    pub(super) fn note(&mut self, news: &Notification) {
        let field = |name: &str| news.params[name].as_str().unwrap_or_default();
        match (news.method.as_str(), field("status")) {
            ("task/progress", _) => {
                let message = news.params["details"]["message"].as_str().unwrap_or_default();
                self.messages.insert(field("task_id").to_owned(), terminal::one_line(message));
            }
            ("task/changed", "failed") => self.fail(field("task_id"), field("name"), field("error")),
            _ => {}
        }
        if news.method == "task/changed" {
            self.messages.remove(field("task_id"));
        }
    }

    fn fail(&mut self, id: &str, name: &str, why: &str) {
        // Plain lines tell every change themselves.
        if matches!(self.form, Form::Live { .. }) && self.failed.insert(id.to_owned()) {
            let line = format!("{name} failed: {}", terminal::shortened(why, REASON_CHARS_MAX));
            self.say(&Tone::Bad.paint(&terminal::one_line(&line), color::on_stderr()));
        }
    }

    pub(super) fn show(&mut self, pipeline: &Value, snapshot: &Snapshot) {
        for task in snapshot.tasks.iter().filter(|task| task.status == "failed") {
            self.fail(&task.id, &task.name, &task.error().unwrap_or_default());
        }
        match &mut self.form {
            Form::Plain(plain) => plain.update(snapshot).iter().for_each(|line| crate::cli::hint(line)),
            Form::Live { all, lines } => {
                let texts = living(pipeline, snapshot, &self.messages, when::now(), color::on_stderr());
                for line in lines.drain(texts.len().min(lines.len())..) {
                    all.remove(&line);
                }
                while lines.len() < texts.len() {
                    lines.push(all.add(line()));
                }
                lines.iter().zip(texts).for_each(|(line, text)| line.set_message(text));
            }
        }
    }

    /// Says something that must not be missed.
    pub(super) fn say(&self, line: &str) {
        match &self.form {
            // Only a terminal that is gone cannot be written to, and then nobody misses the line.
            Form::Live { all, .. } => drop(all.println(line)),
            Form::Plain(_) => crate::cli::hint(line),
        }
    }

    /// Leaves everything as it stands. The terminal has written `^C` below it, so that it could not be redrawn in its place.
    pub(super) fn freeze(&self) {
        if let Form::Live { all, .. } = &self.form {
            all.set_draw_target(ProgressDrawTarget::hidden());
            crate::cli::hint("");
        }
    }

    /// Makes room for the last word.
    pub(super) fn finish(&self) {
        if let Form::Live { all, .. } = &self.form {
            let _ = all.clear();
        }
    }
}

/// A line that shows its message and is no wider than the terminal.
fn line() -> ProgressBar {
    // The template is fixed; were it wrong, indicatif's own would do.
    let style = ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    ProgressBar::new_spinner().with_style(style)
}

/// The pipeline, and below it the tasks that run.
fn living(
    pipeline: &Value,
    snapshot: &Snapshot,
    messages: &BTreeMap<String, String>,
    now: Timestamp,
    colors: bool,
) -> Vec<String> {
    let counts = snapshot.counts;
    let name = terminal::shortened(pipeline["name"].as_str().unwrap_or_default(), NAME_CHARS_MAX);
    let status = Tone::of(&snapshot.status).paint(&terminal::one_line(&snapshot.status), colors);
    let took = when::span(pipeline, now).unwrap_or_default();
    let mut lines = vec![format!("{name}  {status}  {took}  {} {}", bar(counts.part(), BAR_CHARS), ps::done(pipeline))];
    let running = snapshot.tasks.iter().filter(|task| task.status == "running");
    lines.extend(running.take(SHOWN_RUNNING_MAX).map(|task| {
        let message = messages.get(&task.id).map(String::as_str).unwrap_or_default();
        task_line(task, message, now)
    }));
    let hidden = (counts.running as usize).saturating_sub(lines.len() - 1);
    lines.extend((hidden > 0).then(|| format!("  … and {hidden} more run")));
    let ready = pipeline["metrics"]["tasks_ready"].as_u64().unwrap_or(0);
    let nobody = counts.running == 0 && pipeline["metrics"]["tasks_assigned"] == 0 && snapshot.status == "running";
    lines.extend((nobody && ready > 0).then(|| format!("  {ready} ready, no agent takes them: see everlog agents")));
    lines
}

fn task_line(task: &TaskRow, message: &str, now: Timestamp) -> String {
    let name = terminal::shortened(&task.name, NAME_CHARS_MAX);
    let started = task.started_at.as_ref().and_then(|text| text.parse::<Timestamp>().ok());
    let took = started.map(|started| when::took(now.duration_since(started).as_secs_f64())).unwrap_or_default();
    let progress = task.progress.filter(|part| *part > 0.0);
    let progress = progress.map(|part| format!("  {} {:>3.0} %", bar(part, TASK_BAR_CHARS), part * 100.0));
    format!("  {name}{}  {took}  {message}", progress.unwrap_or_default()).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::tasks::Counts;

    fn texts(tasks: Value, metrics: Value) -> Vec<String> {
        let pipeline = json!({"name": "iris\u{1b}", "started_at": "2026-01-01T00:00:00Z", "metrics": metrics});
        let tasks = serde_json::from_value(tasks).expect("rows");
        let snapshot = Snapshot { status: "running".to_owned(), counts: Counts::of(&pipeline), tasks };
        let messages = BTreeMap::from([("1".to_owned(), "epoch 3".to_owned())]);
        living(&pipeline, &snapshot, &messages, "2026-01-01T00:01:05Z".parse().expect("a time"), false)
    }

    #[test]
    fn a_pipeline_shows_how_far_it_is_and_what_runs() {
        let row = |id: &str| {
            json!({"id": id, "name": format!("train-{id}"), "status": "running", "progress": 0.42,
                "started_at": "2026-01-01T00:01:00Z"})
        };
        let metrics = json!({"tasks_completed": 5, "tasks_running": 3, "tasks_pending": 2});
        let lines = texts(json!([row("1"), row("2")]), metrics);
        assert_eq!(
            lines,
            [
                "iris\\u001b  running  1m 5s  [===============               ] 5/10, 3 running",
                "  train-1  [=====       ]  42 %  5.0s  epoch 3",
                "  train-2  [=====       ]  42 %  5.0s",
                "  … and 1 more run",
            ]
        );
    }

    #[test]
    fn a_pipeline_that_nobody_works_on_says_so() {
        let lines = texts(json!([]), json!({"tasks_pending": 2, "tasks_ready": 2, "tasks_assigned": 0}));
        assert_eq!(lines[1], "  2 ready, no agent takes them: see everlog agents");
    }
}
