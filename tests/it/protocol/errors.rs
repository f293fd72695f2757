//! `error/*`: a register whose retry really retries.

use super::{NOBODY, task, task_info};
use crate::harness::{Agent, Server, is_uuid, micros};
use serde_json::{Value, json};

#[test]
fn everything_in_a_report_is_optional_and_kept() {
    let server = Server::start();
    let mut peer = server.peer();
    let least = peer.request("error/report", json!({}));
    assert!(is_uuid(&least["error_id"]) && least["status"] == "reported", "{least}");
    let most = json!({"component": "loader", "error_type": "IOError", "message": "no such file", "details": {"path": "x"}, "context": [1]});
    let reported = peer.request("error/report", most);
    let list = peer.request("error/list", json!({}));
    assert_eq!(list["total"], 2);
    let newest = &list["errors"][0];
    assert_eq!(newest["error_id"], reported["error_id"]);
    for (field, value) in [
        ("component", json!("loader")),
        ("error_type", json!("IOError")),
        ("message", json!("no such file")),
        ("details", json!({"path": "x"})),
        ("context", json!([1])),
    ] {
        assert_eq!(newest[field], value, "{field}");
    }
    micros(&newest["timestamp"]);
}

#[test]
fn lists_filter_by_component_and_type() {
    let server = Server::start();
    let mut peer = server.peer();
    for (component, kind) in [("a", "x"), ("a", "y"), ("b", "x")] {
        peer.request("error/report", json!({"component": component, "error_type": kind}));
    }
    for (filter, total) in [
        (json!({"component": "a"}), 2),
        (json!({"error_type": "x"}), 2),
        (json!({"component": "a", "error_type": "x"}), 1),
        (json!({"component": "c"}), 0),
        (json!({"component": ""}), 3),
    ] {
        assert_eq!(peer.request("error/list", filter.clone())["total"], total, "{filter}");
    }
    let page = peer.request("error/list", json!({"limit": 1, "offset": 1}));
    assert_eq!((&page["total"], page["errors"].as_array().map(Vec::len)), (&json!(3), Some(1)));
}

#[test]
fn a_retry_makes_a_failed_task_run_again() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "a");
    let failed = task(&mut host, "t", json!({"retry_attempts": 0, "x": 1}));
    let given = agent.next();
    agent.fail(&given, "no luck");
    let error =
        host.request("error/report", json!({"message": "it failed", "context": {"task_id": failed}}))["error_id"]
            .clone();
    let recovered = host.request("error/recover", json!({"error_id": error}));
    assert_eq!((&recovered["error_id"], &recovered["recovery_action"]), (&error, &json!("retry")));
    assert!(recovered["status"].is_string() && recovered["details"].is_object(), "{recovered}");
    let again = agent.next();
    assert_eq!((&json!(again.task), &again.params["config"]["x"]), (&recovered["details"]["task_id"], &json!(1)));
    agent.complete(&again, json!("this time"));
    assert_eq!(task_info(&mut host, &again.task)["retry_of"], json!(failed));
    assert_eq!(task_info(&mut host, &failed)["status"], "failed", "an outcome is final");
    assert_eq!(host.request("error/list", json!({}))["errors"][0]["status"], "recovered");
}

#[test]
fn a_retry_releases_a_task_from_its_back_off() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "a");
    let id = task(&mut host, "t", json!({"retry": {"attempts": 1, "backoff": 3_600, "max_backoff": 3_600}}));
    let given = agent.next();
    agent.fail(&given, "no luck");
    agent.expect_idle();
    let error = host.request("error/report", json!({"task_id": id}))["error_id"].clone();
    host.request("error/recover", json!({"error_id": error, "recovery_action": "retry"}));
    let again = agent.next();
    assert_eq!((again.task, again.attempt), (id, 2));
}

#[test]
fn what_cannot_be_retried_is_refused() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "a");
    let nameless = host.request("error/report", json!({"message": "no task"}))["error_id"].clone();
    host.refused(-32_602, "error/recover", json!({"error_id": nameless}));
    host.refused(-32_602, "error/recover", json!({"error_id": nameless, "recovery_action": "pray"}));
    assert_eq!(
        host.request("error/recover", json!({"error_id": nameless, "recovery_action": "ignore"}))["recovery_action"],
        "ignore"
    );
    for params in [json!({}), json!({"error_id": NOBODY}), json!({"error_id": "no uuid"}), json!({"error_id": 7})] {
        host.refused(-32_602, "error/recover", params);
    }
    let good = task(&mut host, "t", json!({}));
    let given = agent.next();
    let early = host.request("error/report", json!({"details": {"task_id": good}}))["error_id"].clone();
    host.refused(-40_022, "error/recover", json!({"error_id": early}));
    agent.complete(&given, json!(1));
    host.refused(-40_013, "error/recover", json!({"error_id": early}));
    let unknown = host.request("error/report", json!({"task_id": NOBODY}))["error_id"].clone();
    host.refused(-40_011, "error/recover", json!({"error_id": unknown}));
    assert_eq!(host.request("error/list", json!({}))["errors"][0]["recovery_action"], Value::Null);
}
