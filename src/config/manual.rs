//! The table of keys for people and editors: the shipped file, the JSON Schema, the documentation. The tests compare what is in
//! the tree with what is made here, and write it anew under `EVERLOG_BLESS=1`.

use super::{Config, KEYS, Key, SECTIONS};
use serde_json::{Map, Value, json};

/// The JSON Schema of the file.
pub(crate) fn schema() -> Value {
    let defaults = Config::default();
    let key = |key: &Key| {
        let mut schema = key.allowed.schema();
        schema["default"] = (key.get)(&defaults);
        schema["description"] = json!(described(key));
        (key.name.to_owned(), schema)
    };
    let section = |(name, about): &(&str, &str)| {
        let keys: Map<String, Value> = of_section(name).map(key).collect();
        // A section whose keys are all commented out is null.
        let schema = json!({
            "type": ["object", "null"],
            "description": about.trim(),
            "properties": keys,
            "additionalProperties": false,
        });
        ((*name).to_owned(), schema)
    };
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The configuration of everlog",
        "type": ["object", "null"],
        "properties": SECTIONS.iter().map(section).collect::<Map<_, _>>(),
        "additionalProperties": false,
    })
}

/// The file that is shipped: every key with its default and its meaning.
#[cfg(test)]
pub(super) fn shipped_file() -> String {
    let defaults = Config::default();
    let mut text = String::from(
        "# yaml-language-server: $schema=../docs/schema/config.json\n\
         # The configuration of everlog with its defaults. A flag counts more than an environment variable, and that more than this file.\n\
         # A key that does not exist is an error, so that a misspelt one is not silently without effect.\n",
    );
    for (section, about) in SECTIONS {
        text += &format!("\n#{about}\n{section}:\n");
        for key in of_section(section) {
            text += &format!("  # {}\n  {}: {}\n", described(key), key.name, key.shown(&defaults));
        }
    }
    text
}

/// The rows of the documentation.
#[cfg(test)]
pub(super) fn table() -> String {
    let defaults = Config::default();
    let mut text =
        String::from("| key | | default | allowed | a change | name in the protocol |\n|---|---|---|---|---|---|\n");
    for key in KEYS {
        let alias = key.alias.map_or_else(String::new, |name| format!("`{name}`"));
        text += &format!(
            "| `{}` | {} | `{}` | {} | {} | {alias} |\n",
            key.path(),
            key.about.trim(),
            key.shown(&defaults),
            key.allowed.in_words(),
            key.effect.as_str(),
        );
    }
    text
}

fn of_section(section: &str) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| key.section == section)
}

/// All about a key, in a line.
fn described(key: &Key) -> String {
    let alias = key.alias.map_or_else(String::new, |name| format!("; {name}"));
    format!("{} ({}; {}{alias})", key.about.trim(), key.allowed.in_words(), key.effect.as_str())
}
