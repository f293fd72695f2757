//! `everlog submit`: gives a pipeline file to a coordinator.

use std::io;
use std::path::PathBuf;

use clap::ValueHint;
use serde_json::{Value, json};

use super::closing::Closing;
use super::exit::{Exit, Trouble};
use super::output::{self, Output};
use super::remote::{self, Remote};
use super::server_url::ServerUrl;
use super::{steer, watch};
use crate::pipeline_file::{self, Setting};
use crate::submission::Submission;

const EXAMPLES: &str = "Examples:
  everlog submit examples/iris/pipeline.yaml
  everlog submit pipeline.yaml --wait          exit code 0 completed, 1 failed or stopped
  everlog submit examples/iris/grid.yaml --set epochs=300
  id=$(everlog submit -q pipeline.yaml --no-start)";

/// The command line of `submit`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The pipeline file
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// Give a parameter of the file a value; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<Setting>,
    /// Create it only; `everlog start` sets it going
    #[arg(long, conflicts_with = "wait")]
    no_start: bool,
    /// Start it at once (the default)
    #[arg(long, overrides_with = "no_start")]
    start: bool,
    /// Follow it to its end, and exit as `everlog watch` does
    #[arg(long)]
    wait: bool,
    /// Print the id alone
    #[arg(short, long, conflicts_with = "output")]
    quiet: bool,
    /// How to print what was made: a line, or its record; with --wait, as `watch` does
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    server: ServerUrl,
}

impl Args {
    /// What is told at the end of `--wait`: the same as by `watch`; after the id alone, nothing more.
    fn closing(&self) -> Closing {
        if self.quiet { Closing::Nothing } else { Closing::of(self.output) }
    }
}

pub(super) async fn run(args: Args) -> Result<Exit, Trouble> {
    let submission = pipeline_file::load(&args.file, &args.set)?.submission;
    let id = remote::with(&args.server, async |remote| {
        let id = remote.submit(&submission).await?["pipeline_id"].take();
        if !args.no_start {
            remote.call("pipeline/start", json!({"pipeline_id": id})).await?;
        }
        print(remote, &id, &submission, &args).await?;
        tell_if_alone(remote).await?;
        Ok(id)
    })
    .await?;
    if args.wait { watch::follow(&args.server, &id, args.closing()).await } else { Ok(Exit::Ok) }
}

/// Prints what was made: its id, its record, or a line about it.
async fn print(remote: &Remote, id: &Value, submission: &Submission, args: &Args) -> Result<(), Trouble> {
    let printed = match args.output {
        _ if args.quiet => super::say(id.as_str().unwrap_or_default()),
        // They get the record as it is at the end.
        Output::Json | Output::Ndjson if args.wait => Ok(()),
        Output::Json | Output::Ndjson => {
            let record = remote.call("pipeline/status", json!({"pipeline_id": id})).await?;
            output::print(&mut io::stdout(), &record, args.output)
        }
        Output::Table => {
            let done = if args.no_start { "created" } else { "started" };
            super::say(&steer::made(id, submission, done))
        }
    };
    Ok(super::unless_left(printed)?)
}

/// A pipeline waits for ever where nobody works: that is told at once.
async fn tell_if_alone(remote: &Remote) -> Result<(), Trouble> {
    let agents = remote.call("agent/list", json!({"status": "active", "limit": 0})).await?;
    if agents["total"] == 0 {
        super::hint("no agent is connected, so nothing runs yet; start one with: everlog agent --name worker");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn the_end_is_told_as_by_watch_but_for_who_reads_an_id() {
        let closing = |more: &[&str]| {
            let line = ["submit", "pipeline.yaml", "--wait"].iter().chain(more);
            Line::try_parse_from(line).expect("a command line").args.closing()
        };
        assert_eq!(closing(&[]), Closing::Line);
        assert_eq!(closing(&["-q"]), Closing::Nothing);
        assert_eq!(closing(&["--output", "json"]), Closing::Record);
        assert_eq!(closing(&["--output", "ndjson"]), Closing::of(Output::Ndjson));
    }
}
