//! `everlog schema`: descriptions for editors and for other programs.

use std::io::Write;

use clap::ValueEnum;

use super::exit::{Exit, Trouble};
use super::output;
use crate::schema::messages;
use crate::{config, pipeline_file};

const EXAMPLES: &str = "Examples:
  everlog schema pipeline > pipeline.schema.json
  everlog schema config
  everlog schema messages > asyncapi.json";

/// The command line of `schema`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// What it describes
    #[arg(value_enum)]
    topic: Topic,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Topic {
    /// The pipeline file
    Pipeline,
    /// The configuration file
    Config,
    /// What goes over the wire, as an AsyncAPI document
    Messages,
}

pub(super) fn run(args: &Args) -> Result<Exit, Trouble> {
    let schema = match args.topic {
        Topic::Pipeline => pipeline_file::schema().to_value(),
        Topic::Config => config::manual::schema(),
        Topic::Messages => messages::document(),
    };
    writeln!(std::io::stdout(), "{}", output::pretty(&schema))?;
    Ok(Exit::Ok)
}
