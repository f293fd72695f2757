//! `everlog check`: everything that can be known of a pipeline file without a coordinator.

use std::io;
use std::path::PathBuf;

use clap::ValueHint;
use serde_json::{Value, json};

use super::exit::{Exit, Trouble};
use super::output::{self, Output};
use super::terminal;
use crate::pipeline_file::{self, PipelineFile, Setting};
use crate::yaml::{Fault, FileError};

const EXAMPLES: &str = "Examples:
  everlog check pipeline.yaml
  everlog check examples/iris/grid.yaml --set epochs=300
  generate-pipeline | everlog check - --output ndjson

Exit codes: 0 nothing is wrong, 2 something is.";

/// The command line of `check`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The pipeline file; - is the standard input
    #[arg(value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// Give a parameter of the file a value; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<Setting>,
    /// How to print what is found
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

pub(super) fn run(args: &Args) -> Result<Exit, Trouble> {
    let checked = pipeline_file::check(&args.file, &args.set);
    if args.output == Output::Table {
        super::say(&format!("{}: {}", args.file.display(), summary(&checked?)))?;
        return Ok(Exit::Ok);
    }
    let faults = checked.as_ref().err().map_or(&[][..], FileError::faults);
    let records: Vec<Value> = faults.iter().map(record).collect();
    super::unless_left(print(&records, args.output))?;
    Ok(if checked.is_ok() { Exit::Ok } else { Exit::Usage })
}

/// Prints records that are all there is to say: as a list, or line by line.
pub(super) fn print(records: &[Value], output: Output) -> io::Result<()> {
    match output {
        Output::Ndjson => records.iter().try_for_each(|record| super::say(&output::compact(record))),
        Output::Table | Output::Json => super::say(&output::pretty(&json!(records))),
    }
}

/// `ok, 3 tasks, 3 dependencies, needs gpu`.
fn summary(PipelineFile { submission, capabilities }: &PipelineFile) -> String {
    let tasks = submission.tasks();
    let edges: usize = tasks.iter().map(|task| task.depends_on.len()).sum();
    let count = |number: usize, one: &str, many: &str| format!("{number} {}", if number == 1 { one } else { many });
    let mut words =
        format!("ok, {}, {}", count(tasks.len(), "task", "tasks"), count(edges, "dependency", "dependencies"));
    if !capabilities.is_empty() {
        let names: Vec<&str> = capabilities.iter().map(String::as_str).collect();
        words.push_str(&format!(", needs {}", terminal::one_line(&names.join(", "))));
    }
    words
}

/// A mistake; a good file has none.
pub(super) fn record(fault: &Fault) -> Value {
    let (line, column) = fault.place.unzip();
    json!({"line": line, "column": column, "message": fault.message, "help": fault.help})
}
