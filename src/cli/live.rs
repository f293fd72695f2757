//! A few living lines at the end of a terminal, drawn over again as things go on.

use std::io;

use console::{Term, measure_text_width, truncate_str};

use super::terminal;

/// Living lines on stderr.
#[derive(Debug)]
pub(super) struct Live {
    term: Term,
    /// The lines that are there, as they were drawn.
    drawn: Vec<String>,
}

impl Live {
    /// `None` where nothing can be drawn over.
    pub(super) fn on_stderr() -> Option<Self> {
        let live = Self { term: Term::buffered_stderr(), drawn: Vec::new() };
        terminal::obeys(&io::stderr()).then_some(live)
    }

    /// Shows these lines in place of those that are there.
    pub(super) fn show(&mut self, lines: &[String]) -> io::Result<()> {
        self.erase()?;
        let (rows, columns) = Self::size();
        // The last row is the cursor's.
        let lines = lines.iter().take(rows.saturating_sub(1));
        self.drawn = lines.map(|line| truncate_str(line, columns, "…").into_owned()).collect();
        self.draw()
    }

    /// Says something that stays, above the living lines.
    pub(super) fn say(&mut self, line: &str) -> io::Result<()> {
        self.erase()?;
        self.term.write_line(&terminal::wrapped(line, Self::size().1))?;
        self.draw()
    }

    /// Takes the lines away.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.erase()?;
        self.drawn.clear();
        self.draw()
    }

    fn draw(&self) -> io::Result<()> {
        self.drawn.iter().try_for_each(|line| self.term.write_line(line))?;
        self.term.flush()
    }

    fn erase(&self) -> io::Result<()> {
        self.term.clear_last_lines(rows_of(&self.drawn, Self::size().1))
    }

    /// Rows and columns; without bounds where they are unknown.
    fn size() -> (usize, usize) {
        let (rows, columns) = terminal::size(io::stderr());
        (rows.unwrap_or(usize::MAX), columns.unwrap_or(usize::MAX))
    }
}

/// The rows that these lines take now: a terminal that has become narrower has wrapped them.
fn rows_of(lines: &[String], columns: usize) -> usize {
    lines.iter().map(|line| measure_text_width(line).div_ceil(columns).max(1)).sum()
}

/// Lines that were not taken away stay as they stand, and so does a `^C` that the terminal has written below them.
impl Drop for Live {
    fn drop(&mut self) {
        if !self.drawn.is_empty() {
            // Only a terminal that is gone cannot be written to.
            drop(self.term.write_line("").and_then(|()| self.term.flush()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrower_terminal_has_wrapped_what_is_there() {
        let lines = ["", "four", "12345 日本"].map(str::to_owned);
        let rows: Vec<usize> = [80, 10, 8, 4].map(|columns| rows_of(&lines, columns)).into();
        assert_eq!(rows, [3, 3, 4, 5]);
    }
}
