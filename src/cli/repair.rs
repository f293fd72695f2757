//! `everlog repair`: a damaged data directory put together again, in a new one.

use std::io;
use std::path::PathBuf;

use everlog_storage::Origin;
use serde_json::json;

use super::exit::{Exit, Trouble};
use super::output::{self, Output};
use super::progress::Progress;
use super::{hint, say};
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
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    /// How to print what was found
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

pub(super) fn run(args: &Args) -> Result<Exit, Trouble> {
    Trouble::unless_data(&args.data)?;
    let into = args.into.as_deref().filter(|_| args.apply && !args.dry_run);
    let mut progress = Progress::start("records");
    let repair = Repair::of(&args.data, into, |done, of| progress.show(done, of));
    drop(progress);
    let repair = repair?;
    print(&repair, args.output)?;
    if let Some(into) = into
        && !Repair::check(into)?.is_whole()
    {
        let into = into.display();
        return Err(Trouble::Failed(format!("{into} is not whole; `everlog verify --data {into}` says where")));
    }
    match (repair.lost, into) {
        (Some((first, last)), _) => {
            let lost = format!("records {first} to {last} are lost: no copy of the first of them is sound");
            hint(&format!("{lost}; a backup may have them"));
            return Ok(Exit::Damaged);
        }
        (None, Some(into)) => {
            let (new, old) = (into.display(), args.data.display());
            hint(&format!("{new} is whole; use it in place of {old}, and keep that until all is well"));
        }
        (None, None) => hint("every record can be had; `--apply --into DIR` writes them into a new directory"),
    }
    Ok(Exit::Ok)
}

fn print(repair: &Repair, output: Output) -> io::Result<()> {
    let origin = |stretch: &Stretch| match stretch.origin {
        Origin::CommitLog => "commit log",
        Origin::Store => "store",
    };
    let record = |stretch: &Stretch| json!({"first": stretch.first, "last": stretch.last, "origin": origin(stretch)});
    let stretches = repair.stretches.iter();
    match output {
        Output::Table => {
            let row =
                |stretch: &Stretch| [stretch.first.to_string(), stretch.last.to_string(), origin(stretch).to_owned()];
            say(&output::table(["first", "last", "origin"], stretches.map(row)))
        }
        Output::Json => {
            let lost = repair.lost.map(|(first, last)| json!({"first": first, "last": last}));
            say(&output::pretty(&json!({"stretches": stretches.map(record).collect::<Vec<_>>(), "lost": lost})))
        }
        Output::Ndjson => stretches.map(record).try_for_each(|record| say(&output::compact(&record))),
    }
}
