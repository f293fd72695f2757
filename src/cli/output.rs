//! Data on its way to stdout, in the form that was asked for.

use std::io::{self, Write};

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Map, Value, json};

use super::terminal;

/// Cells are cut at this many characters: a table is to be looked at, `--output json` has it all.
const CELL_CHARS_MAX: usize = 120;

/// The forms that data is printed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people
    Table,
    /// One document
    Json,
    /// One record a line
    Ndjson,
}

/// One line of JSON.
pub(super) fn compact(value: &Value) -> String {
    terminal::lines(&value.to_string()).into_owned()
}

/// JSON over several lines.
pub(super) fn pretty(value: &Value) -> String {
    terminal::lines(&format!("{value:#}")).into_owned()
}

/// A table whose cells are safe to show and whose width fits the terminal.
pub(super) fn table<const COLUMNS: usize>(
    header: [&str; COLUMNS],
    rows: impl IntoIterator<Item = [String; COLUMNS]>,
) -> String {
    render_table(&header.map(str::to_owned), rows.into_iter().map(|row| row.to_vec()))
}

fn render_table(header: &[String], rows: impl Iterator<Item = Vec<String>>) -> String {
    let shown = |cell: &String| terminal::shortened(cell, CELL_CHARS_MAX);
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header.iter().map(shown).collect::<Vec<_>>());
    for row in rows {
        table.add_row(row.iter().map(shown).collect::<Vec<_>>());
    }
    table.trim_fmt()
}

/// Prints any result: records as a table or line by line, the rest as it is.
pub(super) fn print(out: &mut impl Write, value: &Value, output: Output) -> io::Result<()> {
    match output {
        Output::Json => writeln!(out, "{}", pretty(value)),
        Output::Ndjson => match records(value) {
            Some(records) => records.iter().try_for_each(|one| writeln!(out, "{}", compact(one))),
            None => writeln!(out, "{}", compact(value)),
        },
        Output::Table => writeln!(out, "{}", as_table(value)),
    }
}

/// The one list of objects in a result: that is what a listing method returns.
fn records(value: &Value) -> Option<&Vec<Value>> {
    let lists = value.as_object()?.values().filter_map(Value::as_array);
    let mut lists = lists.filter(|list| list.iter().all(Value::is_object));
    let only = lists.next()?;
    lists.next().is_none().then_some(only)
}

fn as_table(value: &Value) -> String {
    if let Some(records) = records(value) {
        return records_table(records);
    }
    match value {
        Value::Object(fields) => {
            table(["field", "value"], fields.iter().map(|(name, value)| [name.clone(), cell(value)]))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            terminal::one_line(&cell(value))
        }
    }
}

fn records_table(records: &[Value]) -> String {
    let empty = Map::new();
    let fields = |record: &Value| record.as_object().unwrap_or(&empty).clone();
    let mut columns: Vec<String> = Vec::new();
    for record in records {
        let new = fields(record).into_iter().map(|(name, _)| name);
        columns.extend(new.filter(|name| !columns.contains(name)).collect::<Vec<_>>());
    }
    if columns.is_empty() {
        return "none".to_owned();
    }
    let row = |record: &Value| columns.iter().map(|name| cell(&record[name.as_str()])).collect();
    render_table(&columns, records.iter().map(row))
}

/// A value as the text of a cell.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// A record that says what kind it is, for lines of several kinds.
pub(super) fn tagged(kind: &str, record: &Value) -> Value {
    let mut tagged = json!({"kind": kind});
    if let (Some(into), Some(fields)) = (tagged.as_object_mut(), record.as_object()) {
        into.extend(fields.clone());
    }
    tagged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_is_a_table_of_its_records() {
        let table = as_table(&json!({"total": 2, "tasks": [{"id": "1", "name": "a"}, {"id": "2", "note": "\u{1b}"}]}));
        let lines: Vec<&str> = table.lines().collect();
        let header = lines.iter().find(|line| line.contains("id")).expect("a header");
        assert!(header.contains("name") && header.contains("note"), "{table}");
        assert!(table.contains("\\u001b") && !table.contains('\u{1b}'), "{table}");
    }

    #[test]
    fn only_a_single_list_of_objects_is_a_listing() {
        assert!(records(&json!({"keys": ["a"], "total": 1})).is_none());
        assert!(records(&json!({"metrics": [{}], "models": [{}]})).is_none());
        assert_eq!(records(&json!({"agents": [{}], "total": 1})).map(Vec::len), Some(1));
    }
}
