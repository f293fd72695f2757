//! What clients put on record: memory, errors, models, hooks.

use crate::ids::{AgentId, ErrorId, TaskId};
use crate::text::Json;
use serde::{Deserialize, Serialize, Serializer};

/// A memory key got a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemorySet {
    /// The key.
    pub key: String,
    /// The value.
    pub value: Json,
}

/// A memory key was to be deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryDeleted {
    /// The key.
    pub key: String,
    /// Whether it was there.
    pub existed: bool,
}

/// A client entered an error into the register.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorReported {
    /// Identity of the entry.
    pub error: ErrorId,
    /// Part of the client's system.
    pub component: String,
    /// Type of error.
    pub error_type: String,
    /// What it says.
    pub message: String,
    /// The task that the report names.
    pub task: Option<TaskId>,
    /// `{"details": …, "context": …}` as the client gave them.
    pub details: Json,
}

/// A recovery was carried out for an entry of the register.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorRecovered {
    /// The entry.
    pub error: ErrorId,
    /// What was asked for.
    pub action: String,
    /// The task that a retry released or created.
    pub retried: Option<TaskId>,
}

/// Figures of a model (protocol §5). What was not reported is `None`; floats are kept as their bits, so that events compare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct ModelFigures {
    /// Values in the order of [`ModelFigures::NAMES`], as IEEE-754 bits.
    pub bits: [Option<u64>; 17],
}

/// In JSON the figures that are known, by name; in a record their bits.
impl Serialize for ModelFigures {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return self.bits.serialize(serializer);
        }
        serializer.collect_map(Self::NAMES.into_iter().filter_map(|name| Some((name, self.get(name)?))))
    }
}

impl ModelFigures {
    /// Names of the figures on the wire.
    pub const NAMES: [&'static str; 17] = [
        "accuracy",
        "precision",
        "recall",
        "f1_score",
        "loss",
        "training_time",
        "memory_usage",
        "cpu_usage",
        "inference_count",
        "average_inference_time_ms",
        "memory_usage_mb",
        "gpu_usage_percent",
        "gpu_memory_mb",
        "batch_size",
        "throughput_inferences_per_second",
        "cpu_usage_percent",
        "inference_time",
    ];

    /// The figure with this name on the wire.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<f64> {
        let index = Self::NAMES.iter().position(|known| *known == name)?;
        self.bits[index].map(f64::from_bits)
    }

    /// Sets a figure; `false` when no figure has this name.
    pub fn set(&mut self, name: &str, value: f64) -> bool {
        let index = Self::NAMES.iter().position(|known| *known == name);
        index.map(|index| self.bits[index] = Some(value.to_bits())).is_some()
    }
}

/// A client reported figures of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelReported {
    /// The model, a name of the client's choosing.
    pub model: String,
    /// The figures known to the protocol; apart, so that they do not make every event as large.
    pub figures: Box<ModelFigures>,
    /// Further fields of the report, as the client gave them.
    pub extra: Json,
}

/// A client's own event, to be kept and passed on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookRecorded {
    /// The task that it names.
    pub task: Option<TaskId>,
    /// The agent that it names.
    pub agent: Option<AgentId>,
    /// The hook as the client sent it.
    pub body: Json,
}
