//! The layer of the file: YAML with sections of keys. What it may say is in the schema, which is made from the table.

use super::{ConfigError, Environment, KEYS, Loaded, Origin, manual};
use crate::yaml::{self, Checker, Mistake, Mistakes, Node};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

static CHECKER: LazyLock<Result<Checker, Mistake>> = LazyLock::new(|| Checker::new(manual::schema(), |_| false));

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
    let mut mistakes = Mistakes::default();
    let document = checked(&text, &mut mistakes);
    if !mistakes.is_empty() {
        return Err(mistakes.within(path, Some(text)).into());
    }
    for (at, key) in KEYS.iter().enumerate() {
        let section = document.as_ref().and_then(|document| document.get(key.section));
        if let Some(value) = section.and_then(|section| section.get(key.name)) {
            let (line, _) = yaml::place(&text, value.span);
            loaded.set(at, &literal(value), Origin::File(path.to_owned(), line))?;
        }
    }
    Ok(())
}

/// What a text says, if it says anything; it is in order if no mistakes are noted.
fn checked<'t>(text: &'t str, mistakes: &mut Mistakes) -> Option<Node<'t>> {
    let checker = mistakes.note(CHECKER.as_ref().map_err(Mistake::clone))?;
    let document = yaml::parse(text, mistakes);
    let document = mistakes.note(document)??;
    checker.file(&document, mistakes);
    Some(document)
}

/// A scalar as the environment and flags would say it: whole numbers in digits alone.
fn literal(value: &Node<'_>) -> String {
    match value.number().and_then(|number| number.as_f64()) {
        // Adding nothing makes -0 the 0 that it is.
        Some(number) => (number + 0.0).to_string(),
        None => value.text().unwrap_or_default().to_owned(),
    }
}
