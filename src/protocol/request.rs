//! From a frame to an operation: one table of methods, each with the function that reads its parameters.

use super::frame::{Frame, FrameType};
use super::operation::{Operation, Reply};
use super::params::{Params, cut};
use super::{agents, errors, memory, models, pipelines, session, tasks};
use everlog_replay::{AgentId, ErrorId, PipelineId, Refusal, TaskId};
use uuid::Uuid;

/// Makes new identities. They are the caller's to choose, so that a test or a simulation chooses them as well.
pub struct Ids<'a>(pub &'a mut dyn FnMut() -> Uuid);

impl Ids<'_> {
    pub(super) fn task(&mut self) -> TaskId {
        TaskId((self.0)())
    }

    pub(super) fn pipeline(&mut self) -> PipelineId {
        PipelineId((self.0)())
    }

    pub(super) fn error(&mut self) -> ErrorId {
        ErrorId((self.0)())
    }

    pub(super) fn agent(&mut self) -> AgentId {
        AgentId::from((self.0)().to_string().as_str())
    }
}

/// Reads the parameters of a method.
type Read = fn(&Params<'_>, &mut Ids<'_>) -> Result<Operation, Refusal>;

/// What clients send as notifications. They may send it as a request too, and are answered then.
const NOTIFICATIONS: [(&str, Read); 4] = [
    ("task/completed", tasks::completed),
    ("task/progress", tasks::progress),
    ("agent/metrics", agents::metrics),
    ("claude-flow/hook", agents::hook),
];

/// What can only be asked for as a request.
const REQUESTS: [(&str, Read); 32] = [
    ("pipeline/create", pipelines::create),
    ("pipeline/start", pipelines::start),
    ("pipeline/stop", pipelines::stop),
    ("pipeline/pause", pipelines::pause),
    ("pipeline/resume", pipelines::resume),
    ("pipeline/status", pipelines::status),
    ("pipeline/list", pipelines::list),
    ("pipeline/delete", pipelines::delete),
    ("task/create", tasks::create),
    ("task/assign", tasks::assign),
    ("task/status", tasks::status),
    ("task/result", tasks::result),
    ("task/cancel", tasks::cancel),
    ("task/list", tasks::list),
    ("agent/register", agents::register),
    ("agent/unregister", agents::unregister),
    ("agent/assign", tasks::assign),
    ("agent/list", agents::list),
    ("agent/status", agents::status),
    ("model/metrics", models::metrics),
    ("model/performance", models::performance),
    ("model/memory", models::memory),
    ("model/health", models::health),
    ("memory/get", memory::get),
    ("memory/set", memory::set),
    ("memory/delete", memory::delete),
    ("memory/list", memory::list),
    ("error/report", errors::report),
    ("error/recover", errors::recover),
    ("error/list", errors::list),
    ("subscribe", session::subscribe),
    ("unsubscribe", session::unsubscribe),
];

/// The methods that a request may name.
pub fn methods() -> impl Iterator<Item = &'static str> {
    NOTIFICATIONS.iter().chain(&REQUESTS).map(|(name, _)| *name)
}

/// What a message asks for.
///
/// # Errors
/// −32601 for a request with an unknown method (a notification with one is observed), −32602 for parameters that can not be read,
/// and the "not found" of its kind for an id that can not exist.
pub fn interpret(frame: &Frame<'_>, new_uuid: &mut dyn FnMut() -> Uuid) -> Result<Operation, Refusal> {
    let find = |table: &[(&str, Read)]| table.iter().find(|(name, _)| *name == frame.method).map(|(_, read)| *read);
    let ids = &mut Ids(new_uuid);
    match frame.frame_type {
        FrameType::Request => {
            let read = find(&NOTIFICATIONS).or_else(|| find(&REQUESTS)).ok_or_else(|| unknown(&frame.method))?;
            read(&Params::of_message(frame.params)?, ids)
        }
        FrameType::Notification => match find(&NOTIFICATIONS) {
            Some(read) => read(&Params::of_message(frame.params)?, ids).map(unanswered),
            None => Ok(Operation::Observe),
        },
        // Clients answer the server's requests with an acknowledgement on which nothing rests.
        FrameType::Response | FrameType::Error => Ok(Operation::Observe),
    }
}

fn unanswered(operation: Operation) -> Operation {
    if let Operation::Change { command, .. } = operation {
        return Operation::Change { command, reply: Reply::None };
    }
    operation
}

/// Differences up to which a method is taken for a misspelt other one.
const TYPOS_MAX: usize = 3;
/// Characters of an unknown method that the refusal repeats.
const METHOD_QUOTE_CHARS_MAX: usize = 64;

fn unknown(method: &str) -> Refusal {
    let near = methods().filter(|known| known.len().abs_diff(method.len()) <= TYPOS_MAX);
    let nearest = near.map(|known| (distance(known, method), known)).min().filter(|(typos, _)| *typos <= TYPOS_MAX);
    let method = cut(method, METHOD_QUOTE_CHARS_MAX);
    Refusal::MethodNotFound(match nearest {
        Some((_, known)) => format!("{method} (did you mean {known}?)"),
        None => method.into_owned(),
    })
}

/// Levenshtein distance in bytes: the fewest insertions, deletions and substitutions that turn one text into the other.
pub(crate) fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.bytes().enumerate() {
            let substituted = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}
