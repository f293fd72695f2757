//! The configuration (protocol §6): the file `config/mcp.yaml`, then the environment; flags are applied on top by whoever has
//! them. A key that nobody knows is an error, since a misspelt one would silently have no effect.

use crate::coordinator::Place;
use crate::embedded::Setup;
use crate::protocol::distance;
use crate::server::DoorConfig;
use everlog_replay::spec::{Resources, Settings, Strategy};
use serde::Deserialize;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// The file that is read when none is named, if it is there.
pub(crate) const FILE_DEFAULT: &str = "config/mcp.yaml";

/// The whole configuration.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Where to listen.
    pub server: ServerSection,
    /// What holds for pipelines and tasks that say nothing else.
    pub orchestration: Orchestration,
    /// How often to measure.
    pub monitoring: Monitoring,
    /// When to raise an alarm.
    pub alerts: Alerts,
    /// What the coordinator and its local agents may use together.
    pub limits: Limits,
    /// What is kept for how long.
    pub retention: Retention,
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ServerSection {
    /// A loopback name or address.
    pub host: String,
    /// 0 takes a free one.
    pub port: u16,
    /// Connections at a time.
    pub max_connections: usize,
    /// Bytes of the longest inbound frame.
    pub max_frame_bytes: usize,
}

impl Default for ServerSection {
    fn default() -> Self {
        let DoorConfig { host, port, max_connections, max_frame_bytes, .. } = DoorConfig::default();
        Self { host, port, max_connections, max_frame_bytes }
    }
}

/// What holds for pipelines and tasks that say nothing else.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Orchestration {
    /// Who decides what starts next.
    pub strategy: Strategy,
    /// Tasks of one pipeline at a time.
    pub max_concurrent_tasks: u32,
    /// Seconds that one attempt may take; 0 is without end.
    pub task_timeout: f64,
    /// Retries of a task.
    pub retry_attempts: u32,
    /// Seconds that an agent may be silent before its leases end.
    pub lease_term: f64,
}

impl Default for Orchestration {
    fn default() -> Self {
        let settings = Settings::default();
        Self {
            strategy: settings.strategy,
            max_concurrent_tasks: settings.concurrent_max,
            task_timeout: settings.timeout_ms.unwrap_or(0) as f64 / SECOND_MS,
            retry_attempts: settings.retry_attempts,
            lease_term: settings.lease_ms as f64 / SECOND_MS,
        }
    }
}

/// How often to measure, in seconds.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Monitoring {
    /// The machine.
    pub system_interval: f64,
    /// Pipelines.
    pub pipeline_interval: f64,
    /// Agents.
    pub agent_interval: f64,
    /// Models.
    pub model_interval: f64,
}

impl Default for Monitoring {
    fn default() -> Self {
        Self { system_interval: 5.0, pipeline_interval: 10.0, agent_interval: 10.0, model_interval: 15.0 }
    }
}

/// When to raise an alarm.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Alerts {
    /// Percent of all cores.
    pub cpu_threshold: f64,
    /// Percent of the memory.
    pub memory_threshold: f64,
    /// Failed tasks as a share of all, from 0 to 1.
    pub error_rate_threshold: f64,
    /// Seconds between two alerts on the same subject and metric.
    pub cooldown_seconds: u64,
}

impl Default for Alerts {
    fn default() -> Self {
        Self { cpu_threshold: 90.0, memory_threshold: 85.0, error_rate_threshold: 0.1, cooldown_seconds: 300 }
    }
}

/// What the coordinator and its local agents may use together.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    /// MB of memory.
    pub max_memory_mb: u64,
    /// Percent of all cores together.
    pub max_cpu_percent: f64,
}

impl Default for Limits {
    fn default() -> Self {
        let limits = Settings::default().limits;
        Self {
            max_memory_mb: limits.memory / MEGABYTE_KIB,
            max_cpu_percent: f64::from(limits.cpu) / PERCENT_HUNDREDTHS,
        }
    }
}

/// What is kept for how long.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Retention {
    /// Hours that samples are kept.
    pub metrics_hours: u64,
    /// Ended tasks that are answered from memory.
    pub ended_tasks: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self { metrics_hours: 24, ended_tasks: Settings::default().ended_kept }
    }
}

/// Milliseconds in a second.
const SECOND_MS: f64 = 1_000.0;
/// KiB in a megabyte of the protocol.
const MEGABYTE_KIB: u64 = 1_024;
/// Hundredths in a percent.
const PERCENT_HUNDREDTHS: f64 = 100.0;
/// The longest time that a setting may name, in seconds: a hundred years. Beyond it somebody mistook the unit.
const SECONDS_MAX: f64 = 3_155_760_000.0;
/// The shortest time between two samples, in seconds: below it the measuring disturbs what is measured.
const INTERVAL_MIN: f64 = 0.2;
/// The most memory that a setting may name, in megabytes: a petabyte.
const MEGABYTES_MAX: u64 = 1_000_000_000;
/// The shortest of all frame limits, in bytes: a pipeline of some tasks must fit.
const FRAME_BYTES_MIN: usize = 4_096;

/// What is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ConfigError {
    /// The file can not be read.
    #[error("cannot read {}: {source}; name another file, or leave the name out for the defaults", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// There is no such key.
    #[error("{}, line {line}: there is no key '{key}' here; {}", path.display(), nearest(key, known))]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The key.
        key: String,
        /// The keys that could stand there.
        known: Vec<&'static str>,
    },
    /// The file is not YAML of the right form.
    #[error("{} is not valid: {detail}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What the parser said, with the place.
        detail: String,
    },
    /// A value in the environment can not be read.
    #[error("the environment variable {name} is '{value}'; set it to {expected}, or unset it")]
    Variable {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A value is out of range.
    #[error("{key} is {value}; set it to {expected}")]
    Range {
        /// The key, with the environment variable where there is one.
        key: &'static str,
        /// The value.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
}

fn nearest(key: &str, known: &[&'static str]) -> String {
    match known.iter().min_by_key(|other| distance(other, key)) {
        Some(nearest) => format!("did you mean '{nearest}'? Known are {}", known.join(", ")),
        None => "remove it".to_owned(),
    }
}

impl Config {
    /// Reads the file (`path`, else [`FILE_DEFAULT`] if it is there) and the environment.
    ///
    /// # Errors
    /// When the file can not be read, or a key or a value makes no sense.
    pub(crate) fn load(path: Option<&Path>, env: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let file = path.unwrap_or(Path::new(FILE_DEFAULT));
        let mut config = match std::fs::read_to_string(file) {
            Ok(text) => Self::parse(&text, file)?,
            Err(error) if path.is_none() && error.kind() == std::io::ErrorKind::NotFound => Self::default(),
            Err(source) => return Err(ConfigError::Read { path: file.to_owned(), source }),
        };
        config.apply(&env)?;
        config.check()?;
        Ok(config)
    }

    /// Reads the text of a file; `path` is for the errors.
    ///
    /// # Errors
    /// When it is not YAML of the right form.
    pub(crate) fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        // A file of comments alone is null.
        let parsed: Result<Option<Self>, _> = serde_saphyr::from_str(text);
        parsed.map(Option::unwrap_or_default).map_err(|error| {
            if let serde_saphyr::Error::SerdeUnknownField { field, expected, location } = error.without_snippet() {
                let (path, line) = (path.to_owned(), location.line());
                return ConfigError::UnknownKey { path, line, key: field.clone(), known: expected.clone() };
            }
            ConfigError::Form { path: path.to_owned(), detail: error.to_string() }
        })
    }

    /// What the environment says counts more than the file.
    fn apply(&mut self, env: &impl Fn(&str) -> Option<String>) -> Result<(), ConfigError> {
        set(env, "MCP_SERVER_HOST", "a name or an address", &mut self.server.host)?;
        set(env, "MCP_SERVER_PORT", "a port from 0 to 65535", &mut self.server.port)?;
        set(env, "MAX_CONCURRENT_TASKS", "a whole number", &mut self.orchestration.max_concurrent_tasks)?;
        set(env, "ALERT_COOLDOWN", "a whole number of seconds", &mut self.alerts.cooldown_seconds)?;
        set(env, "METRICS_RETENTION_HOURS", "a whole number of hours", &mut self.retention.metrics_hours)?;
        set(env, "MAX_MEMORY_MB", "a whole number of MB", &mut self.limits.max_memory_mb)?;
        set(env, "MAX_CPU_PERCENT", "a number up to 100", &mut self.limits.max_cpu_percent)?;
        let monitoring = &mut self.monitoring;
        for interval in [
            &mut monitoring.system_interval,
            &mut monitoring.pipeline_interval,
            &mut monitoring.agent_interval,
            &mut monitoring.model_interval,
        ] {
            set(env, "MONITORING_INTERVAL", "a number of seconds", interval)?;
        }
        Ok(())
    }

    /// Whether every value is in its range.
    ///
    /// # Errors
    /// The first that is not, with what it should be.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let Self { server, orchestration, monitoring, alerts, limits, retention } = self;
        let interval = INTERVAL_MIN..=SECONDS_MAX;
        within("server.max_connections", server.max_connections, 1..=1_000_000, "a number from 1 to 1000000")?;
        let bytes = FRAME_BYTES_MIN..=crate::server::limits::PEER_FRAME_BYTES_MAX;
        within("server.max_frame_bytes", server.max_frame_bytes, bytes, "bytes from 4096 to 67108864")?;
        let tasks = orchestration.max_concurrent_tasks;
        within("orchestration.max_concurrent_tasks (MAX_CONCURRENT_TASKS)", tasks, 1..=u32::MAX, "1 or more")?;
        let timeout = orchestration.task_timeout;
        within("orchestration.task_timeout", timeout, 0.0..=SECONDS_MAX, "seconds, or 0 for no limit")?;
        let retries = 0..=everlog_replay::limits::RETRIES_MAX;
        within("orchestration.retry_attempts", orchestration.retry_attempts, retries, "a number from 0 to 1000")?;
        within("orchestration.lease_term", orchestration.lease_term, 1.0..=SECONDS_MAX, "1 second or more")?;
        for (key, value) in [
            ("monitoring.system_interval (MONITORING_INTERVAL)", monitoring.system_interval),
            ("monitoring.pipeline_interval (MONITORING_INTERVAL)", monitoring.pipeline_interval),
            ("monitoring.agent_interval (MONITORING_INTERVAL)", monitoring.agent_interval),
            ("monitoring.model_interval (MONITORING_INTERVAL)", monitoring.model_interval),
        ] {
            within(key, value, interval.clone(), "0.2 seconds or more")?;
        }
        let percent = 0.0..=100.0;
        within("alerts.cpu_threshold", alerts.cpu_threshold, percent.clone(), "percent from 0 to 100")?;
        within("alerts.memory_threshold", alerts.memory_threshold, percent.clone(), "percent from 0 to 100")?;
        within("alerts.error_rate_threshold", alerts.error_rate_threshold, 0.0..=1.0, "a share from 0 to 1")?;
        let cooldown = 0..=SECONDS_MAX as u64;
        within("alerts.cooldown_seconds (ALERT_COOLDOWN)", alerts.cooldown_seconds, cooldown, "seconds")?;
        within("limits.max_memory_mb (MAX_MEMORY_MB)", limits.max_memory_mb, 1..=MEGABYTES_MAX, "1 MB or more")?;
        within("limits.max_cpu_percent (MAX_CPU_PERCENT)", limits.max_cpu_percent, percent, "percent from 0 to 100")?;
        let hours = 1..=SECONDS_MAX as u64 / 3_600;
        within("retention.metrics_hours (METRICS_RETENTION_HOURS)", retention.metrics_hours, hours, "1 hour or more")
    }

    /// The part that decisions rest on.
    #[must_use]
    pub(crate) fn settings(&self) -> Settings {
        let Self { orchestration, limits, retention, .. } = self;
        let timeout_ms = millis(orchestration.task_timeout);
        Settings {
            strategy: orchestration.strategy,
            concurrent_max: orchestration.max_concurrent_tasks,
            timeout_ms: (timeout_ms > 0).then_some(timeout_ms),
            retry_attempts: orchestration.retry_attempts,
            limits: Resources {
                cpu: (limits.max_cpu_percent * PERCENT_HUNDREDTHS).round() as u32,
                memory: limits.max_memory_mb.saturating_mul(MEGABYTE_KIB),
                gpu: 0,
            },
            lease_ms: millis(orchestration.lease_term),
            ended_kept: retention.ended_tasks,
        }
    }

    /// How to set a coordinator up on a data directory.
    #[must_use]
    pub(crate) fn setup(&self, data: &Path) -> Setup {
        Setup {
            place: Place::Directory(data.to_owned()),
            door: Some(self.door()),
            system_interval: Duration::from_millis(millis(self.monitoring.system_interval)),
            settings: self.settings(),
        }
    }

    /// Where to listen; the way for other machines is the caller's to open.
    fn door(&self) -> DoorConfig {
        DoorConfig {
            host: self.server.host.clone(),
            port: self.server.port,
            max_connections: self.server.max_connections,
            max_frame_bytes: self.server.max_frame_bytes,
            ..DoorConfig::default()
        }
    }
}

/// Seconds as milliseconds; what is more than nothing stays so.
fn millis(seconds: f64) -> u64 {
    (seconds * SECOND_MS).ceil() as u64
}

fn set<T: FromStr>(
    env: &impl Fn(&str) -> Option<String>,
    name: &'static str,
    expected: &'static str,
    value: &mut T,
) -> Result<(), ConfigError> {
    // An empty variable is how many tools unset one.
    let Some(text) = env(name).filter(|text| !text.trim().is_empty()) else { return Ok(()) };
    *value = text.trim().parse().map_err(|_| ConfigError::Variable { name, value: text, expected })?;
    Ok(())
}

fn within<T: PartialOrd + Display>(
    key: &'static str,
    value: T,
    range: std::ops::RangeInclusive<T>,
    expected: &'static str,
) -> Result<(), ConfigError> {
    // NaN is in no range.
    if range.contains(&value) { Ok(()) } else { Err(ConfigError::Range { key, value: value.to_string(), expected }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = include_str!("../config/mcp.yaml");

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, Path::new("mcp.yaml"))
    }

    fn with(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mcp.yaml");
        std::fs::write(&path, text).unwrap();
        Config::load(Some(&path), |name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_shipped_file_says_the_defaults() {
        assert_eq!(parse(SHIPPED).unwrap(), Config::default());
        assert_eq!(Config::default().settings(), Settings::default());
        assert_eq!(Config::default().door(), DoorConfig::default());
        let setup =
            Setup { place: Place::Directory("d".into()), door: Some(DoorConfig::default()), ..Setup::default() };
        assert_eq!(Config::default().setup(Path::new("d")), setup);
        Config::default().check().unwrap();
    }

    #[test]
    fn what_the_file_leaves_out_stays_as_it_was() {
        assert_eq!(parse("").unwrap(), Config::default());
        assert_eq!(parse("# nothing\n").unwrap(), Config::default());
        let config = parse("server: {port: 0}\norchestration: {strategy: priority_based, task_timeout: 0}\n").unwrap();
        assert_eq!((config.server.port, config.server.host.as_str()), (0, "localhost"));
        assert_eq!((config.settings().strategy, config.settings().timeout_ms), (Strategy::PriorityBased, None));
    }

    #[test]
    fn the_environment_counts_more_than_the_file() {
        let config = with(
            "server: {port: 1, host: file}\nmonitoring: {agent_interval: 3}\n",
            &[
                ("MCP_SERVER_PORT", "2"),
                ("MCP_SERVER_HOST", ""),
                ("MONITORING_INTERVAL", "0.5"),
                ("ALERT_COOLDOWN", "7"),
                ("METRICS_RETENTION_HOURS", "48"),
                ("MAX_CONCURRENT_TASKS", "99"),
                ("MAX_MEMORY_MB", " 512 "),
                ("MAX_CPU_PERCENT", "12.5"),
            ],
        )
        .unwrap();
        assert_eq!((config.server.port, config.server.host.as_str()), (2, "file"));
        let intervals = &config.monitoring;
        assert_eq!([intervals.system_interval, intervals.agent_interval, intervals.model_interval], [0.5; 3]);
        assert_eq!((config.alerts.cooldown_seconds, config.retention.metrics_hours), (7, 48));
        let settings = config.settings();
        assert_eq!((settings.concurrent_max, settings.limits.memory, settings.limits.cpu), (99, 512 * 1_024, 1_250));
        assert_eq!(config.setup(Path::new("d")).system_interval, Duration::from_millis(500));
    }

    #[test]
    fn an_unknown_key_is_named_with_the_nearest_known_one() {
        for (text, parts) in [
            ("servr: {}\n", ["'servr'", "'server'", "line 1"]),
            ("server:\n  host: localhost\n  prot: 8700\n", ["'prot'", "'port'", "line 3"]),
            ("alerts:\n  cooldown: 3\n", ["'cooldown'", "cooldown_seconds", "line 2"]),
        ] {
            let sentence = parse(text).unwrap_err().to_string();
            assert!(parts.iter().all(|part| sentence.contains(part)), "{sentence}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_named_with_what_would() {
        for (text, variables, part) in [
            ("server: {port: 70000}", &[][..], "port"),
            ("server: [", &[], "mcp.yaml is not valid"),
            ("server: {max_connections: 0}", &[], "server.max_connections is 0"),
            ("orchestration: {strategy: fastest}", &[], "fastest"),
            ("orchestration: {task_timeout: .nan}", &[], "orchestration.task_timeout"),
            ("limits: {max_cpu_percent: 101}", &[], "MAX_CPU_PERCENT"),
            ("", &[("MCP_SERVER_PORT", "many")], "MCP_SERVER_PORT is 'many'; set it to a port"),
            ("", &[("MONITORING_INTERVAL", "-1")], "monitoring.system_interval (MONITORING_INTERVAL) is -1"),
        ] {
            let sentence = with(text, variables).unwrap_err().to_string();
            assert!(sentence.contains(part), "{text} {variables:?}: {sentence}");
        }
    }

    #[test]
    fn a_file_that_was_named_must_be_there() {
        let error = Config::load(Some(Path::new("no/such/file.yaml")), |_| None).unwrap_err();
        assert!(error.to_string().contains("no/such/file.yaml"), "{error}");
    }
}
