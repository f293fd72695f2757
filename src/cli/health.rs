//! `everlog health`: a probe for containers and scripts. Plain HTTP over a socket, since it runs every few seconds and has to cost
//! nothing.

use std::io;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::exit::{Exit, Trouble};
use super::output::{self, Output};
use super::server_url::ServerUrl;
use super::terminal;
use crate::client::address::host_and_port;
use crate::client::{ClientError, ClientOptions};

/// How long an answer may take, if `MCP_CLIENT_TIMEOUT` is not less: a coordinator that is well has it in milliseconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read; it has a few hundred.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

const EXAMPLES: &str = "Examples:
  everlog health
  everlog health --ready --server ws://localhost:9000

Exit codes: 0 it is well, 1 it is not, 69 it can not be reached, or what answers is no coordinator.";

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
    let url = args.server.get()?;
    let path = if args.ready { "/readyz" } else { "/healthz" };
    let host = host_and_port(&url)?;
    let patience = ClientOptions::from_env()?.request_timeout.min(ANSWER_WITHIN);
    let unreachable = |cause: String| ClientError::Unreachable { url: url.clone(), cause };
    let answer = match timeout(patience, ask(&host, path)).await {
        Ok(answer) => answer.map_err(|error| unreachable(error.to_string()))?,
        Err(_) => return Err(unreachable(format!("no answer within {} s", patience.as_secs_f64())).into()),
    };
    let (is_well, health) = read(&url, &answer)?;
    output::print(&mut io::stdout(), &health, args.output)?;
    match health["reason"].as_str() {
        None if is_well => Ok(Exit::Ok),
        reason => Err(Trouble::Failed(format!("{url}: {}", terminal::one_line(reason.unwrap_or("it is not well"))))),
    }
}

async fn ask(host: &str, path: &str) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(host).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await?;
    Ok(answer)
}

/// The statuses that a coordinator answers with: it is well, it is not, and it does not let this client in.
const WELL: u16 = 200;
const UNWELL: u16 = 503;
const FORBIDDEN: u16 = 403;

/// Whether it is well, and its words.
fn read(url: &str, answer: &[u8]) -> Result<(bool, Value), ClientError> {
    let none = |why: String| {
        let cause = format!("what answers there is no coordinator, or one older than this `everlog` ({why})");
        ClientError::Unreachable { url: url.to_owned(), cause }
    };
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let mut words = head.split_whitespace();
    let status = match (words.next(), words.next().map(str::parse)) {
        (None, _) => return Err(none("it closed the connection without a word".to_owned())),
        (Some(protocol), Some(Ok(status))) if protocol.starts_with("HTTP/") => status,
        _ => return Err(none("it does not speak HTTP".to_owned())),
    };
    match (status, serde_json::from_str::<Value>(body)) {
        (WELL | UNWELL, Ok(health)) if health["status"].is_string() => Ok((status == WELL, health)),
        // Refused at the door, in a sentence.
        (FORBIDDEN | UNWELL, Err(_)) if !body.trim().is_empty() && !body.contains('<') => {
            Err(ClientError::TurnedAway { url: url.to_owned(), status, message: body.trim().to_owned() })
        }
        _ => Err(none(format!("HTTP {status}"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_coordinator_is_taken_for_one() {
        let well = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"status\": \"ok\"}";
        let read = |answer: &[u8]| read("ws://localhost:8700", answer).map_err(|error| error.to_string());
        assert_eq!(read(well), Ok((true, json!({"status": "ok"}))));
        assert!(read(b"HTTP/1.1 503 Service Unavailable\r\n\r\n{\"status\": \"failed\"}").is_ok_and(|(well, _)| !well));
        for (answer, why) in [
            (&b""[..], "without a word"),
            (b"\r\n\r\n", "without a word"),
            (b"SSH-2.0-OpenSSH_9.6\r\n", "does not speak HTTP"),
            (b"\x15\x03\x01\x00\x02\x02\xff", "does not speak HTTP"),
            (b"HTTP/1.1 404 Not Found\r\n\r\n{\"status\": 404}", "HTTP 404"),
            (b"HTTP/1.0 200 OK\r\n\r\n<html>hello</html>", "HTTP 200"),
            (b"HTTP/1.1 200 OK", "HTTP 200"),
            (b"HTTP/1.1 200 OK\r\n\r\n[]", "HTTP 200"),
            (b"HTTP/1.1 503 Busy\r\n\r\n<html>", "HTTP 503"),
            (b"HTTP/1.1 503 Busy\r\n\r\nit is full\n", "turned this client away: it is full"),
        ] {
            assert!(read(answer).is_err_and(|told| told.contains(why)), "{}", String::from_utf8_lossy(answer));
        }
    }
}
