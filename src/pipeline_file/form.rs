//! The form of a pipeline file, as types from which its JSON Schema is made.
//!
//! A file is never read into these types: it is checked, as a tree that knows its lines, against the schema itself. So what an
//! editor accepts and what `everlog check` accepts cannot drift apart.

use std::borrow::Cow;
use std::collections::BTreeMap;

use everlog_replay::limits::{
    CAPABILITIES_MAX, DEPENDENCIES_MAX, NAME_CHARS_MAX, NOT_ON_MAX, PRIORITY_MAX, RETRIES_MAX, WEIGHT_MILLI_MAX,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::spread::{REPLICAS_MAX, TASKS_MAX};
use crate::protocol::wishes::{CPU_PERCENT_MAX, FACTOR_MAX, MEGABYTES_MAX, SECONDS_MAX, UNITS_MAX};

/// The largest weight, in the unit of the file.
const WEIGHT_MAX: u32 = WEIGHT_MILLI_MAX / 1_000;

/// What is said of a shell line where a list belongs.
const COMMAND: &str =
    "a list such as [echo, hi]; no shell reads a command, so write one as [sh, -c, '…'] where you need it";

/// What is said of a time with a unit.
const SECONDS: &str = "seconds as a number without a unit, such as 5 or 0.5";

/// A text that a program can be given.
const NO_NUL: &str = r"^[^\x00]*$";

/// A name that a variable of the environment can have.
const VARIABLE: &str = r"^[^=\x00]+$";

/// The JSON Schema of a pipeline file.
pub(crate) fn schema() -> Schema {
    SchemaGenerator::default().into_root_schema_for::<Document>()
}

/// The first part of a command.
fn program() -> Value {
    json!({"type": ["string", "number", "boolean"], "minLength": 1, "pattern": NO_NUL, "errorMessage": "the program to run"})
}

/// Lets an expression stand for the whole value.
fn or_expression(schema: &mut Schema) {
    let mut outer = Schema::default();
    if let Some(description) = schema.remove("description") {
        outer.insert("description".to_owned(), description);
    }
    let expression = json!({"type": "string", "pattern": r"^\s*\$\{\{.*\}\}\s*$"});
    outer.insert("anyOf".to_owned(), json!([schema, expression]));
    *schema = outer;
}

/// A pipeline: a set of tasks with an order among them.
#[derive(JsonSchema)]
#[schemars(title = "everlog pipeline", deny_unknown_fields)]
struct Document {
    /// The pipeline's name.
    #[schemars(length(min = 1, max = NAME_CHARS_MAX))]
    name: String,
    /// Which task is next: `sequential` (one at a time, in the order of the file), `parallel` (as they become ready),
    /// `priority_based`, `resource_aware` (never what does not fit), or `adaptive` (chosen by load).
    #[schemars(transform = or_expression)]
    strategy: Option<Strategy>,
    /// How many tasks of this pipeline may be assigned or running at a time.
    #[schemars(range(min = 1, max = u32::MAX), transform = or_expression)]
    max_concurrent_tasks: Option<u32>,
    /// Seconds that an attempt may take, for tasks without `timeout`; 0 is no limit.
    #[schemars(range(min = 0, max = SECONDS_MAX), extend("errorMessage" = SECONDS), transform = or_expression)]
    task_timeout: Option<f64>,
    /// Retries after the first attempt, for tasks without `retry`.
    #[schemars(range(max = RETRIES_MAX), transform = or_expression)]
    retry_attempts: Option<u32>,
    /// What a failure means, for tasks without `on_failure`.
    #[schemars(transform = or_expression)]
    on_failure: Option<OnFailure>,
    /// Parameters that `--set NAME=VALUE` overrides, each with its default; one without a default must be set. In a text,
    /// `${{ params.NAME }}` stands for the value.
    params: Option<BTreeMap<String, Param>>,
    /// What every task has unless it says otherwise.
    defaults: Option<Settings>,
    /// The tasks.
    #[schemars(length(min = 1, max = TASKS_MAX))]
    tasks: Vec<Task>,
}

/// A task, or many alike.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Task {
    /// The task's name, unique in the file. With `matrix` or `foreach` it may hold expressions; without any, the values are
    /// appended to it.
    #[schemars(length(min = 1, max = NAME_CHARS_MAX))]
    name: String,
    /// The tasks that must end first, by name. The name of a task with `replicas`, `matrix` or `foreach` means all of its copies,
    /// `name[same]` the copy with the same values or number, `name[key=value]` those with this value.
    #[schemars(length(max = DEPENDENCIES_MAX))]
    depends_on: Option<Vec<String>>,
    /// So many copies, named `name-1`, `name-2`, …; each finds its number in EVERLOG_REPLICA and their number in EVERLOG_REPLICAS.
    #[schemars(range(min = 1, max = REPLICAS_MAX), transform = or_expression)]
    replicas: Option<u32>,
    /// A copy for each combination of values. `${{ matrix.KEY }}` stands for its value; the command finds it in EVERLOG_MATRIX_KEY.
    matrix: Option<Matrix>,
    /// A copy for each item. `${{ item }}` (of a mapping `${{ item.KEY }}`) stands for it, `${{ index }}` for its number, from 1
    /// on; the command finds them in EVERLOG_ITEM and EVERLOG_INDEX.
    foreach: Option<Foreach>,
    /// What the command finds in EVERLOG_INPUTS, by name: `task` is a task's result, `task.key.key` a part of it, such as
    /// `train.outputs.model`. The tasks named here must end first. Without it: the results of all in `depends_on`, by name.
    inputs: Option<BTreeMap<String, String>>,
    /// Files or directories that the command makes, by name; relative paths start at `cwd`. One that is missing after a success
    /// fails the attempt. Their absolute paths stand in the result under `outputs`.
    outputs: Option<BTreeMap<String, Text>>,
    #[schemars(flatten)]
    settings: Settings,
}

/// What every task may have, and `defaults` as well.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Settings {
    /// The program and its arguments; no shell reads them. For a shell write `[sh, -c, '…']`.
    #[schemars(length(min = 1), extend("errorMessage" = COMMAND, "prefixItems" = [program()]), transform = or_expression)]
    command: Option<Vec<Text>>,
    /// Environment variables, added to those of the agent and merged with those of `defaults`.
    #[schemars(extend("propertyNames" = {"pattern": VARIABLE}))]
    env: Option<BTreeMap<String, Text>>,
    /// The directory that the command starts in; a relative one starts at the directory of this file, which is the default.
    #[schemars(extend("pattern" = NO_NUL))]
    cwd: Option<String>,
    /// Keys of your own, for the command to read from EVERLOG_TASK. Names of settings are not allowed.
    config: Option<BTreeMap<String, Value>>,
    /// What the agent must be able to do: it has all of these capabilities.
    #[schemars(length(max = CAPABILITIES_MAX), inner(length(min = 1, max = NAME_CHARS_MAX)), transform = or_expression)]
    required_capabilities: Option<Vec<String>>,
    /// Higher is sooner, with the strategies that heed it.
    #[schemars(range(min = -PRIORITY_MAX, max = PRIORITY_MAX), transform = or_expression)]
    priority: Option<i32>,
    /// Processor time, in percent of one core.
    #[schemars(range(min = 0, max = CPU_PERCENT_MAX), transform = or_expression)]
    cpu_requirement: Option<f64>,
    /// Memory, in MB of 1,048,576 bytes.
    #[schemars(range(min = 0, max = MEGABYTES_MAX), transform = or_expression)]
    memory_requirement: Option<f64>,
    /// GPUs; fractions are allowed.
    #[schemars(range(min = 0, max = UNITS_MAX), transform = or_expression)]
    gpu_requirement: Option<f64>,
    /// With `resource_aware` the lighter goes first.
    #[schemars(range(min = 0, max = WEIGHT_MAX), transform = or_expression)]
    resource_weight: Option<f64>,
    /// Seconds that it will probably take: what the agent's speed is judged by.
    #[schemars(range(min = 0, max = SECONDS_MAX), extend("errorMessage" = SECONDS), transform = or_expression)]
    execution_time: Option<f64>,
    /// Seconds that an attempt may take; 0 is no limit.
    #[schemars(range(min = 0, max = SECONDS_MAX), extend("errorMessage" = SECONDS), transform = or_expression)]
    timeout: Option<f64>,
    /// When and how often a failed attempt is tried again.
    retry: Option<Retry>,
    /// What its failure means: `fail` ends the pipeline, `continue` lets what depends on it run, `skip_downstream` cancels that.
    #[schemars(transform = or_expression)]
    on_failure: Option<OnFailure>,
}

/// When and how often a failed attempt is tried again.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
struct Retry {
    /// Retries after the first attempt; 0 is one attempt in all.
    #[schemars(range(max = RETRIES_MAX), transform = or_expression)]
    attempts: Option<u32>,
    /// Seconds to wait before the first retry.
    #[schemars(range(min = 0, max = SECONDS_MAX), extend("errorMessage" = SECONDS), transform = or_expression)]
    backoff_s: Option<f64>,
    /// The longest wait, in seconds.
    #[schemars(range(min = 0, max = SECONDS_MAX), extend("errorMessage" = SECONDS), transform = or_expression)]
    max_backoff_s: Option<f64>,
    /// What the wait is multiplied by each time.
    #[schemars(range(min = 0, max = FACTOR_MAX), transform = or_expression)]
    factor: Option<f64>,
    /// Failures that are not tried again: `reported`, `timeout`, `agent_lost`, or any part of the error's text.
    #[schemars(length(max = NOT_ON_MAX), inner(length(min = 1, max = NAME_CHARS_MAX)))]
    not_on: Option<Vec<String>>,
}

/// Values for each key, and exceptions: a copy of the task for each combination.
#[derive(JsonSchema)]
#[schemars(inline)]
struct Matrix {
    /// Combinations to leave out: those that have all of these values.
    exclude: Option<Vec<BTreeMap<String, Text>>>,
    /// Combinations to add, each with a value for every key.
    include: Option<Vec<BTreeMap<String, Text>>>,
    #[schemars(flatten)]
    values: BTreeMap<String, Vec<Text>>,
}

/// Items, or a range of whole numbers.
struct Foreach;

/// A default, or more about a parameter.
struct Param;

/// A text; a number or truth value counts as the text that it is written as.
struct Text;

#[derive(JsonSchema)]
#[schemars(inline, rename_all = "snake_case")]
enum Strategy {
    Sequential,
    Parallel,
    PriorityBased,
    ResourceAware,
    Adaptive,
}

#[derive(JsonSchema)]
#[schemars(inline, rename_all = "snake_case")]
enum OnFailure {
    Fail,
    Continue,
    SkipDownstream,
}

/// Schemas that no plain type has.
macro_rules! by_hand {
    ($type:ident, $schema:tt) => {
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

by_hand!(Text, {"type": ["string", "number", "boolean"], "pattern": NO_NUL});

by_hand!(Foreach, {"anyOf": [
    {
        "description": "The items.",
        "type": "array", "minItems": 1, "maxItems": TASKS_MAX,
        "items": {"type": ["string", "number", "boolean", "object"], "pattern": NO_NUL},
    },
    {
        "type": "object", "required": ["range"], "additionalProperties": false,
        "properties": {"range": {
            "description": "From start up to, without, stop: [start, stop] or [start, stop, step].",
            "type": "array", "minItems": 2, "maxItems": 3, "items": {"type": ["integer", "string"]},
        }},
    },
]});

by_hand!(Param, {"anyOf": [
    {"description": "The default.", "type": ["string", "number", "boolean", "null"], "pattern": NO_NUL},
    {
        "type": "object", "additionalProperties": false,
        "properties": {
            "default": {
                "description": "The default.", "type": ["string", "number", "boolean", "null"], "pattern": NO_NUL,
            },
            "description": {"description": "What it is for.", "type": ["string", "null"]},
        },
    },
]});
