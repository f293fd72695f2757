//! Answers to questions, from the state as it is now.

use super::page::{Listing, part};
use super::{archived, fetch_within, models, raw, resolve, text};
use crate::protocol::{Called, Page, Query, Wanted};
use crate::shared::Shared;
use everlog_replay::record::{AgentInfo, ErrorInfo, PipelineInfo, Shown, TaskInfo};
use everlog_replay::state::{Agent, Pipeline, Presence, State, Task};
use everlog_replay::{
    AgentId, Payload, PipelineId, PipelineStatus, Refusal, SERVER_METRICS_KEY, TaskId, TaskStatus, Timestamp,
};
use serde_json::{Value, json};

/// Bytes of a configuration, a result or details in a list; longer ones are references there, and whole where the one record is
/// asked for. So every page has room for some records.
const LISTED_BYTES_MAX: usize = 16 << 10;
/// Bytes of a frame that are not the list: the envelope, the other fields.
const FRAME_OVERHEAD_BYTES: usize = 1_024;

/// The `result` of a reading request.
///
/// # Errors
/// What the client is told: mostly that something is not there.
pub(crate) fn read(shared: &Shared, query: &Query, frame_bytes_max: usize) -> Result<String, Refusal> {
    let room = frame_bytes_max.saturating_sub(FRAME_OVERHEAD_BYTES);
    match query {
        Query::PipelineStatus(id) => pipeline_status(shared, *id, room),
        Query::PipelineList { status, called, page } => {
            let wanted = |pipeline: &&Pipeline| {
                let called = called.as_ref();
                status.admits(&pipeline.status)
                    && called.is_none_or(|called| called.is_uuid(pipeline.id.0, &pipeline.name))
            };
            pipeline_list(shared, wanted, *page, room)
        }
        Query::TaskStatus(id) => task_status(shared, *id, room),
        Query::TaskResult(id) => task_result(shared, *id, room),
        Query::TaskList { pipeline, agent, status, called, page } => {
            let by = TaskFilter { pipeline, agent: agent.as_ref(), status, called: called.as_ref() };
            task_list(shared, &by, *page, room)
        }
        Query::AgentStatus(id) => agent_status(shared, id),
        Query::AgentList { kind, status, capability, called, page } => {
            let wanted = |agent: &&Agent| {
                kind.as_ref().is_none_or(|kind| **kind == *agent.kind)
                    && status.as_ref().is_none_or(|status| status == agent.presence.as_str())
                    && capability.as_ref().is_none_or(|capability| agent.capabilities.contains(capability))
                    && called.as_ref().is_none_or(|called| called.is(agent.id.as_str(), &agent.name))
            };
            Ok(agent_list(shared, wanted, *page, room))
        }
        Query::ModelMetrics { model } => models::metrics(&shared.state.read(), model.as_deref(), room),
        Query::ModelPerformance { model, timeframe } => {
            models::performance(&shared.state.read(), model.as_deref(), *timeframe, shared.clock.now())
        }
        Query::ModelMemory { model } => models::memory(&shared.state.read(), model.as_deref()),
        Query::ModelHealth { model } => models::health(&shared.state.read(), model.as_deref(), shared.clock.now()),
        Query::MemoryGet { key } => memory_get(shared, key),
        Query::MemoryList { prefix, page } => Ok(memory_list(shared, prefix, *page, room)),
        Query::ErrorList { component, error_type, page } => {
            error_list(shared, component.as_deref(), error_type.as_deref(), *page, room)
        }
    }
}

fn pipeline_status(shared: &Shared, id: PipelineId, room: usize) -> Result<String, Refusal> {
    let known = shared.state.read().pipeline(id).map(|pipeline| PipelineInfo::of(pipeline, shared.clock.now()));
    let mut record = match known {
        Ok(record) => record,
        Err(refusal) => archived(shared.history.pipeline(id))?.ok_or(refusal)?,
    };
    fetch_within(shared, &mut record.config, room, || format!("pipeline:{id}/config"))?;
    Ok(text(&record))
}

fn pipeline_list(
    shared: &Shared,
    wanted: impl Fn(&&Pipeline) -> bool,
    page: Page,
    room: usize,
) -> Result<String, Refusal> {
    let (records, total) = {
        let state = shared.state.read();
        let all = state.pipelines.iter().map(|(_, pipeline)| pipeline);
        let matching: Vec<_> = all.filter(wanted).collect();
        let total = matching.len();
        let page = part(matching, page, |pipeline| (pipeline.created_at, pipeline.id));
        let now = shared.clock.now();
        (page.into_iter().map(|pipeline| PipelineInfo::of(pipeline, now)).collect::<Vec<_>>(), total)
    };
    let mut list = Listing::new("pipelines", page, room);
    for mut record in records {
        let id = record.id.0;
        fetch_within(shared, &mut record.config, LISTED_BYTES_MAX, || format!("pipeline:{id}/config"))?;
        if !list.add(&record) {
            break;
        }
    }
    Ok(list.finish(total, page))
}

/// The record of a task, from the state or, when it left it long ago, from the log.
fn task_info(shared: &Shared, id: TaskId) -> Result<TaskInfo, Refusal> {
    let known = {
        let state = shared.state.read();
        state.task(id).map(|task| TaskInfo::of(&state, task))
    };
    match known {
        Ok(mut record) => {
            add_progress(shared, &mut record, id);
            Ok(record)
        }
        Err(refusal) => archived(shared.history.task(id))?.ok_or(refusal),
    }
}

fn add_progress(shared: &Shared, record: &mut TaskInfo, id: TaskId) {
    if record.assigned_agent.is_some() {
        record.progress = shared.progress.lock().get(&id).copied();
    }
}

/// Puts the payloads of a task in their place, or references where they leave no room for each other.
fn fetch_task(shared: &Shared, record: &mut TaskInfo, room: usize) -> Result<(), Refusal> {
    let id = record.id.0;
    for (payload, what) in [(&mut record.config, "config"), (&mut record.result, "result")] {
        fetch_within(shared, payload, room / 2, || format!("task:{id}/{what}"))?;
    }
    Ok(())
}

fn task_status(shared: &Shared, id: TaskId, room: usize) -> Result<String, Refusal> {
    let mut record = task_info(shared, id)?;
    fetch_task(shared, &mut record, room)?;
    Ok(text(&record))
}

fn task_result(shared: &Shared, id: TaskId, room: usize) -> Result<String, Refusal> {
    let TaskInfo { status, mut result, error_info, .. } = task_info(shared, id)?;
    fetch_within(shared, &mut result, room, || format!("task:{id}/result"))?;
    let result = raw(&resolve(shared, &result)?);
    let error_info: Option<ErrorInfo> = error_info;
    #[derive(serde::Serialize)]
    struct TaskResult<'a> {
        task_id: Shown<TaskId>,
        status: &'a str,
        result: Box<serde_json::value::RawValue>,
        error_info: Option<ErrorInfo>,
    }
    Ok(text(&TaskResult { task_id: Shown(id), status, result, error_info }))
}

struct TaskFilter<'a> {
    pipeline: &'a Wanted<PipelineId>,
    agent: Option<&'a AgentId>,
    status: &'a Wanted<TaskStatus>,
    called: Option<&'a Called>,
}

impl TaskFilter<'_> {
    fn admits(&self, task: &Task) -> bool {
        self.status.admits(&task.status)
            && self.agent.is_none_or(|agent| task.holder() == Some(agent))
            && self.called.is_none_or(|called| called.is_uuid(task.id.0, &task.name))
    }

    fn matching<'a>(&self, state: &'a State) -> Vec<&'a Task> {
        match self.pipeline {
            Wanted::Nothing => Vec::new(),
            Wanted::Only(id) => {
                let tasks = state.pipeline(*id).map(|pipeline| pipeline.tasks.as_slice()).unwrap_or_default();
                tasks.iter().map(|ix| &state.tasks[*ix]).filter(|task| self.admits(task)).collect()
            }
            Wanted::Any => state.tasks.iter().map(|(_, task)| task).filter(|task| self.admits(task)).collect(),
        }
    }
}

fn task_list(shared: &Shared, by: &TaskFilter<'_>, page: Page, room: usize) -> Result<String, Refusal> {
    let (records, total) = {
        let state = shared.state.read();
        let matching = by.matching(&state);
        let total = matching.len();
        let page = part(matching, page, |task| task.ordinal);
        (page.into_iter().map(|task| TaskInfo::of(&state, task)).collect::<Vec<_>>(), total)
    };
    let mut list = Listing::new("tasks", page, room);
    for mut record in records {
        let id = record.id.0;
        add_progress(shared, &mut record, id);
        fetch_task(shared, &mut record, 2 * LISTED_BYTES_MAX)?;
        if !list.add(&record) {
            break;
        }
    }
    Ok(list.finish(total, page))
}

fn agent_info(shared: &Shared, state: &State, agent: &Agent) -> AgentInfo {
    let mut record = AgentInfo::of(state, agent);
    if agent.presence == Presence::Active {
        record.last_active = last_heard(shared, agent).map(Shown);
    }
    record
}

/// When a connected agent was last heard, in log time.
fn last_heard(shared: &Shared, agent: &Agent) -> Option<Timestamp> {
    let heard_ms = shared.directory.get(agent.connection)?.heard_ms();
    let silent_us = shared.clock.mono_ms().saturating_sub(heard_ms).max(0).saturating_mul(1_000);
    Some(Timestamp(shared.clock.now().0.saturating_sub(silent_us)))
}

fn agent_status(shared: &Shared, id: &AgentId) -> Result<String, Refusal> {
    let state = shared.state.read();
    let agent = state.agent(id)?;
    let mut record = json!(agent_info(shared, &state, agent));
    let current = agent.running.first().map(|ix| &state.tasks[*ix]);
    record["current_task_details"] = current.map_or(Value::Null, |task| {
        let started_at = task.started_at.map(|at| at.to_string());
        json!({ "name": task.name, "status": task.status.as_str(), "started_at": started_at })
    });
    if let Some(metrics) = shared.agent_metrics.lock().get(id) {
        record["metrics"] = serde_json::from_str(metrics.as_str()).unwrap_or(Value::Null);
    }
    Ok(text(&record))
}

fn agent_list(shared: &Shared, wanted: impl Fn(&&Agent) -> bool, page: Page, room: usize) -> String {
    let state = shared.state.read();
    let matching: Vec<&Agent> = state.agents.iter().map(|(_, agent)| agent).filter(wanted).collect();
    let total = matching.len();
    let mut list = Listing::new("agents", page, room);
    for agent in part(matching, page, |agent| agent.id.clone()) {
        if !list.add(&agent_info(shared, &state, agent)) {
            break;
        }
    }
    list.finish(total, page)
}

fn memory_get(shared: &Shared, key: &str) -> Result<String, Refusal> {
    if key == SERVER_METRICS_KEY {
        return Ok(text(&json!({ "key": key, "value": server_metrics(shared), "exists": true })));
    }
    let value = shared.state.read().memory.get(key).cloned();
    #[derive(serde::Serialize)]
    struct Entry<'a> {
        key: &'a str,
        value: Box<serde_json::value::RawValue>,
        exists: bool,
    }
    let exists = value.is_some();
    let value = raw(&resolve(shared, &value.unwrap_or_else(Payload::null))?);
    Ok(text(&Entry { key, value, exists }))
}

fn server_metrics(shared: &Shared) -> Value {
    let state = shared.state.read();
    let running =
        |status| matches!(status, PipelineStatus::Running | PipelineStatus::Paused | PipelineStatus::Stopping);
    let active = state.pipelines.iter().filter(|(_, pipeline)| running(pipeline.status)).count();
    json!({
        "connected_clients": shared.directory.len(),
        "active_pipelines": active,
        "active_tasks": state.counts.of(TaskStatus::Assigned) + state.counts.of(TaskStatus::Running),
        "registered_agents": state.agents.iter().filter(|(_, agent)| agent.presence == Presence::Active).count(),
        "timestamp": shared.clock.now().to_string(),
    })
}

fn memory_list(shared: &Shared, prefix: &str, page: Page, room: usize) -> String {
    let state = shared.state.read();
    let own = SERVER_METRICS_KEY.starts_with(prefix) && !state.memory.contains_key(SERVER_METRICS_KEY);
    let from = (std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded);
    let stored = state.memory.range::<str, _>(from).map(|(key, _)| key.as_str());
    let stored = stored.take_while(|key| key.starts_with(prefix));
    let all: Vec<&str> = own.then_some(SERVER_METRICS_KEY).into_iter().chain(stored).collect();
    let mut left = room;
    let fits = |key: &&&str| {
        left = left.saturating_sub(text(key).len() + 1);
        left > 0
    };
    let keys: Vec<&&str> =
        all.iter().skip(page.offset).take(page.limit.unwrap_or(usize::MAX)).take_while(fits).collect();
    text(&json!({ "keys": keys, "total": all.len(), "prefix": prefix }))
}

fn error_list(
    shared: &Shared,
    component: Option<&str>,
    error_type: Option<&str>,
    page: Page,
    room: usize,
) -> Result<String, Refusal> {
    let state = shared.state.read();
    let wanted = |entry: &&everlog_replay::state::ErrorEntry| {
        component.is_none_or(|component| component == entry.component)
            && error_type.is_none_or(|error_type| error_type == entry.error_type)
    };
    let all: Vec<_> = state.errors.newest_first().filter(wanted).collect();
    let total = all.len();
    let mut list = Listing::new("errors", page, room);
    for entry in all.into_iter().skip(page.offset) {
        let mut details = entry.details.clone();
        fetch_within(shared, &mut details, LISTED_BYTES_MAX, || format!("error:{}/details", entry.id))?;
        let details: Value = serde_json::from_str(resolve(shared, &details)?.as_str()).unwrap_or(Value::Null);
        let named = |name: &str| if details["$ref"].is_null() { details[name].clone() } else { details.clone() };
        let (action, recovered_at) = entry.recovered.as_ref().map(|(action, at)| (action, at.to_string())).unzip();
        let record = json!({
            "error_id": entry.id.to_string(),
            "timestamp": entry.at.to_string(),
            "component": entry.component,
            "error_type": entry.error_type,
            "message": entry.message,
            "task_id": entry.task.map(|task| task.to_string()),
            "details": named("details"),
            "context": named("context"),
            "recovery_action": action,
            "recovered_at": recovered_at,
            "status": if recovered_at.is_some() { "recovered" } else { "reported" },
        });
        if !list.add(&record) {
            break;
        }
    }
    Ok(list.finish(total, page))
}
