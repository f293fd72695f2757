//! What a client can subscribe to. A topic is checked when it is subscribed, so that a misspelt one is not silence for ever.

use everlog_replay::PipelineId;
use std::fmt;
use uuid::Uuid;

/// A set of notifications (protocol §3, `subscribe`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Topic {
    /// `*`: all.
    All,
    /// `task/*`: those whose method begins with this word and a slash.
    Group(String),
    /// `server/heartbeat`: those with exactly this method.
    Method(String),
    /// `pipeline:<id>`: those that concern this pipeline or its tasks.
    Pipeline(PipelineId),
}

/// The forms of a topic, for refusals.
pub(super) const TOPIC_FORMS: &str =
    "one of *, pipeline/*, task/*, monitoring/*, pipeline:<id>, or a notification's method such as server/heartbeat";

impl Topic {
    /// Reads a topic; `None` when it has none of [`TOPIC_FORMS`].
    #[must_use]
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::All);
        }
        if let Some(id) = text.strip_prefix("pipeline:") {
            return Uuid::try_parse(id).ok().map(|id| Self::Pipeline(PipelineId(id)));
        }
        let (group, method) = text.split_once('/')?;
        match (group, method) {
            ("", _) | (_, "") => None,
            (group, "*") => Some(Self::Group(group.to_owned())),
            _ => Some(Self::Method(text.to_owned())),
        }
    }

    /// Whether a notification `method` that concerns `pipeline` is in the set.
    #[must_use]
    pub(crate) fn covers(&self, method: &str, pipeline: Option<PipelineId>) -> bool {
        match self {
            Self::All => true,
            Self::Group(group) => method.strip_prefix(group.as_str()).is_some_and(|rest| rest.starts_with('/')),
            Self::Method(wanted) => wanted == method,
            Self::Pipeline(wanted) => pipeline == Some(*wanted),
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Group(group) => write!(f, "{group}/*"),
            Self::Method(method) => f.write_str(method),
            Self::Pipeline(id) => write!(f, "pipeline:{id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "018f0000-0000-7000-8000-000000000001";

    #[test]
    fn every_form_is_read_and_printed_back() {
        for text in ["*", "pipeline/*", "server/heartbeat", "claude-flow/hook", &format!("pipeline:{ID}")] {
            assert_eq!(Topic::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "pipeline", "/", "/x", "task/", "pipeline:", "pipeline:seven"] {
            assert_eq!(Topic::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_topic_covers_what_it_says_and_no_more() {
        let pipeline = Some(PipelineId(Uuid::try_parse(ID).unwrap()));
        for (topic, method, concerns, covered) in [
            ("*", "anything/else", None, true),
            ("task/*", "task/assigned", None, true),
            ("task/*", "tasks/assigned", None, false),
            ("task/*", "task", None, false),
            ("server/heartbeat", "server/heartbeat", None, true),
            ("server/heartbeat", "server/heartbeats", None, false),
            (&format!("pipeline:{ID}"), "task/completed", pipeline, true),
            (&format!("pipeline:{ID}"), "task/completed", None, false),
        ] {
            assert_eq!(Topic::parse(topic).unwrap().covers(method, concerns), covered, "{topic} {method}");
        }
    }
}
