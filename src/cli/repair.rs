//! `everlog repair`: a damaged data directory put together again, in a new one.

use std::io;
use std::path::{Path, PathBuf};

use everlog_storage::{Origin, Seq};
use serde_json::{Value, json};

use super::exit::{Exit, Trouble};
use super::output::{self, Output};
use super::progress::Progress;
use super::{hint, say, verify};
use crate::history::{Repair, Stretch};

const EXAMPLES: &str = "Examples:
  everlog repair                               say where each record can be had from
  everlog repair --apply --into .everlog.new   write them into a new directory

Exit codes: 0 every record can be had, 65 some are lost.";

/// The command line of `repair`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The damaged data directory; nothing in it is changed, and no coordinator may run on it
    #[arg(long, value_name = "DIR", default_value = ".everlog")]
    data: PathBuf,
    /// Only say where each record can be had from; the default
    #[arg(long, conflicts_with = "apply")]
    dry_run: bool,
    /// Write the records into a new directory
    #[arg(long, requires = "into")]
    apply: bool,
    /// The new directory; there must be nothing in it
    #[arg(long, value_name = "DIR", requires = "apply")]
    into: Option<PathBuf>,
    /// How to print what was found
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

pub(super) fn run(args: &Args) -> Result<Exit, Trouble> {
    Trouble::unless_data(&args.data)?;
    let into = args.into.as_deref().filter(|_| args.apply && !args.dry_run);
    into.map_or(Ok(()), |into| unless_free(into, &args.data))?;
    let repair = watched(&args.data, into)?;
    let written = into.filter(|_| !repair.stretches.is_empty());
    print(&repair, written, args.output)?;
    if let Some(into) = written
        && !verify::watched(into)?.is_whole()
    {
        let into = into.display();
        return Err(Trouble::Failed(format!("{into} is not whole; `everlog verify --data {into}` says where")));
    }
    hint(&told(&repair, &args.data, written));
    Ok(if repair.lost.is_some() { Exit::Damaged } else { Exit::Ok })
}

/// Asks for a directory that holds nothing and is no part of the damaged one, before anything is touched.
fn unless_free(into: &Path, data: &Path) -> Result<(), Trouble> {
    let wrong = |what: &str| Err(Trouble::Usage(format!("{} {what}", into.display())));
    if into.read_dir().is_ok_and(|mut names| names.next().is_some()) {
        return wrong("holds something already; name a directory that is not there yet");
    }
    let path = std::path::absolute(into).unwrap_or_default();
    let place = path.ancestors().find_map(|dir| dir.canonicalize().ok());
    if data.canonicalize().is_ok_and(|data| place.is_some_and(|place| place.starts_with(data))) {
        return wrong("is inside the damaged directory, where nothing is changed; name a directory beside it");
    }
    Ok(())
}

/// Repairs, and shows a person how far it is.
fn watched(data: &Path, into: Option<&Path>) -> Result<Repair, Trouble> {
    let mut progress = Progress::start("records");
    Ok(Repair::of(data, into, |done, of| progress.show(done, of))?)
}

/// What came of it, and the next step.
fn told(repair: &Repair, data: &Path, written: Option<&Path>) -> String {
    let (data, new) = (data.display(), written.map(Path::display));
    let had = repair.stretches.last().map(|stretch| stretch.last);
    let lost = repair.lost.map(|(first, last)| {
        format!("records {first} to {last} are lost, for no copy of record {first} is sound; a backup may have them")
    });
    match (lost, had, new) {
        (None, None, _) => "there is no record in it, so there is nothing to repair".to_owned(),
        (None, Some(_), Some(new)) => format!("{new} is whole; use it in place of {data}, and keep that until all is well"),
        (None, Some(_), None) if repair.stretches.iter().all(|stretch| stretch.origin == Origin::CommitLog) => {
            "every record is in the commit log; should a start refuse the directory, `--apply --into DIR` makes a new one"
                .to_owned()
        }
        (None, Some(_), None) => {
            "every record can be had; `--apply --into DIR` writes them into a new directory".to_owned()
        }
        (Some(lost), None, _) => format!("{lost}; nothing was written"),
        (Some(lost), Some(had), None) => {
            format!("{lost}; `--apply --into DIR` writes those up to record {had} into a new directory")
        }
        (Some(lost), Some(had), Some(new)) => {
            format!("{lost}; where there is none, use {new} in place of {data}: it is whole and ends with record {had}")
        }
    }
}

/// First and last record of a stretch, and where it was found.
type Row = (Seq, Seq, &'static str);

fn print(repair: &Repair, written: Option<&Path>, output: Output) -> io::Result<()> {
    let had = repair.stretches.iter().map(|Stretch { first, last, origin }| match origin {
        Origin::CommitLog => (*first, *last, "commit log"),
        Origin::Store => (*first, *last, "store"),
    });
    let lost = repair.lost.map(|(first, last)| (first, last, "lost"));
    let record = |(first, last, origin): Row| json!({"first": first, "last": last, "origin": origin});
    match output {
        Output::Table => {
            let row = |(first, last, origin): Row| [first.to_string(), last.to_string(), origin.to_owned()];
            say(&output::table(["first", "last", "origin"], had.chain(lost).map(row)))
        }
        Output::Json => {
            let stretches: Vec<Value> = had.map(record).collect();
            let into = written.map(Path::to_string_lossy);
            say(&output::pretty(&json!({"stretches": stretches, "lost": lost.map(record), "into": into})))
        }
        Output::Ndjson => had.chain(lost).map(record).try_for_each(|record| say(&output::compact(&record))),
    }
}
