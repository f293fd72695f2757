//! The second phase: nothing fails any more, some agents never come back, and all work has to end.

use super::agent::UNIVERSAL;
use super::faults::Fault;
use super::world::World;
use everlog_replay::PipelineStatus;

/// Time that all work may take to end, in milliseconds: some back-offs and leases, one after the other.
const ENDS_WITHIN_MS: u64 = 1_800_000;
/// Steps between two looks of the hosts at what has not begun.
const URGE_EVERY: u64 = 40;

/// Heals everything; then all work ends.
pub(super) async fn heal(world: &mut World) {
    let begin = world.around.now;
    for nth in 0..world.agents.len() {
        let gone = nth >= UNIVERSAL && world.around.random.percent(20);
        if gone {
            world.around.struck(Fault::AgentHang);
        }
        let agent = &mut world.agents[nth];
        agent.heal(gone);
        if let Some(line) = &agent.peer.line {
            line.borrow_mut().frozen_until = 0;
        }
    }
    let mut steps = 0;
    while !has_ended(world) {
        let waited = world.around.now - begin;
        assert!(waited < ENDS_WITHIN_MS, "work does not end: {}", left(world));
        let ms = world.around.random.between(1, 100);
        world.quiet_step(ms).await;
        if steps % URGE_EVERY == 0 {
            urge(world);
        }
        steps += 1;
    }
    let state = world.node.as_ref().unwrap().core.shared.state.read();
    let holder = state.agents.iter().find(|(_, agent)| !agent.running.is_empty());
    assert!(holder.is_none(), "a slot of {} is never given back", holder.unwrap().1.id);
}

/// Whether every task that was ever created has ended.
fn has_ended(world: &World) -> bool {
    let Some(node) = &world.node else { return false };
    let is_quiet = node.decided.is_none() && node.core.messages.is_empty();
    created(world) >= world.swarm.tasks && is_quiet && node.core.shared.state.read().counts.live() == 0
}

/// Tasks that there are or were; of those that hosts asked for some were refused.
fn created(world: &World) -> u64 {
    world.ledger.book.tasks.len() as u64
}

/// The hosts complete what was promised, start what stands and resume what rests.
fn urge(world: &mut World) {
    let is_more_due = created(world) < world.swarm.tasks;
    let Some(node) = &world.node else { return };
    let state = node.core.shared.state.read();
    let (mut asked, mut promised) = (Vec::new(), Vec::new());
    for (_, pipeline) in state.pipelines.iter() {
        let missing = pipeline.tasks_expected.saturating_sub(pipeline.counts.total());
        match pipeline.status {
            PipelineStatus::Idle if missing > 0 => promised.push((pipeline.id, missing)),
            PipelineStatus::Idle if pipeline.counts.live() > 0 => asked.push((pipeline.id, "pipeline/start")),
            PipelineStatus::Paused => asked.push((pipeline.id, "pipeline/resume")),
            _ => {}
        }
    }
    drop(state);
    let Some(host) = world.hosts.iter_mut().find(|host| host.peer.line.is_some()) else { return };
    for (pipeline, missing) in promised {
        host.complete(&pipeline.to_string(), missing, &mut world.around);
    }
    for (pipeline, method) in asked {
        host.urge(&pipeline.to_string(), method, &mut world.around);
    }
    if is_more_due {
        host.create(&mut world.around);
    }
}

fn left(world: &World) -> String {
    let Some(node) = &world.node else { return "the coordinator is down".to_owned() };
    let state = node.core.shared.state.read();
    let live = state.tasks.iter().filter(|(_, task)| !task.status.is_final());
    let lines = live.take(5).map(|(_, task)| {
        let pipeline = state.pipeline_of(task).map(|pipeline| (pipeline.id, pipeline.status));
        format!(
            "task {} is {} (waits for {}, {pipeline:?}, {:?})",
            task.id,
            task.status,
            task.waiting_for,
            task.holder()
        )
    });
    lines.collect::<Vec<_>>().join("; ")
}
