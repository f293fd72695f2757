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
    /// How to print what was made
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    server: ServerUrl,
}

impl Args {
    /// What another program reads is the id or JSON, and nothing else.
    fn closing(&self) -> Closing {
        if self.quiet || self.output != Output::Table { Closing::Nothing } else { Closing::Line }
    }
}

pub(super) async fn run(args: Args) -> Result<Exit, Trouble> {
    let submission = pipeline_file::load(&args.file, &args.set)?.submission;
    let made = remote::with(&args.server, async |remote| {
        let made = create(remote, &submission).await?;
        if !args.no_start {
            remote.call("pipeline/start", json!({"pipeline_id": made["id"]})).await?;
        }
        super::unless_left(print(&made, &args))?;
        tell_if_alone(remote).await?;
        Ok(made)
    })
    .await?;
    if args.wait { watch::follow(&args.server, &made["id"], args.closing()).await } else { Ok(Exit::Ok) }
}

/// Creates the pipeline: its id, its name, and how many tasks it has.
async fn create(remote: &Remote, submission: &Submission) -> Result<Value, Trouble> {
    let created = remote.submit(submission).await?;
    Ok(json!({"id": created["pipeline_id"], "name": submission.name(), "tasks": submission.tasks().len()}))
}

fn print(made: &Value, args: &Args) -> io::Result<()> {
    let id = made["id"].as_str().unwrap_or_default();
    match args.output {
        _ if args.quiet => super::say(id)?,
        Output::Json | Output::Ndjson => output::print(&mut io::stdout(), made, args.output)?,
        Output::Table => {
            let tasks = if made["tasks"] == 1 { "task" } else { "tasks" };
            let done = if args.no_start { "created" } else { "started" };
            super::say(&steer::line(made, &format!("{done}: {} {tasks}", made["tasks"])))?;
        }
    }
    Ok(())
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
    fn what_programs_read_has_no_closing_line() {
        let closing = |more: &[&str]| {
            let line = ["submit", "pipeline.yaml", "--wait"].iter().chain(more);
            Line::try_parse_from(line).expect("a command line").args.closing()
        };
        assert_eq!(closing(&[]), Closing::Line);
        assert_eq!(closing(&["-q"]), Closing::Nothing);
        assert_eq!(closing(&["--output", "json"]), Closing::Nothing);
        assert_eq!(closing(&["--output", "ndjson"]), Closing::Nothing);
    }
}
