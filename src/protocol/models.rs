//! `model/*`: figures that clients report about their models, and questions about them.

use super::operation::{Operation, Query, Reply, Timeframe};
use super::params::{Params, object_text};
use super::request::Ids;
use everlog_replay::event::ModelFigures;
use everlog_replay::{Command, Refusal};

/// `model/metrics` reports when it carries figures, and reads otherwise. A figure that is null (Python's NaN arrives so) was not
/// measured, but the message still is a report.
pub(super) fn metrics(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    let is_figure = |name: &str| ModelFigures::NAMES.contains(&name);
    if params.get("metrics").is_none() && !params.iter().any(|(name, _)| is_figure(name)) {
        return Ok(Operation::Read(Query::ModelMetrics { model: params.filter("model_id")? }));
    }
    let model = params.name("model_id")?;
    let nested = params.object_or_empty("metrics")?;
    let mut figures = ModelFigures::default();
    // What stands beside the model's id counts more than what stands in `metrics`.
    for object in [&nested, params] {
        for name in ModelFigures::NAMES {
            if let Some(field) = object.get(name) {
                figures.set(name, field.any_number()?);
            }
        }
    }
    let extra = nested.iter().chain(params.iter().filter(|(name, _)| !matches!(*name, "model_id" | "metrics")));
    let extra = object_text(extra.filter(|(name, _)| !is_figure(name)));
    Ok(Operation::Change { command: Command::ReportModel { model, figures, extra }, reply: Reply::ModelRecorded })
}

pub(super) fn performance(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    let known = Timeframe::ALL.map(|timeframe| (timeframe.as_str(), timeframe));
    let timeframe = params.get("timeframe").map_or(Ok(Timeframe::Day), |field| field.word(&known))?;
    Ok(Operation::Read(Query::ModelPerformance { model: params.filter("model_id")?, timeframe }))
}

pub(super) fn memory(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    Ok(Operation::Read(Query::ModelMemory { model: params.filter("model_id")? }))
}

pub(super) fn health(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    Ok(Operation::Read(Query::ModelHealth { model: params.filter("model_id")? }))
}
