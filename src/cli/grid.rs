//! Tables for people: one line a record, coloured, and no line wider than the terminal; and bars.

use std::io;

use console::measure_text_width;

use super::color::{self, Tone};
use super::terminal;

/// Cells are cut at this many columns of the terminal even where there is room: a table is to be looked at, `--output json` has it all.
pub(super) const CELL_COLUMNS_MAX: usize = 120;

/// What stands where there is nothing to say.
const NOTHING: &str = "-";

/// Columns between two cells.
const GAP: usize = 2;

/// A cell that gives way keeps so many columns: with fewer it says too little for its place.
pub(super) const GIVING_MIN: usize = 12;

/// Columns of a bar with its brackets: with fewer it shows nothing, and with more nothing better.
const BAR_MIN: usize = 10;
const BAR_MAX: usize = 32;

/// One cell: text that is safe to show once it is here, and its tone.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// Text, or nothing at all.
    pub(super) fn bare(text: impl AsRef<str>) -> Self {
        Self { text: terminal::shortened(text.as_ref(), CELL_COLUMNS_MAX), tone: Tone::Plain }
    }

    pub(super) fn new(text: impl AsRef<str>, tone: Tone) -> Self {
        let text = text.as_ref();
        Self { tone, ..Self::bare(if text.is_empty() { NOTHING } else { text }) }
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

    /// How wide it is, in columns of the terminal.
    pub(super) fn columns(&self) -> usize {
        measure_text_width(&self.text)
    }

    fn shown(&self, columns: usize, colors: bool) -> String {
        let text = terminal::shortened(&self.text, columns);
        let blanks = columns.saturating_sub(measure_text_width(&text));
        format!("{}{}", self.tone.paint(&text, colors), " ".repeat(blanks))
    }
}

/// What a column is called, and how much it matters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Title<'a> {
    /// One that ends in `…` gives way where there is no room for all.
    pub(super) name: &'a str,
    /// 0 is never left out; of the others the highest goes first.
    pub(super) rank: usize,
}

/// How text is to look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) colors: bool,
    /// Columns of the terminal; `None` where nothing bounds a line.
    pub(super) width: Option<usize>,
}

impl Look {
    /// What suits stdout.
    pub(super) fn of_stdout() -> Self {
        Self { colors: color::on_stdout(), width: terminal::width(io::stdout()) }
    }

    /// What suits stderr.
    pub(super) fn of_stderr() -> Self {
        Self { colors: color::on_stderr(), width: terminal::width(io::stderr()) }
    }
}

/// Rows under a header. Where there is no room for all columns, those that matter least are left out.
pub(super) fn grid(titles: &[Title], mut rows: Vec<Vec<Cell>>, look: Look) -> String {
    rows.insert(0, titles.iter().map(|title| Cell::plain(title.name.trim_end_matches('…').to_uppercase())).collect());
    aligned(titles, &rows, look).join("\n")
}

/// Rows without a header, one line each.
pub(super) fn aligned(titles: &[Title], rows: &[Vec<Cell>], look: Look) -> Vec<String> {
    let widths = widths(titles, rows, look.width.unwrap_or(usize::MAX));
    let line = |row: &Vec<Cell>| {
        let cells = row.iter().zip(&widths).filter(|(_, columns)| **columns > 0);
        let cells: Vec<String> = cells.map(|(cell, columns)| cell.shown(*columns, look.colors)).collect();
        cells.join(&" ".repeat(GAP)).trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// The width of each column, all of them within `bound`; 0 of one that is left out.
fn widths(titles: &[Title], rows: &[Vec<Cell>], bound: usize) -> Vec<usize> {
    let wanted = |n: usize| rows.iter().map(|row| measure_text_width(&row[n].text)).max().unwrap_or(0);
    let wanted: Vec<usize> = (0..titles.len()).map(wanted).collect();
    let mut by_rank: Vec<usize> = (0..titles.len()).filter(|n| wanted[*n] > 0).collect();
    by_rank.sort_by_key(|n| titles[*n].rank);
    let (mut widths, mut left) = (vec![0; titles.len()], bound);
    for n in by_rank {
        let least = if titles[n].name.ends_with('…') { wanted[n].min(GIVING_MIN) } else { wanted[n] };
        let gap = if left == bound { 0 } else { GAP };
        if left == bound || least + gap <= left {
            widths[n] = least.min(bound);
            left -= widths[n] + gap;
        }
    }
    // What is left goes to those that gave way, first to the narrowest.
    let short = |widths: &[usize]| {
        (0..widths.len()).filter(|n| (1..wanted[*n]).contains(&widths[*n])).min_by_key(|n| widths[*n])
    };
    while let Some(n) = short(&widths).filter(|_| left > 0) {
        widths[n] += 1;
        left -= 1;
    }
    widths
}

/// How far something is, from 0 to 1, as a bar of so many columns; none where it would show nothing.
pub(super) fn bar(part: f64, columns: usize) -> String {
    if columns < BAR_MIN {
        return String::new();
    }
    let inside = columns.min(BAR_MAX) - "[]".len();
    let full = "=".repeat(((part * inside as f64) as usize).min(inside));
    format!("[{full:inside$}]")
}

/// `text`, and a bar in what it leaves of the line.
pub(super) fn with_bar(text: &str, part: f64, look: Look) -> String {
    let left = look.width.map_or(BAR_MAX, |width| width.saturating_sub(measure_text_width(text) + GAP));
    format!("{text}  {}", bar(part, left)).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TITLES: [Title; 3] =
        [Title { name: "name", rank: 0 }, Title { name: "status", rank: 2 }, Title { name: "why…", rank: 1 }];

    fn rows() -> Vec<Vec<Cell>> {
        let long = "a long explanation of what went wrong, too long for any line";
        vec![
            vec![Cell::plain("a\u{1b}b"), Cell::status("failed"), Cell::plain(long)],
            vec![Cell::plain(""), Cell::quiet("idle"), Cell::plain("日本語の長い説明文がここにあります")],
        ]
    }

    fn lines(width: usize) -> Vec<String> {
        let text = grid(&TITLES, rows(), Look { colors: false, width: Some(width) });
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_table_keeps_to_its_width_and_only_soft_columns_give_way() {
        let lines = lines(40);
        assert_eq!(lines[0], "NAME      STATUS  WHY");
        assert_eq!(lines[1], "a\\u001bb  failed  a long explanation of…");
        assert_eq!(lines[2], "-         idle    日本語の長い説明文が…");
    }

    #[test]
    fn no_line_is_ever_too_wide_and_what_matters_least_goes_first() {
        for width in 1..100 {
            let lines = lines(width);
            let widest = lines.iter().map(|line| measure_text_width(line)).max();
            assert!(lines.len() == 3 && widest <= Some(width), "{width}: {lines:#?}");
        }
        assert_eq!(lines(24)[0], "NAME      WHY");
        assert_eq!(lines(10)[1], "a\\u001bb");
        assert_eq!(lines(3)[1], "a\\…");
    }

    #[test]
    fn colours_come_and_go_and_change_no_letter() {
        let text = |colors| grid(&TITLES, rows(), Look { colors, width: None });
        assert!(text(true).contains("\u{1b}[31mfailed\u{1b}[0m"), "{:?}", text(true));
        assert_eq!(console::strip_ansi_codes(&text(true)), text(false));
    }

    #[test]
    fn a_bar_takes_what_is_left_and_goes_before_it_is_too_short() {
        let line = |width| with_bar("5/10", 0.5, Look { colors: false, width });
        assert_eq!(line(None), format!("5/10  [{}{}]", "=".repeat(15), " ".repeat(15)));
        assert_eq!(line(Some(16)), "5/10  [====    ]");
        assert_eq!(line(Some(15)), "5/10");
    }
}
