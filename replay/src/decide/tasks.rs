//! Tasks: created, assigned, begun, completed, cancelled, timed out.

use super::outcome::is_due;
use super::{Decision, check_name, graph};
use crate::command::{Failure, NewTask};
use crate::envelope::Actor;
use crate::event::{self, CancelReason, Choice, Event, FailureKind, RequeueReason};
use crate::ids::{AgentId, PipelineId, TaskId};
use crate::limits::{
    CAPABILITIES_MAX, CLASSES_MAX, LIVE_TASKS_MAX, MEMORY_KIB_MAX, NOT_ON_MAX, PRIORITY_MAX, RETRIES_MAX,
    WEIGHT_MILLI_MAX,
};
use crate::queue::Needs;
use crate::refusal::Refusal;
use crate::spec::{OnFailure, PipelineOptions, RetryPolicy, Strategy, TaskSpec, TaskWish};
use crate::state::{Presence, Task};
use crate::status::{PipelineStatus, TaskStatus};
use crate::text::{self, Json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// How an agent says that an attempt ended.
pub(super) struct Outcome<'a> {
    pub success: bool,
    pub result: &'a Json,
    pub error: Option<&'a str>,
    pub output: Option<&'a Json>,
}

impl Decision<'_> {
    pub(super) fn create_tasks(&self, pipeline: Option<PipelineId>, tasks: &[NewTask]) -> Result<Vec<Event>, Refusal> {
        if tasks.is_empty() {
            return Err(Refusal::InvalidParams("tasks is empty; give at least one task".to_owned()));
        }
        let joined = pipeline.map(|id| self.state.pipeline(id)).transpose()?;
        if let Some(pipeline) = joined
            && (pipeline.status.is_final() || pipeline.status == PipelineStatus::Stopping)
        {
            return Err(Refusal::PipelineEnded { pipeline: pipeline.id, status: pipeline.status });
        }
        let fellows = joined.into_iter().flat_map(|pipeline| &pipeline.tasks).map(|ix| &self.state.tasks[*ix]);
        let named = fellows.map(|task| (&*task.name, task.id));
        let name_of = |id: TaskId| {
            let task = self.state.task(id).ok()?;
            (self.state.pipeline_of(task).map(|known| known.id) == pipeline).then_some(&*task.name)
        };
        let edges = graph::resolve(tasks, named, name_of)?;
        self.check_upstream(tasks, &edges)?;
        let mut events = Vec::with_capacity(tasks.len());
        self.task_events(joined.map(|pipeline| (pipeline.id, &pipeline.options)), tasks, &edges, &mut events)?;
        Ok(events)
    }

    /// A task whose input can not come any more would be skipped at once: better said now.
    fn check_upstream(&self, tasks: &[NewTask], edges: &[Vec<TaskId>]) -> Result<(), Refusal> {
        for (task, edges) in tasks.iter().zip(edges) {
            for upstream in edges.iter().filter_map(|id| self.state.task(*id).ok()) {
                let goes_on = upstream.status == TaskStatus::Failed && upstream.spec.on_failure == OnFailure::Continue;
                if upstream.status.is_final() && upstream.status != TaskStatus::Completed && !goes_on {
                    return Err(Refusal::InvalidParams(format!(
                        "task '{}' depends on '{}', which is {} and gives no result; depend on another task",
                        task.name, upstream.name, upstream.status
                    )));
                }
            }
        }
        Ok(())
    }

    /// The creation of tasks, each after what it depends on.
    pub(super) fn task_events(
        &self,
        pipeline: Option<(PipelineId, &PipelineOptions)>,
        tasks: &[NewTask],
        edges: &[Vec<TaskId>],
        events: &mut Vec<Event>,
    ) -> Result<(), Refusal> {
        let options = pipeline.map(|(_, options)| options);
        let mut specs = Vec::with_capacity(tasks.len());
        let mut ids = BTreeSet::new();
        for task in tasks {
            check_name("a task's name", &task.name)?;
            if !ids.insert(task.task) {
                return Err(task_exists(task.task));
            }
            specs.push(Arc::new(self.spec(&task.name, &task.wish, options)?));
        }
        let aware = options.is_some_and(|options| options.strategy == Strategy::ResourceAware);
        self.check_room(ids.iter().copied(), &specs, aware)?;
        for n in graph::in_order(tasks, edges) {
            let task = &tasks[n];
            events.push(
                event::TaskCreated {
                    task: task.task,
                    pipeline: pipeline.map(|(id, _)| id),
                    name: task.name.clone(),
                    spec: Arc::clone(&specs[n]),
                    depends_on: edges[n].clone(),
                    config: task.config.clone(),
                    retry_of: None,
                }
                .into(),
            );
        }
        Ok(())
    }

    /// The wishes of a task with every default resolved.
    fn spec(&self, name: &str, wish: &TaskWish, options: Option<&PipelineOptions>) -> Result<TaskSpec, Refusal> {
        let refuse = |what: String| Err(Refusal::InvalidParams(format!("task '{name}': {what}")));
        if wish.capabilities.len() > CAPABILITIES_MAX {
            return refuse(format!("more capabilities than the limit CAPABILITIES_MAX of {CAPABILITIES_MAX}"));
        }
        for capability in &wish.capabilities {
            check_name("a capability", capability)?;
        }
        if wish.priority.unsigned_abs() > PRIORITY_MAX.unsigned_abs() {
            return refuse(format!("priority {} is further from 0 than PRIORITY_MAX, {PRIORITY_MAX}", wish.priority));
        }
        let weight_milli = wish.weight_milli.unwrap_or(1_000);
        if weight_milli > WEIGHT_MILLI_MAX {
            return refuse(format!("resource_weight is over WEIGHT_MILLI_MAX, {WEIGHT_MILLI_MAX} thousandths"));
        }
        if wish.demand.memory > MEMORY_KIB_MAX {
            return refuse(format!("memory_requirement is over MEMORY_KIB_MAX, {MEMORY_KIB_MAX} KiB"));
        }
        let settings = &self.state.settings;
        let retry = match options {
            Some(options) => wish.retry.or(&options.retry),
            None => wish.retry.or(&RetryPolicy::standard(settings.retry_attempts)),
        };
        if retry.attempts > RETRIES_MAX {
            return refuse(format!("{} retries are more than RETRIES_MAX, {RETRIES_MAX}", retry.attempts));
        }
        if retry.not_on.len() > NOT_ON_MAX {
            return refuse(format!("not_on has more entries than NOT_ON_MAX, {NOT_ON_MAX}"));
        }
        let mut capabilities = wish.capabilities.clone();
        capabilities.sort();
        capabilities.dedup();
        let default_timeout = options.map_or(settings.timeout_ms, |options| options.timeout_ms);
        let default_on_failure = options.map_or(OnFailure::SkipDownstream, |options| options.on_failure);
        Ok(TaskSpec {
            capabilities: capabilities.into(),
            priority: wish.priority,
            demand: wish.demand,
            weight_milli,
            estimate_ms: wish.estimate_ms,
            timeout_ms: wish.timeout_ms.or(default_timeout).filter(|ms| *ms > 0),
            retry,
            on_failure: wish.on_failure.unwrap_or(default_on_failure),
        })
    }

    /// Whether the state has room for new tasks, and their identities are new.
    pub(super) fn check_room(
        &self,
        mut ids: impl Iterator<Item = TaskId>,
        specs: &[Arc<TaskSpec>],
        aware: bool,
    ) -> Result<(), Refusal> {
        let live = self.state.counts.live() as usize;
        if live + specs.len() > LIVE_TASKS_MAX {
            return Err(Refusal::Overloaded(format!(
                "{live} tasks have not ended; with these the limit LIVE_TASKS_MAX of {LIVE_TASKS_MAX} would be passed; wait for some to end"
            )));
        }
        if let Some(id) = ids.find(|id| self.state.task(*id).is_ok()) {
            return Err(task_exists(id));
        }
        self.check_classes(specs, aware)
    }

    fn check_classes(&self, specs: &[Arc<TaskSpec>], aware: bool) -> Result<(), Refusal> {
        let mut new = BTreeSet::new();
        let mut newest: Option<&TaskSpec> = None;
        for spec in specs {
            // Most tasks are like their neighbour.
            if newest.is_some_and(|last| last.capabilities == spec.capabilities && last.demand == spec.demand) {
                continue;
            }
            newest = Some(spec);
            let needs = Needs { capabilities: Arc::clone(&spec.capabilities), demand: spec.demand, aware };
            if !self.state.queue.has_class(&needs) {
                new.insert(needs);
            }
        }
        if self.state.queue.class_count() + new.len() > CLASSES_MAX {
            return Err(Refusal::Overloaded(format!(
                "the live tasks would differ in more than CLASSES_MAX, {CLASSES_MAX}, combinations of capabilities and resources; round the requirements"
            )));
        }
        Ok(())
    }

    pub(super) fn assign_task(&self, id: TaskId, agent: &AgentId) -> Result<Vec<Event>, Refusal> {
        let task = self.state.task(id)?;
        let known = self.state.agent(agent)?;
        if task.status.is_final() {
            return Err(Refusal::TaskEnded { task: id, status: task.status });
        }
        if let Some(lease) = &task.lease {
            let holder = &self.state.agents[lease.agent].id;
            if holder == agent && self.stamp.actor != Actor::Scheduler {
                // The scheduler was there first, and chose as the client does.
                let confirmed = event::AssignmentConfirmed { task: id, agent: agent.clone(), attempt: task.attempt };
                return Ok(vec![confirmed.into()]);
            }
            let agent = holder.clone();
            return Err(Refusal::TaskAssigned { task: id, agent });
        }
        let requested = self.stamp.actor != Actor::Scheduler;
        if requested {
            self.check_request(task, agent)?;
        }
        let fit = self.state.queue.fit(task.class);
        let candidates = fit.map_or(1, |fit| fit.candidates.max(1));
        let choice = match fit {
            _ if requested => Choice::Requested,
            Some(fit) if candidates > 1 && fit.by_score => Choice::HighestScore,
            Some(_) if candidates > 1 => Choice::LeastLoaded,
            Some(_) | None => Choice::OnlyCandidate,
        };
        let pipeline = self.state.pipeline_of(task);
        Ok(vec![
            event::TaskAssigned {
                task: id,
                agent: agent.clone(),
                attempt: task.attempt + 1,
                lease_until: self.stamp.at.plus_ms(self.state.settings.lease_ms),
                timeout_at: task.spec.timeout_ms.map(|ms| self.stamp.at.plus_ms(ms)),
                mode: pipeline.map_or(Strategy::PriorityBased, |pipeline| pipeline.mode),
                choice,
                score_milli: known.score_ppm / 1_000,
                candidates,
            }
            .into(),
        ])
    }

    /// What a client asks for by hand obeys the same limits as what the scheduler does, but for the order.
    fn check_request(&self, task: &Task, agent: &AgentId) -> Result<(), Refusal> {
        let not_ready = |why: String| Err(Refusal::TaskNotReady { task: task.id, why });
        if task.waiting_for > 0 {
            return not_ready(format!("it waits for {} other tasks", task.waiting_for));
        }
        if let Some(at) = task.setbacks().retry_at {
            return not_ready(format!("its back-off runs until {at}"));
        }
        if let Some(pipeline) = self.state.pipeline_of(task)
            && pipeline.status != PipelineStatus::Running
        {
            return Err(Refusal::PipelineNotRunning { pipeline: pipeline.id, status: pipeline.status });
        }
        if let Some(pipeline) = self.state.pipeline_of(task)
            && let Some(most) = pipeline.is_full()
        {
            return not_ready(format!(
                "its pipeline runs {most} at a time and is at that limit (max_concurrent_tasks, strategy)"
            ));
        }
        let known = self.state.agent(agent)?;
        let unavailable = |why: String| Err(Refusal::AgentNotAvailable { agent: agent.clone(), why });
        if known.presence != Presence::Active {
            return unavailable(format!("it is {}", known.presence.as_str()));
        }
        if !known.is_free() {
            return unavailable(format!("all its {} slots are busy", known.slots));
        }
        let has = |need: &&String| known.capabilities.binary_search(need).is_err();
        if let Some(lacking) = task.spec.capabilities.iter().find(has) {
            return unavailable(format!("it lacks the capability '{lacking}'"));
        }
        if !known.free().covers(task.spec.demand) {
            return unavailable("it has not enough free resources for it".to_owned());
        }
        let aware = self.state.needs(task).aware && !known.resources.is_declared();
        if aware && !self.state.queue.budget_fits(task.spec.demand) {
            return unavailable(
                "the coordinator's own limits (max_cpu_percent, max_memory_mb) leave no room".to_owned(),
            );
        }
        Ok(())
    }

    /// The task, if `agent` holds its live attempt.
    fn held(&self, id: TaskId, agent: &AgentId, attempt: Option<u32>) -> Result<&Task, Refusal> {
        self.speaks_for(agent)?;
        let task = self.state.task(id)?;
        if task.status.is_final() {
            return Err(Refusal::TaskEnded { task: id, status: task.status });
        }
        let holder = task.lease.as_ref().map(|lease| &self.state.agents[lease.agent].id);
        let given = attempt.unwrap_or(if holder == Some(agent) { task.attempt } else { 0 });
        if holder != Some(agent) || given != task.attempt {
            return Err(Refusal::StaleAttempt { task: id, given, live: task.attempt });
        }
        Ok(task)
    }

    pub(super) fn start_task(&self, id: TaskId, agent: &AgentId) -> Result<Vec<Event>, Refusal> {
        let task = self.held(id, agent, None)?;
        if task.status != TaskStatus::Assigned {
            return Ok(Vec::new());
        }
        Ok(vec![event::TaskStarted { task: id, attempt: task.attempt }.into()])
    }

    pub(super) fn complete_task(
        &self,
        id: TaskId,
        agent: &AgentId,
        attempt: Option<u32>,
        outcome: &Outcome<'_>,
    ) -> Result<Vec<Event>, Refusal> {
        let task = self.held(id, agent, attempt)?;
        let mut events = Vec::with_capacity(2);
        if outcome.success {
            let result = outcome.result.clone();
            events.push(
                event::TaskCompleted { task: id, attempt: task.attempt, result, output: outcome.output.cloned() }
                    .into(),
            );
        } else {
            let message = outcome.error.unwrap_or("the agent reported a failure without a message").to_owned();
            let failure = Failure { kind: FailureKind::Reported, message, result: outcome.result.clone() };
            self.fail(task, &failure, &mut events);
        }
        self.settle(task, &mut events);
        Ok(events)
    }

    pub(super) fn cancel_task(&self, id: TaskId, reason: &str) -> Result<Vec<Event>, Refusal> {
        let task = self.state.task(id)?;
        if task.status.is_final() {
            return Err(Refusal::TaskEnded { task: id, status: task.status });
        }
        let mut events = vec![self.cancelled(task, CancelReason::Requested, reason)];
        self.skip_downstream(task, &mut events);
        self.settle(task, &mut events);
        Ok(events)
    }

    // What the clock asks for may have been overtaken by what it asked for at the same time: then there is nothing to do.

    pub(super) fn time_out(&self, id: TaskId) -> Result<Vec<Event>, Refusal> {
        let Ok(task) = self.state.task(id) else { return Ok(Vec::new()) };
        let due = task.lease.as_ref().is_some_and(|lease| is_due(lease.timeout_at, self.stamp.at));
        if !due {
            return Ok(Vec::new());
        }
        let limit = text::duration(task.spec.timeout_ms.unwrap_or(0));
        let message = format!("attempt {} took longer than its timeout of {limit}", task.attempt);
        let mut events = Vec::with_capacity(2);
        self.fail(task, &Failure { kind: FailureKind::Timeout, message, result: Json::null() }, &mut events);
        self.settle(task, &mut events);
        Ok(events)
    }

    pub(super) fn release(&self, id: TaskId) -> Result<Vec<Event>, Refusal> {
        let Ok(task) = self.state.task(id) else { return Ok(Vec::new()) };
        let due = task.setbacks().retry_at.is_some() && is_due(task.setbacks().retry_at, self.stamp.at);
        Ok(if due { vec![event::TaskReleased { task: id }.into()] } else { Vec::new() })
    }

    /// The end of a lease that does not count against the task; nothing where there is no lease.
    pub(super) fn requeued(&self, task: &Task, reason: RequeueReason) -> Option<Event> {
        let agent = self.state.agents[task.lease.as_ref()?.agent].id.clone();
        Some(event::TaskRequeued { task: task.id, agent, attempt: task.attempt, reason }.into())
    }
}

fn task_exists(id: TaskId) -> Refusal {
    Refusal::InvalidParams(format!("task {id} exists already; use a new id"))
}
