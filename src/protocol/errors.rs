//! `error/*`: the register of errors that clients report.

use super::operation::{Operation, Query, Reply};
use super::params::{Params, object_text};
use super::request::Ids;
use everlog_replay::{Command, ErrorId, Refusal, TaskId};
use uuid::Uuid;

/// Component and type of an error whose reporter names none.
const UNNAMED: &str = "unknown";
/// What `error/recover` does when nothing else is asked for (protocol §3).
const RECOVERY_DEFAULT: &str = "retry";

pub(super) fn report(params: &Params<'_>, ids: &mut Ids<'_>) -> Result<Operation, Refusal> {
    let named = |name: &str| Ok(params.opt_name(name)?.unwrap_or_else(|| UNNAMED.to_owned()));
    // `details` and `context` may be anything; what else was sent stays beside them.
    let details = params.iter().filter(|(key, _)| !matches!(*key, "component" | "error_type" | "message"));
    let command = Command::ReportError {
        error: ids.error(),
        component: named("component")?,
        error_type: named("error_type")?,
        message: params.opt_string("message")?.unwrap_or_default().into_owned(),
        task: task_named(params),
        details: object_text(details),
    };
    Ok(Operation::Change { command, reply: Reply::ErrorReported })
}

/// The task that a report names, at the top level or in its context or details. A report is never refused for naming something
/// else there.
fn task_named(params: &Params<'_>) -> Option<TaskId> {
    let inner = ["context", "details"].into_iter().filter_map(|name| params.get(name)?.object().ok());
    let texts = std::iter::once(params.opt_string("task_id")).chain(inner.map(|object| object.opt_string("task_id")));
    texts.flatten().flatten().find_map(|text| Uuid::try_parse(&text).ok()).map(TaskId)
}

pub(super) fn recover(params: &Params<'_>, ids: &mut Ids<'_>) -> Result<Operation, Refusal> {
    const EXPECTED: &str = "the error_id that error/report returned";
    let field = params.need("error_id", EXPECTED)?;
    let error = Uuid::try_parse(&field.string()?).map_err(|_| field.wrong(EXPECTED))?;
    let command = Command::RecoverError {
        error: ErrorId(error),
        action: params.opt_name("recovery_action")?.unwrap_or_else(|| RECOVERY_DEFAULT.to_owned()),
        new_task: ids.task(),
    };
    Ok(Operation::Change { command, reply: Reply::ErrorRecovered })
}

pub(super) fn list(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    Ok(Operation::Read(Query::ErrorList {
        component: params.filter("component")?,
        error_type: params.filter("error_type")?,
        page: params.page()?,
    }))
}
