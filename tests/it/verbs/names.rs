//! What a pipeline, a task or an agent may be called.

use super::{everlog_ends, failed, json_of, pipeline, short};
use crate::harness::{Agent, Server};
use serde_json::json;

#[test]
fn a_name_or_any_end_of_an_id_will_do() {
    let server = Server::start();
    let mut host = server.peer();
    let id = pipeline(&mut host, "iris", json!([{"name": "load"}]));
    let newest = pipeline(&mut host, "wine", json!([{"name": "load"}]));
    let found = |called: &str| json_of(&server, &["status", called, "--output", "json"])["id"].clone();
    for called in ["iris", &id, short(&id), &id[..30]] {
        assert_eq!(found(called), json!(id), "{called}");
    }
    assert_eq!(found("@last"), json!(newest));
    let task = json_of(&server, &["status", "wine/load", "--output", "json"]);
    assert_eq!(task["pipeline_id"], json!(newest));
    assert_eq!(found(task["id"].as_str().unwrap()), task["id"]);
}

#[test]
fn what_could_be_several_is_never_guessed() {
    let server = Server::start();
    let mut host = server.peer();
    let ids = ["one", "two"].map(|_| pipeline(&mut host, "twin", json!([{"name": "t"}])));
    for args in [&["stop", "twin"][..], &["tasks", "twin"], &["delete", "--force", &ids[0][..4]]] {
        let ended = everlog_ends(&server, args).expect_code(2);
        ended.expect_told(&["could be any of 2 pipelines", short(&ids[0]), short(&ids[1]), "running", "twin"]);
    }
    everlog_ends(&server, &["cancel", "t"]).expect_code(2).expect_told(&["any of 2 tasks"]);
    assert_eq!(host.request("pipeline/list", json!({"status": "running"}))["total"], 2, "nothing was stopped");
    everlog_ends(&server, &["cancel", &format!("{}/t", short(&ids[0]))]).expect_code(0);
}

#[test]
fn what_is_not_there_is_told_with_what_looks_like_it() {
    let server = Server::start();
    let mut host = server.peer();
    pipeline(&mut host, "nightly", json!([{"name": "train"}, {"name": "load"}]));
    for (args, words) in [
        (&["watch", "nigthly"][..], "did you mean `nightly`?"),
        (&["status", "nightl"], "did you mean `nightly`?"),
        (&["wait", "something else"], "see what there is: everlog ps --all"),
        (&["result", "nightly/trian"], "did you mean `train`?"),
        (&["result", "nightly/laod"], "did you mean `load`?"),
        (&["cancel", "--pipeline", "nightly", "quite-different"], "see what there is: everlog tasks"),
        (&["start", "00000000-0000-4000-8000-000000000000"], "there is no pipeline"),
        (&["stop", "esc\u{1b}[2J"], "esc\\u001b[2J"),
    ] {
        everlog_ends(&server, args).expect_code(3).expect_told(&[words]);
    }
    let empty = Server::start();
    for verb in ["watch", "status", "start", "tasks", "retry"] {
        let ended = everlog_ends(&empty, &[verb, "@last"]).expect_code(3);
        ended.expect_told(&["there are no pipelines yet; try: everlog run examples/iris/pipeline.yaml"]);
    }
}

#[test]
fn what_ran_again_goes_by_its_name() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "worker");
    let tasks = json!([{"name": "train"}, {"name": "other"}]);
    let id = pipeline(&mut host, "open", tasks);
    let train = agent.next();
    agent.fail(&train, "no luck");
    let other = agent.next();
    host.request("task/retry", json!({"task_id": train.task}));
    agent.complete(&other, json!(1));
    let again = agent.next();
    assert_eq!(json_of(&server, &["status", &format!("{id}/train"), "--output", "json"])["id"], json!(again.task));
    agent.complete(&again, json!(2));
    assert_eq!(json_of(&server, &["result", "open/train"]), json!(2));
}

#[test]
fn a_whole_id_that_left_the_lists_is_still_found() {
    let server = Server::configured("retention:\n  ended_tasks: 1\n");
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "worker");
    let id = failed(&mut host, &mut agent);
    failed(&mut host, &mut agent);
    assert_eq!(host.request("pipeline/list", json!({"match": id}))["total"], 0);
    assert_eq!(json_of(&server, &["status", &id, "--output", "json"])["status"], "failed");
}
