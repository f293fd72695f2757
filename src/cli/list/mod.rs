//! The listing verbs: read page by page, and printed in the form that was asked for.

pub(super) mod agents;
pub(super) mod errors;
mod pages;
mod printer;
pub(super) mod ps;
pub(super) mod tasks;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde_json::Value;

use super::exit::Trouble;
use super::grid::Cell;
use super::output::Output;
use super::remote::Remote;
use super::when;
pub(super) use pages::Ask;
pub(super) use printer::Column;
use printer::Printer;

/// Reads and prints a listing; `empty` is what to try where there is nothing.
pub(super) async fn print(
    remote: &Remote,
    ask: &Ask,
    output: Output,
    columns: &[Column],
    empty: &str,
) -> Result<(), Trouble> {
    let mut printer = Printer::new(output, ask.field, columns);
    let total = ask.each_page(remote, |page| Ok::<_, Trouble>(printer.page(&page)?)).await?;
    tell_rest(printer.finish(total)?, total, empty);
    Ok(())
}

/// What the records on stdout do not say.
fn tell_rest(shown: usize, total: usize, empty: &str) {
    if total == 0 {
        crate::cli::hint(empty);
    } else if shown < total {
        crate::cli::hint(&format!("{} more: see all with --limit {total}", total - shown));
    }
}

// What the columns of several listings show.

/// An id as it is typed: the end of a UUID, any other whole.
pub(super) fn short(id: &Value) -> String {
    /// Characters at the end of a UUID that tell those of one coordinator apart.
    const SHORT_CHARS: usize = 8;
    let id = id.as_str().unwrap_or_default();
    let is_uuid = uuid::Uuid::try_parse(id).is_ok();
    let from = if is_uuid { id.len().saturating_sub(SHORT_CHARS) } else { 0 };
    id.get(from..).unwrap_or(id).to_owned()
}

fn text(record: &Value, field: &str) -> Cell {
    Cell::plain(record[field].as_str().unwrap_or_default())
}

fn id(record: &Value, _now: Timestamp) -> Cell {
    Cell::quiet(short(&record["id"]))
}

fn ago(record: &Value, field: &str, now: Timestamp) -> Cell {
    Cell::plain(when::moment(&record[field]).map(|then| when::ago(then, now)).unwrap_or_default())
}

fn took(record: &Value, now: Timestamp) -> Cell {
    Cell::plain(when::span(record, now).unwrap_or_default())
}
