//! What is told of a pipeline that is followed to its end.

use std::collections::BTreeMap;
use std::io;

use serde_json::{Value, json};

use super::exit::{Exit, Trouble};
use super::list::{ps, short};
use super::output::{self, Output};
use super::run::Snapshot;
use super::tasks::Counts;
use super::{steer, terminal, when};

/// What goes to stdout.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Closing {
    /// A line at the end: it is what was asked for.
    Line,
    /// Something else, for another program: the line goes to stderr.
    Nothing,
    /// The record at the end.
    Record,
    /// A record a change, the end being one.
    Changes(Changes),
}

impl Closing {
    /// What was asked for.
    pub(super) fn of(output: Output) -> Self {
        match output {
            Output::Table => Self::Line,
            Output::Json => Self::Record,
            Output::Ndjson => Self::Changes(Changes::default()),
        }
    }

    /// Tells what is new at one look.
    pub(super) fn look(&mut self, pipeline: &Value, snapshot: &Snapshot) -> io::Result<()> {
        match self {
            Self::Changes(changes) => {
                let news = changes.update(pipeline, snapshot);
                super::unless_left(news.iter().try_for_each(|record| super::say(&output::compact(record))))
            }
            Self::Line | Self::Nothing | Self::Record => Ok(()),
        }
    }

    /// Tells how a pipeline ended, and what can be done about it; also why, unless that has been `told`.
    pub(super) fn conclude(&self, pipeline: &Value, told: bool) -> Result<Exit, Trouble> {
        match self {
            Self::Line => super::unless_left(super::say(&last_line(pipeline)))?,
            Self::Nothing => super::hint(&last_line(pipeline)),
            Self::Record => super::unless_left(super::say(&output::pretty(pipeline)))?,
            Self::Changes(_) => {}
        }
        Ok(advise(pipeline, told))
    }
}

/// What has been told of a pipeline and its tasks.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    pipeline: Option<(String, Counts)>,
    /// The statuses of its tasks, by id.
    tasks: BTreeMap<String, String>,
}

impl Changes {
    /// The records that are new: of tasks with another status, and of the pipeline when its status or the numbers of its
    /// tasks are others.
    fn update(&mut self, pipeline: &Value, snapshot: &Snapshot) -> Vec<Value> {
        let mut news = Vec::new();
        for task in &snapshot.tasks {
            let before = self.tasks.insert(task.id.clone(), task.status.clone());
            if before.as_ref() != Some(&task.status) {
                news.push(output::tagged("task", &json!(task)));
            }
        }
        let now = Some((snapshot.status.clone(), snapshot.counts));
        if self.pipeline != now {
            self.pipeline = now;
            news.push(output::tagged("pipeline", pipeline));
        }
        news
    }
}

/// Whether a pipeline keeps its status (protocol §5).
pub(super) fn has_ended(pipeline: &Value) -> bool {
    matches!(pipeline["status"].as_str(), Some("completed" | "failed" | "error"))
}

/// How a pipeline ended, in a line.
pub(super) fn last_line(pipeline: &Value) -> String {
    let (status, counts) = (ps::status(pipeline), Counts::of(pipeline));
    let took = when::span(pipeline, when::now()).map(|took| format!(" in {took}")).unwrap_or_default();
    steer::line(pipeline, &format!("{}{took}: {counts}", terminal::one_line(status)))
}

/// Tells what can be done about how a pipeline ended, and why it did unless that has been `told`; the exit code that says how.
pub(super) fn advise(pipeline: &Value, told: bool) -> Exit {
    if ps::status(pipeline) == "completed" {
        return Exit::Ok;
    }
    if let Some(error) = pipeline["error_info"]["message"].as_str().filter(|_| !told) {
        super::hint(&terminal::one_line(error));
    }
    super::hint(&format!("run again what is missing with: everlog retry {}", short(&pipeline["id"])));
    Exit::Failed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_a_record_once() {
        let look = |changes: &mut Changes, status: &str, tasks: Value| {
            let pipeline = json!({"id": "p", "status": status, "metrics": {"tasks_running": 1}});
            let tasks = serde_json::from_value(tasks).expect("rows");
            let snapshot = Snapshot { status: status.to_owned(), counts: Counts::of(&pipeline), tasks, hint: None };
            let news = changes.update(&pipeline, &snapshot);
            news.iter().map(|record| format!("{} {}", record["kind"], record["status"])).collect::<Vec<_>>()
        };
        let row = |status: &str| json!([{"id": "t", "name": "t", "status": status}]);
        let mut changes = Changes::default();
        assert_eq!(look(&mut changes, "running", row("running")), [r#""task" "running""#, r#""pipeline" "running""#]);
        assert!(look(&mut changes, "running", row("running")).is_empty());
        assert_eq!(look(&mut changes, "failed", row("failed")), [r#""task" "failed""#, r#""pipeline" "failed""#]);
    }
}
