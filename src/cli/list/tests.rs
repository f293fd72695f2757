//! What every verb prints of fixed records at a fixed time, in all forms: `tests/cli/VERB.txt`.
//! `EVERLOG_BLESS=1 cargo test --lib cli` writes the files anew; field names in them are promises.

use std::path::Path;

use serde_json::json;

use super::*;
use crate::cli::grid::Look;
use crate::cli::memory;
use crate::cli::status::View;

const NOW: &str = "2026-01-02T12:00:00Z";

/// A narrow terminal.
const COLUMNS_80: usize = 80;

fn now() -> Timestamp {
    NOW.parse().expect("a time")
}

/// The text is what stands in `tests/cli/NAME.txt`.
fn check(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli").join(format!("{name}.txt"));
    if std::env::var_os("EVERLOG_BLESS").is_some() {
        std::fs::write(&path, found).expect("the file can be written");
    }
    let expected = std::fs::read_to_string(&path).expect("the file is there");
    assert_eq!(expected, found, "{name}.txt");
}

/// `records` in every form, wide and narrow.
fn forms(field: &'static str, columns: &[Column], records: &[Value]) -> String {
    let form = |output: Output, width: Option<usize>| {
        let mut text = Vec::new();
        let look = Look { colors: false, width };
        let mut printer = Printer::onto(&mut text, output, field, columns, look, now());
        // A page at a time; where they can, the forms do not show it.
        let page = if output == Output::Table { records.len().max(1) } else { 2 };
        records.chunks(page).for_each(|page| printer.page(page).expect("a vector takes every byte"));
        printer.finish(records.len()).expect("a vector takes every byte");
        String::from_utf8(text).expect("text")
    };
    [
        ("table", form(Output::Table, None)),
        ("table, 80 columns", form(Output::Table, Some(COLUMNS_80))),
        ("json", form(Output::Json, None)),
        ("ndjson", form(Output::Ndjson, None)),
    ]
    .map(|(name, text)| format!("--- {name}\n{text}"))
    .concat()
}

const PIPELINE: &str = "01a207e8-2ae2-7028-854d-d7c0fab29959";
const TASK: &str = "01a207e8-2ae2-7028-854d-d7c0fab2995a";
const AGENT: &str = "01a207e8-2ae2-7028-854d-d7c0fab2995b";

fn pipeline() -> Value {
    json!({
        "id": PIPELINE, "name": "iris", "status": "running", "strategy": "adaptive", "mode": "parallel",
        "created_at": "2026-01-02T11:55:00.000000+00:00", "updated_at": "2026-01-02T11:59:59.000000+00:00",
        "started_at": "2026-01-02T11:56:30.500000+00:00", "completed_at": null, "config": {}, "error_info": null,
        "metrics": {"tasks_total": 10, "tasks_pending": 5, "tasks_ready": 0, "tasks_assigned": 0, "tasks_running": 2,
            "tasks_completed": 2, "tasks_failed": 1, "tasks_cancelled": 0, "average_task_duration": 1.5,
            "duration": 209.5, "stopped": false},
    })
}

fn stopped() -> Value {
    let mut pipeline = pipeline();
    pipeline["name"] = json!("a name that is much longer than a narrow terminal has room for, with \u{1b}[31mcolour");
    pipeline["status"] = json!("completed");
    pipeline["metrics"]["stopped"] = json!(true);
    pipeline["completed_at"] = json!("2026-01-02T11:57:00.000000+00:00");
    pipeline
}

fn task(name: &str, status: &str) -> Value {
    json!({
        "id": TASK, "pipeline_id": PIPELINE, "name": name, "status": status, "assigned_agent": AGENT,
        "created_at": "2026-01-02T11:55:00.000000+00:00", "started_at": "2026-01-02T11:59:00.000000+00:00",
        "completed_at": null, "config": {"command": ["python3", "train.py"]}, "result": null, "error_info": null,
        "attempt": 1, "failures": 0, "priority": 0, "depends_on": [], "waiting_for": 0, "retry_at": null,
        "retry_of": null, "progress": null,
    })
}

fn tasks() -> [Value; 4] {
    let mut running = task("train", "running");
    running["progress"] = json!(0.42);
    let mut failed = task("load", "failed");
    failed["error_info"] =
        json!({"type": "reported", "message": "`python3 load.py` ended with exit code 1:\nno such file"});
    failed["completed_at"] = json!("2026-01-02T11:59:00.250000+00:00");
    let mut waiting = task("check", "pending");
    (waiting["waiting_for"], waiting["assigned_agent"], waiting["started_at"]) = (json!(2), Value::Null, Value::Null);
    let mut done = task("fetch", "completed");
    (done["result"], done["completed_at"]) = (json!({"rows": 150}), json!("2026-01-02T11:59:30.000000+00:00"));
    [failed, running, waiting, done]
}

fn agent() -> Value {
    json!({
        "id": AGENT, "name": "worker", "type": "generic", "status": "active", "capabilities": ["gpu", "python"],
        "current_task": TASK, "current_tasks": [TASK], "performance_score": 0.875,
        "last_active": "2026-01-02T11:59:58.000000+00:00", "slots": 2,
        "resources": {"cpu": 4.0, "memory_mb": null, "gpu": 1.0}, "tasks_completed": 12, "tasks_failed": 1,
        "registered_at": "2026-01-01T11:00:00.000000+00:00",
    })
}

#[test]
fn pipelines_in_every_form() {
    check("ps", &forms("pipelines", &ps::COLUMNS, &[pipeline(), stopped()]));
}

#[test]
fn tasks_in_every_form() {
    check("tasks", &forms("tasks", &super::tasks::COLUMNS, &tasks()));
}

#[test]
fn agents_in_every_form() {
    check("agents", &forms("agents", &agents::COLUMNS, &[agent()]));
}

#[test]
fn errors_in_every_form() {
    let error = json!({
        "error_id": TASK, "timestamp": "2026-01-01T12:00:00.000000+00:00", "component": "loader",
        "error_type": "ValueError", "message": "row 7 has no label", "task_id": TASK, "details": null, "context": null,
        "recovery_action": null, "recovered_at": null, "status": "reported",
    });
    check("errors", &forms("errors", &errors::COLUMNS, &[error]));
}

#[test]
fn keys_in_every_form() {
    check("memory-ls", &forms("keys", &memory::COLUMNS, &[json!("best/accuracy"), json!("server/metrics")]));
}

#[test]
fn the_views_of_status() {
    let mut view = View { text: String::new(), now: now(), look: Look { colors: false, width: None } };
    let [failed, running, waiting, done] = tasks();
    view.pipeline_head(&pipeline());
    view.named("failed", std::slice::from_ref(&failed), 1);
    view.named("running", std::slice::from_ref(&running), 2);
    let mut again = stopped();
    again["config"] = json!({"retry_of": PIPELINE});
    view.pipeline_head(&again);
    for task in [failed, running, waiting, done] {
        view.task(&task);
    }
    view.agent(&agent());
    check("status", &view.text);
}

#[test]
fn nothing_is_nothing_but_json() {
    let expected = "--- table\n--- table, 80 columns\n--- json\n{\n  \"tasks\": [],\n  \"total\": 0\n}\n--- ndjson\n";
    assert_eq!(forms("tasks", &super::tasks::COLUMNS, &[]), expected);
}

#[test]
fn pages_are_one_table() {
    let mut text = Vec::new();
    let look = Look { colors: false, width: Some(COLUMNS_80) };
    let mut printer = Printer::onto(&mut text, Output::Table, "tasks", &super::tasks::COLUMNS, look, now());
    let pages = [("a-long-name", "completed"), ("b", "failed"), ("c-whose-name-is-longer", "pending"), ("d", "failed")];
    for (name, status) in pages {
        printer.page(&[task(name, status)]).expect("a vector takes every byte");
    }
    printer.finish(pages.len()).expect("a vector takes every byte");
    let text = String::from_utf8(text).expect("text");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 1 + pages.len(), "one header, and nothing but the rows: {text}");
    let id = |line: usize| lines[line].find("fab2995a  ").expect("an id");
    assert_eq!(lines[0].find("ID"), Some(id(1)), "{text}");
    assert_eq!((id(2), id(4)), (id(1), id(3)), "a narrower page keeps to the columns: {text}");
    assert!(id(3) > id(1) && lines[3].starts_with("c-whose-name-is-longer"), "a wider one moves them: {text}");
}

#[test]
fn ids_are_short_where_they_are_random() {
    assert_eq!(short(&json!(PIPELINE)), "fab29959");
    assert_eq!((short(&json!("worker-1")), short(&Value::Null)), ("worker-1".to_owned(), String::new()));
}
