//! The table: every key of the configuration, once.
//!
//! A row says what the key means and in which unit, its type, its default, what may be given, when a change takes effect, and its
//! name in the protocol (§6), where it has one.

use super::table::{Allowed, Effect, Key, Scalar, configuration};
use super::{LogFormat, LogLevel};
use crate::server::limits::PEER_FRAME_BYTES_MAX;
use Allowed::{Flag, Number, Text, Whole, Words};
use clap::ValueEnum;
use everlog_replay::spec::Strategy;

/// The longest time that a key may name, in seconds: a hundred years. Beyond it somebody mistook the unit.
const SECONDS_MAX: f64 = 3_155_760_000.0;
/// The same in hours.
const HOURS_MAX: u64 = 876_600;
/// The shortest time between two samples, in seconds: below it the measuring disturbs what is measured.
const INTERVAL_MIN: f64 = 0.2;
/// The most memory that a key may name, in MB: a petabyte.
const MEGABYTES_MAX: u64 = 1_000_000_000;
/// The shortest of all frame limits, in bytes: a pipeline of some tasks must fit.
const FRAME_BYTES_MIN: u64 = 4_096;
/// The most connections that may be asked for: far beyond the open files of any process.
const CONNECTIONS_MOST: u64 = 1_000_000;
/// The shortest lease, in seconds: an agent has to answer a ping within it.
const LEASE_MIN: f64 = 1.0;
/// The longest drain, in seconds: a day.
const DRAIN_MAX: f64 = 86_400.0;

configuration! {
    /// Where to listen, and for how many.
    server: Server {
        /// A name or an address of this machine to listen on.
        host: String = "localhost".to_owned(), Text, Restart, "MCP_SERVER_HOST";
        /// The port to listen on; 0 takes a free one.
        port: u16 = 8_700, Whole(0, 65_535), Restart, "MCP_SERVER_PORT";
        /// Connections at a time. When it is lowered, who is connected stays.
        max_connections: u32 = 100, Whole(1, CONNECTIONS_MOST), Reload;
        /// Bytes of the longest frame that a client may send.
        max_frame_bytes: usize = 1_048_576, Whole(FRAME_BYTES_MIN, PEER_FRAME_BYTES_MAX as u64), Restart;
        /// Listen on other than loopback addresses, although nobody is asked who they are.
        allow_unauthenticated_remote_access: bool = false, Flag, Restart;
    }

    /// Where the history is kept.
    storage: Storage {
        /// The directory of the log and of everything derived from it. A relative one starts at the working directory.
        data: String = ".everlog".to_owned(), Text, Restart;
    }

    /// What holds for pipelines and tasks that say nothing else. It is settled when they are created: a change is for new ones.
    orchestration: Orchestration {
        /// The strategy of a pipeline that names none.
        strategy: Strategy = Strategy::Adaptive, Words(|| Strategy::ALL.map(|strategy| strategy.as_str().to_owned()).to_vec()), Reload;
        /// Tasks at a time of a pipeline that names no number.
        max_concurrent_tasks: u32 = 10, Whole(1, u32::MAX as u64), Reload, "MAX_CONCURRENT_TASKS";
        /// Seconds that one attempt at a task may take; 0 is without end.
        task_timeout: f64 = 300.0, Number(0.0, SECONDS_MAX), Reload;
        /// Retries of a task that names no number.
        retry_attempts: u32 = 3, Whole(0, everlog_replay::limits::RETRIES_MAX as u64), Reload;
        /// Seconds that an agent may be silent before its tasks go back to the queue.
        lease_term: f64 = 30.0, Number(LEASE_MIN, SECONDS_MAX), Restart;
    }

    /// Seconds between two samples. MONITORING_INTERVAL replaces all four.
    monitoring: Monitoring {
        /// Seconds between two samples of the machine.
        system_interval: f64 = 5.0, Number(INTERVAL_MIN, SECONDS_MAX), Reload, "MONITORING_INTERVAL";
        /// Seconds between two samples of the pipelines.
        pipeline_interval: f64 = 10.0, Number(INTERVAL_MIN, SECONDS_MAX), None, "MONITORING_INTERVAL";
        /// Seconds between two samples of the agents.
        agent_interval: f64 = 10.0, Number(INTERVAL_MIN, SECONDS_MAX), None, "MONITORING_INTERVAL";
        /// Seconds between two samples of the models.
        model_interval: f64 = 15.0, Number(INTERVAL_MIN, SECONDS_MAX), None, "MONITORING_INTERVAL";
    }

    /// When to raise an alarm.
    alerts: Alerts {
        /// Percent of the machine's processor time.
        cpu_threshold: f64 = 90.0, Number(0.0, 100.0), None;
        /// Percent of the machine's memory.
        memory_threshold: f64 = 85.0, Number(0.0, 100.0), None;
        /// Failed tasks as a share of all.
        error_rate_threshold: f64 = 0.1, Number(0.0, 1.0), None;
        /// Seconds between two alerts on the same subject and metric.
        cooldown_seconds: u64 = 300, Whole(0, SECONDS_MAX as u64), None, "ALERT_COOLDOWN";
    }

    /// What the coordinator and its local agents may use together.
    limits: Limits {
        /// MB of memory.
        max_memory_mb: u64 = 2_048, Whole(1, MEGABYTES_MAX), Reload, "MAX_MEMORY_MB";
        /// Percent of the processor time of all cores together.
        max_cpu_percent: f64 = 90.0, Number(0.0, 100.0), Reload, "MAX_CPU_PERCENT";
    }

    /// What is kept for how long. Nothing ever leaves the log itself.
    retention: Retention {
        /// Hours that samples are kept.
        metrics_hours: u64 = 24, Whole(1, HOURS_MAX), None, "METRICS_RETENTION_HOURS";
        /// Ended tasks that are answered from memory; older ones are answered from the log.
        ended_tasks: u32 = 10_000, Whole(0, u32::MAX as u64), Reload;
    }

    /// What the process says on stderr.
    log: Log {
        /// The least important messages that are shown. The environment variable RUST_LOG counts more, also than a flag.
        level: LogLevel = LogLevel::Info, Words(words::<LogLevel>), Reload;
        /// Lines for people, or one JSON object a line.
        format: LogFormat = LogFormat::Text, Words(words::<LogFormat>), Reload;
    }

    /// How the process runs as a service.
    service: Service {
        /// Seconds that the end may take after a signal; what is acknowledged is on disk in any case.
        drain_deadline: f64 = 20.0, Number(0.0, DRAIN_MAX), Reload;
    }
}

/// The words of a choice, as the configuration and the flags spell them.
fn words<T: ValueEnum>() -> Vec<String> {
    let words = T::value_variants().iter().filter_map(ValueEnum::to_possible_value);
    words.map(|word| word.get_name().to_owned()).collect()
}
