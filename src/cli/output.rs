//! Data on its way to stdout, in the form that was asked for.

use std::io::{self, Write};

use clap::ValueEnum;
use serde_json::{Map, Value, json};

use super::grid::{self, Cell, Look, Title};
use super::terminal;

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

/// A table whose columns give way where there is no room for all, and the last ones go first.
pub(super) fn table<const COLUMNS: usize>(
    header: [&str; COLUMNS],
    rows: impl IntoIterator<Item = [String; COLUMNS]>,
) -> String {
    let header = header.map(|name| format!("{name}…"));
    table_of(&header.each_ref().map(String::as_str), rows.into_iter().map(|row| row.to_vec()), Look::of_stdout())
}

fn table_of(header: &[&str], rows: impl Iterator<Item = Vec<String>>, look: Look) -> String {
    let titles: Vec<Title> = header.iter().enumerate().map(|(rank, name)| Title { name, rank }).collect();
    grid::grid(&titles, rows.map(|row| row.iter().map(Cell::plain).collect()).collect(), look)
}

/// Prints any result: records as a table or line by line, the rest as it is.
pub(super) fn print(out: &mut impl Write, value: &Value, output: Output) -> io::Result<()> {
    match output {
        Output::Json => writeln!(out, "{}", pretty(value)),
        Output::Ndjson => match records(value) {
            Some((_name, records)) => records.iter().try_for_each(|one| writeln!(out, "{}", compact(one))),
            None => writeln!(out, "{}", compact(value)),
        },
        Output::Table => writeln!(out, "{}", as_table(value, Look::of_stdout())),
    }
}

/// What the listing methods call their lists (protocol §3). Any other list is a part of its record.
const LISTINGS: [&str; 6] = ["pipelines", "tasks", "agents", "errors", "metrics", "keys"];

/// The list of a listing, with its name: a listing says how many there are in all.
fn records(value: &Value) -> Option<(&'static str, &[Value])> {
    value.get("total")?;
    LISTINGS.into_iter().find_map(|name| Some((name, value.get(name)?.as_array()?.as_slice())))
}

fn as_table(value: &Value, look: Look) -> String {
    if let Some((name, records)) = records(value) {
        return records_table(name, records, look);
    }
    match value {
        Value::Object(fields) => {
            let rows = fields.iter().map(|(name, value)| vec![name.clone(), cell(value)]);
            table_of(&["field…", "value…"], rows, look)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            terminal::one_line(&cell(value))
        }
    }
}

/// The columns that say most come first, and stay when there is no room for all.
const FIRST_COLUMNS: [&str; 3] = ["name", "id", "status"];

/// How wide a table of records is where no terminal says it, in columns: a line of a log that is still read at a glance.
const PIPED_WIDTH: usize = 160;

/// The records with the columns that tell them apart and find room; `--output json` has them all.
fn records_table(name: &str, records: &[Value], look: Look) -> String {
    if records.is_empty() {
        return "none".to_owned();
    }
    let columns = columns(name, records);
    let row = |record: &Value| columns.iter().map(|column| cell(field(record, column))).collect();
    table_of(&columns, records.iter().map(row), Look { width: look.width.or(Some(PIPED_WIDTH)), ..look })
}

/// A record's field; what is no object is its own only field.
fn field<'a>(record: &'a Value, column: &str) -> &'a Value {
    if record.is_object() { &record[column] } else { record }
}

/// The fields that say something; those with lists and objects in them are left out: they are no cells.
fn columns<'a>(name: &'a str, records: &'a [Value]) -> Vec<&'a str> {
    let mut columns: Vec<&str> = FIRST_COLUMNS.to_vec();
    for name in records.iter().filter_map(Value::as_object).flat_map(Map::keys) {
        if !columns.contains(&name.as_str()) {
            columns.push(name);
        }
    }
    let says = |column: &&str| {
        let mut cells = records.iter().filter_map(|record| record.get(column));
        cells.clone().any(|cell| !cell.is_null()) && !cells.any(|cell| cell.is_object() || cell.is_array())
    };
    columns.retain(says);
    if columns.is_empty() { vec![name] } else { columns }
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

    const PIPED: Look = Look { colors: false, width: None };

    #[test]
    fn a_listing_is_a_table_of_its_records() {
        let table =
            as_table(&json!({"total": 2, "tasks": [{"id": "1", "name": "a"}, {"id": "2", "note": "\u{1b}"}]}), PIPED);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[0], "NAME  ID  NOTE");
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
        let keys = as_table(&json!({"keys": ["a", "b"], "total": 2}), PIPED);
        assert_eq!(keys, "KEYS\na\nb");
        assert_eq!(as_table(&json!({"tasks": [], "total": 0}), PIPED), "none");
        assert!(as_table(&json!({"id": "t", "depends_on": []}), PIPED).contains("depends_on"));
    }

    #[test]
    fn a_wide_record_keeps_what_fits() {
        let wide: Map<String, Value> = (0..100).map(|n| (format!("field{n}"), json!("x".repeat(30)))).collect();
        let mut record = Value::Object(wide);
        record["id"] = json!("7");
        record["config"] = json!({"large": true});
        let table = records_table("tasks", &[record], PIPED);
        let header = table.lines().next().expect("a header");
        assert!(header.starts_with("ID  FIELD0 ") && !header.contains("CONFIG"), "{table}");
        assert!(table.lines().all(|line| line.chars().count() <= PIPED_WIDTH), "{table}");
    }
}
