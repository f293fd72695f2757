//! `everlog repair`: a damaged data directory put together again, in a new one.

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

use everlog_storage::{Origin, Seq, Stretch};
use serde_json::{Value, json};

use super::exit::{Exit, Trouble};
use super::output::{self, Output};
use super::progress::Progress;
use super::{hint, say, verify};
use crate::history::{Anchored, Repair};

const EXAMPLES: &str = "Examples:
  everlog repair                               say where each record can be had from
  everlog repair --apply --into .everlog.new   write them into a new directory

Exit codes: 0 every record can be had, 65 some are damaged in every copy.";

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
    for (file, offset) in &repair.unreadable {
        hint(&format!("the disk cannot read all of {file}, from byte {offset} on; look at the kernel's log"));
    }
    Ok(if repair.is_complete() { Exit::Ok } else { Exit::Damaged })
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
    let (data, had) = (data.display(), repair.last());
    let known = if repair.anchor == Anchored::Unknown { "as far as can be known without the anchor, " } else { "" };
    match written.map(Path::display) {
        _ if had == 0 && repair.damaged.is_empty() => {
            "there is no record in it, so there is nothing to repair".to_owned()
        }
        _ if !repair.is_complete() => format!("{}; {}", missing(repair), instead(repair, &data, written)),
        Some(new) => format!("{known}{new} is whole; use it in place of {data}, and keep that until all is well"),
        None if repair.is_all_in_the_log() => format!(
            "{known}every record is in the commit log; should a start refuse the directory, `--apply --into DIR` makes a new one"
        ),
        None => format!("{known}every record can be had; `--apply --into DIR` writes them into a new directory"),
    }
}

/// What cannot be had.
fn missing(repair: &Repair) -> String {
    if repair.anchor == Anchored::Disagrees {
        return "what can be had is not what the anchor and the snapshots speak of, so something of another log may stand in \
                its place"
            .to_owned();
    }
    if repair.damaged.is_empty() {
        let had = repair.last();
        return format!(
            "what comes behind record {had} does not follow it, so something of another log may stand in its place"
        );
    }
    let range =
        |(first, last): &(Seq, Seq)| if first == last { first.to_string() } else { format!("{first} to {last}") };
    let ranges: Vec<String> = repair.damaged.iter().map(range).collect();
    let of = match repair.damaged[..] {
        [(first, last)] if first == last => "record",
        _ => "records",
    };
    let behind = if repair.behind.is_empty() {
        ""
    } else {
        ", and what is sound behind that cannot be joined to what is in front"
    };
    format!("no copy of {of} {} is sound{behind}", ranges.join(" and "))
}

/// What to do without it.
fn instead(repair: &Repair, data: &dyn Display, written: Option<&Path>) -> String {
    let had = repair.last();
    if let Some(seq) = repair.starts_from {
        return format!(
            "a start does without them, for the snapshot of record {seq} holds what they came to: copy {data} and go on with \
             it, for only history has a hole"
        );
    }
    if repair.damaged.is_empty() || repair.anchor == Anchored::Disagrees {
        return "compare it with a backup before you use it".to_owned();
    }
    match written.map(Path::display) {
        _ if had == 0 => "a backup may have them; nothing was written".to_owned(),
        Some(new) => format!(
            "a backup may have them; where there is none, use {new} in place of {data}: it ends with record {had}"
        ),
        None => format!("a backup may have them; `--apply --into DIR` writes what comes before, up to record {had}"),
    }
}

/// First and last record of a stretch, and where it was found.
type Row = (Seq, Seq, &'static str);

fn print(repair: &Repair, written: Option<&Path>, output: Output) -> io::Result<()> {
    let record = |(first, last, origin): Row| json!({"first": first, "last": last, "origin": origin});
    match output {
        Output::Table => {
            let row = |(first, last, origin): Row| [first.to_string(), last.to_string(), origin.to_owned()];
            say(&output::table(["first", "last", "origin"], rows(repair).into_iter().map(row)))
        }
        Output::Json => {
            let stretches = |of: &[Stretch]| of.iter().map(joined).map(record).collect::<Vec<Value>>();
            let range = |(first, last): &(Seq, Seq)| json!({"first": first, "last": last});
            say(&output::pretty(&json!({
                "stretches": stretches(&repair.stretches),
                "damaged": repair.damaged.iter().map(range).collect::<Vec<Value>>(),
                "behind": stretches(&repair.behind),
                "anchor": match repair.anchor {
                    Anchored::Unknown => "unknown",
                    Anchored::Agrees => "agrees",
                    Anchored::Beyond => "beyond",
                    Anchored::Disagrees => "disagrees",
                },
                "starts_from": repair.starts_from,
                "into": written.map(Path::to_string_lossy),
            })))
        }
        Output::Ndjson => rows(repair).into_iter().map(record).try_for_each(|record| say(&output::compact(&record))),
    }
}

fn joined(stretch: &Stretch) -> Row {
    let origin = match stretch.origin {
        Origin::CommitLog => "commit log",
        Origin::Store => "store",
    };
    (stretch.first, stretch.last, origin)
}

/// All of it, in the order of the records.
fn rows(repair: &Repair) -> Vec<Row> {
    let behind = |stretch: &Stretch| match stretch.origin {
        Origin::CommitLog => (stretch.first, stretch.last, "commit log, behind the damage"),
        Origin::Store => (stretch.first, stretch.last, "store, behind the damage"),
    };
    let damaged = repair.damaged.iter().map(|(first, last)| (*first, *last, "damaged"));
    let mut rows: Vec<Row> =
        repair.stretches.iter().map(joined).chain(repair.behind.iter().map(behind)).chain(damaged).collect();
    rows.sort_unstable();
    rows
}
