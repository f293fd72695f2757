//! What a client may ask of a pipeline or a task, with every default resolved: an event carries the outcome, never "the default",
//! so that a later change of configuration does not change history.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Who decides which ready task starts next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// One task at a time, in order of creation.
    Sequential,
    /// All at once, up to the limits, oldest first.
    Parallel,
    /// Highest priority first, with ageing.
    PriorityBased,
    /// Lightest first, and never what does not fit.
    ResourceAware,
    /// One of sequential, parallel and priority_based, chosen by load.
    Adaptive,
}

impl Strategy {
    /// All strategies, in the order of the protocol (§7).
    pub const ALL: [Self; 5] =
        [Self::Sequential, Self::Parallel, Self::PriorityBased, Self::ResourceAware, Self::Adaptive];

    /// The word used on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sequential => "sequential",
            Self::Parallel => "parallel",
            Self::PriorityBased => "priority_based",
            Self::ResourceAware => "resource_aware",
            Self::Adaptive => "adaptive",
        }
    }
}

/// What follows when a task has failed for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// Nothing new starts, what runs may finish, the pipeline ends as failed.
    Fail,
    /// The tasks that depend on it run all the same, with a null input; the pipeline can still complete.
    Continue,
    /// Only what depends on it is cancelled; the rest runs on, then the pipeline ends as failed.
    SkipDownstream,
}

/// An amount of resources: what a task needs or an agent offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Resources {
    /// Processor time in hundredths of a percent of one core.
    pub cpu: u32,
    /// Memory in KiB.
    pub memory: u64,
    /// Graphics processors, in thousandths.
    pub gpu: u32,
}

impl Resources {
    /// No resources at all.
    pub const NONE: Self = Self { cpu: 0, memory: 0, gpu: 0 };
    /// More than any task asks for.
    pub const UNBOUNDED: Self = Self { cpu: u32::MAX, memory: u64::MAX, gpu: u32::MAX };

    /// Whether an amount `self` is enough for `need`.
    #[must_use]
    pub fn covers(self, need: Self) -> bool {
        self.cpu >= need.cpu && self.memory >= need.memory && self.gpu >= need.gpu
    }

    /// What is left of `self` beside `used`; nothing goes below zero.
    #[must_use]
    pub fn less(self, used: Usage) -> Self {
        let narrow = |all: u32, used: u64| u32::try_from(u64::from(all).saturating_sub(used)).unwrap_or(0);
        Self {
            cpu: narrow(self.cpu, used.cpu),
            memory: self.memory.saturating_sub(used.memory),
            gpu: narrow(self.gpu, used.gpu),
        }
    }
}

/// What several tasks use together: wide enough for the sum over all tasks, so that adding and taking away stay exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Processor time in hundredths of a percent of one core.
    pub cpu: u64,
    /// Memory in KiB.
    pub memory: u64,
    /// Graphics processors, in thousandths.
    pub gpu: u64,
}

impl Usage {
    /// One more task runs.
    pub fn add(&mut self, demand: Resources) {
        self.cpu = self.cpu.saturating_add(u64::from(demand.cpu));
        self.memory = self.memory.saturating_add(demand.memory);
        self.gpu = self.gpu.saturating_add(u64::from(demand.gpu));
    }

    /// One task less runs.
    pub fn take(&mut self, demand: Resources) {
        self.cpu = self.cpu.saturating_sub(u64::from(demand.cpu));
        self.memory = self.memory.saturating_sub(demand.memory);
        self.gpu = self.gpu.saturating_sub(u64::from(demand.gpu));
    }
}

/// What an agent declares to have. An amount that is not declared does not bind it (a GPU that is not declared is not there).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declared {
    /// Processor time in hundredths of a percent of one core.
    pub cpu: Option<u32>,
    /// Memory in KiB.
    pub memory: Option<u64>,
    /// Graphics processors, in thousandths.
    pub gpu: Option<u32>,
}

impl Declared {
    /// Whether the agent says itself how much it can take; otherwise the coordinator's own limits count for it.
    #[must_use]
    pub fn is_declared(&self) -> bool {
        self.cpu.is_some() || self.memory.is_some()
    }

    /// The amounts to schedule against.
    #[must_use]
    pub fn capacity(&self) -> Resources {
        Resources {
            cpu: self.cpu.unwrap_or(u32::MAX),
            memory: self.memory.unwrap_or(u64::MAX),
            gpu: self.gpu.unwrap_or(0),
        }
    }
}

/// When and how often a failed attempt is tried again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Retries after the first attempt; 0 means one attempt in all.
    pub attempts: u32,
    /// Wait before the first retry, in milliseconds.
    pub backoff_ms: u64,
    /// What the wait is multiplied by at each further retry, in thousandths (2000 doubles it).
    pub factor_milli: u32,
    /// The longest wait, in milliseconds.
    pub backoff_max_ms: u64,
    /// Failures that are not worth a retry: a kind (`timeout`, `agent_lost`, `reported`) or a part of the error's message.
    pub not_on: Vec<String>,
}

impl RetryPolicy {
    /// `attempts` retries with the default waits: 1 s doubling to 60 s.
    #[must_use]
    pub fn standard(attempts: u32) -> Self {
        Self { attempts, backoff_ms: 1_000, factor_milli: 2_000, backoff_max_ms: 60_000, not_on: Vec::new() }
    }
}

/// Everything the scheduler knows about a task's wishes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskSpec {
    /// Capabilities that the agent must have; sorted, without duplicates.
    pub capabilities: Arc<[String]>,
    /// Higher goes first where priorities count; at most [`crate::limits::PRIORITY_MAX`] away from 0.
    pub priority: i32,
    /// What one attempt uses while it runs.
    pub demand: Resources,
    /// Relative weight in thousandths: where resources count, the lighter goes first.
    pub weight_milli: u32,
    /// Expected duration in milliseconds; only an estimate.
    pub estimate_ms: Option<u64>,
    /// Longest duration of one attempt in milliseconds; `None` is without end.
    pub timeout_ms: Option<u64>,
    /// What happens after a failed attempt.
    pub retry: RetryPolicy,
    /// What happens when there is no further attempt.
    pub on_failure: OnFailure,
}

/// The wishes of a task as the client stated them: what is `None` takes the pipeline's or the coordinator's default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskWish {
    /// See [`TaskSpec::capabilities`]; in any order.
    pub capabilities: Vec<String>,
    /// See [`TaskSpec::priority`].
    pub priority: i32,
    /// See [`TaskSpec::demand`].
    pub demand: Resources,
    /// See [`TaskSpec::weight_milli`]; the default is 1000.
    pub weight_milli: Option<u32>,
    /// See [`TaskSpec::estimate_ms`].
    pub estimate_ms: Option<u64>,
    /// See [`TaskSpec::timeout_ms`]; `Some(0)` asks for no limit.
    pub timeout_ms: Option<u64>,
    /// See [`TaskSpec::retry`].
    pub retry: RetryWish,
    /// See [`TaskSpec::on_failure`].
    pub on_failure: Option<OnFailure>,
}

/// A retry policy as the client stated it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetryWish {
    /// See [`RetryPolicy::attempts`].
    pub attempts: Option<u32>,
    /// See [`RetryPolicy::backoff_ms`].
    pub backoff_ms: Option<u64>,
    /// See [`RetryPolicy::factor_milli`].
    pub factor_milli: Option<u32>,
    /// See [`RetryPolicy::backoff_max_ms`].
    pub backoff_max_ms: Option<u64>,
    /// See [`RetryPolicy::not_on`].
    pub not_on: Option<Vec<String>>,
}

impl RetryWish {
    /// The policy that follows from this wish and what holds otherwise.
    #[must_use]
    pub fn or(&self, default: &RetryPolicy) -> RetryPolicy {
        RetryPolicy {
            attempts: self.attempts.unwrap_or(default.attempts),
            backoff_ms: self.backoff_ms.unwrap_or(default.backoff_ms),
            factor_milli: self.factor_milli.unwrap_or(default.factor_milli),
            backoff_max_ms: self.backoff_max_ms.unwrap_or(default.backoff_max_ms),
            not_on: self.not_on.clone().unwrap_or_else(|| default.not_on.clone()),
        }
    }
}

/// What holds for a whole pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineOptions {
    /// Who decides what starts next.
    pub strategy: Strategy,
    /// Tasks that may be assigned or running at a time.
    pub concurrent_max: u32,
    /// Default of [`TaskSpec::timeout_ms`].
    pub timeout_ms: Option<u64>,
    /// Default of [`TaskSpec::retry`].
    pub retry: RetryPolicy,
    /// Default of [`TaskSpec::on_failure`].
    pub on_failure: OnFailure,
}

/// A pipeline's options as the client stated them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PipelineWish {
    /// See [`PipelineOptions::strategy`].
    pub strategy: Option<Strategy>,
    /// See [`PipelineOptions::concurrent_max`].
    pub concurrent_max: Option<u32>,
    /// See [`PipelineOptions::timeout_ms`]; `Some(0)` asks for no limit.
    pub timeout_ms: Option<u64>,
    /// See [`PipelineOptions::retry`].
    pub retry: RetryWish,
    /// See [`PipelineOptions::on_failure`].
    pub on_failure: Option<OnFailure>,
    /// How many tasks it is to have before it can start, where they come in several calls.
    pub tasks_expected: Option<u32>,
}

/// The part of the configuration that decisions rest on. It enters the log at every start, so that replay needs no file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Strategy of a pipeline that names none.
    pub strategy: Strategy,
    /// Tasks at a time of a pipeline that names no limit.
    pub concurrent_max: u32,
    /// Longest attempt of a task that names no timeout, in milliseconds; `None` is without end.
    pub timeout_ms: Option<u64>,
    /// Retries of a task that names no number.
    pub retry_attempts: u32,
    /// What the coordinator and its local agents may use together.
    pub limits: Resources,
    /// How long an agent may be silent before its leases expire, in milliseconds.
    pub lease_ms: u64,
    /// Ended tasks that stay in the state; older ones are answered from the log.
    pub ended_kept: u32,
}

impl Default for Settings {
    /// The defaults of protocol §6.
    fn default() -> Self {
        Self {
            strategy: Strategy::Adaptive,
            concurrent_max: 10,
            timeout_ms: Some(300_000),
            retry_attempts: 3,
            limits: Resources { cpu: 9_000, memory: 2_048 * 1_024, gpu: 0 },
            lease_ms: 30_000,
            ended_kept: 10_000,
        }
    }
}
