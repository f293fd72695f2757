//! `task/*`: results, states, refusals.

use super::{NOBODY, create, id_of, run, task, task_info};
use crate::harness::{Agent, Server, TASK_INFO, is_uuid, micros, plain, record};
use serde_json::{Value, json};

#[test]
fn tasks_are_created_with_and_without_a_pipeline() {
    let server = Server::start();
    let mut host = server.peer();
    for none in [
        json!({"name": "t"}),
        json!({"name": "t", "pipeline_id": ""}),
        json!({"name": "t", "pipeline_id": null, "config": null}),
    ] {
        let created = host.request("task/create", none);
        assert!(is_uuid(&created["task_id"]), "{created}");
        assert_eq!(
            (&created["name"], &created["status"], &created["pipeline_id"]),
            (&json!("t"), &json!("created"), &json!(""))
        );
        let info = task_info(&mut host, &id_of(&created, "task_id"));
        record(&info, TASK_INFO);
        assert_eq!(
            (&info["status"], &info["pipeline_id"], &info["config"]),
            (&json!("pending"), &json!(""), &json!({}))
        );
        for nothing in ["assigned_agent", "started_at", "completed_at", "result", "error_info"] {
            assert_eq!(info[nothing], Value::Null, "{nothing}");
        }
    }
    let pipeline = create(&mut host, json!({"name": "p"}));
    let config = json!({"priority": 3, "required_capabilities": ["gpu"], "execution_time": 2.5, "own": {"deep": [1]}});
    let created = host.request("task/create", json!({"name": "t", "pipeline_id": pipeline, "config": config}));
    assert_eq!(created["pipeline_id"], json!(pipeline));
    let info = task_info(&mut host, &id_of(&created, "task_id"));
    assert_eq!((&info["pipeline_id"], &info["config"]), (&json!(pipeline), &config));

    let many = host.request(
        "task/create",
        json!({"tasks": [{"name": "a"}, {"name": "b", "depends_on": ["a"]}], "pipeline_id": pipeline}),
    );
    assert_eq!(many["task_ids"].as_array().map(|ids| ids.iter().filter(|id| is_uuid(id)).count()), Some(2), "{many}");
    assert_eq!(host.request("task/list", json!({"pipeline_id": pipeline}))["total"], 3);
}

#[test]
fn what_makes_no_task_is_refused_with_the_place_named() {
    let server = Server::start();
    let mut host = server.peer();
    for (params, place) in [
        (json!({}), "name"),
        (json!({"name": null}), "name"),
        (json!({"name": ["t"]}), "name"),
        (json!({"name": "t", "config": "fast"}), "config"),
        (json!({"name": "t", "config": {"priority": 1001}}), "priority"),
        (json!({"name": "t", "config": {"cpu_requirement": -5}}), "cpu_requirement"),
        (json!({"name": "t", "config": {"memory_requirement": "2GB"}}), "memory_requirement"),
        (json!({"name": "t", "config": {"required_capabilities": "gpu"}}), "required_capabilities"),
        (json!({"name": "t", "config": {"required_capabilities": [1]}}), "required_capabilities[0]"),
        (json!({"name": "t", "pipeline_id": 5}), "pipeline_id"),
        (json!({"tasks": []}), "tasks"),
        (json!({"name": "t", "tasks": [{"name": "a"}]}), "tasks"),
        (json!({"tasks": [{"name": "a"}, {"name": ""}]}), "tasks[1].name"),
    ] {
        let refused = host.refused(-32_602, "task/create", params.clone());
        assert!(refused.message.contains(place), "{params}: {refused:?}");
    }
    host.refused(-40_001, "task/create", json!({"name": "t", "pipeline_id": NOBODY}));
    host.refused(-40_001, "task/create", json!({"name": "t", "pipeline_id": "p1"}));
    let ended = create(&mut host, json!({"name": "p"}));
    host.request("pipeline/stop", json!({"pipeline_id": ended}));
    host.refused(-40_006, "task/create", json!({"name": "t", "pipeline_id": ended}));
    assert_eq!(host.request("task/list", json!({}))["total"], 0);
}

#[test]
fn a_task_lives_from_pending_to_completed() {
    let server = Server::start();
    let mut host = server.peer();
    let id = task(&mut host, "t", json!({"x": 1}));
    assert_eq!(task_info(&mut host, &id)["status"], "pending");
    assert_eq!(
        host.request("task/result", json!({"task_id": id})),
        json!({"task_id": id, "status": "pending", "result": null, "error_info": null})
    );
    let mut agent = Agent::join(&server, "a");
    let given = agent.next();
    assert_eq!((given.task.as_str(), given.attempt, given.name.as_str()), (id.as_str(), 1, "t"));
    assert_eq!((&given.params["config"], &given.params["inputs"]), (&json!({"x": 1}), &json!({})));
    assert_eq!(given.params["pipeline_id"], "");
    assert!(micros(&given.params["lease_expires_at"]) > micros(&given.sent_at), "{given:?}");

    let info = task_info(&mut host, &id);
    assert_eq!(
        (&info["status"], &info["assigned_agent"], &info["started_at"]),
        (&json!("assigned"), &json!("a"), &Value::Null)
    );
    agent.begin(&given);
    let info = task_info(&mut host, &id);
    assert_eq!(info["status"], "running");
    micros(&info["started_at"]);
    assert_eq!(host.request("task/result", json!({"task_id": id}))["result"], Value::Null);

    agent.complete(&given, json!({"accuracy": 0.9, "list": [1, null, "é"]}));
    let ended = task_info(&mut host, &id);
    record(&ended, TASK_INFO);
    assert_eq!((&ended["status"], &ended["started_at"]), (&json!("completed"), &info["started_at"]));
    assert!(micros(&ended["completed_at"]) >= micros(&ended["started_at"]));
    assert_eq!(
        host.request("task/result", json!({"task_id": id})),
        json!({"task_id": id, "status": "completed", "result": {"accuracy": 0.9, "list": [1, null, "é"]}, "error_info": null})
    );
}

#[test]
fn a_completion_without_progress_is_a_start_too() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "a");
    let id = task(&mut host, "t", json!({}));
    let given = agent.next();
    agent.complete(&given, Value::Null);
    let info = task_info(&mut host, &id);
    assert_eq!((&info["status"], &info["started_at"]), (&json!("completed"), &info["completed_at"]));
}

#[test]
fn progress_shows_and_is_checked() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "a");
    let id = task(&mut host, "t", json!({}));
    let given = agent.next();
    for progress in [0.25, 1.0] {
        agent.peer.notify(
            "task/progress",
            json!({"task_id": id, "agent_id": "a", "progress": progress, "details": {"epoch": 1}}),
        );
        agent.sync();
        assert_eq!(task_info(&mut host, &id)["progress"], json!(progress));
    }
    for progress in [json!(-0.1), json!(1.5), json!("half"), json!(null)] {
        let wrong = json!({"task_id": id, "agent_id": "a", "progress": progress});
        agent.peer.refused(-32_602, "task/progress", wrong);
    }
    agent.complete(&given, json!(1));
}

#[test]
fn assigning_by_hand_obeys_state_limits_and_capabilities() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent =
        Agent::register(&server, json!({"id": "a", "name": "a", "slots": 2, "ready": true, "capabilities": ["cpu"]}));
    // One at a time: the second task waits although the agent has a slot.
    let params = json!({"name": "p", "strategy": "sequential", "tasks": [{"name": "one"}, {"name": "two"}]});
    let created = host.request("pipeline/create", params);
    let ids: Vec<&str> = created["task_ids"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let lacking = task(&mut host, "lacking", json!({"required_capabilities": ["gpu"]}));
    let assign = |task: &str, agent: &str| json!({"task_id": task, "agent_id": agent});
    host.refused(-40_003, "task/assign", assign(ids[0], "a"));
    host.request("pipeline/start", json!({"pipeline_id": created["pipeline_id"]}));
    let one = agent.next();
    assert_eq!(one.name, "one");

    for method in ["task/assign", "agent/assign"] {
        let refused = host.refused(-40_022, method, assign(ids[1], "a"));
        assert!(refused.message.contains("1 at a time"), "{refused:?}");
        let refused = host.refused(-40_022, method, assign(&lacking, "a"));
        assert!(refused.message.contains("gpu") && refused.data["agent_id"] == "a", "{refused:?}");
        assert_eq!(host.refused(-40_021, method, assign(ids[1], "nobody")).data["agent_id"], "nobody");
        assert_eq!(host.refused(-40_011, method, assign(NOBODY, "a")).data["task_id"], NOBODY);
        host.refused(-32_602, method, json!({"task_id": ids[1]}));
        host.refused(-32_602, method, json!({"agent_id": "a"}));
    }
    let _other = Agent::join(&server, "b");
    let refused = host.refused(-40_012, "task/assign", assign(ids[0], "b"));
    assert_eq!((&refused.data["task_id"], &refused.data["agent_id"]), (&json!(ids[0]), &json!("a")));
    agent.complete(&one, json!(1));
    assert_eq!(host.refused(-40_013, "task/assign", assign(ids[0], "a")).data["status"], "completed");
}

#[test]
fn assigning_by_hand_to_the_agent_that_has_the_task_is_granted() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "a");
    // As existing clients do: create, then assign.
    for method in ["task/assign", "agent/assign"] {
        let id = task(&mut host, "t", json!({}));
        let granted = host.request(method, json!({"task_id": id, "agent_id": "a"}));
        assert_eq!(granted, json!({"task_id": id, "agent_id": "a", "status": "assigned"}));
        let given = agent.next();
        assert_eq!((given.task.as_str(), given.attempt), (id.as_str(), 1));
        agent.expect_idle();
        agent.complete(&given, json!(1));
    }
}

#[test]
fn a_busy_agent_takes_no_more() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "a");
    task(&mut host, "first", json!({}));
    let first = agent.next();
    let second = task(&mut host, "second", json!({}));
    let refused = host.refused(-40_022, "task/assign", json!({"task_id": second, "agent_id": "a"}));
    assert!(refused.message.contains("slot"), "{refused:?}");
    agent.complete(&first, json!(1));
    assert_eq!(agent.next().task, second);
}

#[test]
fn cancelling_ends_a_task_in_every_state_and_reaches_its_agent() {
    let server = Server::start();
    let mut host = server.peer();
    let waiting = task(&mut host, "waiting", json!({"required_capabilities": ["none has it"]}));
    assert_eq!(
        host.request("task/cancel", json!({"task_id": waiting})),
        json!({"task_id": waiting, "status": "cancelled"})
    );

    let mut agent = Agent::join(&server, "a");
    let assigned = task(&mut host, "assigned", json!({}));
    agent.next();
    host.request("task/cancel", json!({"task_id": assigned, "reason": "changed my mind"}));
    let told = agent.peer.next_notification("task/cancelled");
    assert_eq!(told.params()["task_id"], json!(assigned));

    let running = task(&mut host, "running", json!({}));
    let given = agent.next();
    agent.begin(&given);
    host.request("task/cancel", json!({"task_id": running, "reason": "changed my mind"}));
    let told = agent.peer.next_notification("task/cancelled");
    assert_eq!((&told.params()["task_id"], &told.params()["attempt"]), (&json!(running), &json!(1)));

    for id in [&waiting, &assigned, &running] {
        let info = task_info(&mut host, id);
        record(&info, TASK_INFO);
        assert_eq!((&info["status"], &info["result"]), (&json!("cancelled"), &Value::Null));
        assert!(!info["error_info"].is_null() && info["completed_at"].is_string(), "{info}");
        assert_eq!(host.refused(-40_013, "task/cancel", json!({"task_id": id})).data["status"], "cancelled");
    }
    assert!(task_info(&mut host, &running)["error_info"].to_string().contains("changed my mind"));
    let late = json!({"task_id": running, "agent_id": "a", "result": 1, "success": true});
    agent.peer.refused(-40_013, "task/completed", late);
    let next = task(&mut host, "next", json!({}));
    assert_eq!(agent.next().task, next, "the slot is free again");
}

#[test]
fn lists_filter_by_pipeline_agent_and_status() {
    let server = Server::start();
    let mut host = server.peer();
    let mut agent = Agent::join(&server, "a");
    let pipeline = run(&mut host, json!([{"name": "p0"}, {"name": "p1"}]));
    let busy = agent.next();
    let alone = task(&mut host, "alone", json!({"required_capabilities": ["x"]}));
    let all = host.request("task/list", json!({}));
    assert_eq!((&all["total"], &all["offset"]), (&json!(3), &json!(0)));
    all["tasks"].as_array().unwrap().iter().for_each(|info| record(info, TASK_INFO));
    for (filter, total) in [
        (json!({"pipeline_id": pipeline}), 2),
        (json!({"pipeline_id": NOBODY}), 0),
        (json!({"pipeline_id": "no uuid"}), 0),
        (json!({"pipeline_id": ""}), 3),
        (json!({"agent_id": "a"}), 1),
        (json!({"agent_id": "b"}), 0),
        (json!({"status": "pending"}), 2),
        (json!({"status": "TaskStatus.ASSIGNED"}), 1),
        (json!({"status": "completed", "agent_id": ""}), 0),
        (json!({"pipeline_id": pipeline, "status": "pending", "limit": 1}), 1),
    ] {
        assert_eq!(host.request("task/list", filter.clone())["total"], total, "{filter}");
    }
    let page = host.request("task/list", json!({"limit": 1, "offset": 2}));
    assert_eq!((&page["total"], &page["limit"], &page["offset"]), (&json!(3), &json!(1), &json!(2)));
    assert_eq!(page["tasks"][0]["id"], json!(alone));
    assert_eq!(host.request("task/list", json!({"agent_id": "a"}))["tasks"][0]["id"], json!(busy.task));
    host.refused(-32_602, "task/list", json!({"status": "sleeping"}));
    host.refused(-32_602, "task/list", json!({"limit": -5}));
}

#[test]
fn unknown_tasks_are_not_found() {
    let server = Server::start();
    let mut host = server.peer();
    host.request("agent/register", plain("a"));
    for method in ["task/status", "task/result", "task/cancel"] {
        for id in [NOBODY, "no uuid"] {
            assert_eq!(host.refused(-40_011, method, json!({"task_id": id})).data["task_id"], id);
        }
        for params in [json!({}), json!({"task_id": null}), json!({"task_id": ""}), json!({"task_id": [1]})] {
            host.refused(-32_602, method, params);
        }
    }
    host.refused(-40_011, "task/completed", json!({"task_id": NOBODY, "agent_id": "a", "result": 1}));
    host.refused(-40_011, "task/progress", json!({"task_id": NOBODY, "agent_id": "a", "progress": 0.5}));
}
