//! `watch` and `wait` while something happens, restarts of the coordinator included.

use super::{pipeline, start};
use crate::harness::{Agent, Server};
use serde_json::json;

#[test]
fn each_change_is_a_line_where_there_is_no_terminal() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "worker");
    pipeline(&mut host, "p", json!([{"name": "good"}, {"name": "bad", "depends_on": ["good"]}]));
    let mut watch = start(&server, &["watch", "p"]);
    watch.until_told("pipeline: running");
    let good = agent.next();
    agent.begin(&good);
    watch.until_told("good: running");
    agent.complete(&good, json!(1));
    watch.until_told("good: completed");
    let bad = agent.next();
    agent.fail(&bad, "no luck");
    let ended = watch.end().expect_code(1);
    assert!(ended.stdout.contains("1 of 2 completed, 1 failed"), "{ended:?}");
    ended.expect_told(&["bad: failed", "no luck", "pipeline: failed"]);
}

#[test]
fn a_restart_of_the_coordinator_ends_neither_watch_nor_wait() {
    let mut server = Server::start();
    let port = server.address().rsplit(':').next().unwrap().to_owned();
    let mut host = server.peer();
    let id = pipeline(&mut host, "p", json!([{"name": "t"}]));
    let mut watch = start(&server, &["watch", "p"]);
    let other = pipeline(&mut host, "q", json!([{"name": "t"}]));
    let mut wait = start(&server, &["wait", "p", "q", "--for", "ended", "--timeout", "5m"]);
    watch.until_told("pipeline: running");
    // What it tells of the other one says that it is connected.
    host.request("pipeline/stop", json!({"pipeline_id": other}));
    assert!(wait.line().unwrap().starts_with("q "));
    server.kill();
    watch.until_told("reconnecting");
    wait.until_told("reconnecting");
    server.restart_on(&port);
    watch.until_told("connected again");
    let mut agent = Agent::join(&server, "worker");
    agent.work(json!(1));
    assert_eq!(server.peer().request("pipeline/status", json!({"pipeline_id": id}))["status"], "completed");
    for mut verb in [watch, wait] {
        assert!(verb.end().expect_code(0).stdout.contains("completed"));
    }
}
