//! `error/*`: the register of errors that clients report.

use super::ids::Ids;
use super::operation::{Operation, Query, Reply};
use super::params::{Params, object_text};
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
        new: ids.new_ids(),
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

#[cfg(test)]
mod tests {
    use super::super::operation::Page;
    use super::super::testing::{ID, change, id, made, refused, request};
    use super::*;
    use everlog_replay::{Json, NewIds, PipelineId};

    fn reported(
        component: &str,
        error_type: &str,
        message: &str,
        task: Option<TaskId>,
        details: &str,
    ) -> (Command, Reply) {
        let [component, error_type, message] = [component, error_type, message].map(str::to_owned);
        let (error, details) = (ErrorId(made(1)), Json::from(details.replace("$ID", ID)));
        (Command::ReportError { error, component, error_type, message, task, details }, Reply::ErrorReported)
    }

    #[test]
    fn a_report_may_say_anything() {
        let named = Some(TaskId(id()));
        for (params, expected) in [
            ("{}", reported("unknown", "unknown", "", None, "{}")),
            (
                r#"{"component": "gpu", "error_type": "oom", "message": "no\nroom", "details": {"x":  1}, "context": [2]}"#,
                reported("gpu", "oom", "no\nroom", None, r#"{"details":{"x":  1},"context":[2]}"#),
            ),
            (r#"{"task_id": "$ID"}"#, reported("unknown", "unknown", "", named, r#"{"task_id":"$ID"}"#)),
            (
                r#"{"task_id": "mine", "context": {"task_id": "$ID"}}"#,
                reported("unknown", "unknown", "", named, r#"{"task_id":"mine","context":{"task_id": "$ID"}}"#),
            ),
            (
                r#"{"context": "none", "details": {"task_id": "$ID"}}"#,
                reported("unknown", "unknown", "", named, r#"{"context":"none","details":{"task_id": "$ID"}}"#),
            ),
        ] {
            assert_eq!(change("error/report", params), expected, "{params}");
        }
        refused(
            "error/report",
            &[
                (r#"{"component": 1}"#, -32_602, "component must be a string, not the number 1"),
                (r#"{"message": {}}"#, -32_602, "message must be a string, not an object"),
            ],
        );
    }

    #[test]
    fn a_recovery_names_its_error() {
        for (params, action) in
            [(r#"{"error_id": "$ID"}"#, "retry"), (r#"{"error_id": "$ID", "recovery_action": "ignore"}"#, "ignore")]
        {
            let new = NewIds { pipeline: PipelineId(made(1)), task: TaskId(made(2)) };
            let command = Command::RecoverError { error: ErrorId(id()), action: action.into(), new };
            assert_eq!(change("error/recover", params), (command, Reply::ErrorRecovered), "{params}");
        }
        let expected = "the error_id that error/report returned";
        refused(
            "error/recover",
            &[
                ("{}", -32_602, &format!("error_id is missing; give {expected}")),
                (r#"{"error_id": "e1"}"#, -32_602, &format!("error_id must be {expected}, not the string \"e1\"")),
            ],
        );
    }

    #[test]
    fn a_list_takes_filters() {
        let query = |component: Option<&str>, error_type: Option<&str>, limit, offset| {
            let (component, error_type) = (component.map(Into::into), error_type.map(Into::into));
            Ok(Operation::Read(Query::ErrorList { component, error_type, page: Page { limit, offset } }))
        };
        let full = r#"{"component": "gpu", "error_type": "oom", "limit": 5, "offset": 10}"#;
        assert_eq!(request("error/list", full), query(Some("gpu"), Some("oom"), Some(5), 10));
        assert_eq!(request("error/list", r#"{"component": "", "limit": null}"#), query(None, None, None, 0));
    }
}
