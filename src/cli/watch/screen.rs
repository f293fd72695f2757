//! How a watched pipeline looks: a few living lines on a terminal, plain lines elsewhere. All on stderr.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use super::SHOWN_RUNNING_MAX;
use super::lines::{Lines, REASON_COLUMNS_MAX};
use crate::cli::color::{self, Tone};
use crate::cli::grid::{self, Cell, Look, Title};
use crate::cli::list::ps;
use crate::cli::live::Live;
use crate::cli::run::Snapshot;
use crate::cli::tasks::TaskRow;
use crate::cli::{terminal, when};
use crate::client::Notification;

/// Columns of the bar of a task.
const TASK_BAR_COLUMNS: usize = 14;

/// Columns of a name: the line must still show how far it is.
const NAME_COLUMNS_MAX: usize = 32;

/// What a person watches.
pub(in crate::cli) struct Screen {
    form: Form,
    /// What running tasks said last, by id.
    messages: BTreeMap<String, String>,
    /// The failed tasks that have been told.
    failed: BTreeSet<String>,
}

enum Form {
    Live(Live),
    Plain(Lines),
}

impl Screen {
    pub(in crate::cli) fn new() -> Self {
        let form = Live::on_stderr().map_or_else(|| Form::Plain(Lines::default()), Form::Live);
        Self { form, messages: BTreeMap::new(), failed: BTreeSet::new() }
    }

    /// Takes up what is told between two looks: words about progress, and failures that a look may not see.
    pub(in crate::cli) fn note(&mut self, news: &Notification) {
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
        if matches!(self.form, Form::Live(_)) && self.failed.insert(id.to_owned()) {
            let line = format!("{name} failed: {}", terminal::shortened(why, REASON_COLUMNS_MAX));
            self.say(&Tone::Bad.paint(&terminal::one_line(&line), color::on_stderr()));
        }
    }

    /// Whether a failed task was told by name: then the failure of its pipeline is no news.
    pub(in crate::cli) fn has_told_failure(&self) -> bool {
        match &self.form {
            Form::Live(_) => !self.failed.is_empty(),
            Form::Plain(plain) => plain.has_told_failure(),
        }
    }

    pub(in crate::cli) fn show(&mut self, pipeline: &Value, snapshot: &Snapshot) {
        for task in snapshot.tasks.iter().filter(|task| task.status == "failed") {
            self.fail(&task.id, &task.name, &task.error().unwrap_or_default());
        }
        match &mut self.form {
            Form::Plain(plain) => plain.update(snapshot).iter().for_each(|line| crate::cli::hint(line)),
            Form::Live(live) => {
                // Only a terminal that is gone cannot be written to, and then nobody misses anything.
                drop(live.show(&living(pipeline, snapshot, &self.messages, when::now(), Look::of_stderr())));
            }
        }
    }

    /// Says something that must not be missed.
    pub(in crate::cli) fn say(&mut self, line: &str) {
        match &mut self.form {
            Form::Live(live) => drop(live.say(line)),
            Form::Plain(_) => crate::cli::hint(line),
        }
    }

    /// Makes room for the last word.
    pub(in crate::cli) fn finish(self) {
        if let Form::Live(mut live) = self.form {
            drop(live.clear());
        }
    }
}

/// The columns of the line of a pipeline.
const PIPELINE: [Title; 4] = [
    Title { name: "name…", rank: 0 },
    Title { name: "status", rank: 2 },
    Title { name: "took", rank: 3 },
    Title { name: "done…", rank: 1 },
];

/// The columns of the lines of its tasks.
const TASK: [Title; 5] = [
    Title { name: "name…", rank: 0 },
    Title { name: "took", rank: 2 },
    Title { name: "progress", rank: 1 },
    Title { name: "bar", rank: 4 },
    Title { name: "message…", rank: 3 },
];

/// The pipeline, and below it the tasks that run.
fn living(
    pipeline: &Value,
    snapshot: &Snapshot,
    messages: &BTreeMap<String, String>,
    now: Timestamp,
    look: Look,
) -> Vec<String> {
    let head = vec![
        Cell::bare(terminal::shortened(pipeline["name"].as_str().unwrap_or_default(), NAME_COLUMNS_MAX)),
        Cell::status(&snapshot.status),
        Cell::bare(when::span(pipeline, now).unwrap_or_default()),
        Cell::bare(ps::done(pipeline)),
    ];
    let head = grid::aligned(&PIPELINE, &[head], look).concat();
    let mut lines = vec![grid::with_bar(&head, snapshot.counts.part(), look)];
    let running = snapshot.tasks.iter().filter(|task| task.status == "running").take(SHOWN_RUNNING_MAX);
    let rows: Vec<Vec<Cell>> = running.map(|task| row(task, messages.get(&task.id), now)).collect();
    lines.extend(grid::aligned(&TASK, &rows, look));
    let hidden = (snapshot.counts.running as usize).saturating_sub(rows.len());
    lines.extend((hidden > 0).then(|| format!("  … and {hidden} more run")));
    lines.extend(snapshot.hint.iter().map(|hint| format!("  {hint}")));
    lines
}

fn row(task: &TaskRow, message: Option<&String>, now: Timestamp) -> Vec<Cell> {
    let started = task.started_at.as_ref().and_then(|text| text.parse::<Timestamp>().ok());
    // An agent begins with 0, whether or not the task ever says more.
    let progress = task.progress.filter(|part| *part > 0.0);
    vec![
        Cell::bare(format!("  {}", terminal::shortened(&task.name, NAME_COLUMNS_MAX))),
        Cell::bare(started.map(|started| when::took(now.duration_since(started).as_secs_f64())).unwrap_or_default()),
        Cell::bare(progress.map(|part| format!("{:>3.0} %", part * 100.0)).unwrap_or_default()),
        Cell::bare(progress.map(|part| grid::bar(part, TASK_BAR_COLUMNS)).unwrap_or_default()),
        Cell::bare(message.map(String::as_str).unwrap_or_default()),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::tasks::Counts;

    const NOW: &str = "2026-01-01T00:01:05Z";

    fn task(id: &str, progress: f64) -> Value {
        json!({"id": id, "name": format!("train-{id}"), "status": "running", "progress": progress,
            "started_at": "2026-01-01T00:01:00Z"})
    }

    fn texts(name: &str, width: usize) -> Vec<String> {
        let metrics = json!({"tasks_completed": 5, "tasks_running": 3, "tasks_pending": 2});
        let pipeline = json!({"name": name, "started_at": "2026-01-01T00:00:00Z", "metrics": metrics});
        let tasks = serde_json::from_value(json!([task("1", 0.42), task("2", 0.0)])).expect("rows");
        let hint = Some("a hint".to_owned());
        let snapshot = Snapshot { status: "running".to_owned(), counts: Counts::of(&pipeline), tasks, hint };
        let messages = BTreeMap::from([("1".to_owned(), "epoch 3 of 10".to_owned())]);
        let look = Look { colors: false, width: Some(width) };
        living(&pipeline, &snapshot, &messages, NOW.parse().expect("a time"), look)
    }

    #[test]
    fn a_pipeline_shows_how_far_it_is_and_what_runs() {
        assert_eq!(
            texts("iris\u{1b}", 80),
            [
                "iris\\u001b  running  1m 5s  5/10, 3 running  [===============               ]",
                "  train-1  5.0s   42 %  [=====       ]  epoch 3 of 10",
                "  train-2  5.0s",
                "  … and 1 more run",
                "  a hint",
            ]
        );
    }

    #[test]
    fn a_narrow_terminal_shows_the_numbers_and_cuts_the_rest() {
        assert_eq!(
            texts("iris", 40)[..2],
            ["iris  running  1m 5s  5/10, 3 running", "  train-1  5.0s   42 %  epoch 3 of 10"]
        );
        assert_eq!(texts("a-name-that-is-long", 40)[0], "a-name-that-is…  running  5/10, 3 runni…");
    }
}
