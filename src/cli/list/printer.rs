//! Records on their way to stdout, as they come: however many there are, one page is in memory.

use std::io::{self, Write};

use jiff::Timestamp;
use serde_json::Value;

use crate::cli::grid::{self, Cell, Look, Title};
use crate::cli::output::{self, Output};
use crate::cli::when;

/// A column of a table. One whose header ends in `…` gives way where there is no room.
pub(in crate::cli) struct Column {
    pub(in crate::cli) header: &'static str,
    /// How much it matters: 0 is never left out, of the others the highest goes first.
    pub(in crate::cli) rank: usize,
    pub(in crate::cli) cell: fn(&Value, Timestamp) -> Cell,
}

/// Prints records in the form that was asked for.
pub(super) struct Printer<'a, W> {
    out: W,
    output: Output,
    field: &'static str,
    columns: &'a [Column],
    look: Look,
    now: Timestamp,
    /// The widest cell of each column so far.
    widest: Vec<Cell>,
    shown: usize,
}

impl<'a> Printer<'a, io::BufWriter<io::Stdout>> {
    /// On stdout, now.
    pub(super) fn new(output: Output, field: &'static str, columns: &'a [Column]) -> Self {
        Self::onto(io::BufWriter::new(io::stdout()), output, field, columns, Look::of_stdout(), when::now())
    }
}

impl<'a, W: Write> Printer<'a, W> {
    pub(super) fn onto(
        out: W,
        output: Output,
        field: &'static str,
        columns: &'a [Column],
        look: Look,
        now: Timestamp,
    ) -> Self {
        Self { out, output, field, columns, look, now, widest: Vec::new(), shown: 0 }
    }

    pub(super) fn page(&mut self, records: &[Value]) -> io::Result<()> {
        match self.output {
            Output::Ndjson => {
                records.iter().try_for_each(|record| writeln!(self.out, "{}", output::compact(record)))?
            }
            Output::Json => self.items(records)?,
            Output::Table if records.is_empty() => {}
            Output::Table => self.rows(records)?,
        }
        self.shown += records.len();
        self.out.flush()
    }

    /// Items of the one list of a document.
    fn items(&mut self, records: &[Value]) -> io::Result<()> {
        for (n, record) in (self.shown..).zip(records) {
            let before = if n == 0 { format!("{{\n  \"{}\": [", self.field) } else { ",".to_owned() };
            // A line break in a text is an escape, so these are all between its fields.
            write!(self.out, "{before}\n    {}", output::pretty(record).replace('\n', "\n    "))?;
        }
        Ok(())
    }

    /// Rows of the one table. The widest cells stand above each page, unseen, so that its columns are as wide as those before
    /// it; only a wider cell moves them.
    fn rows(&mut self, records: &[Value]) -> io::Result<()> {
        let row = |record| self.columns.iter().map(|column| (column.cell)(record, self.now)).collect();
        let mut rows: Vec<Vec<Cell>> = records.iter().map(row).collect();
        for row in &rows {
            widen(&mut self.widest, row);
        }
        rows.insert(0, self.widest.clone());
        let title = |column: &Column| Title { name: column.header, rank: column.rank };
        let titles: Vec<Title> = self.columns.iter().map(title).collect();
        let table = grid::grid(&titles, rows, self.look);
        let unseen = |line: usize| line == 1 || line == 0 && self.shown > 0;
        let mut lines = table.lines().enumerate().filter(|(line, _)| !unseen(*line));
        lines.try_for_each(|(_, line)| writeln!(self.out, "{line}"))
    }

    /// Ends what was begun, of `total` records; how many were printed.
    pub(super) fn finish(mut self, total: usize) -> io::Result<usize> {
        match self.output {
            Output::Json if self.shown == 0 => {
                writeln!(self.out, "{{\n  \"{}\": [],\n  \"total\": {total}\n}}", self.field)?
            }
            Output::Json => writeln!(self.out, "\n  ],\n  \"total\": {total}\n}}")?,
            Output::Table | Output::Ndjson => {}
        }
        self.out.flush()?;
        Ok(self.shown)
    }
}

fn widen(widest: &mut Vec<Cell>, row: &[Cell]) {
    if widest.is_empty() {
        *widest = row.to_vec();
    }
    for (widest, cell) in widest.iter_mut().zip(row) {
        if cell.columns() > widest.columns() {
            *widest = cell.clone();
        }
    }
}
