//! What a coordinator says unasked: that it is there, and how its machine does.

use crate::coordinator::Engine;
use crate::exchange::{Outgoing, Sample};
use crate::machine::{Load, Machine, SystemSample, Watch};
use crate::render::{self, told::Heartbeat};
use crate::server::door::LocalConnections;
use crate::server::limits::HEARTBEAT_EVERY;
use crate::shared::Shared;
use everlog_replay::Json;
use everlog_replay::record::Shown;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// Tells everybody every now and then that the coordinator is there (protocol §4).
pub(super) async fn beat(shared: Arc<Shared>) {
    let mut ticks = interval_at(Instant::now() + HEARTBEAT_EVERY, HEARTBEAT_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let beat = Heartbeat { timestamp: Shown(shared.clock.now()), server_status: "running" };
        tell_all(&shared, "server/heartbeat", &beat);
    }
}

/// Watches the machine: clients are told, and the engine weighs what this process and its local agents use.
pub(super) fn watch(
    engine: &Arc<Engine>,
    data: Option<PathBuf>,
    interval: Duration,
    local: LocalConnections,
) -> std::io::Result<Machine> {
    let (engine, shared, agents) = (Arc::clone(engine), engine.shared(), engine.shared());
    Machine::start(Watch {
        data,
        interval,
        clock: Arc::clone(&shared.clock),
        local_agents: Box::new(move || local_agents(&agents, &local)),
        observe: Box::new(move |sample: &SystemSample, load: Option<Load>| {
            tell_all(&shared, "monitoring/system_metrics", sample);
            if let Some(load) = load {
                engine.observe_load(load.cpu_hundredths, load.memory_kib);
            }
        }),
    })
}

/// The processes of the registered agents that run on this machine.
fn local_agents(shared: &Shared, local: &LocalConnections) -> Vec<u32> {
    let connections = local.lock().clone();
    let state = shared.state.read();
    let here = state.agents.iter().filter(|(_, agent)| connections.contains(&agent.connection));
    here.filter_map(|(_, agent)| agent.pid).collect()
}

fn tell_all(shared: &Shared, method: &'static str, params: &impl Serialize) {
    if !shared.directory.is_empty() {
        let params = render::text(params);
        let sample = Sample { method, params: Json::from(params), pipeline: None };
        shared.directory.broadcast(&Outgoing::Sample(Arc::new(sample)), |_| true);
    }
}
