//! Tables for people: one line a record, coloured, no wider than the terminal; and bars.

use comfy_table::{Cell as TableCell, ColumnConstraint, ContentArrangement, Row, Table, presets};

use super::color::{self, Tone};
use super::terminal;

/// Cells are cut at this many characters even where there is room: a table is to be looked at, `--output json` has it all.
const CELL_CHARS_MAX: usize = 120;

/// What stands where there is nothing to say.
const NOTHING: &str = "-";

/// One cell: text that is safe to show once it is here, and its tone.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    pub(super) fn new(text: impl AsRef<str>, tone: Tone) -> Self {
        let text = terminal::shortened(text.as_ref(), CELL_CHARS_MAX);
        Self { text: if text.is_empty() { NOTHING.to_owned() } else { text }, tone }
    }

    pub(super) fn plain(text: impl AsRef<str>) -> Self {
        Self::new(text, Tone::Plain)
    }

    pub(super) fn quiet(text: impl AsRef<str>) -> Self {
        Self::new(text, Tone::Quiet)
    }

    /// A status in its tone.
    pub(super) fn status(status: &str) -> Self {
        Self::new(status, Tone::of(status))
    }

    /// How wide it is.
    pub(super) fn chars(&self) -> usize {
        self.text.chars().count()
    }

    fn colour(&self) -> Option<comfy_table::Color> {
        match self.tone {
            Tone::Plain => None,
            Tone::Good => Some(comfy_table::Color::DarkGreen),
            Tone::Bad => Some(comfy_table::Color::DarkRed),
            Tone::Busy => Some(comfy_table::Color::DarkCyan),
            Tone::Held => Some(comfy_table::Color::DarkYellow),
            Tone::Quiet => Some(comfy_table::Color::DarkGrey),
        }
    }
}

/// How a table is to look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) colors: bool,
    /// Characters a line; `None` where nothing bounds it.
    pub(super) width: Option<u16>,
}

impl Look {
    /// What suits stdout.
    pub(super) fn of_stdout() -> Self {
        Self { colors: color::on_stdout(), width: Table::new().width() }
    }
}

/// Rows under a header. Columns whose header ends in `…` give way where there is no room for all.
pub(super) fn grid(header: &[&str], rows: Vec<Vec<Cell>>, look: Look) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_truncation_indicator("…");
    table.set_header(header.iter().map(|name| name.trim_end_matches('…').to_uppercase()));
    for row in rows {
        let mut line = Row::from(row.into_iter().map(|cell| match cell.colour() {
            Some(colour) => TableCell::new(cell.text).fg(colour),
            None => TableCell::new(cell.text),
        }));
        line.max_height(1);
        table.add_row(line);
    }
    for (name, column) in header.iter().zip(table.column_iter_mut()) {
        column.set_padding((0, 2));
        if !name.ends_with('…') {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    if let Some(width) = look.width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    if look.colors {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    table.trim_fmt()
}

/// How far something is, from 0 to 1, as a bar.
pub(super) fn bar(part: f64, chars: usize) -> String {
    let full = ((part * chars as f64) as usize).min(chars);
    format!("[{}{}]", "=".repeat(full), " ".repeat(chars - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Vec<Cell>> {
        let long = "a long explanation of what went wrong, too long for any line";
        vec![
            vec![Cell::plain("a\u{1b}b"), Cell::status("failed"), Cell::plain(long)],
            vec![Cell::plain(""), Cell::quiet("idle"), Cell::plain("short")],
        ]
    }

    #[test]
    fn a_table_keeps_to_its_width_and_only_soft_columns_give_way() {
        let text = grid(&["name", "status", "why…"], rows(), Look { colors: false, width: Some(40) });
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[0].starts_with("NAME") && lines[1].starts_with("a\\u001bb  failed  a long"), "{text}");
        assert!(lines[1].ends_with('…') && lines.iter().all(|line| line.chars().count() <= 40), "{text}");
        assert!(lines[2].starts_with("-  "), "{text}");
    }

    #[test]
    fn colours_come_and_go_and_change_no_letter() {
        let look = |colors| Look { colors, width: None };
        let (with, without) = (grid(&["n", "s", "w"], rows(), look(true)), grid(&["n", "s", "w"], rows(), look(false)));
        assert!(with.contains('\u{1b}') && !without.contains('\u{1b}'), "{with:?}");
    }
}
