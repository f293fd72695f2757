//! The listing verbs: read page by page, and printed in the form that was asked for.

pub(super) mod agents;
pub(super) mod errors;
pub(super) mod ps;
pub(super) mod tasks;
#[cfg(test)]
mod tests;

use std::io::{self, Write};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::exit::Trouble;
use super::grid::{self, Cell, Look, Title};
use super::output::{self, Output};
use super::remote::Remote;
use super::when;

/// Records asked for at once. The coordinator sends fewer where they do not fit a frame.
const PAGE: usize = 500;

/// A listing of the coordinator.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    /// For example `task/list`.
    pub(super) method: &'static str,
    /// What the method calls its list.
    pub(super) field: &'static str,
    /// An object; a null filter is none.
    pub(super) filters: Value,
    /// The coordinator lists the oldest first.
    pub(super) newest_first: bool,
    pub(super) limit: Option<usize>,
}

impl Ask {
    pub(super) fn new(method: &'static str, field: &'static str, filters: Value) -> Self {
        Self { method, field, filters, newest_first: false, limit: None }
    }

    /// The records from `offset` on, at most `limit`, and how many there are in all.
    async fn page(&self, remote: &Remote, offset: usize, limit: usize) -> Result<(Vec<Value>, usize), Trouble> {
        let mut params = self.filters.clone();
        params["offset"] = json!(offset);
        params["limit"] = json!(limit);
        let mut answer = remote.call(self.method, params).await?;
        let records = answer.get_mut(self.field).map(Value::take);
        let records = records.and_then(|records| serde_json::from_value(records).ok()).unwrap_or_default();
        Ok((records, usize::try_from(answer["total"].as_u64().unwrap_or(0)).unwrap_or(usize::MAX)))
    }

    /// The records from `from` to before `to`, however many pages that takes.
    async fn range(&self, remote: &Remote, from: usize, to: usize) -> Result<Vec<Value>, Trouble> {
        let mut found = Vec::new();
        while from + found.len() < to {
            let (page, _) = self.page(remote, from + found.len(), to - from - found.len()).await?;
            if page.is_empty() {
                break;
            }
            found.extend(page);
        }
        Ok(found)
    }

    /// Hands on the records page by page; how many there are in all, also beyond the limit.
    pub(super) async fn each_page(
        &self,
        remote: &Remote,
        mut take: impl FnMut(Vec<Value>) -> io::Result<()>,
    ) -> Result<usize, Trouble> {
        let most = self.limit.unwrap_or(usize::MAX);
        if !self.newest_first {
            let mut seen = 0;
            loop {
                let (page, total) = self.page(remote, seen, PAGE.min(most - seen)).await?;
                seen += page.len();
                let last = page.is_empty() || seen >= most.min(total);
                take(page)?;
                if last {
                    return Ok(total);
                }
            }
        }
        let (_, total) = self.page(remote, 0, 0).await?;
        let end = total.saturating_sub(most);
        let mut to = total;
        while to > end {
            let from = to.saturating_sub(PAGE).max(end);
            let mut page = self.range(remote, from, to).await?;
            page.reverse();
            take(page)?;
            to = from;
        }
        Ok(total)
    }

    /// All of them, up to the limit.
    pub(super) async fn all(&self, remote: &Remote) -> Result<Vec<Value>, Trouble> {
        let mut all = Vec::new();
        self.each_page(remote, |page| {
            all.extend(page);
            Ok(())
        })
        .await?;
        Ok(all)
    }
}

/// A column of a table. One whose header ends in `…` gives way where there is no room.
pub(super) struct Column {
    pub(super) header: &'static str,
    /// How much it matters: 0 is never left out, of the others the highest goes first.
    pub(super) rank: usize,
    pub(super) cell: fn(&Value, Timestamp) -> Cell,
}

/// Prints records: those of `ndjson` as they come, the others at the end.
pub(super) struct Printer<'a, W> {
    out: W,
    output: Output,
    field: &'static str,
    columns: &'a [Column],
    look: Look,
    now: Timestamp,
    kept: Vec<Value>,
    shown: usize,
}

impl<'a> Printer<'a, io::BufWriter<io::Stdout>> {
    /// On stdout, now.
    pub(super) fn new(output: Output, field: &'static str, columns: &'a [Column]) -> Self {
        Self::onto(io::BufWriter::new(io::stdout()), output, field, columns, Look::of_stdout(), when::now())
    }
}

impl<'a, W: Write> Printer<'a, W> {
    fn onto(out: W, output: Output, field: &'static str, columns: &'a [Column], look: Look, now: Timestamp) -> Self {
        Self { out, output, field, columns, look, now, kept: Vec::new(), shown: 0 }
    }

    pub(super) fn page(&mut self, records: Vec<Value>) -> io::Result<()> {
        self.shown += records.len();
        if self.output != Output::Ndjson {
            self.kept.extend(records);
            return Ok(());
        }
        records.iter().try_for_each(|record| writeln!(self.out, "{}", output::compact(record)))
    }

    /// Prints what is left of `total` records; how many were printed.
    pub(super) fn finish(mut self, total: usize) -> io::Result<usize> {
        match self.output {
            Output::Ndjson => {}
            Output::Json => {
                let all = json!({self.field: self.kept, "total": total});
                writeln!(self.out, "{}", output::pretty(&all))?;
            }
            Output::Table if self.kept.is_empty() => {}
            Output::Table => {
                let row = |record| self.columns.iter().map(|column| (column.cell)(record, self.now)).collect();
                let title = |column: &Column| Title { name: column.header, rank: column.rank };
                let titles: Vec<Title> = self.columns.iter().map(title).collect();
                writeln!(self.out, "{}", grid::grid(&titles, self.kept.iter().map(row).collect(), self.look))?;
            }
        }
        self.out.flush()?;
        Ok(self.shown)
    }
}

/// Reads and prints a listing; `empty` is what to try where there is nothing.
pub(super) async fn print(
    remote: &Remote,
    ask: &Ask,
    output: Output,
    columns: &[Column],
    empty: &str,
) -> Result<(), Trouble> {
    let mut printer = Printer::new(output, ask.field, columns);
    let total = ask.each_page(remote, |page| printer.page(page)).await?;
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
