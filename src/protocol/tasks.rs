//! `task/*`: creating tasks, asking about them, and what agents report on them.

use super::operation::{Operation, Query, Reply, Wanted};
use super::params::{Field, Params};
use super::pipelines::reason;
use super::request::Ids;
use super::wishes::{Layers, task_wish};
use everlog_replay::{Command, NewTask, PipelineId, Refusal, TaskId, TaskStatus, limits};
use std::borrow::Cow;
use uuid::Uuid;

pub(super) fn create(params: &Params<'_>, ids: &mut Ids<'_>) -> Result<Operation, Refusal> {
    let pipeline = params.opt_string("pipeline_id")?.filter(|id| !id.is_empty());
    let pipeline = pipeline.map(|_| params.pipeline_id()).transpose()?;
    let Some(list) = params.get("tasks") else {
        let tasks = vec![new_task(params, ids)?];
        return Ok(Operation::Change { command: Command::CreateTasks { pipeline, tasks }, reply: Reply::TaskCreated });
    };
    if params.get("name").is_some() {
        let sentence = "name and tasks exclude each other; give name for one task, or tasks for many";
        return Err(Refusal::InvalidParams(sentence.to_owned()));
    }
    if list.is_empty_list() {
        return Err(Refusal::InvalidParams("tasks is empty; give at least one task".to_owned()));
    }
    let tasks = new_tasks(list, ids)?;
    Ok(Operation::Change { command: Command::CreateTasks { pipeline, tasks }, reply: Reply::TasksCreated })
}

/// The tasks of a list, in order.
pub(super) fn new_tasks(list: Field<'_, '_>, ids: &mut Ids<'_>) -> Result<Vec<NewTask>, Refusal> {
    list.objects(limits::LIVE_TASKS_MAX)?.iter().map(|task| new_task(task, ids)).collect()
}

/// A task, whose settings stand in its `config` or beside its name.
fn new_task(params: &Params<'_>, ids: &mut Ids<'_>) -> Result<NewTask, Refusal> {
    let name = params.name("name")?;
    let config = params.object_or_empty("config")?;
    let layers = Layers { top: params, config: &config };
    let depends_on = layers.get(&["depends_on", "dependencies"]);
    Ok(NewTask {
        task: ids.task(),
        name,
        wish: task_wish(&layers)?,
        depends_on: depends_on.map_or(Ok(Vec::new()), |field| field.names(limits::DEPENDENCIES_MAX))?,
        config: layers.text(&["name", "config", "pipeline_id"], &[]),
    })
}

pub(super) fn assign(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    let command = Command::AssignTask { task: params.task_id()?, agent: params.agent_id()? };
    Ok(Operation::Change { command, reply: Reply::TaskAssigned })
}

pub(super) fn cancel(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    let command = Command::CancelTask { task: params.task_id()?, reason: reason(params)? };
    Ok(Operation::Change { command, reply: Reply::TaskCancelled })
}

pub(super) fn status(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    Ok(Operation::Read(Query::TaskStatus(params.task_id()?)))
}

pub(super) fn result(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    Ok(Operation::Read(Query::TaskResult(params.task_id()?)))
}

pub(super) fn list(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    let pipeline = match params.opt_string("pipeline_id")?.filter(|id| !id.is_empty()) {
        None => Wanted::Any,
        // An unknown pipeline has no tasks, and so has one that can not exist (protocol §3).
        Some(id) => Uuid::try_parse(&id).map_or(Wanted::Nothing, |id| Wanted::Only(PipelineId(id))),
    };
    let known = TaskStatus::ALL.map(|status| (status.as_str(), Wanted::Only(status)));
    Ok(Operation::Read(Query::TaskList {
        pipeline,
        agent: params.filter("agent_id")?.map(|id| id.as_str().into()),
        status: params.get("status").map_or(Ok(Wanted::Any), |field| field.word(&known))?,
        page: params.page()?,
    }))
}

pub(super) fn completed(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    let command = Command::CompleteTask {
        task: params.task_id()?,
        agent: params.agent_id()?,
        attempt: params.opt_u32("attempt", 1, u32::MAX)?,
        success: params.bool_or("success", true)?,
        result: params.json("result"),
        error: params.get("error").map(|error| error_text(error).into_owned()),
    };
    Ok(Operation::Change { command, reply: Reply::TaskRecorded })
}

/// What an agent says went wrong: a text, an object's `message`, or whatever else it sent, as its text. A completion is never
/// refused for the form of its error.
fn error_text<'a>(error: Field<'_, 'a>) -> Cow<'a, str> {
    let message = error.object().ok().and_then(|object| object.opt_string("message").ok().flatten());
    message.or_else(|| error.string().ok()).unwrap_or(Cow::Borrowed(error.text()))
}

pub(super) fn progress(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    let task: TaskId = params.task_id()?;
    Ok(Operation::Progress {
        task,
        agent: params.agent_id()?,
        progress: params.need("progress", "a number from 0 to 1")?.number(0.0, 1.0)?,
        details: params.json("details"),
    })
}
