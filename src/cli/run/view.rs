//! How a run looks while it goes on: a bar on a terminal, plain lines elsewhere. All on stderr.

use std::collections::BTreeMap;
use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

use super::watch::Snapshot;
use crate::cli::tasks::TaskRow;
use crate::cli::terminal;

/// The words beside the bar, in characters: bar and numbers need some forty columns of eighty.
const MESSAGE_CHARS_MAX: usize = 60;

/// A failure's words on a plain line, in characters; the summary has more.
const REASON_CHARS_MAX: usize = 300;

/// Plain lines about numbers: one each time another such part of the tasks has ended.
const PARTS: u64 = 10;

/// What a person watches.
#[derive(Debug)]
pub(super) enum View {
    Bar(ProgressBar),
    Lines(Lines),
}

/// What the plain lines have told so far.
#[derive(Debug, Default)]
pub(in crate::cli) struct Lines {
    statuses: BTreeMap<String, String>,
    parts: u64,
    pipeline: String,
}

impl View {
    pub(super) fn new(pipeline: &str) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines(Lines::default());
        }
        let bar = ProgressBar::new(0).with_prefix(terminal::one_line(pipeline));
        let template = "{prefix} [{bar:30}] {pos}/{len}  {msg}";
        // The template is fixed; were it wrong, indicatif's own would do.
        let style = ProgressStyle::with_template(template);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
        Self::Bar(bar)
    }

    /// Shows what has changed.
    pub(super) fn show(&mut self, snapshot: &Snapshot) {
        match self {
            Self::Bar(bar) => {
                bar.set_length(snapshot.counts.total());
                bar.set_position(snapshot.counts.ended());
                bar.set_message(terminal::shortened(&beside_bar(snapshot), MESSAGE_CHARS_MAX));
            }
            Self::Lines(lines) => lines.update(snapshot).iter().for_each(|line| crate::cli::hint(line)),
        }
    }

    /// Says something that must not be missed.
    pub(super) fn say(&self, line: &str) {
        match self {
            Self::Bar(bar) => bar.println(line),
            Self::Lines(_) => crate::cli::hint(line),
        }
    }

    /// Makes room for the summary.
    pub(super) fn finish(self) {
        match self {
            Self::Bar(bar) => bar.finish_and_clear(),
            Self::Lines(_) => {}
        }
    }
}

/// What runs just now, or why nothing does.
fn beside_bar(snapshot: &Snapshot) -> String {
    let running = snapshot.tasks.iter().filter(|task| task.status == "running");
    let names: Vec<String> = running.map(with_progress).collect();
    if names.is_empty() { snapshot.status.clone() } else { names.join(", ") }
}

fn with_progress(task: &TaskRow) -> String {
    match task.progress {
        Some(fraction) if fraction > 0.0 => format!("{} {:.0} %", task.name, fraction * 100.0),
        Some(_) | None => task.name.clone(),
    }
}

impl Lines {
    /// The lines that are news.
    pub(in crate::cli) fn update(&mut self, snapshot: &Snapshot) -> Vec<String> {
        let mut news = Vec::new();
        let followed = snapshot.tasks.len() as u64 >= snapshot.counts.total();
        if followed {
            news.extend(snapshot.tasks.iter().filter_map(|task| self.task(task)));
        }
        let parts = snapshot.counts.ended() * PARTS / snapshot.counts.total().max(1);
        if !followed && parts != self.parts {
            self.parts = parts;
            news.push(snapshot.counts.to_string());
        }
        if snapshot.status != self.pipeline {
            let line = format!("pipeline: {}", terminal::one_line(&snapshot.status));
            // A beginning is told before what it begins, an end after what it ends.
            let place = if snapshot.has_ended() { news.len() } else { 0 };
            news.insert(place, line);
            self.pipeline.clone_from(&snapshot.status);
        }
        news
    }

    fn task(&mut self, task: &TaskRow) -> Option<String> {
        let before = self.statuses.insert(task.id.clone(), task.status.clone());
        let told = task.has_ended() || task.status == "running";
        if !told || before.as_ref() == Some(&task.status) {
            return None;
        }
        let name = terminal::one_line(&task.name);
        let took = task.seconds().map_or_else(String::new, |seconds| format!(" in {seconds:.1} s"));
        let why = task.error().map(|reason| format!(": {}", terminal::shortened(&reason, REASON_CHARS_MAX)));
        let why = why.unwrap_or_default();
        Some(format!("{name}: {}{took}{why}", terminal::one_line(&task.status)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::tasks::Counts;

    fn snapshot(status: &str, statuses: &[&str]) -> Snapshot {
        let row = |(index, status): (usize, &&str)| {
            let row = json!({"id": index.to_string(), "name": format!("t{index}"), "status": status});
            serde_json::from_value(row).expect("a row")
        };
        let tasks: Vec<TaskRow> = statuses.iter().enumerate().map(row).collect();
        let number = |wanted: &str| tasks.iter().filter(|task| task.status == wanted).count() as u64;
        let counts = Counts {
            waiting: number("pending") + number("assigned"),
            running: number("running"),
            completed: number("completed"),
            failed: number("failed"),
            cancelled: number("cancelled"),
        };
        Snapshot { status: status.to_owned(), counts, tasks }
    }

    #[test]
    fn each_change_is_told_once() {
        let mut lines = Lines::default();
        let first = snapshot("running", &["running", "pending"]);
        assert_eq!(lines.update(&first), ["pipeline: running", "t0: running"]);
        assert!(lines.update(&snapshot("running", &["running", "assigned"])).is_empty());
        let second = snapshot("running", &["completed", "running"]);
        assert_eq!(lines.update(&second), ["t0: completed", "t1: running"]);
    }

    #[test]
    fn the_end_is_told_last_and_failures_in_words() {
        let mut lines = Lines::default();
        let mut ended = snapshot("failed", &["completed", "failed"]);
        ended.tasks[1].error_info = json!({"type": "reported", "message": "no\nroom"});
        assert_eq!(lines.update(&ended), ["t0: completed", "t1: failed: no room", "pipeline: failed"]);
    }

    #[test]
    fn many_tasks_are_told_in_numbers() {
        let mut lines = Lines::default();
        let mut many = snapshot("running", &["completed"; 50]);
        many.tasks.clear();
        assert_eq!(lines.update(&many), ["pipeline: running", "50 of 50 completed"]);
        assert!(lines.update(&many).is_empty());
    }
}
