//! Every limit of the core, in one place: a number, its unit and its reason. A refusal that meets one names it.

/// Characters in a name, a capability, an agent's id or a memory key. Long enough for a path, short enough for a log line.
pub const NAME_CHARS_MAX: usize = 512;
/// Characters in a free text such as a reason or an error message; what is longer is cut.
pub const TEXT_CHARS_MAX: usize = 8_192;
/// Capabilities of one agent or required by one task.
pub const CAPABILITIES_MAX: usize = 64;
/// Slots of one agent.
pub const SLOTS_MAX: u32 = 65_536;
/// Agents known at a time, lost ones included.
pub const AGENTS_MAX: usize = 100_000;
/// Lost agents that stay in the views; older ones are forgotten (their history stays in the log).
pub const LOST_AGENTS_MAX: usize = 1_000;
/// Tasks that have not ended, over all pipelines: bounds memory (about 1.3 KB a task), and the events of one command: all of them
/// can be stopped at once, with at most 150 bytes each in a frame of the log.
pub const LIVE_TASKS_MAX: usize = 1_500_000;
/// Dependencies of one task.
pub const DEPENDENCIES_MAX: usize = 100_000;
/// Bytes that the inputs of one task take in its assignment, each with its name and a reference in place of its result: half of
/// the shortest frame that every client accepts, so that an assignment can always be sent.
pub const INPUT_BYTES_MAX: usize = 512 << 10;
/// Bytes of an input in an assignment beside its name: `"":{"$ref":"task:<id>/result"},`.
pub const INPUT_OVERHEAD_BYTES: usize = 64;
/// Pipelines that have not been deleted and are not yet history (an ended one without tasks counts as one task there).
pub const PIPELINES_MAX: usize = 100_000;
/// Distinct (capabilities, resources, strategy kind) among the tasks that have not ended: the scheduler's cost rests on it.
pub const CLASSES_MAX: usize = 4_096;
/// Classes that are kept although no task uses them now: enough for what comes again and again, few enough to cost little.
pub const IDLE_CLASSES_MAX: usize = 256;
/// Distance of a priority from 0, so that ageing bounds every wait.
pub const PRIORITY_MAX: i32 = 1_000;
/// Weight of one task, in thousandths: it delays a task as a priority of -1000 would, so ageing bounds that wait as well.
pub const WEIGHT_MILLI_MAX: u32 = 1_000_000;
/// Memory that one task may ask for, in KiB (1 PiB): the sum over [`LIVE_TASKS_MAX`] tasks stays within 64 bits.
pub const MEMORY_KIB_MAX: u64 = 1 << 40;
/// Bytes that the tasks of one retry take in a frame of the log, which holds four times as much: some 250,000 plain tasks.
pub const REPEATED_BYTES_MAX: usize = 64 << 20;
/// Retries of one task.
pub const RETRIES_MAX: u32 = 1_000;
/// Entries of a retry policy's list of failures that are not retried.
pub const NOT_ON_MAX: usize = 64;
/// Memory keys.
pub const MEMORY_KEYS_MAX: usize = 100_000;
/// Entries of the error register; the oldest leaves first.
pub const ERRORS_MAX: usize = 10_000;
/// Models with reported metrics.
pub const MODELS_MAX: usize = 10_000;
/// Reports kept for each model, newest last; older ones stay in the log.
pub const MODEL_REPORTS_MAX: usize = 1_024;
/// Request ids remembered for repeated requests (law 11).
pub const REQUESTS_MAX: usize = 100_000;
/// How long a request id is remembered, in milliseconds (law 11).
pub const REQUEST_MEMORY_MS: u64 = 600_000;
/// Refusals recorded singly for one actor and time bucket; further ones are counted.
pub const REFUSALS_PER_BUCKET: u32 = 20;
/// Refusals recorded singly for all actors together in one time bucket: reconnecting is no way around the limit above.
pub const REFUSALS_PER_BUCKET_ALL: u32 = 1_000;
/// Bytes of one memory value: it must be readable in a frame of the shortest kind.
pub const VALUE_BYTES_MAX: usize = (1 << 20) - (16 << 10);
/// Length of a bucket of observed operations and refusals, in milliseconds.
pub const BUCKET_MS: u64 = 60_000;
/// Payload bytes that are kept inside the state; a longer payload is a reference into the log.
pub const INLINE_BYTES_MAX: usize = 512;
/// How much earlier one step of priority brings a task, in microseconds. A task waits at most the difference of priorities
/// times this behind tasks that became ready after it.
pub const AGEING_US: i64 = 10_000_000;
/// Ready tasks of an adaptive pipeline above which it turns to priorities.
pub const ADAPTIVE_READY_HIGH: u32 = 10;
/// Ready tasks of an adaptive pipeline below which it turns back to parallel: the hysteresis.
pub const ADAPTIVE_READY_LOW: u32 = 5;
/// Bytes of one encoded record; a larger length in a record is damage, not data.
pub const RECORD_BYTES_MAX: u64 = 64 << 20;
