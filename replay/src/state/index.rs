//! Keeping the derived parts in step with the facts, and building them anew.

use super::{PipelineIx, State, TaskIx};
use crate::ids::Timestamp;
use crate::limits::{ADAPTIVE_READY_HIGH, ADAPTIVE_READY_LOW, AGEING_US};
use crate::queue::{Gate, Key, Merit, Needs, Queue, Scope};
use crate::spec::{Resources, Strategy};
use crate::state::{AgentIx, Pipeline, Presence, Task};
use crate::status::PipelineStatus;
use std::cmp::Reverse;
use std::sync::Arc;

/// Width of the steps in which the score orders agents, in millionths: less is noise of durations.
const SCORE_STEP_PPM: u32 = 50_000;

impl State {
    /// Puts the scheduler's index aside while a long stretch of the log is folded: nobody asks it meanwhile, and keeping it in step
    /// would be a third of the work. Until [`State::end_recovery`] nothing may be decided or planned.
    pub fn begin_recovery(&mut self) {
        self.queue = Queue::asleep();
    }

    /// Builds the scheduler's index from the facts.
    pub fn end_recovery(&mut self) {
        self.rebuild_index();
    }

    /// Builds everything derived from the facts.
    pub(crate) fn rebuild(&mut self) {
        self.pipelines.rebuild();
        self.tasks.rebuild();
        self.agents.rebuild();
        self.requests.rebuild();
        self.share();
        self.rebuild_index();
    }

    /// A snapshot holds everything as often as it is used.
    fn share(&mut self) {
        let Self { tasks, alike, .. } = self;
        for task in tasks.values_mut() {
            task.spec = alike.spec(&task.spec);
            task.config = alike.config(std::mem::take(&mut task.config));
            task.result = alike.result(std::mem::take(&mut task.result));
        }
    }

    fn rebuild_index(&mut self) {
        self.queue = Queue::default();
        self.refresh_limits();
        let agents: Vec<AgentIx> = self.agents.iter().map(|(ix, _)| ix).collect();
        for ix in agents {
            self.seat_agent(ix);
        }
        let pipelines: Vec<PipelineIx> = self.pipelines.iter().map(|(ix, _)| ix).collect();
        for ix in pipelines {
            self.refresh_pipeline(ix);
        }
        self.queue.set_gate(Scope::from(None), Gate::Open);
        let live = self.tasks.iter().filter(|(_, task)| !task.status.is_final());
        for ix in live.map(|(ix, _)| ix).collect::<Vec<_>>() {
            self.enter_class(ix);
            self.enter_deadlines(ix);
            if self.tasks[ix].is_ready() {
                self.enter_lane(ix);
            }
            if let Some(lease) = &self.tasks[ix].lease {
                self.charge(lease.agent, self.tasks[ix].spec.demand, true);
            }
        }
    }

    /// The limits of the coordinator and the load of the machine, as the queue needs them.
    pub(crate) fn refresh_limits(&mut self) {
        let (limits, over) = (self.settings.limits, self.load.is_over());
        self.queue.set_gate(Scope::from(None), Gate::Open);
        self.queue.set_budget(|budget| {
            budget.limits = limits;
            budget.over = over;
        });
    }

    /// What a task with this demand, of a pipeline with this strategy, needs of an agent.
    pub(crate) fn needs(&self, task: &Task) -> Needs {
        let strategy = self.pipeline_of(task).map(|pipeline| pipeline.options.strategy);
        Needs {
            capabilities: Arc::clone(&task.spec.capabilities),
            demand: task.spec.demand,
            aware: strategy == Some(Strategy::ResourceAware),
        }
    }

    pub(crate) fn enter_class(&mut self, ix: TaskIx) {
        let needs = self.needs(&self.tasks[ix]);
        self.tasks[ix].class = self.queue.join_class(needs);
    }

    pub(crate) fn leave_class(&mut self, ix: TaskIx) {
        self.queue.leave_class(self.tasks[ix].class);
    }

    /// The place of a ready task in its lane.
    fn key(&self, task: &Task) -> Key {
        let came = task.ready_since.0;
        let pipeline = self.pipeline_of(task);
        let mode = pipeline.map_or(Strategy::PriorityBased, |pipeline| pipeline.mode);
        let sooner = i64::from(task.spec.priority) * AGEING_US;
        let later = i64::from(task.spec.weight_milli) * AGEING_US / 1_000;
        let rank = match mode {
            // All tasks of the pipeline count as having come with it, so that the order of creation decides.
            Strategy::Sequential => pipeline.map_or(came, |pipeline| pipeline.created_at.0),
            Strategy::Parallel => came,
            Strategy::PriorityBased | Strategy::Adaptive => came.saturating_sub(sooner),
            Strategy::ResourceAware => came.saturating_sub(sooner).saturating_add(later),
        };
        Key { rank, ordinal: task.ordinal }
    }

    pub(crate) fn enter_lane(&mut self, ix: TaskIx) {
        let task = &self.tasks[ix];
        let (pipeline, class, key) = (task.pipeline, task.class, self.key(task));
        self.queue.push(ix, Scope::from(pipeline), class, key);
        if let Some(pipeline) = pipeline {
            self.refresh_pipeline(pipeline);
        }
    }

    pub(crate) fn leave_lane(&mut self, ix: TaskIx) {
        let task = &self.tasks[ix];
        self.queue.remove(ix, Scope::from(task.pipeline), task.class, self.key(task));
    }

    /// A task became ready.
    pub(crate) fn task_ready(&mut self, ix: TaskIx, at: Timestamp) {
        self.tasks[ix].ready_since = at;
        if let Some(pipeline) = self.tasks[ix].pipeline {
            self.pipelines[pipeline].ready += 1;
        }
        self.enter_lane(ix);
    }

    /// A ready task is about to change.
    pub(crate) fn task_unready(&mut self, ix: TaskIx) {
        self.leave_lane(ix);
        if let Some(pipeline) = self.tasks[ix].pipeline {
            let ready = &mut self.pipelines[pipeline].ready;
            *ready = ready.saturating_sub(1);
        }
    }

    fn deadline(task: &Task) -> Option<Timestamp> {
        let timeout = task.lease.as_ref().and_then(|lease| lease.timeout_at);
        timeout.or(task.setbacks().retry_at)
    }

    pub(crate) fn enter_deadlines(&mut self, ix: TaskIx) {
        if let Some(at) = Self::deadline(&self.tasks[ix]) {
            self.deadlines.insert((at, ix));
        }
    }

    pub(crate) fn leave_deadlines(&mut self, ix: TaskIx) {
        if let Some(at) = Self::deadline(&self.tasks[ix]) {
            self.deadlines.remove(&(at, ix));
        }
    }

    /// Counts a task for or against the coordinator's own limits, where its agent declares nothing.
    pub(crate) fn charge(&mut self, agent: AgentIx, demand: Resources, starts: bool) {
        if self.agents[agent].resources.is_declared() {
            return;
        }
        self.queue.set_budget(|budget| {
            if starts {
                budget.used.add(demand);
            } else {
                budget.used.take(demand);
            }
            budget.running = if starts { budget.running + 1 } else { budget.running.saturating_sub(1) };
        });
    }

    pub(crate) fn seat_agent(&mut self, ix: AgentIx) {
        let agent = &self.agents[ix];
        self.queue.seat(ix, &agent.capabilities, agent.resources.is_declared());
        self.refresh_agent(ix);
    }

    /// What an agent can take has changed.
    pub(crate) fn refresh_agent(&mut self, ix: AgentIx) {
        let agent = &self.agents[ix];
        let merit = Merit { score: Reverse(agent.score_ppm / SCORE_STEP_PPM), load_milli: agent.load_milli() };
        let offer = agent.is_free().then(|| (merit, agent.free()));
        self.queue.offer_agent(ix, offer);
        if agent.presence == Presence::Lost && !agent.running.is_empty() {
            self.bereft.insert(ix);
        } else {
            self.bereft.remove(&ix);
        }
    }

    /// What a pipeline lets through, or how it should schedule, may have changed.
    pub(crate) fn refresh_pipeline(&mut self, ix: PipelineIx) {
        let pipeline = &self.pipelines[ix];
        let gate = gate(pipeline);
        if wanted_mode(pipeline, self.load.is_over()) == pipeline.mode {
            self.restless.remove(&ix);
        } else {
            self.restless.insert(ix);
        }
        self.queue.set_gate(Scope::from(Some(ix)), gate);
    }

    /// Gives every ready task of a pipeline its place under the new mode.
    pub(crate) fn change_mode(&mut self, ix: PipelineIx, mode: Strategy) {
        if self.pipelines[ix].mode == mode {
            return;
        }
        let ready = self.queue.ready_in(Scope::from(Some(ix)));
        for task in &ready {
            self.leave_lane(*task);
        }
        self.pipelines[ix].mode = mode;
        for task in &ready {
            self.enter_lane(*task);
        }
        self.refresh_pipeline(ix);
    }
}

fn gate(pipeline: &Pipeline) -> Gate {
    if pipeline.status != PipelineStatus::Running || pipeline.is_full().is_some() {
        return Gate::Shut;
    }
    match pipeline.mode {
        Strategy::Sequential => Gate::First,
        Strategy::Parallel | Strategy::PriorityBased | Strategy::ResourceAware | Strategy::Adaptive => Gate::Open,
    }
}

/// How a pipeline should schedule: its strategy, or what an adaptive one chooses, with hysteresis (protocol §7).
pub(crate) fn wanted_mode(pipeline: &Pipeline, over_limit: bool) -> Strategy {
    if pipeline.options.strategy != Strategy::Adaptive {
        return pipeline.options.strategy;
    }
    if pipeline.status != PipelineStatus::Running {
        return pipeline.mode;
    }
    adaptive_mode(pipeline.mode, pipeline.ready, over_limit)
}

/// The choice of an adaptive pipeline.
pub(crate) fn adaptive_mode(now: Strategy, ready: u32, over_limit: bool) -> Strategy {
    if over_limit {
        return Strategy::Sequential;
    }
    let stays_high = now == Strategy::PriorityBased && ready >= ADAPTIVE_READY_LOW;
    if ready > ADAPTIVE_READY_HIGH || stays_high { Strategy::PriorityBased } else { Strategy::Parallel }
}
