//! `everlog memory`: the values that clients share.

use std::fmt::Display;
use std::io;
use std::path::PathBuf;

use clap::{Subcommand, ValueHint};
use serde_json::{Value, json};

use super::each::{self, Done, each};
use super::exit::{Exit, Trouble};
use super::grid::Cell;
use super::list::{self, Ask, Column};
use super::output::{self, Output};
use super::remote::{self, Remote};
use super::server_url::ServerUrl;
use super::{result, terminal};

const EXAMPLES: &str = "Examples:
  everlog memory set best/accuracy 0.978
  everlog memory get best/accuracy
  everlog memory ls best/
  everlog memory rm best/accuracy";

/// The command line of `memory`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Print the value of a key
    Get(Get),
    /// Store a value under a key
    Set(Set),
    /// List the keys
    Ls(Ls),
    /// Delete keys
    Rm(Rm),
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  everlog memory get best/accuracy\n  everlog memory get notes --raw\n  everlog memory get server/metrics"
)]
struct Get {
    /// The key, for example best/accuracy
    key: String,
    /// Print a text without quotes and escapes
    #[arg(long, conflicts_with = "output")]
    raw: bool,
    /// How to print it: the value alone, or a record with its key
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    server: ServerUrl,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  everlog memory set best/accuracy 0.978\n  everlog memory set notes 'use the new data'\n  everlog memory set config --file config.json\n  date | everlog memory set now -"
)]
struct Set {
    /// The key, for example best/accuracy
    key: String,
    /// The value: JSON, or a text where it is none; `-` reads stdin
    #[arg(required_unless_present = "file", allow_negative_numbers = true)]
    value: Option<String>,
    /// Read the value from a file
    #[arg(long, conflicts_with = "value", value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// How to print what was done
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    server: ServerUrl,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  everlog memory ls\n  everlog memory ls best/")]
struct Ls {
    /// Only keys that begin with this
    prefix: Option<String>,
    /// At most so many
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
    /// How to print them
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    server: ServerUrl,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  everlog memory rm best/accuracy\n  everlog memory rm one two")]
struct Rm {
    /// The keys, for example best/accuracy
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
    /// How to print what became of them
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    server: ServerUrl,
}

pub(super) const COLUMNS: [Column; 1] =
    [Column { header: "key…", rank: 0, cell: |key, _| Cell::plain(key.as_str().unwrap_or_default()) }];

pub(super) async fn run(args: Args) -> Result<Exit, Trouble> {
    match args.verb {
        Verb::Get(args) => get(args).await,
        Verb::Set(args) => set(args).await,
        Verb::Ls(args) => ls(args).await,
        Verb::Rm(args) => rm(args).await,
    }
}

fn no_key(key: &str) -> Trouble {
    Trouble::NotFound(format!("there is no key `{}`; see what there is: everlog memory ls", terminal::one_line(key)))
}

async fn get(args: Get) -> Result<Exit, Trouble> {
    remote::with(&args.server, async |remote| {
        let answer = remote.call("memory/get", json!({"key": args.key})).await?;
        if answer["exists"] != true {
            return Err(no_key(&args.key));
        }
        match args.output {
            Output::Table => result::print(&answer["value"], args.raw)?,
            Output::Json | Output::Ndjson => {
                let record = json!({"key": args.key, "value": answer["value"]});
                output::print(&mut std::io::stdout(), &record, args.output)?;
            }
        }
        Ok(Exit::Ok)
    })
    .await
}

async fn set(args: Set) -> Result<Exit, Trouble> {
    let text = match (&args.file, args.value) {
        (Some(file), _) => std::fs::read_to_string(file).map_err(|error| unreadable(&file.display(), &error))?,
        (None, Some(value)) if value != "-" => value,
        (None, _) => std::io::read_to_string(std::io::stdin()).map_err(|error| unreadable(&"stdin", &error))?,
    };
    let value: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
    remote::with(&args.server, async |remote| {
        remote.call("memory/set", json!({"key": args.key, "value": value})).await?;
        let line = format!("{} stored", terminal::one_line(&args.key));
        Done { line, record: json!({"key": args.key, "status": "stored"}) }.print(args.output)?;
        Ok(Exit::Ok)
    })
    .await
}

fn unreadable(what: &dyn Display, error: &io::Error) -> Trouble {
    if error.kind() == io::ErrorKind::InvalidData {
        return Trouble::Usage(format!(
            "{what} is no UTF-8; a value is JSON or a text, so encode other bytes, for example in base64"
        ));
    }
    Trouble::Usage(format!("{what} cannot be read: {error}; name a file that can be read"))
}

async fn ls(args: Ls) -> Result<Exit, Trouble> {
    let Ls { prefix, limit, output, server } = args;
    let ask = Ask { limit, ..Ask::new("memory/list", "keys", json!({"prefix": prefix})) };
    let empty = match prefix {
        Some(prefix) => format!("no key begins with `{}`", terminal::one_line(&prefix)),
        None => "no keys yet; try: everlog memory set best/accuracy 0.978".to_owned(),
    };
    remote::with(&server, async |remote| list::print(remote, &ask, output, &COLUMNS, &empty).await).await?;
    Ok(Exit::Ok)
}

async fn rm(args: Rm) -> Result<Exit, Trouble> {
    remote::with(&args.server, async |remote| {
        each(remote, &args.keys, each::KEYS, args.output, async |remote: &Remote, key: &str| {
            let answer = remote.call("memory/delete", json!({"key": key})).await?;
            if answer["status"] != "deleted" {
                return Err(no_key(key));
            }
            let line = format!("{} deleted", terminal::one_line(key));
            Ok(Done { line, record: json!({"key": key, "status": "deleted"}) })
        })
        .await
    })
    .await
}
