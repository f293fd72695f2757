//! What was reported of models. Nothing is made up: what no report holds is null.

use super::page::Listing;
use super::text;
use crate::protocol::{Page, Timeframe};
use everlog_replay::event::ModelFigures;
use everlog_replay::record::ModelInfo;
use everlog_replay::state::{Model, ModelReport, State};
use everlog_replay::{Refusal, Timestamp};
use serde_json::{Map, Value, json};

/// Below this accuracy a model is degraded (protocol §5).
const ACCURACY_DEGRADED: f64 = 0.8;
/// Below this accuracy a model is unhealthy: it does worse than a coin on two classes.
const ACCURACY_UNHEALTHY: f64 = 0.5;
/// Above this mean inference time in milliseconds a model is degraded (protocol §5).
const INFERENCE_MS_DEGRADED: f64 = 200.0;

fn find<'a>(state: &'a State, id: &str) -> Result<&'a Model, Refusal> {
    state.models.get(id).ok_or_else(|| Refusal::ModelNotFound(id.to_owned()))
}

/// One model's answer, or all of them by id.
fn each(state: &State, id: Option<&str>, answer: impl Fn(&str, &Model) -> Value) -> Result<String, Refusal> {
    match id {
        Some(id) => Ok(text(&answer(id, find(state, id)?))),
        None => {
            let all: Map<String, Value> =
                state.models.iter().map(|(id, model)| (id.clone(), answer(id, model))).collect();
            Ok(text(&json!({ "models": all, "total": state.models.len() })))
        }
    }
}

/// `model/metrics`.
pub(super) fn metrics(state: &State, id: Option<&str>, room: usize) -> Result<String, Refusal> {
    if let Some(id) = id {
        return Ok(text(&ModelInfo::of(id, find(state, id)?)));
    }
    let page = Page::default();
    let mut list = Listing::new("metrics", page, room / 2);
    let mut names = Vec::new();
    for (id, model) in &state.models {
        if !list.add(&ModelInfo::of(id, model)) {
            break;
        }
        names.push(id);
    }
    let mut result = list.finish(state.models.len(), page);
    result.pop();
    result.push_str(&format!(r#","models":{}}}"#, text(&names)));
    Ok(result)
}

/// `model/performance`.
pub(super) fn performance(
    state: &State,
    id: Option<&str>,
    timeframe: Timeframe,
    now: Timestamp,
) -> Result<String, Refusal> {
    each(state, id, |id, model| {
        let from = now.0.saturating_sub(i64::try_from(timeframe.millis()).unwrap_or(i64::MAX).saturating_mul(1_000));
        let reports: Vec<&ModelReport> = model.reports.iter().filter(|report| report.at.0 >= from).collect();
        let series: Vec<Value> = reports.iter().map(|report| point(report)).collect();
        json!({
            "model_id": id,
            "timeframe": timeframe.as_str(),
            "performance": { "series": series, "summary": summary(&reports) },
        })
    })
}

fn point(report: &ModelReport) -> Value {
    let mut point = Map::new();
    point.insert("timestamp".to_owned(), report.at.to_string().into());
    for name in ModelFigures::NAMES {
        if let Some(value) = report.figures.get(name) {
            point.insert(name.to_owned(), value.into());
        }
    }
    Value::Object(point)
}

fn summary(reports: &[&ModelReport]) -> Value {
    let mut summary = Map::new();
    summary.insert("count".to_owned(), reports.len().into());
    for name in ModelFigures::NAMES {
        let values: Vec<f64> = reports.iter().filter_map(|report| report.figures.get(name)).collect();
        if let Some(last) = values.last() {
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let min = values.iter().copied().fold(f64::INFINITY, f64::min);
            let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            summary.insert(name.to_owned(), json!({ "mean": mean, "min": min, "max": max, "last": last }));
        }
    }
    Value::Object(summary)
}

/// `model/memory`, in MB.
pub(super) fn memory(state: &State, id: Option<&str>) -> Result<String, Refusal> {
    each(state, id, |id, model| {
        let used = |figures: &ModelFigures| figures.get("memory_usage_mb").or_else(|| figures.get("memory_usage"));
        let series = model.reports.iter().filter_map(|report| Some((report.at, used(&report.figures)?)));
        let peak = series.clone().map(|(_, mb)| mb).reduce(f64::max);
        let points: Vec<Value> =
            series.map(|(at, mb)| json!({ "timestamp": at.to_string(), "memory_mb": mb })).collect();
        let memory_usage = json!({ "current": used(&model.latest), "peak": peak, "series": points });
        json!({ "model_id": id, "memory_usage": memory_usage })
    })
}

/// `model/health`.
pub(super) fn health(state: &State, id: Option<&str>, now: Timestamp) -> Result<String, Refusal> {
    if let Some(id) = id
        && !can_judge(&find(state, id)?.latest)
    {
        let why = "neither accuracy nor inference time was reported; report one with model/metrics".to_owned();
        return Err(Refusal::ModelState { model: id.to_owned(), why });
    }
    each(state, id, |id, model| {
        let (health, reasons) = if can_judge(&model.latest) {
            let (health, reasons) = judge(&model.latest);
            (Some(health), reasons)
        } else {
            (None, vec!["neither accuracy nor inference time was reported".to_owned()])
        };
        json!({ "model_id": id, "health": health, "reasons": reasons, "timestamp": now.to_string() })
    })
}

/// Whether anything was reported that health rests on.
fn can_judge(figures: &ModelFigures) -> bool {
    ["accuracy", "average_inference_time_ms", "inference_time"].into_iter().any(|name| figures.get(name).is_some())
}

fn judge(figures: &ModelFigures) -> (&'static str, Vec<String>) {
    let mut reasons = Vec::new();
    let accuracy = figures.get("accuracy").filter(|accuracy| *accuracy < ACCURACY_DEGRADED);
    if let Some(accuracy) = accuracy {
        reasons.push(format!("accuracy {accuracy} is below {ACCURACY_DEGRADED}"));
    }
    let inference = figures.get("average_inference_time_ms").or_else(|| figures.get("inference_time"));
    if let Some(ms) = inference.filter(|ms| *ms > INFERENCE_MS_DEGRADED) {
        reasons.push(format!("an inference takes {ms} ms, more than {INFERENCE_MS_DEGRADED} ms"));
    }
    let unhealthy = accuracy.is_some_and(|accuracy| accuracy < ACCURACY_UNHEALTHY) || reasons.len() > 1;
    let health = match (unhealthy, reasons.is_empty()) {
        (true, _) => "unhealthy",
        (false, false) => "degraded",
        (false, true) => "healthy",
    };
    (health, reasons)
}
