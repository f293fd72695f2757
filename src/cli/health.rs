//! `everlog health`: a probe for containers and scripts. Plain HTTP over a socket, since it runs every few seconds and has to cost
//! nothing.

use std::io;
use std::time::Duration;

use axum::http::Uri;
use axum::http::uri::InvalidUri;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::exit::{Exit, Trouble};
use super::output::{self, Output};
use super::server_url::ServerUrl;
use super::terminal;
use crate::client::ClientError;

/// How long an answer may take: a coordinator that is well has it in milliseconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read; it has a few hundred.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

const EXAMPLES: &str = "Examples:
  everlog health
  everlog health --ready --server ws://localhost:9000

Exit codes: 0 it is well, 1 it is not, 69 it can not be reached.";

/// The command line of `health`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Ask whether it serves clients too, not only whether it lives
    #[arg(long)]
    ready: bool,
    /// How to print the answer
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    server: ServerUrl,
}

pub(super) async fn run(args: Args) -> Result<Exit, Trouble> {
    let url = args.server.get();
    let path = if args.ready { "/readyz" } else { "/healthz" };
    let host = host_of(&url)?;
    let answer = match timeout(ANSWER_WITHIN, ask(&host, path)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Err(unreachable(&url, error.to_string())),
        Err(_) => return Err(unreachable(&url, format!("no answer within {} s", ANSWER_WITHIN.as_secs()))),
    };
    let (status, body) = parse(&answer).ok_or_else(|| not_everlog(&url, "no HTTP"))?;
    let health: Value = serde_json::from_str(body).map_err(|_| not_everlog(&url, body))?;
    output::print(&mut io::stdout(), &health, args.output)?;
    match health["reason"].as_str() {
        None if status == OK => Ok(Exit::Ok),
        reason => Err(Trouble::Failed(format!("{url}: {}", terminal::one_line(reason.unwrap_or("it is not well"))))),
    }
}

/// The status of an answer that all is well.
const OK: &str = "200";

/// `HOST:PORT` of an address.
fn host_of(url: &str) -> Result<String, ClientError> {
    let bad = |cause: String| ClientError::BadAddress { url: url.to_owned(), cause };
    let uri: Uri = url.parse().map_err(|error: InvalidUri| bad(error.to_string()))?;
    match (uri.scheme_str(), uri.authority()) {
        (Some("ws"), Some(host)) => Ok(format!("{}:{}", host.host(), host.port_u16().unwrap_or(PORT_DEFAULT))),
        _ => Err(bad("it does not begin with ws:// and a host".to_owned())),
    }
}

/// The port of an address that names none.
const PORT_DEFAULT: u16 = 80;

async fn ask(host: &str, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(host).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer).await?;
    Ok(answer)
}

/// Status and body.
fn parse(answer: &str) -> Option<(&str, &str)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.strip_prefix("HTTP/1.1 ")?.split(' ').next()?, body))
}

fn unreachable(url: &str, cause: String) -> Trouble {
    ClientError::Unreachable { url: url.to_owned(), cause }.into()
}

fn not_everlog(url: &str, said: &str) -> Trouble {
    let said = terminal::shortened(said.trim(), 200);
    Trouble::Failed(format!("{url} does not answer as a coordinator of this release: {said}; check --server"))
}
