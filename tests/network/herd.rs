//! A thousand agents that lose their coordinator in the same moment, and come back to it in the same moment.

use super::{Gauge, until};
use crate::harness::{Server, now};
use everlog::{Agent, AgentConfig, Assignment, CancelToken, TaskContext};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

const CONFIG: &str = "server:\n  max_connections: 1100\norchestration:\n  max_concurrent_tasks: 1000\n";
const AGENTS: usize = 1_000;
/// How long it may take from the coordinator's being there again until every one of them works.
const BACK_WITHIN: Duration = Duration::from_secs(30);
/// What a connection costs (a buffer of 16 KiB each way, tasks, names), for all of them.
const BOUND_MIB: u64 = 128;

/// Who was given something in this round; who has stays with it until the round is over.
#[derive(Default)]
struct Round {
    busy: Mutex<BTreeSet<String>>,
}

async fn work(round: &Round, rounds: &watch::Sender<u64>, busy: &watch::Sender<usize>, agent: String) {
    let mut over = rounds.subscribe();
    let now = *over.borrow_and_update();
    let count = {
        let mut all = round.busy.lock().unwrap();
        all.insert(agent);
        all.len()
    };
    busy.send_replace(count);
    let _ = over.wait_for(|round| *round > now).await;
}

/// One task for each of them.
fn give_work(server: &Server) {
    let mut host = server.peer();
    let tasks: Vec<_> = (0..AGENTS).map(|n| json!({"name": format!("t{n}")})).collect();
    host.request("task/create", json!({"tasks": tasks}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_agents_are_back_and_at_work_within_half_a_minute() {
    let mut server = Server::configured(CONFIG);
    let (round, (rounds, _), (busy, mut count)) = (Arc::new(Round::default()), watch::channel(0), watch::channel(0));
    let gauge = Gauge::of(&mut server);
    let leave = CancelToken::new();
    let agents: Vec<_> = (0..AGENTS)
        .map(|n| {
            let (round, rounds, busy, leave) = (round.clone(), rounds.clone(), busy.clone(), leave.clone());
            let name = format!("agent-{n}");
            let config = AgentConfig::new(server.url(), name.clone());
            let handler = move |_: Assignment, _: TaskContext| {
                let (round, rounds, busy, name) = (round.clone(), rounds.clone(), busy.clone(), name.clone());
                async move {
                    work(&round, &rounds, &busy, name).await;
                    Ok::<_, String>(json!(null))
                }
            };
            tokio::spawn(async move { Agent::new(config, handler).run(leave).await.expect("never turned away") })
        })
        .collect();
    let patience = tokio::time::timeout(2 * BACK_WITHIN, async {
        give_work(&server);
        count.wait_for(|busy| *busy == AGENTS).await.expect("they work");
    });
    patience.await.expect("all of them work");
    gauge.check("a thousand agents", BOUND_MIB);

    let port = server.address().rsplit(':').next().expect("a port").to_owned();
    server.kill();
    // They end what they have while nobody is there to hear it, and tell it when somebody is.
    round.busy.lock().unwrap().clear();
    busy.send_replace(0);
    server.restart_on(&port);
    let began = now();
    let gauge = Gauge::of(&mut server);
    rounds.send_modify(|round| *round += 1);
    give_work(&server);
    let back = tokio::time::timeout(BACK_WITHIN, count.wait_for(|busy| *busy == AGENTS)).await.map(drop);
    let busy = *busy.borrow();
    eprintln!("{busy} of {AGENTS} agents were back and at work {:?} after the restart", now() - began);
    assert!(back.is_ok(), "{busy} of {AGENTS} are at work");
    gauge.check("a thousand agents that come back", BOUND_MIB);
    rounds.send_modify(|round| *round += 1);
    let mut host = server.peer();
    let mut done =
        || host.request("task/list", json!({"status": "completed", "limit": 1}))["total"].as_u64().unwrap() as usize;
    // More would be something done twice, and it stays so when everybody has left.
    until("what they did before, meanwhile and since counts", || done() >= 2 * AGENTS);
    leave.cancel();
    for agent in agents {
        agent.await.expect("no agent fails");
    }
    assert_eq!(done(), 2 * AGENTS);
    assert_eq!(tokio::task::spawn_blocking(move || server.terminate().code).await.expect("joined"), 0);
}
