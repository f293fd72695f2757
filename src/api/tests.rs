//! That the types say what the protocol has, and read more than it has today. The real coordinator meets them in tests/it.

use std::time::Duration;

use serde_json::json;

use super::*;

#[test]
fn a_specification_has_the_fields_of_the_protocol() {
    let retry = Retry::attempts(2).backoff(Duration::from_millis(1500)).factor(2.0).not_on(["timeout"]);
    let task = TaskSpec::new("train")
        .command(["python3", "train.py"])
        .env("SEED", "7")
        .env("MODE", "fast")
        .cwd("/work")
        .depends_on(["fetch"])
        .required_capabilities(["gpu"])
        .priority(-3)
        .cpu_percent(150.0)
        .memory_mb(512.0)
        .gpus(0.5)
        .execution_time(Duration::from_secs(60))
        .timeout(Duration::from_secs(90))
        .retry(retry.max_backoff(Duration::from_secs(10)))
        .on_failure(OnFailure::SkipDownstream)
        .set("epochs", 3);
    let spec = PipelineSpec::new("nightly")
        .strategy(Strategy::PriorityBased)
        .max_concurrent_tasks(4)
        .task_timeout(Duration::from_secs(5))
        .retry(Retry::attempts(0))
        .on_failure(OnFailure::Continue)
        .set("owner", "me")
        .tasks([TaskSpec::new("fetch")])
        .task(task);
    let expected = json!({
        "name": "nightly",
        "config": {
            "strategy": "priority_based", "max_concurrent_tasks": 4, "task_timeout": 5.0, "retry": {"attempts": 0},
            "on_failure": "continue", "owner": "me",
        },
        "tasks": [
            {"name": "fetch", "config": {}},
            {"name": "train", "config": {
                "command": ["python3", "train.py"], "env": {"SEED": "7", "MODE": "fast"}, "cwd": "/work",
                "depends_on": ["fetch"], "required_capabilities": ["gpu"], "priority": -3, "cpu_requirement": 150.0,
                "memory_requirement": 512.0, "gpu_requirement": 0.5, "execution_time": 60.0, "timeout": 90.0,
                "retry": {"attempts": 2, "backoff": 1.5, "factor": 2.0, "not_on": ["timeout"], "max_backoff": 10.0},
                "on_failure": "skip_downstream", "epochs": 3,
            }},
        ],
    });
    assert_eq!(json!(spec), expected);
}

#[test]
fn what_has_no_form_in_json_is_null() {
    let map = std::collections::BTreeMap::from([((1, 2), 3)]);
    assert_eq!(json!(TaskSpec::new("t").set("odd", map)), json!({"name": "t", "config": {"odd": null}}));
}

#[test]
fn a_newer_coordinator_does_not_break_an_older_client() {
    let at = "2026-01-01T00:00:00.250000+00:00";
    let newer = json!({
        "id": "1", "name": "p", "status": "hibernating", "created_at": at, "updated_at": at, "mood": "good",
        "metrics": {"tasks_total": 2, "tasks_dreaming": 1},
    });
    let info: PipelineInfo = serde_json::from_value(newer).expect("read");
    assert_eq!(info.status, PipelineStatus::Other("hibernating".to_owned()));
    assert!(!info.status.has_ended());
    assert_eq!((info.metrics.tasks_total, info.created_at.subsec_millisecond()), (2, 250));
    assert_eq!(json!(info)["status"], "hibernating", "written as it came");
}

#[test]
fn every_word_is_read_and_written_back() {
    for word in ["pending", "assigned", "running", "completed", "failed", "cancelled", "something else"] {
        let status: TaskStatus = serde_json::from_value(json!(word)).expect("read");
        assert_eq!((status.as_str(), status.to_string(), json!(status)), (word, word.to_owned(), json!(word)));
        assert_eq!(matches!(status, TaskStatus::Other(_)), word == "something else");
    }
}

#[test]
fn filters_that_are_not_set_are_not_sent() {
    assert_eq!(json!(TaskFilter::default()), json!({}));
    let filter = AgentFilter::default().kind("gpu").limit(5);
    assert_eq!(json!(filter), json!({"type": "gpu", "limit": 5}));
}
