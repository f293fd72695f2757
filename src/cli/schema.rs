//! `everlog schema`: the JSON Schemas that editors and validators read.

use std::io::Write;

use super::exit::{Exit, Trouble};
use crate::pipeline_file;

/// The command line of `schema`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Of what
    #[arg(value_enum)]
    topic: Topic,
}

/// What there is a schema of.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Topic {
    /// The pipeline file
    Pipeline,
}

pub(super) fn run(args: &Args) -> Result<Exit, Trouble> {
    let schema = match args.topic {
        Topic::Pipeline => pipeline_file::schema(),
    };
    writeln!(std::io::stdout(), "{:#}", schema.as_value())?;
    Ok(Exit::Ok)
}
