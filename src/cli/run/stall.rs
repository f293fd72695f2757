//! Notices a pipeline that waits for what no agent has. The coordinator lets it wait, since an agent may
//! come; in a run nobody else comes, so the person has to be told.

use std::time::Duration;

use serde_json::Value;

use super::watch::POLL;
use crate::cli::output::cell;
use crate::cli::tasks::{self, TaskRow};
use crate::cli::terminal;
use crate::client::{Client, ClientError};

/// How long ready tasks may lie before it is told: well over what an agent takes to register.
const QUIET_MAX: Duration = Duration::from_secs(5);

/// Waiting tasks that are named.
const NAMED_MAX: usize = 3;

/// Waiting tasks that are looked through for those.
const LOOKED_AT_MAX: usize = 1_000;

/// What a task can require of its agent, with the unit (protocol §4).
const REQUIREMENTS: [(&str, &str); 3] =
    [("cpu_requirement", " % of a core"), ("memory_requirement", " MB"), ("gpu_requirement", "")];

/// For how long a pipeline has had ready tasks and none at work.
#[derive(Debug, Default)]
pub(super) struct Stall {
    quiet: Duration,
    told: bool,
}

impl Stall {
    /// Looks at the record of a pipeline, once a poll; true the first time that it has been stuck for long.
    pub(super) fn is_news(&mut self, info: &Value) -> bool {
        let count = |name: &str| info["metrics"][name].as_u64().unwrap_or(0);
        let at_work = count("tasks_assigned") + count("tasks_running");
        let stuck = info["status"] == "running" && count("tasks_ready") > 0 && at_work == 0;
        self.quiet = if stuck { self.quiet + POLL } else { Duration::ZERO };
        let news = self.quiet >= QUIET_MAX && !self.told;
        self.told |= news;
        news
    }
}

/// What the ready tasks of a pipeline need, and what to do about it.
pub(super) async fn words(client: &Client, pipeline_id: &str) -> Result<String, ClientError> {
    let waiting = tasks::list(client, pipeline_id, Some("pending"), LOOKED_AT_MAX).await?;
    let ready = waiting.iter().filter(|task| task.waiting_for == 0);
    let named: Vec<String> = ready.filter_map(needs).take(NAMED_MAX).collect();
    let why = if named.is_empty() {
        "no agent takes the tasks that are ready".to_owned()
    } else {
        format!("{}; no agent here has that", named.join("; "))
    };
    Ok(format!(
        "nothing runs: {why}. The agent of `everlog run` has no GPU, and `limits` in the \
         configuration bound processor and memory. Stop with Ctrl-C; then lower the requirement, raise the limit, or use \
         `everlog serve` with an `everlog agent` that has --gpu, --memory-mb and --cpu"
    ))
}

/// What one task needs of an agent; `None` if any will do.
fn needs(task: &TaskRow) -> Option<String> {
    let amounts = REQUIREMENTS.iter().filter_map(|(name, unit)| {
        let amount = task.config[*name].as_f64().filter(|amount| *amount > 0.0)?;
        Some(format!("{name} {amount}{unit}"))
    });
    let capabilities = task.config["required_capabilities"].as_array().filter(|names| !names.is_empty());
    let capabilities = capabilities.map(|names| {
        let names: Vec<String> = names.iter().map(cell).collect();
        format!("the capabilities {}", names.join(", "))
    });
    let needs: Vec<String> = capabilities.into_iter().chain(amounts).collect();
    let line = format!("`{}` needs {}", task.name, needs.join(" and "));
    (!needs.is_empty()).then(|| terminal::one_line(&line))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn info(ready: u64, running: u64) -> Value {
        json!({"status": "running", "metrics": {"tasks_ready": ready, "tasks_assigned": 0, "tasks_running": running}})
    }

    #[test]
    fn it_is_told_once_after_some_time_without_work() {
        let polls = QUIET_MAX.div_duration_f64(POLL).ceil() as usize;
        let mut stall = Stall::default();
        let news: Vec<bool> = (0..3 * polls).map(|_| stall.is_news(&info(1, 0))).collect();
        assert_eq!(news.iter().position(|news| *news), Some(polls - 1));
        assert_eq!(news.iter().filter(|news| **news).count(), 1);
    }

    #[test]
    fn work_begins_the_count_anew() {
        let mut stall = Stall::default();
        let polls = QUIET_MAX.div_duration_f64(POLL).ceil() as usize;
        for poll in 0..3 * polls {
            let busy = u64::from(poll % (polls - 1) == 0);
            assert!(!stall.is_news(&info(1, busy)), "poll {poll}");
        }
    }

    #[test]
    fn what_a_task_needs_is_named_with_its_unit() {
        let row = |config: Value| {
            let row = json!({"id": "1", "name": "t", "status": "pending", "config": config});
            serde_json::from_value::<TaskRow>(row).expect("a row")
        };
        let wanted = json!({"required_capabilities": ["a", "b"], "gpu_requirement": 1, "memory_requirement": 4096.0});
        let told = needs(&row(wanted)).expect("needs");
        assert_eq!(told, "`t` needs the capabilities a, b and memory_requirement 4096 MB and gpu_requirement 1");
        assert_eq!(needs(&row(json!({"gpu_requirement": 0}))), None);
    }
}
