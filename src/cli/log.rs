//! `everlog log`: the history as it is on disk, line by line, without a coordinator.

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::ValueHint;
use serde_json::{Value, json};

use super::exit::{Exit, Trouble};
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
    let mut separator = "[\n";
    for line in lines {
        let line = line?;
        match args.output {
            Output::Table => writeln!(out, "{}", row(&line))?,
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

/// Fixed columns rather than a table: a table would have to know the last line to print the first.
fn row(line: &LogLine) -> String {
    let LogLine { seq, at, kind, actor, subject, detail } = line;
    let text = format!("{seq:>8}  {at}  {kind:<24}  {actor:<20}  {subject}  {detail}");
    terminal::one_line(text.trim_end())
}

fn record(line: &LogLine) -> Value {
    let LogLine { seq, at, kind, actor, subject, detail } = line;
    let detail = serde_json::from_str(detail).unwrap_or_else(|_| Value::String(detail.clone()));
    json!({"seq": seq, "at": at, "kind": kind, "actor": actor, "subject": subject, "detail": detail})
}
