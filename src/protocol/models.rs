//! `model/*`: figures that clients report about their models, and questions about them.

use super::ids::Ids;
use super::operation::{Operation, Query, Reply, Timeframe};
use super::params::{Params, object_text};
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
    let timeframe = params.filled("timeframe").map_or(Ok(Timeframe::Day), |field| field.word(&known))?;
    Ok(Operation::Read(Query::ModelPerformance { model: params.filter("model_id")?, timeframe }))
}

pub(super) fn memory(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    Ok(Operation::Read(Query::ModelMemory { model: params.filter("model_id")? }))
}

pub(super) fn health(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    Ok(Operation::Read(Query::ModelHealth { model: params.filter("model_id")? }))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{change, refused, request};
    use super::*;
    use everlog_replay::Json;

    fn reported(figures: &[(&str, f64)], extra: &str) -> (Command, Reply) {
        let mut all = ModelFigures::default();
        for (name, value) in figures {
            assert!(all.set(name, *value));
        }
        let command = Command::ReportModel { model: "m".into(), figures: all, extra: Json::from(extra) };
        (command, Reply::ModelRecorded)
    }

    #[test]
    fn figures_make_it_a_report() {
        for (params, expected) in [
            (r#"{"model_id": "m", "accuracy": 0.5}"#, reported(&[("accuracy", 0.5)], "{}")),
            (r#"{"model_id": "m", "loss": NaN, "recall": 1}"#, reported(&[("recall", 1.0)], "{}")),
            (r#"{"model_id": "m", "loss": NaN}"#, reported(&[], "{}")),
            (
                r#"{"model_id": "m", "accuracy": 0.9, "metrics": {"accuracy": 0.1, "loss": -2, "bleu": 3.0}, "epoch": 4}"#,
                reported(&[("accuracy", 0.9), ("loss", -2.0)], r#"{"bleu":3.0,"epoch":4}"#),
            ),
            (r#"{"model_id": "m", "metrics": {"bleu": 3}}"#, reported(&[], r#"{"bleu":3}"#)),
        ] {
            assert_eq!(change("model/metrics", params), expected, "{params}");
        }
        refused(
            "model/metrics",
            &[
                (r#"{"accuracy": 1}"#, -32_602, "model_id is missing; give a name"),
                (r#"{"model_id": "m", "accuracy": "1"}"#, -32_602, "accuracy must be a number, not the string \"1\""),
                (r#"{"model_id": "m", "metrics": {"loss": true}}"#, -32_602, "metrics.loss must be a number, not true"),
                (r#"{"model_id": "m", "metrics": [1]}"#, -32_602, "metrics must be an object, not a list"),
            ],
        );
    }

    #[test]
    fn without_figures_it_reads() {
        let model = || Some("m".to_owned());
        for (method, params, query) in [
            ("model/metrics", r#"{"model_id": "m"}"#, Query::ModelMetrics { model: model() }),
            ("model/metrics", r#"{"metrics": null}"#, Query::ModelMetrics { model: None }),
            ("model/performance", "{}", Query::ModelPerformance { model: None, timeframe: Timeframe::Day }),
            (
                "model/performance",
                r#"{"model_id": "m", "timeframe": "30d"}"#,
                Query::ModelPerformance { model: model(), timeframe: Timeframe::Month },
            ),
            ("model/memory", r#"{"model_id": "m"}"#, Query::ModelMemory { model: model() }),
            ("model/health", r#"{"model_id": ""}"#, Query::ModelHealth { model: None }),
        ] {
            assert_eq!(request(method, params), Ok(Operation::Read(query)), "{method} {params}");
        }
        let sentence = "timeframe must be one of 1h, 1d, 7d, 30d, not the string \"2h\"";
        refused("model/performance", &[(r#"{"timeframe": "2h"}"#, -32_602, sentence)]);
        for method in ["model/metrics", "model/performance", "model/memory", "model/health"] {
            refused(method, &[(r#"{"model_id": 5}"#, -32_602, "model_id must be a string, not the number 5")]);
        }
    }
}
