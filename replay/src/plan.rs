//! The scheduler's mind: what should be done now, given the state. Pure, like everything here: it has no private door, what it
//! wants goes through [`crate::decide`] like any client's wish (law 12).
//!
//! The strategies are policies over one queue: a strategy says in which order the tasks of a pipeline come and how many of them
//! at a time (`state/index.rs`), the queue finds the first that some agent fits.

use crate::command::Command;
use crate::ids::Timestamp;
use crate::state::{State, wanted_mode};

/// What should be done next. Empty at the fixed point; until then decide and apply each command, and ask again.
#[must_use]
pub fn plan(state: &State, now: Timestamp) -> Vec<Command> {
    let due = due(state, now);
    if !due.is_empty() {
        return due;
    }
    let orphans = orphans(state);
    if !orphans.is_empty() {
        return orphans;
    }
    let changes = modes(state);
    if !changes.is_empty() {
        return changes;
    }
    let next = state.queue.next();
    let assign = next.map(|next| Command::AssignTask {
        task: state.tasks[next.task].id,
        agent: state.agents[next.agent].id.clone(),
    });
    assign.into_iter().collect()
}

/// When the plan changes without an event: the end of a back-off or of a time limit.
#[must_use]
pub fn wake_at(state: &State) -> Option<Timestamp> {
    state.deadlines.first().map(|(at, _)| *at)
}

fn due(state: &State, now: Timestamp) -> Vec<Command> {
    let over = state.deadlines.iter().take_while(|(at, _)| *at <= now);
    over.map(|(_, ix)| {
        let task = &state.tasks[*ix];
        if task.lease.is_some() {
            Command::TimeoutTask { task: task.id }
        } else {
            Command::ReleaseTask { task: task.id }
        }
    })
    .collect()
}

fn orphans(state: &State) -> Vec<Command> {
    let running = state.bereft.iter().flat_map(|agent| &state.agents[*agent].running);
    running.map(|ix| Command::ExpireLease { task: state.tasks[*ix].id }).collect()
}

fn modes(state: &State) -> Vec<Command> {
    let over_limit = state.load.is_over();
    let change = |ix: &crate::state::PipelineIx| {
        let pipeline = &state.pipelines[*ix];
        Command::ChooseMode { pipeline: pipeline.id, mode: wanted_mode(pipeline, over_limit) }
    };
    state.restless.iter().map(change).collect()
}
