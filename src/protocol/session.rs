//! Methods that concern the connection alone.

use super::operation::{Operation, SessionRequest};
use super::params::Params;
use super::request::Ids;
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
