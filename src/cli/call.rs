//! `everlog call`: any method of the protocol by hand.

use std::io::Read;

use serde_json::Value;

use super::exit::{Exit, Trouble};
use super::output::{self, Output};
use super::remote;
use super::server_url::ServerUrl;

const EXAMPLES: &str = "Examples:
  everlog call pipeline/list '{\"limit\": 5}'
  everlog call memory/set '{\"key\": \"k\", \"value\": [1, 2]}'
  echo '{\"name\": \"t\"}' | everlog call task/create -

docs/protocol.md lists the methods.";

/// The command line of `call`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The method, for example `pipeline/list`
    method: String,
    /// Its parameters as a JSON object; `-` reads them from stdin
    #[arg(default_value = "{}", value_name = "JSON")]
    params: String,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Output::Json)]
    output: Output,
    #[command(flatten)]
    server: ServerUrl,
}

pub(super) async fn run(args: Args) -> Result<Exit, Trouble> {
    let params = params(&args.params)?;
    let result =
        remote::with(&args.server, async |remote| remote.call_by_hand(&args.method, params.clone()).await).await?;
    output::print(&mut std::io::stdout(), &result, args.output)?;
    Ok(Exit::Ok)
}

fn params(text: &str) -> Result<Value, Trouble> {
    let mut read = String::new();
    let text = if text == "-" {
        let stdin = std::io::stdin().read_to_string(&mut read);
        stdin.map_err(|error| Trouble::Usage(format!("stdin cannot be read: {error}")))?;
        read.as_str()
    } else {
        text
    };
    let params: Value = serde_json::from_str(text).map_err(|error| {
        Trouble::Usage(format!("the parameters are not JSON: {error}; write for example '{{\"limit\": 5}}'"))
    })?;
    if !params.is_object() {
        let message = "the parameters are not a JSON object; write for example '{\"limit\": 5}'";
        return Err(Trouble::Usage(message.to_owned()));
    }
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_an_object() {
        assert!(params(r#"{"limit": 5}"#).is_ok());
        for wrong in ["[1]", "{limit: 5}", ""] {
            assert_eq!(params(wrong).expect_err(wrong).exit(), Exit::Usage);
        }
    }
}
