//! The settings of pipelines and tasks as the protocol's description shows them. What is sent is a map, since any other
//! key may stand in it: [`PipelineSpec`](super::PipelineSpec) and [`TaskSpec`](super::TaskSpec) write it, and a test holds
//! that they write nothing that is not here.
#![expect(dead_code, reason = "these types only describe; nothing is ever read into them")]

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::{OnFailure, Strategy};

/// Settings of a pipeline. What is not set is as the coordinator is configured; further keys are kept and shown as they
/// are.
#[derive(JsonSchema)]
pub(super) struct PipelineSettings {
    strategy: Option<Strategy>,
    /// How many of its tasks run at once, at most.
    #[schemars(range(min = 1))]
    max_concurrent_tasks: Option<u32>,
    /// Seconds that an attempt at a task may take; 0 for no limit.
    #[schemars(range(min = 0))]
    task_timeout: Option<f64>,
    /// How its tasks are tried again.
    retry: Option<RetrySettings>,
    /// What the final failure of a task means.
    on_failure: Option<OnFailure>,
    /// How many tasks it must have before it can start, where they come in several calls.
    tasks_expected: Option<u32>,
}

/// Settings of a task. What is not set is as its pipeline has it; further keys go to its agent as they are.
#[derive(JsonSchema)]
pub(super) struct TaskSettings {
    /// The program to run and its arguments, for agents that run commands.
    command: Option<Vec<String>>,
    /// What is added to the command's environment.
    env: Option<BTreeMap<String, String>>,
    /// The directory in which the command runs, on the agent's machine.
    cwd: Option<String>,
    /// What must be completed first: names of tasks of the same pipeline, or ids.
    depends_on: Option<Vec<String>>,
    /// What its agent must be able to do.
    #[schemars(length(max = 64))]
    required_capabilities: Option<Vec<String>>,
    /// The highest goes first.
    #[schemars(range(min = -1000, max = 1000))]
    priority: Option<i32>,
    /// Processor time in percent of one core.
    #[schemars(range(min = 0))]
    cpu_requirement: Option<f64>,
    /// Memory in MB of 1,048,576 bytes.
    #[schemars(range(min = 0))]
    memory_requirement: Option<f64>,
    /// Graphics processors, fractions allowed.
    #[schemars(range(min = 0))]
    gpu_requirement: Option<f64>,
    /// How heavy it is beside others: a resource-aware pipeline starts the lighter ones first.
    #[schemars(range(min = 0))]
    resource_weight: Option<f64>,
    /// Seconds that it will take, as far as one knows.
    #[schemars(range(min = 0))]
    execution_time: Option<f64>,
    /// Seconds that an attempt may take; 0 for no limit.
    #[schemars(range(min = 0))]
    timeout: Option<f64>,
    /// How it is tried again.
    retry: Option<RetrySettings>,
    /// What its final failure means for the pipeline.
    on_failure: Option<OnFailure>,
}

/// How often and how soon a failed task is tried again.
#[derive(JsonSchema)]
struct RetrySettings {
    /// Further attempts after the first.
    #[schemars(range(max = 1000))]
    attempts: Option<u32>,
    /// Seconds before the first of them.
    #[schemars(range(min = 0))]
    backoff: Option<f64>,
    /// By how much each pause is longer than the one before.
    #[schemars(range(min = 0, max = 1000))]
    factor: Option<f64>,
    /// Seconds of the longest pause.
    #[schemars(range(min = 0))]
    max_backoff: Option<f64>,
    /// Failures that are final at once, by their type, such as `timeout`.
    #[schemars(length(max = 64))]
    not_on: Option<Vec<String>>,
}
