//! `everlog verify`: whether everything in a data directory is as it was written.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::exit::{Exit, Trouble};
use super::output::{self, Output};
use super::progress::Progress;
use super::{hint, say, terminal};
use crate::history::{Checked, Verification};

const EXAMPLES: &str = "Examples:
  everlog verify
  everlog verify --data /var/lib/everlog --output json

Exit codes: 0 everything is as it was written, 65 something is damaged.";

/// The command line of `verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The data directory; nothing in it is changed, and no coordinator may run on it
    #[arg(long, value_name = "DIR", default_value = ".everlog")]
    data: PathBuf,
    /// How to print what was found
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

pub(super) fn run(args: &Args) -> Result<Exit, Trouble> {
    Trouble::unless_data(&args.data)?;
    let verification = watched(&args.data)?;
    let rows = verification.parts.iter();
    match args.output {
        Output::Table => {
            let row = |checked: &Checked| [checked.part.clone(), checked.held.clone(), state(checked)];
            say(&output::table(["part", "holds", "state"], rows.map(row)))?;
        }
        Output::Json => {
            let parts: Vec<Value> = rows.map(record).collect();
            say(&output::pretty(&json!({"whole": verification.is_whole(), "parts": parts})))?;
        }
        Output::Ndjson => rows.map(record).try_for_each(|record| say(&output::compact(&record)))?,
    }
    for Checked { part, damage, note, .. } in &verification.parts {
        for told in damage.iter().chain(note) {
            hint(&terminal::one_line(&format!("{part}: {told}")));
        }
    }
    Ok(if verification.is_whole() { Exit::Ok } else { Exit::Damaged })
}

/// Checks a directory, and shows a person how far it is.
pub(super) fn watched(data: &Path) -> Result<Verification, Trouble> {
    let mut progress = Progress::start("records");
    Ok(Verification::of(data, |done, of| progress.show(done, of))?)
}

fn state(checked: &Checked) -> String {
    if checked.damage.is_some() { "damaged".to_owned() } else { "whole".to_owned() }
}

fn record(checked: &Checked) -> Value {
    let Checked { part, held, damage, note } = checked;
    json!({"part": part, "holds": held, "damage": damage, "note": note})
}
