//! The agents of a measurement, all in one process on one thread: they complete what they are given, and cost as little as that can.
//!
//! On stdout they say `ready` once all are registered, and from then on how many tasks they have completed, while that grows.

use super::BenchError;
use super::wire::{FRAMES_A_FLUSH, Wire};
use futures_util::{SinkExt, StreamExt};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

/// Between two words about how far they are: as often as a progress bar moves.
const TOLD_EVERY: Duration = Duration::from_millis(100);

/// Works until the coordinator ends the connections.
///
/// # Errors
/// When the coordinator cannot be reached, refuses an agent, or has gone.
pub(crate) async fn work(url: &str, agents: u32, slots: u32) -> Result<(), BenchError> {
    // Each agent is an open file.
    let files = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: files.maximum, ..files });
    let done = Arc::new(AtomicU64::new(0));
    let mut crew = JoinSet::new();
    for number in 0..agents {
        let name = format!("agent-{number}");
        let mut wire = Wire::connect(url).await?;
        wire.call("agent/register", json!({"id": name, "name": name, "slots": slots, "ready": true})).await?;
        crew.spawn(complete_all(wire, name, Arc::clone(&done)));
    }
    say("ready");
    let gone = |cause: String| BenchError::Cut { url: url.to_owned(), cause };
    let mut told = 0;
    loop {
        let ended = tokio::time::timeout(TOLD_EVERY, crew.join_next()).await;
        match ended {
            Ok(Some(Ok(Err(error)))) => return Err(gone(error.to_string())),
            Ok(Some(Err(error))) => return Err(gone(error.to_string())),
            Ok(Some(Ok(Ok(()))) | None) => return Err(gone("it was closed".to_owned())),
            Err(_) => {}
        }
        let now = done.load(Ordering::Relaxed);
        if now > told {
            told = now;
            say(&now.to_string());
        }
    }
}

/// Who does not listen any more ends this process soon.
fn say(line: &str) {
    let mut stdout = std::io::stdout();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

/// Answers assignments for ever; everything that has arrived at once is answered with one flush.
async fn complete_all(wire: Wire, agent: String, done: Arc<AtomicU64>) -> Result<(), WsError> {
    let (mut sink, stream) = wire.into_socket().split();
    let mut chunks = stream.ready_chunks(FRAMES_A_FLUSH);
    while let Some(frames) = chunks.next().await {
        let mut completed = 0;
        for frame in frames {
            let Message::Text(text) = frame? else { continue };
            let Some(answer) = completion(&text, &agent) else { continue };
            sink.feed(Message::text(answer)).await?;
            completed += 1;
        }
        sink.flush().await?;
        done.fetch_add(completed, Ordering::Relaxed);
    }
    Ok(())
}

/// What completes the task of an assignment; `None` for any other frame.
fn completion(frame: &str, agent: &str) -> Option<String> {
    frame.contains(r#""method":"task/assigned""#).then_some(())?;
    let (task, attempt) = (field(frame, r#""task_id":""#)?, field(frame, r#""attempt":"#)?);
    Some(format!(
        r#"{{"id":"","type":"notification","method":"task/completed","params":{{"task_id":"{task}","agent_id":"{agent}","attempt":{attempt},"result":null,"success":true}}}}"#
    ))
}

/// The text between `before` and the next quote, comma or brace.
fn field<'a>(frame: &'a str, before: &str) -> Option<&'a str> {
    let (_, rest) = frame.split_once(before)?;
    rest.split(['"', ',', '}']).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_is_answered_and_nothing_else() {
        let params = r#"{"task_id":"t-1","pipeline_id":"","name":"n","attempt":3,"config":{}}"#;
        let frame = |method| format!(r#"{{"id":"7-1","type":"notification","method":"{method}","params":{params}}}"#);
        let answer = completion(&frame("task/assigned"), "agent-0").expect("an answer");
        let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
        let expected = json!({"task_id": "t-1", "agent_id": "agent-0", "attempt": 3, "result": null, "success": true});
        assert_eq!(answer["params"], expected);
        assert_eq!(completion(&frame("task/cancelled"), "agent-0"), None);
    }
}
