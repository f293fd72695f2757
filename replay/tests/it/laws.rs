//! The laws that hold of every state, counted anew from the facts: nothing here asks the scheduler's index.

use everlog_replay::spec::{Resources, Strategy, Usage};
use everlog_replay::state::{Agent, Counts, Pipeline, Presence, Task};
use everlog_replay::{PipelineStatus, State, TaskStatus};
use std::collections::BTreeMap;

/// Panics with the law that is broken, after a turn whose plan has been carried out.
pub(crate) fn check(state: &State) {
    standing(state);
    nothing_waits_in_vain(state);
}

/// Panics with the law that is broken, of those that hold whether or not anything is planned.
pub(crate) fn standing(state: &State) {
    leases(state);
    counts(state);
    limits(state);
    pipelines(state);
}

/// Law 8: running ⇒ lease and known agent, and agent and task agree.
fn leases(state: &State) {
    for (ix, task) in state.tasks.iter() {
        assert_eq!(task.status.is_leased(), task.lease.is_some(), "{} is {}", task.name, task.status);
        if let Some(lease) = &task.lease {
            let holds = state.agents[lease.agent].running.iter().filter(|running| **running == ix).count();
            assert_eq!(holds, 1, "the agent of '{}' knows of its lease once", task.name);
            assert!(task.setbacks().retry_at.is_none(), "'{}' does not run during its back-off", task.name);
            assert_eq!(task.waiting_for, 0, "'{}' does not run before its inputs", task.name);
        }
        let open = |id| state.task(id).is_ok_and(|upstream| !upstream.status.is_final());
        let open = task.edges().depends_on.iter().filter(|id| open(**id)).count();
        assert!(task.status.is_final() || task.waiting_for as usize == open, "'{}' waits for {open}", task.name);
    }
    for (ix, agent) in state.agents.iter() {
        let mut used = Usage::default();
        for task in &agent.running {
            let task = &state.tasks[*task];
            assert_eq!(
                task.lease.as_ref().map(|lease| lease.agent),
                Some(ix),
                "'{}' is leased to {}",
                task.name,
                agent.id
            );
            used.add(task.spec.demand);
        }
        assert_eq!(agent.used, used, "what {} uses", agent.id);
        assert!(agent.presence != Presence::Lost || agent.running.is_empty(), "{} is lost and holds nothing", agent.id);
    }
}

fn counts(state: &State) {
    let mut runs: BTreeMap<u32, ([u64; 6], u32)> = BTreeMap::new();
    let mut live = 0;
    for (_, task) in state.tasks.iter() {
        live += u64::from(!task.status.is_final());
        if let Some(pipeline) = task.pipeline {
            let run = runs.entry(pipeline.0).or_default();
            run.0[task.status as usize] += 1;
            run.1 += u32::from(task.is_ready());
        }
    }
    assert_eq!(state.counts.live(), live, "live tasks");
    for (ix, pipeline) in state.pipelines.iter() {
        let (by_status, ready) = runs.remove(&ix.0).unwrap_or_default();
        assert_eq!(pipeline.counts, Counts(by_status), "tasks of {} by status", pipeline.name);
        assert_eq!(pipeline.ready, ready, "ready tasks of {}", pipeline.name);
        assert_eq!(pipeline.tasks.len() as u64, pipeline.counts.total(), "tasks of {}", pipeline.name);
    }
    assert!(runs.is_empty(), "no task outlives its pipeline");
}

/// Every limit holds: slots and resources of agents, tasks at a time of a pipeline. (An agent that came back smaller than it left
/// may hold more than it would be given now; the histories of the tests do not shrink agents.)
fn limits(state: &State) {
    for (_, agent) in state.agents.iter() {
        assert!(agent.running.len() <= agent.slots as usize, "slots of {}", agent.id);
        let (has, used) = (agent.resources, agent.used);
        let within = |declared: Option<u32>, used: u64| declared.is_none_or(|declared| u64::from(declared) >= used);
        assert!(within(has.cpu, used.cpu), "processor time of {}", agent.id);
        assert!(has.memory.is_none_or(|memory| memory >= used.memory), "memory of {}", agent.id);
        assert!(within(has.gpu.or(Some(0)), used.gpu), "graphics processors of {}", agent.id);
    }
    for (_, pipeline) in state.pipelines.iter() {
        let leased = pipeline.counts.leased();
        assert!(leased <= u64::from(pipeline.options.concurrent_max), "max_concurrent_tasks of {}", pipeline.name);
        let sequential = pipeline.options.strategy == Strategy::Sequential;
        assert!(!sequential || leased <= 1, "{} is sequential", pipeline.name);
    }
}

/// A pipeline that can do nothing more has ended.
fn pipelines(state: &State) {
    for (_, pipeline) in state.pipelines.iter() {
        let done = pipeline.counts.live() == 0 && pipeline.counts.total() > 0;
        let alive = !pipeline.status.is_final() && pipeline.status != PipelineStatus::Idle;
        assert!(!done || !alive, "{} is {} and has nothing to do", pipeline.name, pipeline.status);
        let stuck = pipeline.status == PipelineStatus::Stopping && pipeline.counts.of(TaskStatus::Pending) > 0;
        assert!(!stuck, "{} is stopping, but a task of it waits", pipeline.name);
        assert!(!pipeline.status.is_final() || pipeline.counts.live() == 0, "{} ended before its tasks", pipeline.name);
    }
}

/// Law 10: after a turn no task could start and does not.
fn nothing_waits_in_vain(state: &State) {
    for (_, task) in state.tasks.iter() {
        if !task.is_ready() || !is_open(state, task) {
            continue;
        }
        let free = state.agents.iter().find(|(_, agent)| fits(state, task, agent));
        assert!(
            free.is_none(),
            "'{}' waits while {} is free",
            task.name,
            free.map_or("", |(_, agent)| agent.id.as_str())
        );
    }
}

/// Whether the pipeline of a ready task lets it start.
pub(crate) fn is_open(state: &State, task: &Task) -> bool {
    let Some(ix) = task.pipeline else { return true };
    let pipeline: &Pipeline = &state.pipelines[ix];
    let leased = pipeline.counts.leased();
    if pipeline.status != PipelineStatus::Running || leased >= u64::from(pipeline.options.concurrent_max) {
        return false;
    }
    if pipeline.mode != Strategy::Sequential {
        return true;
    }
    let ready = pipeline.tasks.iter().map(|ix| &state.tasks[*ix]).filter(|other| other.is_ready());
    leased == 0 && ready.map(|other| other.ordinal).min() == Some(task.ordinal)
}

/// Whether an agent could take a task now.
pub(crate) fn fits(state: &State, task: &Task, agent: &Agent) -> bool {
    let able = task.spec.capabilities.iter().all(|need| agent.capabilities.contains(need));
    let demand = task.spec.demand;
    let fits = agent.free().covers(demand);
    able && agent.is_free()
        && fits
        && (agent.resources.is_declared() || !is_aware(state, task) || in_budget(state, demand))
}

fn is_aware(state: &State, task: &Task) -> bool {
    state.pipeline_of(task).is_some_and(|pipeline| pipeline.options.strategy == Strategy::ResourceAware)
}

fn in_budget(state: &State, demand: Resources) -> bool {
    let undeclared = state.agents.iter().filter(|(_, agent)| !agent.resources.is_declared());
    let (cpu, memory, running) = undeclared.fold((0, 0, 0), |(cpu, memory, running), (_, agent)| {
        (cpu + agent.used.cpu, memory + agent.used.memory, running + agent.running.len())
    });
    let limits = state.settings.limits;
    let fits = cpu + u64::from(demand.cpu) <= u64::from(limits.cpu) && memory + demand.memory <= limits.memory;
    fits && (!state.load.is_over() || running == 0)
}
