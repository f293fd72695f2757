//! The layer of the file: YAML with sections of keys, each of them in the table.

use super::error::FileMistake;
use super::{ConfigError, Environment, KEYS, Key, Loaded, Origin, SECTIONS};
use crate::protocol::distance;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_saphyr::{Location, Spanned};
use std::fmt;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

/// The file that is read first when none is named.
const HERE: &str = "config/mcp.yaml";
/// The user's own, below the directory of configurations.
const OF_USER: &str = "everlog/config.yaml";
/// The machine's.
const OF_MACHINE: &str = "/etc/everlog/config.yaml";

/// The file to read: the one that is named, which must be there, or the first that is there.
pub(super) fn find(named: Option<&Path>, environment: &Environment) -> Option<PathBuf> {
    if let Some(path) = named.or_else(|| environment.get("EVERLOG_CONFIG").map(Path::new)) {
        return Some(path.to_owned());
    }
    let candidates = [Some(HERE.into()), of_user(environment), Some(OF_MACHINE.into())];
    candidates.into_iter().flatten().find(|path: &PathBuf| path.exists())
}

pub(super) fn of_user(environment: &Environment) -> Option<PathBuf> {
    let home = || environment.get("HOME").map(|home| Path::new(home).join(".config"));
    let directory = environment.get("XDG_CONFIG_HOME").map(PathBuf::from).or_else(home)?;
    Some(directory.join(OF_USER))
}

/// Reads a file into `loaded`.
pub(super) fn read(path: &Path, loaded: &mut Loaded) -> Result<(), ConfigError> {
    let text =
        std::fs::read_to_string(path).map_err(|cause| ConfigError::Unreadable { path: path.to_owned(), cause })?;
    let mistake = |place: Option<Location>, message: String| FileMistake::new(path, &text, place, message);
    // A file of comments alone is null, and so is a section without keys.
    let document: Option<Document> = serde_saphyr::from_str(&text).map_err(|error| {
        let error = error.without_snippet();
        mistake(error.location(), words_of(error))
    })?;
    for (section, keys) in document.map(|document| document.0).unwrap_or_default() {
        if !SECTIONS.iter().any(|(known, _)| *known == section.value) {
            let known = SECTIONS.iter().map(|(name, _)| *name).collect();
            return Err(mistake(Some(section.referenced), unknown("section", &section.value, "", known)).into());
        }
        for (name, value) in keys.map(|keys| keys.0).unwrap_or_default() {
            let is_here = |key: &&Key| key.section == section.value;
            let Some(at) = KEYS.iter().position(|key| is_here(&key) && key.name == name.value) else {
                let known = KEYS.iter().filter(is_here).map(|key| key.name).collect();
                let within = format!(" in {}", section.value);
                return Err(mistake(Some(name.referenced), unknown("key", &name.value, &within, known)).into());
            };
            let origin = Origin::File(path.to_owned(), line(value.referenced));
            let text = value.value.unwrap_or_default();
            loaded.set(at, &text, origin).map_err(|error| mistake(Some(value.referenced), error.to_string()))?;
        }
    }
    Ok(())
}

fn unknown(what: &str, name: &str, within: &str, known: Vec<&str>) -> String {
    let nearest = known.iter().min_by_key(|other| distance(other, name)).unwrap_or(&"");
    format!("there is no {what} '{name}'{within}; did you mean '{nearest}'? Known are {}", known.join(", "))
}

fn line(location: Location) -> usize {
    usize::try_from(location.line()).unwrap_or(0)
}

/// What the parser says, without the place, which is shown in front already.
fn words_of(error: &serde_saphyr::Error) -> String {
    let words = error.to_string();
    let place = error.location().map(|at| format!(" at line {}, column {}", at.line(), at.column()));
    place.and_then(|place| words.strip_suffix(&place).map(str::to_owned)).unwrap_or(words)
}

/// Sections with their keys.
type Document = Map<Option<Map<Spanned<Option<String>>>>>;

/// Entries in the order of the file, each with its place.
struct Map<V>(Vec<(Spanned<String>, V)>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Map<V> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_map(Entries(PhantomData))
    }
}

struct Entries<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for Entries<V> {
    type Value = Map<V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("keys with their values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut input: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = input.next_entry()? {
            entries.push(entry);
        }
        Ok(Map(entries))
    }
}
