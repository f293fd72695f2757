//! `pipeline/*`: results, states, refusals.

use super::{NOBODY, create, id_of, pipeline_info, run};
use crate::harness::{Agent, PIPELINE_INFO, Server, is_uuid, micros, record};
use serde_json::{Value, json};

#[test]
fn creating_tells_everything_a_client_needs() {
    let server = Server::start();
    let mut host = server.peer();
    let created = host.request("pipeline/create", json!({"name": "train", "tasks": [{"name": "a"}, {"name": "b"}]}));
    assert!(is_uuid(&created["pipeline_id"]), "{created}");
    assert_eq!((&created["name"], &created["status"]), (&json!("train"), &json!("created")));
    micros(&created["created_at"]);
    let tasks = created["task_ids"].as_array().unwrap();
    assert!(tasks.len() == 2 && tasks.iter().all(is_uuid) && tasks[0] != tasks[1], "{created}");

    let info = pipeline_info(&mut host, &id_of(&created, "pipeline_id"));
    record(&info, PIPELINE_INFO);
    assert_eq!((&info["name"], &info["status"], &info["error_info"]), (&json!("train"), &json!("idle"), &Value::Null));
    assert_eq!(info["created_at"], created["created_at"]);
}

#[test]
fn tasks_and_strategy_may_stand_where_clients_put_them() {
    let server = Server::start();
    let mut host = server.peer();
    let tasks = json!([{"name": "a"}, {"name": "b", "config": {"priority": 2}}]);
    for params in [
        json!({"name": "p", "tasks": tasks, "strategy": "sequential"}),
        json!({"name": "p", "tasks_config": tasks, "config": {"strategy": "sequential"}}),
        json!({"name": "p", "config": {"tasks": tasks, "strategy": "Strategy.SEQUENTIAL"}}),
        json!({"name": "p", "tasks": [], "config": {"tasks": tasks, "strategy": "sequential", "anything": {"else": 1}}}),
    ] {
        let created = host.request("pipeline/create", params.clone());
        assert_eq!(created["task_ids"].as_array().map(Vec::len), Some(2), "{params}");
        let info = pipeline_info(&mut host, &id_of(&created, "pipeline_id"));
        assert_eq!((&info["strategy"], info["config"].get("tasks")), (&json!("sequential"), None), "{info}");
    }
    let empty = host.request("pipeline/create", json!({"name": "empty", "config": null}));
    assert_eq!(empty["task_ids"], json!([]));
}

#[test]
fn the_configuration_comes_back_as_it_was_given() {
    let server = Server::start();
    let mut host = server.peer();
    let config = json!({"max_concurrent_tasks": 3, "task_timeout": 12.5, "retry_attempts": 1, "mine": [1, {"b": null}], "é": "ü"});
    let id = create(&mut host, json!({"name": "p", "config": config}));
    assert_eq!(pipeline_info(&mut host, &id)["config"], config);
    assert_eq!(host.request("pipeline/list", json!({}))["pipelines"][0]["config"], config);
}

#[test]
fn what_makes_no_pipeline_is_refused_with_the_place_named() {
    let server = Server::start();
    let mut host = server.peer();
    for (params, place) in [
        (json!({}), "name"),
        (json!({"name": ""}), "name"),
        (json!({"name": 7}), "name"),
        (json!({"name": "n".repeat(513)}), "name"),
        (json!({"name": "p", "config": []}), "config"),
        (json!({"name": "p", "tasks": {}}), "tasks"),
        (json!({"name": "p", "tasks": [{}]}), "tasks[0].name"),
        (json!({"name": "p", "tasks": [{"name": "a"}, 7]}), "tasks[1]"),
        (json!({"name": "p", "tasks": [{"name": "a", "priority": "high"}]}), "tasks[0].priority"),
        (json!({"name": "p", "tasks": [{"name": "a", "config": {"timeout": -1}}]}), "timeout"),
        (json!({"name": "p", "strategy": "fastest"}), "strategy"),
        (json!({"name": "p", "config": {"max_concurrent_tasks": 0}}), "max_concurrent_tasks"),
        (json!({"name": "p", "config": {"max_concurrent_tasks": -3}}), "max_concurrent_tasks"),
        (json!({"name": "p", "config": {"retry_attempts": -1}}), "retry_attempts"),
        (json!({"name": "p", "config": {"on_failure": "explode"}}), "on_failure"),
    ] {
        let refused = host.refused(-32_602, "pipeline/create", params.clone());
        assert!(refused.message.contains(place), "{params}: {refused:?}");
    }
    assert_eq!(host.request("pipeline/list", json!({}))["total"], 0, "a refused operation leaves nothing");
}

#[test]
fn a_pipeline_starts_once() {
    let server = Server::start();
    let mut host = server.peer();
    let id = create(&mut host, json!({"name": "p", "tasks": [{"name": "a"}]}));
    let started = host.request("pipeline/start", json!({"pipeline_id": id}));
    assert_eq!((&started["pipeline_id"], &started["status"]), (&json!(id), &json!("started")));
    micros(&started["started_at"]);
    assert_eq!(pipeline_info(&mut host, &id)["status"], "running");
    let refused = host.refused(-40_002, "pipeline/start", json!({"pipeline_id": id}));
    assert_eq!((&refused.data["pipeline_id"], &refused.data["status"]), (&json!(id), &json!("running")));
    assert_eq!(refused.data["allowed"], json!(["idle"]));
    host.request("pipeline/pause", json!({"pipeline_id": id}));
    assert_eq!(host.refused(-40_002, "pipeline/start", json!({"pipeline_id": id})).data["status"], "paused");
    host.request("pipeline/stop", json!({"pipeline_id": id}));
    assert_eq!(host.refused(-40_006, "pipeline/start", json!({"pipeline_id": id})).data["status"], "completed");
}

#[test]
fn stopping_works_in_every_state_and_says_so_in_the_record() {
    let server = Server::start();
    let mut host = server.peer();
    for path in [&[][..], &["pipeline/start"], &["pipeline/start", "pipeline/pause"], &["pipeline/stop"]] {
        let id = create(&mut host, json!({"name": "p", "tasks": [{"name": "a"}, {"name": "b"}]}));
        for step in path {
            host.request(step, json!({"pipeline_id": id}));
        }
        let stopped = host.request("pipeline/stop", json!({"pipeline_id": id, "reason": "enough"}));
        assert_eq!((&stopped["pipeline_id"], &stopped["status"]), (&json!(id), &json!("stopped")), "{path:?}");
        assert!(stopped["metrics"].is_object(), "{stopped}");
        let info = pipeline_info(&mut host, &id);
        record(&info, PIPELINE_INFO);
        assert_eq!((&info["status"], &info["metrics"]["stopped"]), (&json!("completed"), &json!(true)), "{path:?}");
        assert_eq!(info["metrics"]["tasks_cancelled"], 2, "{path:?}");
        let tasks = host.request("task/list", json!({"pipeline_id": id, "status": "cancelled"}));
        assert_eq!(tasks["total"], 2, "{path:?}");
    }
}

#[test]
fn pausing_and_resuming_need_the_right_state() {
    let server = Server::start();
    let mut host = server.peer();
    let id = create(&mut host, json!({"name": "p", "tasks": [{"name": "a"}]}));
    let this = json!({"pipeline_id": id});
    let refused = host.refused(-40_003, "pipeline/pause", this.clone());
    assert_eq!((&refused.data["status"], &refused.data["allowed"]), (&json!("idle"), &json!(["running"])));
    assert_eq!(host.refused(-40_004, "pipeline/resume", this.clone()).data["allowed"], json!(["paused"]));
    host.request("pipeline/start", this.clone());
    host.refused(-40_004, "pipeline/resume", this.clone());
    assert_eq!(host.request("pipeline/pause", this.clone()), json!({"pipeline_id": id, "status": "paused"}));
    assert_eq!(pipeline_info(&mut host, &id)["status"], "paused");
    host.refused(-40_003, "pipeline/pause", this.clone());
    assert_eq!(host.request("pipeline/resume", this.clone()), json!({"pipeline_id": id, "status": "resumed"}));
    assert_eq!(pipeline_info(&mut host, &id)["status"], "running");
    host.request("pipeline/stop", this.clone());
    host.refused(-40_003, "pipeline/pause", this.clone());
    host.refused(-40_004, "pipeline/resume", this);
}

#[test]
fn deleting_needs_an_end_and_works_at_once_after_a_stop() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "a");
    let id = run(&mut host, json!([{"name": "a"}]));
    let this = json!({"pipeline_id": id});
    let busy = agent.next();
    assert_eq!(host.refused(-40_005, "pipeline/delete", this.clone()).data["status"], "running");
    host.request("pipeline/pause", this.clone());
    assert_eq!(host.refused(-40_005, "pipeline/delete", this.clone()).data["status"], "paused");
    host.request("pipeline/stop", this.clone());
    assert_eq!(host.request("pipeline/delete", this.clone()), json!({"pipeline_id": id, "status": "deleted"}));
    assert_eq!(host.request("pipeline/list", json!({}))["total"], 0);
    for method in ["status", "start", "stop", "pause", "resume", "delete"] {
        let refused = host.refused(-40_001, &format!("pipeline/{method}"), this.clone());
        assert_eq!(refused.data["pipeline_id"], json!(id), "{method}");
    }
    host.refused(-40_011, "task/status", json!({"task_id": busy.task}));

    let idle = create(&mut host, json!({"name": "idle", "tasks": [{"name": "a"}]}));
    assert_eq!(host.request("pipeline/delete", json!({"pipeline_id": idle}))["status"], "deleted");
}

#[test]
fn unknown_and_impossible_ids_are_told_apart_from_missing_ones() {
    let server = Server::start();
    let mut host = server.peer();
    for method in ["status", "start", "stop", "pause", "resume", "delete"] {
        let method = format!("pipeline/{method}");
        for id in [NOBODY, "not a uuid", "p1"] {
            assert_eq!(host.refused(-40_001, &method, json!({"pipeline_id": id})).data["pipeline_id"], id);
        }
        for params in [json!({}), json!({"pipeline_id": null}), json!({"pipeline_id": ""}), json!({"pipeline_id": -1})]
        {
            assert!(host.refused(-32_602, &method, params).message.contains("pipeline_id"));
        }
    }
}

#[test]
fn a_pipeline_that_has_done_its_work_is_completed_with_its_figures() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "a");
    let id = run(&mut host, json!([{"name": "a"}, {"name": "b"}]));
    agent.work(json!(1));
    agent.work(json!(2));
    assert_eq!(host.next_notification("pipeline/completed").params(), &json!({"pipeline_id": id, "name": "p"}));
    let info = pipeline_info(&mut host, &id);
    record(&info, PIPELINE_INFO);
    assert_eq!((&info["status"], &info["error_info"]), (&json!("completed"), &Value::Null));
    let metrics = &info["metrics"];
    assert_eq!((&metrics["tasks_completed"], &metrics["stopped"]), (&json!(2), &json!(false)), "{metrics}");
    assert!(metrics["average_task_duration"].as_f64().is_some_and(|seconds| seconds >= 0.0), "{metrics}");
    assert!(micros(&info["completed_at"]) >= micros(&info["started_at"]), "{info}");
    assert_eq!(host.refused(-40_006, "pipeline/start", json!({"pipeline_id": id})).data["status"], "completed");
}

#[test]
fn a_pipeline_that_is_not_all_there_does_not_start() {
    let server = Server::start();
    let mut host = server.peer();
    let id = create(&mut host, json!({"name": "p", "config": {"tasks_expected": 2, "tasks": [{"name": "a"}]}}));
    let this = json!({"pipeline_id": id});
    let refused = host.refused(-40_007, "pipeline/start", this.clone());
    assert!(refused.message.contains("has 1 of its 2 tasks"), "{refused:?}");
    assert_eq!(refused.data, json!({"pipeline_id": id, "tasks": 1, "tasks_expected": 2}));
    assert_eq!(pipeline_info(&mut host, &id)["status"], "idle");
    host.request("task/create", json!({"name": "b", "pipeline_id": id}));
    assert_eq!(host.request("pipeline/start", this)["status"], "started");
}

#[test]
fn lists_filter_and_page_with_the_total_of_all_matches() {
    let server = Server::start();
    let mut host = server.peer();
    let ids: Vec<String> = (0..7).map(|n| create(&mut host, json!({"name": format!("p{n}")}))).collect();
    for id in &ids[..3] {
        host.request("pipeline/start", json!({"pipeline_id": id}));
    }
    let all = host.request("pipeline/list", json!({}));
    assert_eq!((&all["total"], &all["offset"]), (&json!(7), &json!(0)), "{all}");
    all["pipelines"].as_array().unwrap().iter().for_each(|info| record(info, PIPELINE_INFO));
    let listed: Vec<&str> =
        all["pipelines"].as_array().unwrap().iter().filter_map(|info| info["id"].as_str()).collect();
    assert_eq!(listed, ids, "in order of creation");

    let page = host.request("pipeline/list", json!({"limit": 2, "offset": 3}));
    assert_eq!((&page["total"], &page["limit"], &page["offset"]), (&json!(7), &json!(2), &json!(3)));
    assert_eq!(page["pipelines"].as_array().map(Vec::len), Some(2));
    assert_eq!(page["pipelines"][0]["id"], json!(ids[3]));

    for (status, total) in
        [("running", 3), ("idle", 4), ("PipelineStatus.IDLE", 4), ("error", 0), ("starting", 0), ("", 7)]
    {
        assert_eq!(host.request("pipeline/list", json!({"status": status}))["total"], total, "{status}");
    }
    assert_eq!(host.request("pipeline/list", json!({"status": null, "limit": null}))["total"], 7);
    assert_eq!(host.request("pipeline/list", json!({"offset": 100}))["pipelines"], json!([]));
    assert_eq!(host.request("pipeline/list", json!({"limit": 0}))["total"], 7);
    for params in [json!({"limit": -1}), json!({"offset": -1}), json!({"limit": "ten"}), json!({"status": "sleeping"})]
    {
        host.refused(-32_602, "pipeline/list", params);
    }
}
