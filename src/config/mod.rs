//! The configuration (protocol §6): flags count more than the environment, that more than the file, and that more than the
//! defaults. A key that nobody knows is an error, since a misspelt one would silently have no effect.
//!
//! All keys stand in one table ([`keys`]); what can be said about a key follows from its row.

mod environment;
mod error;
mod file;
mod keys;
pub(crate) mod manual;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use environment::Environment;
pub(crate) use error::ConfigError;
pub(crate) use keys::{Config, KEYS, SECTIONS};
pub(crate) use table::{Effect, Key};

use crate::coordinator::Place;
use crate::embedded::Setup;
use crate::server::DoorConfig;
use everlog_replay::spec::{Resources, Settings};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// Lines for people
    Text,
    /// One JSON object a line
    Json,
}

/// Which messages are written: these and the more important ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogLevel {
    /// What went wrong
    Error,
    /// What may go wrong
    Warn,
    /// What happens
    Info,
    /// Why it happens
    Debug,
    /// Everything
    Trace,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nobody said anything.
    Default,
    /// A line of the file, from 1.
    File(PathBuf, usize),
    /// A variable of the environment.
    Variable(String),
    /// A flag.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => write!(f, "env {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// Where to look for a configuration: read at the start, and again at every reload.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    /// The file that was named.
    pub file: Option<PathBuf>,
    /// The environment as it was at the start; the files that it names are read anew.
    pub environment: Environment,
    /// Flags: `section.key`, the flag, its value.
    pub flags: Vec<(&'static str, &'static str, String)>,
}

/// A configuration that was read.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    /// What is in force.
    pub config: Config,
    /// Where each value comes from, in the order of [`KEYS`].
    pub origins: Vec<Origin>,
    /// The file that was read.
    pub file: Option<PathBuf>,
    /// What deserves a warning.
    pub warnings: Vec<String>,
}

impl Sources {
    /// The named file, or the first that is there, and this process's environment.
    pub(crate) fn of_process(file: Option<&Path>) -> Self {
        Self { file: file.map(Path::to_owned), environment: Environment::of_process(), flags: Vec::new() }
    }

    /// Reads all layers.
    ///
    /// # Errors
    /// When a file can not be read, or a key or a value makes no sense.
    pub(crate) fn load(&self) -> Result<Loaded, ConfigError> {
        let mut loaded = Loaded::default();
        if let Some(path) = file::find(self.file.as_deref(), &self.environment) {
            file::read(&path, &mut loaded)?;
            loaded.file = Some(path);
        }
        self.environment.read(&mut loaded)?;
        for (path, flag, text) in &self.flags {
            let at = KEYS.iter().position(|key| key.path() == *path);
            debug_assert!(at.is_some(), "a flag is for a key: {path}");
            if let Some(at) = at {
                loaded.set(at, text, Origin::Flag(flag))?;
            }
        }
        Ok(loaded)
    }
}

impl Default for Loaded {
    fn default() -> Self {
        let origins = vec![Origin::Default; KEYS.len()];
        Self { config: Config::default(), origins, file: None, warnings: Vec::new() }
    }
}

impl Loaded {
    /// Tells the log what deserves a warning.
    pub(crate) fn warn(&self) {
        for warning in &self.warnings {
            tracing::warn!("{warning}");
        }
    }

    /// Sets the key at this place of [`KEYS`].
    fn set(&mut self, at: usize, text: &str, origin: Origin) -> Result<(), ConfigError> {
        let key = &KEYS[at];
        if !key.set(&mut self.config, text) {
            return Err(ConfigError::Value { key, origin, text: text.to_owned() });
        }
        self.origins[at] = origin;
        Ok(())
    }
}

/// What a reload leads to.
#[derive(Debug, PartialEq)]
pub(crate) struct Change {
    /// What is in force from now on.
    pub config: Config,
    /// A sentence for each key that was changed, and whether that takes effect now.
    pub told: Vec<(Effect, String)>,
}

impl Config {
    /// Takes over from `new` what can change at run time.
    pub(crate) fn change_to(&self, new: &Self) -> Change {
        let mut config = self.clone();
        let changed = KEYS.iter().filter(|key| (key.get)(self) != (key.get)(new));
        let told = changed.map(|key| {
            let (path, before, after) = (key.path(), key.shown(self), key.shown(new));
            let sentence = match key.effect {
                Effect::Reload => format!("{path} is now {after}; it was {before}"),
                Effect::Restart => format!("{path} stays {before}: it needs a restart to become {after}"),
                Effect::None => format!("{path} has no effect yet, so nothing changes"),
            };
            if key.effect == Effect::Reload {
                (key.take)(&mut config, new);
            }
            (key.effect, sentence)
        });
        let told = told.collect();
        Change { config, told }
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

    /// How to set a coordinator up.
    #[must_use]
    pub(crate) fn setup(&self) -> Setup {
        Setup {
            place: Place::Directory(PathBuf::from(&self.storage.data)),
            door: Some(self.door()),
            system_interval: Duration::from_millis(millis(self.monitoring.system_interval)),
            settings: self.settings(),
        }
    }

    fn door(&self) -> DoorConfig {
        DoorConfig {
            host: self.server.host.clone(),
            port: self.server.port,
            allow_remote: self.server.allow_unauthenticated_remote_access,
            max_connections: self.server.max_connections,
            max_frame_bytes: self.server.max_frame_bytes,
        }
    }
}

/// Milliseconds in a second.
const SECOND_MS: f64 = 1_000.0;
/// KiB in a megabyte of the protocol.
const MEGABYTE_KIB: u64 = 1_024;
/// Hundredths in a percent.
const PERCENT_HUNDREDTHS: f64 = 100.0;

/// Seconds as milliseconds; what is more than nothing stays so.
fn millis(seconds: f64) -> u64 {
    (seconds * SECOND_MS).ceil() as u64
}
