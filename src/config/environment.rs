//! The layer of the environment: the names of the protocol, `EVERLOG__SECTION__KEY` for every key, and for each of them
//! `…_FILE`, which names a file with the value, as containers hand out secrets.

use super::table::PREFIX;
use super::{ConfigError, KEYS, Key, Loaded, Origin};
use crate::client::CLIENT_VARIABLES;
use crate::yaml::nearest;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The variables of a process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment(BTreeMap<String, String>);

/// What a variable ends in that names a file.
const FILE_SUFFIX: &str = "_FILE";

/// How many names of the protocol begin (§6).
const PROTOCOL_PREFIX: &str = "MCP_";

/// A value, and the variable that it came from.
struct Found {
    text: String,
    variable: String,
}

impl Environment {
    /// Those of this process; what is not UTF-8 is no configuration.
    pub(crate) fn of_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        std::env::vars_os().filter_map(text).collect()
    }

    /// A variable. An empty one counts as unset: that is how many tools unset one.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    pub(super) fn read(&self, loaded: &mut Loaded) -> Result<(), ConfigError> {
        self.check_names(&mut loaded.warnings)?;
        KEYS.iter().enumerate().try_for_each(|(at, key)| self.read_key(at, key, loaded))
    }

    /// What it says of a section, whatever it says of others: for who needs no more.
    pub(crate) fn section(&self, name: &str) -> Result<Loaded, ConfigError> {
        let mut loaded = Loaded::default();
        let mut keys = KEYS.iter().enumerate().filter(|(_, key)| key.section == name);
        keys.try_for_each(|(at, key)| self.read_key(at, key, &mut loaded))?;
        Ok(loaded)
    }

    fn read_key(&self, at: usize, key: &Key, loaded: &mut Loaded) -> Result<(), ConfigError> {
        let mut found = Vec::new();
        for name in key.variables() {
            found.extend(self.find(&name)?);
        }
        let mut found = found.into_iter();
        let Some(first) = found.next() else { return Ok(()) };
        for second in found.filter(|second| second.text != first.text) {
            loaded.warnings.push(format!(
                "{} and {} differ: {} is '{}', as the first of them says; unset one of them",
                first.variable,
                second.variable,
                key.path(),
                first.text
            ));
        }
        loaded.set(at, &first.text, Origin::Variable(first.variable))
    }

    /// What a name stands for, directly or through a file.
    fn find(&self, name: &str) -> Result<Option<Found>, ConfigError> {
        let by_file = format!("{name}{FILE_SUFFIX}");
        match (self.get(name), self.get(&by_file)) {
            (None, None) => Ok(None),
            (Some(text), None) => Ok(Some(Found { text: text.to_owned(), variable: name.to_owned() })),
            (Some(_), Some(_)) => Err(ConfigError::BothSet { name: name.to_owned() }),
            (None, Some(path)) => match std::fs::read_to_string(path) {
                Ok(text) => Ok(Some(Found { text: text.trim().to_owned(), variable: by_file })),
                Err(cause) => Err(ConfigError::ValueFile { variable: by_file, path: PathBuf::from(path), cause }),
            },
        }
    }

    /// A misspelt name would silently have no effect. One of our own prefix is refused; one that is only near may belong to
    /// somebody else (Kubernetes sets `EVERLOG_PORT` for a service called everlog), and is worth a warning.
    fn check_names(&self, warnings: &mut Vec<String>) -> Result<(), ConfigError> {
        let known: Vec<String> = KEYS.iter().map(Key::variable).collect();
        // What all have in common makes none of them nearer.
        let known: Vec<&str> = known.iter().filter_map(|name| name.strip_prefix(PREFIX)).collect();
        for name in self.0.keys() {
            let Some(own) = name.strip_prefix(PREFIX) else {
                let meant = near(name).into_iter();
                warnings.extend(
                    meant.map(|meant| format!("the environment variable {name} is not read; did you mean {meant}?")),
                );
                continue;
            };
            let own = own.strip_suffix(FILE_SUFFIX).unwrap_or(own);
            if !known.contains(&own) {
                let nearest = nearest(own, &known).map(|near| format!("{PREFIX}{near}"));
                return Err(ConfigError::UnknownVariable { name: name.clone(), nearest });
            }
        }
        Ok(())
    }
}

/// What a variable of a foreign name was probably meant to be.
fn near(name: &str) -> Option<String> {
    let (bare, suffix) = name.strip_suffix(FILE_SUFFIX).map_or((name, ""), |bare| (bare, FILE_SUFFIX));
    let joined = |key: &Key| key.variable().replace("__", "_") == bare;
    let meant = KEYS.iter().find(|key| joined(key)).map(Key::variable).or_else(|| {
        // What all of them have in common makes none of them nearer.
        let names = KEYS.iter().filter_map(|key| key.alias).chain(CLIENT_VARIABLES);
        let names: Vec<&str> = names.filter_map(|name| name.strip_prefix(PROTOCOL_PREFIX)).collect();
        let own = bare.strip_prefix(PROTOCOL_PREFIX).filter(|own| !names.contains(own))?;
        nearest(own, &names).map(|meant| format!("{PROTOCOL_PREFIX}{meant}"))
    })?;
    Some(meant + suffix)
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(variables: T) -> Self {
        Self(variables.into_iter().collect())
    }
}
