//! Methods that concern the connection alone.

use super::ids::Ids;
use super::operation::{Operation, SessionRequest};
use super::params::Params;
use super::topic::{TOPIC_FORMS, Topic};
use everlog_replay::Refusal;

/// Topics in one request: more than a client has use for, few enough to be matched against every notification.
const TOPICS_MAX: usize = 1_024;

pub(super) fn subscribe(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    Ok(Operation::Session(SessionRequest::Subscribe { topics: topics(params)? }))
}

pub(super) fn unsubscribe(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    Ok(Operation::Session(SessionRequest::Unsubscribe { topics: topics(params)? }))
}

fn topics(params: &Params<'_>) -> Result<Vec<Topic>, Refusal> {
    let field = params.need("topics", "a list of topics such as [\"pipeline/*\", \"server/heartbeat\"]")?;
    field.each(TOPICS_MAX, |item| Topic::parse(&item.string()?).ok_or_else(|| item.wrong(TOPIC_FORMS)))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ID, refused, request};
    use super::*;

    #[test]
    fn topics_are_read() {
        let topics: Vec<_> = ["*", "task/*", &format!("pipeline:{ID}")].into_iter().filter_map(Topic::parse).collect();
        let params = r#"{"topics": ["*", "task/*", "pipeline:$ID"]}"#;
        let subscribe = SessionRequest::Subscribe { topics: topics.clone() };
        assert_eq!(request("subscribe", params), Ok(Operation::Session(subscribe)));
        assert_eq!(request("unsubscribe", params), Ok(Operation::Session(SessionRequest::Unsubscribe { topics })));
    }

    #[test]
    fn what_is_no_topic_is_refused() {
        let forms = "one of *, pipeline/*, task/*, monitoring/*, pipeline:<id>, or a notification's method such as server/heartbeat";
        for method in ["subscribe", "unsubscribe"] {
            refused(
                method,
                &[
                    (
                        "{}",
                        -32_602,
                        "topics is missing; give a list of topics such as [\"pipeline/*\", \"server/heartbeat\"]",
                    ),
                    (r#"{"topics": "*"}"#, -32_602, "topics must be a list, not the string \"*\""),
                    (r#"{"topics": ["*", 3]}"#, -32_602, "topics[1] must be a string, not the number 3"),
                    (
                        r#"{"topics": ["pipeline"]}"#,
                        -32_602,
                        &format!("topics[0] must be {forms}, not the string \"pipeline\""),
                    ),
                ],
            );
        }
    }
}
