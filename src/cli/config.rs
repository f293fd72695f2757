//! `everlog config`: what is in force and why, and whether a file is sound.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum, ValueHint};
use serde_json::{Value, json};

use super::check;
use super::exit::{Exit, Trouble};
use super::output::{self, Output};
use crate::config::{ConfigError, KEYS, LogFormat, Sources};

const EXAMPLES: &str = "Examples:
  everlog config show --origin        every value, and where it comes from
  EVERLOG__SERVER__PORT=9000 everlog config show
  everlog config check /etc/everlog/config.yaml";

/// The command line of `config`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Print every key with the value that `serve` would have with the same flags
    Show {
        #[command(flatten)]
        flags: Flags,
        /// Say where each value comes from: a flag, the environment, a line of the file, or the default
        #[arg(long)]
        origin: bool,
        /// How to print it
        #[arg(long, value_enum, default_value_t = Output::Table)]
        output: Output,
    },
    /// Check a configuration, with the environment of this process
    Check {
        /// The file [default: the one that `serve` would read]
        #[arg(value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
        /// How to print what is found
        #[arg(long, value_enum, default_value_t = Output::Table)]
        output: Output,
    },
}

/// The flags that are keys of the configuration as well; they count more than the environment, and that more than the file.
#[derive(Debug, clap::Args)]
pub(super) struct Flags {
    /// The configuration [default: $EVERLOG_CONFIG, else the first of config/mcp.yaml,
    /// ~/.config/everlog/config.yaml and /etc/everlog/config.yaml]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
    /// The directory that holds the history and everything derived from it [key: storage.data]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    data: Option<String>,
    /// The address to listen on [key: server.host]
    #[arg(long)]
    host: Option<String>,
    /// The port to listen on; 0 takes a free one [key: server.port]
    #[arg(long)]
    port: Option<String>,
    /// Listen on other than loopback addresses, although nobody is asked who they are yet
    #[arg(long)]
    allow_unauthenticated_remote_access: bool,
    /// How long the end may take after a signal [key: service.drain_deadline]
    #[arg(long, value_name = "SECONDS")]
    drain_deadline: Option<String>,
}

impl Flags {
    /// The layers of the configuration, these flags on top.
    pub(super) fn sources(&self, log_format: Option<LogFormat>) -> Sources {
        let Self { config, data, host, port, allow_unauthenticated_remote_access: remote, drain_deadline } = self;
        let format = log_format.and_then(|format| format.to_possible_value());
        let flags = [
            ("storage.data", "--data", data.clone()),
            ("server.host", "--host", host.clone()),
            ("server.port", "--port", port.clone()),
            (
                "server.allow_unauthenticated_remote_access",
                "--allow-unauthenticated-remote-access",
                remote.then(|| true.to_string()),
            ),
            ("service.drain_deadline", "--drain-deadline", drain_deadline.clone()),
            ("log.format", "--log-format", format.map(|format| format.get_name().to_owned())),
        ];
        let flags = flags.into_iter().filter_map(|(path, flag, text)| Some((path, flag, text?))).collect();
        Sources { flags, ..Sources::of_process(config.as_deref()) }
    }
}

pub(super) fn run(args: Args, log_format: Option<LogFormat>) -> Result<Exit, Trouble> {
    match args.verb {
        Verb::Show { flags, origin, output } => show(&flags.sources(log_format), origin, output),
        Verb::Check { file, output } => check(&Sources::of_process(file.as_deref()), output),
    }
}

fn show(sources: &Sources, with_origin: bool, output: Output) -> Result<Exit, Trouble> {
    let loaded = sources.load()?;
    loaded.warn();
    let records = KEYS.iter().zip(&loaded.origins).map(|(key, origin)| {
        let mut record = json!({"key": key.path(), "value": (key.get)(&loaded.config)});
        if with_origin {
            record["origin"] = json!(origin.to_string());
        }
        record
    });
    let records: Vec<_> = records.collect();
    match output {
        Output::Table if with_origin => super::say(&table(["key", "value", "origin"], &records))?,
        Output::Table => super::say(&table(["key", "value"], &records))?,
        Output::Json | Output::Ndjson => check::print(&records, output)?,
    }
    Ok(Exit::Ok)
}

fn table<const COLUMNS: usize>(columns: [&str; COLUMNS], records: &[Value]) -> String {
    output::table(columns, records.iter().map(|record| columns.map(|column| output::cell(&record[column]))))
}

fn check(sources: &Sources, output: Output) -> Result<Exit, Trouble> {
    let loaded = sources.load();
    if let Ok(loaded) = &loaded {
        loaded.warn();
    }
    if output != Output::Table {
        let mistakes = loaded.as_ref().err().map_or_else(Vec::new, mistakes);
        super::unless_left(check::print(&mistakes, output))?;
        return Ok(if loaded.is_ok() { Exit::Ok } else { Exit::Usage });
    }
    super::say(&match loaded?.file {
        Some(file) => format!("{}: ok", file.display()),
        None => "ok: there is no file, so the defaults hold beside the environment".to_owned(),
    })?;
    Ok(Exit::Ok)
}

/// The mistakes as `everlog check` has them; one that is not in a file has no place.
fn mistakes(error: &ConfigError) -> Vec<Value> {
    match error {
        ConfigError::File(error) => error.faults().iter().map(check::record).collect(),
        ConfigError::Unreadable { .. }
        | ConfigError::Value { .. }
        | ConfigError::UnknownVariable { .. }
        | ConfigError::BothSet { .. }
        | ConfigError::ValueFile { .. } => {
            vec![json!({"line": null, "column": null, "message": error.to_string(), "help": null})]
        }
    }
}
