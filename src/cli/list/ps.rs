//! `everlog ps`: the pipelines.

use clap::ValueEnum;
use serde_json::{Value, json};

use super::super::exit::{Exit, Trouble};
use super::super::grid::Cell;
use super::super::output::Output;
use super::super::remote::{self, Remote};
use super::super::server_url::ServerUrl;
use super::super::tasks::Counts;
use super::{Ask, Column, Printer, ago, id, tell_rest, text, took};

const EXAMPLES: &str = "Examples:
  everlog ps                          what is under way
  everlog ps --all --limit 20         the twenty newest, ended or not
  everlog ps --status failed --output json";

/// What to try where there are no pipelines.
const EMPTY: &str = "no pipelines yet; try: everlog submit examples/iris/pipeline.yaml";

/// The command line of `ps`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Args {
    /// Only those with this status [default: all that have not ended]
    #[arg(long, value_name = "STATUS")]
    status: Option<Status>,
    /// Also those that have ended
    #[arg(short, long, conflicts_with = "status")]
    all: bool,
    /// At most so many, the newest first
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
    /// How to print them
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    server: ServerUrl,
}

/// The statuses of a pipeline (protocol §5).
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Status {
    Idle,
    Running,
    Paused,
    Stopping,
    Completed,
    Failed,
}

/// Those that a pipeline leaves.
const UNDER_WAY: [&str; 4] = ["idle", "running", "paused", "stopping"];

pub(super) const COLUMNS: [Column; 6] = [
    Column { header: "name…", rank: 0, cell: |pipeline, _| text(pipeline, "name") },
    Column { header: "id", rank: 3, cell: id },
    Column { header: "status", rank: 1, cell: |pipeline, _| Cell::status(status(pipeline)) },
    Column { header: "done…", rank: 2, cell: |pipeline, _| Cell::plain(done(pipeline)) },
    Column { header: "created", rank: 5, cell: |pipeline, now| ago(pipeline, "created_at", now) },
    Column { header: "took", rank: 4, cell: took },
];

/// The status in the word that a person uses: the protocol calls a stopped pipeline completed.
pub(in crate::cli) fn status(pipeline: &Value) -> &str {
    let stopped = pipeline["metrics"]["stopped"].as_bool().unwrap_or(false);
    if stopped { "stopped" } else { pipeline["status"].as_str().unwrap_or_default() }
}

/// How far it is, in few characters: what needs a look comes first.
pub(in crate::cli) fn done(pipeline: &Value) -> String {
    let counts = Counts::of(pipeline);
    let others = [(counts.failed, "failed"), (counts.running, "running"), (counts.cancelled, "cancelled")];
    let others = others.into_iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!(", {count} {word}"));
    format!("{}/{}{}", counts.completed, counts.total(), others.collect::<String>())
}

fn pipelines(status: Option<&str>, limit: Option<usize>) -> Ask {
    let filters = json!({"status": status});
    Ask { newest_first: true, limit, ..Ask::new("pipeline/list", "pipelines", filters) }
}

pub(in crate::cli) async fn run(args: Args) -> Result<Exit, Trouble> {
    let Args { status, all, limit, output, server } = args;
    remote::with(&server, async |remote| {
        if status.is_none() && !all {
            return under_way(remote, limit, output).await;
        }
        let word = status.as_ref().and_then(ValueEnum::to_possible_value);
        let word = word.as_ref().map(clap::builder::PossibleValue::get_name);
        let empty = word
            .map_or(EMPTY.to_owned(), |word| format!("no pipeline is {word}; see the others with: everlog ps --all"));
        super::print(remote, &pipelines(word, limit), output, &COLUMNS, &empty).await
    })
    .await?;
    Ok(Exit::Ok)
}

/// Those that have not ended, the newest first.
async fn under_way(remote: &Remote, limit: Option<usize>, output: Output) -> Result<(), Trouble> {
    let mut found = Vec::new();
    for status in UNDER_WAY {
        found.extend(pipelines(Some(status), None).all(remote).await?);
    }
    found.sort_by(|one, other| other["created_at"].as_str().cmp(&one["created_at"].as_str()));
    let total = found.len();
    found.truncate(limit.unwrap_or(usize::MAX));
    let known = pipelines(None, Some(0)).each_page(remote, |_| Ok::<_, Trouble>(())).await?;
    let mut printer = Printer::new(output, "pipelines", &COLUMNS);
    printer.page(&found)?;
    let shown = printer.finish(total)?;
    let ended = known.saturating_sub(total);
    match (total, ended) {
        (0, 1..) => crate::cli::hint(&format!("nothing is under way; {ended} ended: see with --all")),
        (_, 1..) if output == Output::Table => crate::cli::hint(&format!("{ended} ended: see with --all")),
        _ => {}
    }
    if ended == 0 || total > shown {
        tell_rest(shown, total, EMPTY);
    }
    Ok(())
}
