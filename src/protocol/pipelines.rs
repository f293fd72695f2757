//! `pipeline/*`.

use super::operation::{Operation, Query, Reply, Wanted};
use super::params::{Field, Params};
use super::request::Ids;
use super::tasks::new_tasks;
use super::wishes::{Layers, pipeline_wish};
use everlog_replay::event::PauseRunning;
use everlog_replay::{Command, PipelineId, PipelineStatus, Refusal};

/// Why something is stopped or cancelled when the client gives no reason.
pub(super) const REASON_DEFAULT: &str = "on request";

pub(super) fn create(params: &Params<'_>, ids: &mut Ids<'_>) -> Result<Operation, Refusal> {
    let name = params.name("name")?;
    let config = params.object_or_empty("config")?;
    let layers = Layers { top: params, config: &config };
    // An empty list at the top level hides nothing: clients send it as a default.
    let lists = [params.get("tasks"), params.get("tasks_config"), config.get("tasks")];
    let list = lists.into_iter().flatten().find(|field| !field.is_empty_list());
    let command = Command::CreatePipeline {
        pipeline: ids.pipeline(),
        name,
        wish: pipeline_wish(&layers)?,
        config: layers.text(&["name", "config", "tasks", "tasks_config"], &["tasks"]),
        tasks: list.map_or(Ok(Vec::new()), |field| new_tasks(field, ids))?,
    };
    Ok(Operation::Change { command, reply: Reply::PipelineCreated })
}

pub(super) fn start(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    change(params, Reply::PipelineStarted, |pipeline| Command::StartPipeline { pipeline })
}

pub(super) fn resume(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    change(params, Reply::PipelineResumed, |pipeline| Command::ResumePipeline { pipeline })
}

pub(super) fn delete(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    change(params, Reply::PipelineDeleted, |pipeline| Command::DeletePipeline { pipeline })
}

pub(super) fn stop(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    let reason = reason(params)?;
    change(params, Reply::PipelineStopped, |pipeline| Command::StopPipeline { pipeline, reason })
}

pub(super) fn pause(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    let known = [("finish", PauseRunning::Finish), ("cancel", PauseRunning::Cancel)];
    let running = params.get("running").map_or(Ok(PauseRunning::Finish), |field| field.word(&known))?;
    change(params, Reply::PipelinePaused, |pipeline| Command::PausePipeline { pipeline, running })
}

fn change(
    params: &Params<'_>,
    reply: Reply,
    command: impl FnOnce(PipelineId) -> Command,
) -> Result<Operation, Refusal> {
    Ok(Operation::Change { command: command(params.pipeline_id()?), reply })
}

/// The `reason` of a stop or a cancellation.
pub(super) fn reason(params: &Params<'_>) -> Result<String, Refusal> {
    let reason = params.opt_string("reason")?.filter(|reason| !reason.is_empty());
    Ok(reason.map_or_else(|| REASON_DEFAULT.to_owned(), Into::into))
}

pub(super) fn status(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    Ok(Operation::Read(Query::PipelineStatus(params.pipeline_id()?)))
}

pub(super) fn list(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    let status = params.get("status").map_or(Ok(Wanted::Any), status_wanted)?;
    Ok(Operation::Read(Query::PipelineList { status, page: params.page()? }))
}

/// The protocol knows two more words for a pipeline's status; this coordinator has no pipeline in them.
fn status_wanted(field: Field<'_, '_>) -> Result<Wanted<PipelineStatus>, Refusal> {
    let mut known = PipelineStatus::ALL.map(|status| (status.as_str(), Wanted::Only(status))).to_vec();
    known.extend(["starting", "error"].map(|word| (word, Wanted::Nothing)));
    field.word(&known)
}
