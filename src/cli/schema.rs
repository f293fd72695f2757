//! `everlog schema`: descriptions for other programs.

use std::io::Write;

use super::exit::{Exit, Trouble};
use super::output;
use crate::schema::messages;

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
    /// What goes over the wire, as an AsyncAPI document
    Messages,
}

pub(super) fn run(args: &Args) -> Result<Exit, Trouble> {
    let schema = match args.topic {
        Topic::Messages => messages::document(),
    };
    writeln!(std::io::stdout(), "{}", output::pretty(&schema))?;
    Ok(Exit::Ok)
}
