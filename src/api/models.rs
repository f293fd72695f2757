//! `model/*`: what was reported of models. Nothing is made up: what nobody reported is `None`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Page;
use super::methods::*;
use super::params::{ModelHistory, ModelRef, ModelReport, ModelsHistory, Nothing};
use super::setters::setters;
use super::words::words;
use crate::client::{Client, ClientError};

/// Figures of a model; `None` was not measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(transform = super::optional)]
#[non_exhaustive]
pub struct ModelFigures {
    /// Share of right answers, 0 to 1.
    pub accuracy: Option<f64>,
    /// Share of the found that are right, 0 to 1.
    pub precision: Option<f64>,
    /// Share of the right that were found, 0 to 1.
    pub recall: Option<f64>,
    /// Harmonic mean of precision and recall, 0 to 1.
    pub f1_score: Option<f64>,
    /// Loss.
    pub loss: Option<f64>,
    /// Training time in seconds.
    pub training_time: Option<f64>,
    /// Memory in MB.
    pub memory_usage: Option<f64>,
    /// Processor time in percent of one core.
    pub cpu_usage: Option<f64>,
    /// Inferences made.
    pub inference_count: Option<f64>,
    /// Mean time of an inference, in ms.
    pub average_inference_time_ms: Option<f64>,
    /// Memory in MB, as monitors name it.
    pub memory_usage_mb: Option<f64>,
    /// Use of the graphics processor in percent.
    pub gpu_usage_percent: Option<f64>,
    /// Memory of the graphics processor in MB.
    pub gpu_memory_mb: Option<f64>,
    /// Inputs of one batch.
    pub batch_size: Option<f64>,
    /// Inferences a second.
    pub throughput_inferences_per_second: Option<f64>,
    /// Processor time in percent of one core, as monitors name it.
    pub cpu_usage_percent: Option<f64>,
    /// Time of an inference, in ms.
    pub inference_time: Option<f64>,
}

setters!(ModelFigures {
    accuracy: f64,
    precision: f64,
    recall: f64,
    f1_score: f64,
    loss: f64,
    training_time: f64,
    memory_usage: f64,
    cpu_usage: f64,
    inference_count: f64,
    average_inference_time_ms: f64,
    memory_usage_mb: f64,
    gpu_usage_percent: f64,
    gpu_memory_mb: f64,
    batch_size: f64,
    throughput_inferences_per_second: f64,
    cpu_usage_percent: f64,
    inference_time: f64
});

/// The newest known figures of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct ModelMetrics {
    /// The model.
    pub model_id: String,
    /// Its figures.
    #[serde(flatten)]
    pub figures: ModelFigures,
    /// The newest report.
    #[serde(default)]
    pub timestamp: Option<Timestamp>,
}

/// How far back to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub enum Timeframe {
    /// One hour.
    #[serde(rename = "1h")]
    Hour,
    /// One day.
    #[default]
    #[serde(rename = "1d")]
    Day,
    /// Seven days.
    #[serde(rename = "7d")]
    Week,
    /// Thirty days.
    #[serde(rename = "30d")]
    Month,
}

/// How a model did over some time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct ModelPerformance {
    /// The model.
    pub model_id: String,
    /// How far back.
    pub timeframe: String,
    /// The reports of that time.
    pub performance: Performance,
}

/// Reports of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Performance {
    /// All, oldest first.
    pub series: Vec<PerformancePoint>,
    /// What they come to.
    pub summary: PerformanceSummary,
}

/// One report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct PerformancePoint {
    /// When.
    pub timestamp: Timestamp,
    /// What it said.
    #[serde(flatten)]
    pub figures: ModelFigures,
}

/// What reports come to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct PerformanceSummary {
    /// How many reports there were.
    pub count: u64,
    /// Each figure that any of them had.
    #[serde(flatten)]
    pub figures: BTreeMap<String, FigureSummary>,
}

/// One figure over all reports that had it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct FigureSummary {
    /// Mean.
    pub mean: f64,
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
    /// Newest.
    pub last: f64,
}

/// The memory of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct ModelMemory {
    /// The model.
    pub model_id: String,
    /// What it used.
    pub memory_usage: MemorySeries,
}

/// Memory over time, in MB.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct MemorySeries {
    /// The newest.
    pub current: Option<f64>,
    /// The most.
    pub peak: Option<f64>,
    /// All, oldest first.
    pub series: Vec<MemoryPoint>,
}

/// Memory at one time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct MemoryPoint {
    /// When.
    pub timestamp: Timestamp,
    /// In MB.
    pub memory_mb: f64,
}

words! {
    /// How a model is.
    Health {
        /// Nothing is wrong.
        Healthy = "healthy",
        /// A figure is worse than it should be.
        Degraded = "degraded",
        /// It should not be relied on.
        Unhealthy = "unhealthy",
    }
}

/// How a model is, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct ModelHealth {
    /// The model.
    pub model_id: String,
    /// How it is; `None` if nothing that this rests on was reported.
    pub health: Option<Health>,
    /// Why it is not healthy, in words.
    pub reasons: Vec<String>,
    /// As of when.
    pub timestamp: Timestamp,
}

/// Models.
impl Client {
    /// Reports figures of a model.
    ///
    /// # Errors
    /// As [all calls](crate::api).
    pub async fn report_model(&self, model_id: &str, figures: &ModelFigures) -> Result<(), ClientError> {
        self.tell(&MODEL_REPORT, &ModelReport { model_id, metrics: json!(figures), timestamp: None }).await
    }

    /// The newest known figures of a model.
    ///
    /// # Errors
    /// As [all calls](crate::api).
    pub async fn model_metrics(&self, model_id: &str) -> Result<ModelMetrics, ClientError> {
        self.ask(&MODEL_METRICS, &ModelRef { model_id }).await
    }

    /// The newest known figures of all models, as many as fit a frame.
    ///
    /// # Errors
    /// As [all calls](crate::api).
    pub async fn models(&self) -> Result<Page<ModelMetrics>, ClientError> {
        Ok(self.ask(&MODELS_METRICS, &Nothing {}).await?.into())
    }

    /// How a model did over some time.
    ///
    /// # Errors
    /// As [all calls](crate::api).
    pub async fn model_performance(
        &self,
        model_id: &str,
        timeframe: Timeframe,
    ) -> Result<ModelPerformance, ClientError> {
        self.ask(&MODEL_PERFORMANCE, &ModelHistory { model_id, timeframe }).await
    }

    /// How all models did over some time, by id.
    ///
    /// # Errors
    /// As [all calls](crate::api).
    pub async fn models_performance(
        &self,
        timeframe: Timeframe,
    ) -> Result<BTreeMap<String, ModelPerformance>, ClientError> {
        Ok(self.ask(&MODELS_PERFORMANCE, &ModelsHistory { timeframe }).await?.models)
    }

    /// The memory of a model.
    ///
    /// # Errors
    /// As [all calls](crate::api).
    pub async fn model_memory(&self, model_id: &str) -> Result<ModelMemory, ClientError> {
        self.ask(&MODEL_MEMORY, &ModelRef { model_id }).await
    }

    /// The memory of all models, by id.
    ///
    /// # Errors
    /// As [all calls](crate::api).
    pub async fn models_memory(&self) -> Result<BTreeMap<String, ModelMemory>, ClientError> {
        Ok(self.ask(&MODELS_MEMORY, &Nothing {}).await?.models)
    }

    /// How a model is, and why.
    ///
    /// # Errors
    /// As [all calls](crate::api).
    pub async fn model_health(&self, model_id: &str) -> Result<ModelHealth, ClientError> {
        self.ask(&MODEL_HEALTH, &ModelRef { model_id }).await
    }

    /// How all models are, by id.
    ///
    /// # Errors
    /// As [all calls](crate::api).
    pub async fn models_health(&self) -> Result<BTreeMap<String, ModelHealth>, ClientError> {
        Ok(self.ask(&MODELS_HEALTH, &Nothing {}).await?.models)
    }
}
