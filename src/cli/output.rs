//! Data on its way to stdout, in the form that was asked for.

use std::io::{self, Write};

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Map, Value, json};

use super::terminal;

/// Cells are cut at this many characters: a table is to be looked at, `--output json` has it all.
pub(super) const CELL_CHARS_MAX: usize = 120;

/// The forms that data is printed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    // No doc comments: they would make the help of every verb three times as long.
    Table,
    Json,
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
            Some((_name, records)) => records.iter().try_for_each(|one| writeln!(out, "{}", compact(one))),
            None => writeln!(out, "{}", compact(value)),
        },
        Output::Table => writeln!(out, "{}", as_table(value)),
    }
}

/// What the listing methods call their lists (protocol §3). Any other list is a part of its record.
const LISTINGS: [&str; 6] = ["pipelines", "tasks", "agents", "errors", "metrics", "keys"];

/// The list of a listing, with its name: a listing says how many there are in all.
fn records(value: &Value) -> Option<(&'static str, &[Value])> {
    value.get("total")?;
    LISTINGS.into_iter().find_map(|name| Some((name, value.get(name)?.as_array()?.as_slice())))
}

fn as_table(value: &Value) -> String {
    if let Some((name, records)) = records(value) {
        return records_table(name, records);
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

/// The columns that say most come first, and stay when there is no room for all.
const FIRST_COLUMNS: [&str; 3] = ["name", "id", "status"];

/// How wide a table of records is where no terminal says it, in characters: a line of a log that is still read at a glance.
const PIPED_WIDTH: usize = 160;

/// The records with the columns that tell them apart and find room; `--output json` has them all.
fn records_table(name: &str, records: &[Value]) -> String {
    if records.is_empty() {
        return "none".to_owned();
    }
    let width = Table::new().set_content_arrangement(ContentArrangement::Dynamic).width();
    let width = width.map_or(PIPED_WIDTH, usize::from);
    let columns = columns(name, records, width);
    let row = |record: &Value| columns.iter().map(|column| cell(field(record, column))).collect();
    render_table(&columns, records.iter().map(row))
}

/// A record's field; what is no object is its own only field.
fn field<'a>(record: &'a Value, column: &str) -> &'a Value {
    if record.is_object() { &record[column] } else { record }
}

/// The columns that fit `width`, at least one. Those with lists and objects in them are left out: they are no cells.
fn columns(name: &str, records: &[Value], width: usize) -> Vec<String> {
    let mut all: Vec<&str> = FIRST_COLUMNS.to_vec();
    for record in records {
        let names = record.as_object().into_iter().flat_map(Map::keys).map(String::as_str);
        let names: Vec<&str> = names.filter(|one| !all.contains(one)).collect();
        all.extend(names);
    }
    let mut left = width;
    let mut columns = Vec::new();
    for column in all {
        let cells = || records.iter().filter(|record| record.is_object()).map(|record| &record[column]);
        if cells().all(Value::is_null) || cells().any(|cell| cell.is_object() || cell.is_array()) {
            continue;
        }
        let widest = cells().map(|value| cell(value).chars().count()).max().unwrap_or(0);
        let needed = widest.clamp(column.len(), CELL_CHARS_MAX) + CELL_PADDING;
        if needed > left && !columns.is_empty() {
            break;
        }
        left = left.saturating_sub(needed);
        columns.push(column.to_owned());
    }
    if columns.is_empty() {
        columns.push(name.to_owned());
    }
    columns
}

/// The blanks beside a cell.
const CELL_PADDING: usize = 2;

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
    fn only_the_list_of_a_listing_is_records() {
        let none = json!({"id": "t", "depends_on": [], "status": "idle"});
        assert_eq!(records(&none), None);
        assert_eq!(records(&json!({"pipeline_id": "p", "tasks": [], "task_ids": []})), None);
        let two = json!({"metrics": [{}, {}], "models": ["a", "b"], "total": 2});
        assert_eq!(records(&two).map(|(name, list)| (name, list.len())), Some(("metrics", 2)));
        let mut printed = Vec::new();
        print(&mut printed, &none, Output::Ndjson).expect("printed");
        print(&mut printed, &json!({"keys": ["k"], "total": 1}), Output::Ndjson).expect("printed");
        print(&mut printed, &json!({"tasks": [], "total": 0}), Output::Ndjson).expect("printed");
        assert_eq!(String::from_utf8_lossy(&printed), format!("{none}\n\"k\"\n"));
    }

    #[test]
    fn keys_are_a_column_and_nothing_is_said_to_be_none() {
        let keys = as_table(&json!({"keys": ["a", "b"], "total": 2}));
        assert!(keys.contains("keys") && keys.lines().count() == 3, "{keys}");
        assert_eq!(as_table(&json!({"tasks": [], "total": 0})), "none");
        assert!(as_table(&json!({"id": "t", "depends_on": []})).contains("depends_on"));
    }

    #[test]
    fn a_wide_record_keeps_what_fits() {
        let wide: Map<String, Value> = (0..100).map(|n| (format!("field{n}"), json!("x".repeat(30)))).collect();
        let mut record = Value::Object(wide);
        record["id"] = json!("7");
        record["config"] = json!({"large": true});
        let records = [record];
        let columns = columns("tasks", &records, PIPED_WIDTH);
        assert_eq!((columns[0].as_str(), columns.len()), ("id", 5), "{columns:?}");
        let table = records_table("tasks", &records);
        assert!(table.lines().all(|line| line.chars().count() <= PIPED_WIDTH), "{table}");
    }
}
