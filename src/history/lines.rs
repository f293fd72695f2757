//! The history as lines for people and programs, straight from the segments: beside a running coordinator or without one.

use super::envelope;
use crate::failure::Failure;
use everlog_replay::{Actor, Envelope, Seq};
use everlog_storage::{DataDir, Frame};
use std::path::Path;

/// One event, ready to be shown.
#[derive(Debug, Clone)]
pub(crate) struct LogLine {
    /// Its place in the log.
    pub seq: u64,
    /// When it was recorded.
    pub at: String,
    /// What happened.
    pub kind: String,
    /// Who did it.
    pub actor: String,
    /// To what: pipeline, task, agent.
    pub subject: String,
    /// The whole event, as JSON text.
    pub detail: String,
}

/// The events of a data directory from `from` on, as far as they are durable now. Memory use does not grow with their number.
///
/// # Errors
/// When the directory can not be read; damage is reported where it stands in the order.
pub(crate) fn lines(data: &Path, from: Seq) -> Result<impl Iterator<Item = Result<LogLine, Failure>> + use<>, Failure> {
    let from = from.max(1);
    let mut frames = DataDir::open_read_only(data)?.log.frames(from);
    let mut frame = Frame::new(1, 0);
    let frames = std::iter::from_fn(move || match frames.next_into(&mut frame) {
        Ok(true) => {
            let records = frame.records_from(from);
            Some(records.map(|(seq, record)| Ok(line(&envelope(seq, record)?))).collect::<Vec<_>>())
        }
        Ok(false) => None,
        Err(fault) => Some(vec![Err(fault.into())]),
    });
    let mut broken = false;
    Ok(frames.flatten().take_while(move |line| !std::mem::replace(&mut broken, line.is_err())))
}

fn line(envelope: &Envelope) -> LogLine {
    let subject = envelope.event.subject();
    let parts = [
        subject.pipeline.map(|id| format!("pipeline:{id}")),
        subject.task.map(|id| format!("task:{id}")),
        subject.agent.map(|id| format!("agent:{id}")),
    ];
    let actor = match envelope.actor {
        Actor::Coordinator => "coordinator".to_owned(),
        Actor::Scheduler => "scheduler".to_owned(),
        Actor::Connection(no) => format!("connection:{no}"),
    };
    LogLine {
        seq: envelope.seq,
        at: envelope.at.to_string(),
        kind: envelope.event.name().to_owned(),
        actor,
        subject: parts.into_iter().flatten().collect::<Vec<_>>().join(" "),
        detail: envelope.event.to_json(),
    }
}
