//! `everlog log`: the history as it is on disk, line by line, without a coordinator.

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::ValueHint;
use serde_json::{Value, json};

use super::exit::{Exit, Trouble};
use super::grid::{self, Cell, GIVING_MIN, Look, Title};
use super::output::{self, Output};
use super::terminal;
use crate::history::{self, LogLine};

const EXAMPLES: &str = "Examples:
  everlog log
  everlog log --data .everlog --from 1000 --output ndjson";

/// The command line of `log`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The data directory
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, default_value = ".everlog")]
    data: PathBuf,
    /// The first event to print
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    from: u64,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

pub(super) fn run(args: &Args) -> Result<Exit, Trouble> {
    Trouble::unless_data(&args.data)?;
    let lines = history::lines(&args.data, args.from)?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    let look = Look::of_stdout();
    let mut separator = "[\n";
    for line in lines {
        let line = line?;
        match args.output {
            Output::Table => writeln!(out, "{}", row(&line, look))?,
            Output::Ndjson => writeln!(out, "{}", output::compact(&record(&line)))?,
            Output::Json => {
                write!(out, "{separator}{}", output::compact(&record(&line)))?;
                separator = ",\n";
            }
        }
    }
    if args.output == Output::Json {
        writeln!(out, "{}", if separator == "[\n" { "[]" } else { "\n]" })?;
    }
    out.flush()?;
    Ok(Exit::Ok)
}

/// The columns of a line on a terminal.
const COLUMNS: [Title; 5] = [
    Title { name: "seq", rank: 0 },
    Title { name: "at", rank: 3 },
    Title { name: "kind", rank: 1 },
    Title { name: "actor", rank: 4 },
    Title { name: "detail…", rank: 2 },
];

/// Fixed columns rather than a table: a table would have to know the last line to print the first. Off a terminal, nothing is cut.
fn row(line: &LogLine, look: Look) -> String {
    let LogLine { seq, at, kind, actor, subject, detail } = line;
    let (seq, kind, actor) = (format!("{seq:>8}"), format!("{kind:<24}"), format!("{actor:<20}"));
    if look.width.is_none() {
        return terminal::one_line(format!("{seq}  {at}  {kind}  {actor}  {subject}  {detail}").trim_end());
    }
    let to_the_second = at.split('.').next().unwrap_or_default().to_owned();
    // Never so short that another column finds room: it would be there in some lines only.
    let detail = format!("{:<GIVING_MIN$}", format!("{subject}  {detail}").trim_start());
    let cells = [seq, to_the_second, kind, actor, detail].map(Cell::bare);
    grid::aligned(&COLUMNS, &[cells.into()], look).concat()
}

fn record(line: &LogLine) -> Value {
    let LogLine { seq, at, kind, actor, subject, detail } = line;
    let detail = serde_json::from_str(detail).unwrap_or_else(|_| Value::String(detail.clone()));
    json!({"seq": seq, "at": at, "kind": kind, "actor": actor, "subject": subject, "detail": detail})
}

#[cfg(test)]
mod tests {
    use console::measure_text_width;

    use super::*;

    fn lines(width: Option<usize>) -> Vec<String> {
        let line = |(seq, kind, subject, detail): (u64, &str, &str, String)| LogLine {
            seq,
            at: "2026-01-01T00:00:00.000001+00:00".to_owned(),
            kind: kind.to_owned(),
            actor: "connection:1".to_owned(),
            subject: subject.to_owned(),
            detail,
        };
        let long = format!("{{\"note\":\"\u{1b}{}\"}}", "日本語".repeat(400));
        let both = [(1, "TaskCreated", "task:1", long), (2, "CoordinatorStopped", "", "{}".to_owned())];
        both.map(|told| row(&line(told), Look { colors: false, width })).into()
    }

    #[test]
    fn a_line_is_whole_in_a_pipe_and_no_wider_than_a_terminal() {
        let whole = lines(None);
        assert!(whole[0].contains("00:00:00.000001+00:00") && whole[0].ends_with("日本語\"}"), "{}", whole[0]);
        for width in 1..300 {
            let lines = lines(Some(width));
            assert!(lines.iter().all(|line| measure_text_width(line) <= width), "{width}: {lines:#?}");
            let at = |line: &String| line.contains("2026-01-01T00:00:00");
            assert_eq!(at(&lines[0]), at(&lines[1]), "{width}: {lines:#?}");
        }
        assert_eq!(lines(Some(40)), ["       1  TaskCreated", "       2  CoordinatorStopped"]);
        let rows = [
            "       1  2026-01-01T00:00:00  TaskCreated               task:1  {\"note\":\"\\u001…",
            "       2  2026-01-01T00:00:00  CoordinatorStopped        {}",
        ];
        assert_eq!(lines(Some(80)), rows);
    }
}
