//! From a frame to an operation: one table of methods, each with the function that reads its parameters.

use super::field::cut;
use super::frame::{Frame, FrameType};
use super::ids::Ids;
use super::operation::{Operation, Reply};
use super::params::Params;
use super::{agents, errors, memory, models, pipelines, session, tasks};
use everlog_replay::Refusal;
use uuid::Uuid;

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
const REQUESTS: [(&str, Read); 34] = [
    ("pipeline/create", pipelines::create),
    ("pipeline/start", pipelines::start),
    ("pipeline/stop", pipelines::stop),
    ("pipeline/pause", pipelines::pause),
    ("pipeline/resume", pipelines::resume),
    ("pipeline/status", pipelines::status),
    ("pipeline/list", pipelines::list),
    ("pipeline/delete", pipelines::delete),
    ("pipeline/retry", pipelines::retry),
    ("task/create", tasks::create),
    ("task/assign", tasks::assign),
    ("task/status", tasks::status),
    ("task/result", tasks::result),
    ("task/cancel", tasks::cancel),
    ("task/retry", tasks::retry),
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
pub(crate) fn methods() -> impl Iterator<Item = &'static str> {
    NOTIFICATIONS.iter().chain(&REQUESTS).map(|(name, _)| *name)
}

/// What a message asks for.
///
/// # Errors
/// −32601 for a request with an unknown method (a notification with one is observed), −32602 for parameters that can not be read,
/// and the "not found" of its kind for an id that can not exist.
pub(crate) fn interpret(frame: &Frame<'_>, new_uuid: &mut dyn FnMut() -> Uuid) -> Result<Operation, Refusal> {
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
    let method = cut(method, METHOD_QUOTE_CHARS_MAX).into_owned();
    Refusal::MethodNotFound { method, near: nearest.map(|(_, known)| known) }
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

#[cfg(test)]
mod tests {
    use super::super::json::tests::any_json;
    use super::super::testing::{notification, read, refused, request};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_unknown_method_is_refused_with_the_nearest_known_one() {
        let sentence = |method: &str, step: &str| format!("there is no method '{method}'; {step}");
        const LISTED: &str = "docs/protocol.md lists them all";
        for (method, step) in [
            ("task/creat", "did you mean task/create?"),
            ("pipelines/list", "did you mean pipeline/list?"),
            ("Subscribe", "did you mean subscribe?"),
            ("monitoring/current", LISTED),
            ("é", LISTED),
        ] {
            refused(method, &[("{}", -32_601, &sentence(method, step))]);
        }
        refused(&"x".repeat(500), &[("{}", -32_601, &sentence(&("x".repeat(64) + "…"), LISTED))]);
    }

    #[test]
    fn an_unknown_notification_is_observed_and_so_is_every_answer() {
        for method in ["custom/thing", "pipeline/create", "monitoring/current"] {
            assert_eq!(notification(method, "[1, 2]"), Ok(Operation::Observe), "{method}");
        }
        for text in [
            r#"{"id":"1","type":"response","method":"","params":{},"result":{"status":"acknowledged"},"error":null}"#,
            r#"{"id":"1","type":"error","error":{"code":1}}"#,
        ] {
            assert_eq!(read(text), Ok(Operation::Observe), "{text}");
        }
    }

    #[test]
    fn parameters_are_an_object_or_nothing() {
        assert!(matches!(request("pipeline/list", "null"), Ok(Operation::Read(_))));
        assert!(matches!(read(r#"{"id":"1","type":"request","method":"pipeline/list"}"#), Ok(Operation::Read(_))));
        refused(
            "pipeline/list",
            &[
                ("[1]", -32_602, "params must be an object, not a list"),
                ("\"x\"", -32_602, "params must be an object, not the string \"x\""),
                ("7", -32_602, "params must be an object, not the number 7"),
            ],
        );
    }

    #[test]
    fn distances_are_those_of_levenshtein() {
        for (one, other, expected) in [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("abc", "acb", 2)] {
            assert_eq!(distance(one, other), expected, "{one} {other}");
            assert_eq!(distance(other, one), expected, "{other} {one}");
        }
    }

    /// Objects with the names that the methods look for, and any value under them.
    fn any_params() -> impl Strategy<Value = serde_json::Value> {
        let name = prop::sample::select(vec![
            "id",
            "name",
            "task_id",
            "agent_id",
            "pipeline_id",
            "config",
            "tasks",
            "tasks_config",
            "strategy",
            "priority",
            "retry",
            "timeout",
            "required_capabilities",
            "depends_on",
            "capabilities",
            "resources",
            "running",
            "attempt",
            "metrics",
            "model_id",
            "accuracy",
            "timeframe",
            "key",
            "value",
            "topics",
            "limit",
            "offset",
            "status",
            "error",
            "success",
            "result",
            "progress",
            "details",
            "context",
            "error_id",
            "slots",
            "cpu",
            "on_failure",
        ]);
        let text = prop_oneof![Just("name".to_owned()), Just(super::super::testing::ID.to_owned())];
        let value = prop_oneof![any_json(), text.prop_map(Into::into), (-5..5).prop_map(serde_json::Value::from)];
        let object = prop::collection::vec((name, value), 0..8)
            .prop_map(|fields| fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
        object.prop_recursive(3, 24, 3, |inner: BoxedStrategy<serde_json::Value>| {
            (inner.clone(), inner, prop::sample::select(vec!["config", "tasks", "retry", "running", "metrics"]))
                .prop_map(|(mut outer, inner, name)| {
                    let item = if matches!(name, "tasks" | "running") { vec![inner].into() } else { inner };
                    outer[name] = item;
                    outer
                })
        })
    }

    proptest! {
        #[test]
        fn no_object_makes_any_method_panic(params in any_params(), other in any_json()) {
            for method in methods() {
                for params in [&params, &other] {
                    let text = params.to_string();
                    for outcome in [request(method, &text), notification(method, &text)] {
                        if let Err(refusal) = outcome {
                            prop_assert!(refusal.to_string().chars().count() < 1_000, "{refusal}");
                        }
                    }
                }
            }
        }
    }
}
