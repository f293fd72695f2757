//! A pipeline as plain lines, where nothing can be drawn over: one for each change.

use std::collections::BTreeMap;

use crate::cli::run::Snapshot;
use crate::cli::tasks::TaskRow;
use crate::cli::terminal;

/// A failure's words on a line, in columns of a terminal; other verbs have more.
pub(super) const REASON_COLUMNS_MAX: usize = 300;

/// Plain lines about numbers: one each time another such part of the tasks has ended.
const PARTS: u64 = 10;

/// What the plain lines have told so far.
#[derive(Debug, Default)]
pub(super) struct Lines {
    statuses: BTreeMap<String, String>,
    parts: u64,
    pipeline: String,
}

impl Lines {
    /// The lines that are news.
    pub(super) fn update(&mut self, snapshot: &Snapshot) -> Vec<String> {
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

    /// Whether a line was about a failed task.
    pub(super) fn has_told_failure(&self) -> bool {
        self.statuses.values().any(|status| status == "failed")
    }

    fn task(&mut self, task: &TaskRow) -> Option<String> {
        let before = self.statuses.insert(task.id.clone(), task.status.clone());
        let told = task.has_ended() || task.status == "running";
        if !told || before.as_ref() == Some(&task.status) {
            return None;
        }
        let name = terminal::one_line(&task.name);
        let took = task.seconds().map_or_else(String::new, |seconds| format!(" in {seconds:.1} s"));
        let why = task.error().map(|reason| format!(": {}", terminal::shortened(&reason, REASON_COLUMNS_MAX)));
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
        Snapshot { status: status.to_owned(), counts, tasks, hint: None }
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
