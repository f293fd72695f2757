//! `task/*`: creating tasks, asking about them, and what agents report on them.

use super::field::Field;
use super::ids::Ids;
use super::operation::{Operation, Query, Reply, Wanted};
use super::params::Params;
use super::wishes::{Layers, task_wish};
use everlog_replay::{Command, NewTask, PipelineId, Refusal, TaskId, TaskStatus, limits};
use std::borrow::Cow;
use uuid::Uuid;

pub(super) fn create(params: &Params<'_>, ids: &mut Ids<'_>) -> Result<Operation, Refusal> {
    let pipeline = params.opt_string("pipeline_id")?.filter(|id| !id.is_empty());
    let pipeline = pipeline.map(|_| params.pipeline_id()).transpose()?;
    let Some(list) = params.get("tasks") else {
        let tasks = vec![new_task(params, ids)?];
        return Ok(Operation::Change { command: Command::CreateTasks { pipeline, tasks }, reply: Reply::TaskCreated });
    };
    if params.get("name").is_some() {
        let sentence = "name and tasks exclude each other; give name for one task, or tasks for many";
        return Err(Refusal::InvalidParams(sentence.to_owned()));
    }
    if list.is_empty_list() {
        return Err(Refusal::InvalidParams("tasks is empty; give at least one task".to_owned()));
    }
    let tasks = new_tasks(list, ids)?;
    Ok(Operation::Change { command: Command::CreateTasks { pipeline, tasks }, reply: Reply::TasksCreated })
}

/// The tasks of a list, in order.
pub(super) fn new_tasks(list: Field<'_, '_>, ids: &mut Ids<'_>) -> Result<Vec<NewTask>, Refusal> {
    list.objects(limits::LIVE_TASKS_MAX)?.iter().map(|task| new_task(task, ids)).collect()
}

/// A task, whose settings stand in its `config` or beside its name.
fn new_task(params: &Params<'_>, ids: &mut Ids<'_>) -> Result<NewTask, Refusal> {
    let name = params.name("name")?;
    let config = params.object_or_empty("config")?;
    let layers = Layers { top: params, config: &config };
    let depends_on = layers.get(&["depends_on", "dependencies"]);
    Ok(NewTask {
        task: ids.task(),
        name,
        wish: task_wish(&layers)?,
        depends_on: depends_on.map_or(Ok(Vec::new()), |field| field.names(limits::DEPENDENCIES_MAX))?,
        config: layers.text(&["name", "config", "pipeline_id"], &[]),
    })
}

pub(super) fn assign(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    let command = Command::AssignTask { task: params.task_id()?, agent: params.agent_id()? };
    Ok(Operation::Change { command, reply: Reply::TaskAssigned })
}

pub(super) fn cancel(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    let command = Command::CancelTask { task: params.task_id()?, reason: params.reason()? };
    Ok(Operation::Change { command, reply: Reply::TaskCancelled })
}

pub(super) fn retry(params: &Params<'_>, ids: &mut Ids<'_>) -> Result<Operation, Refusal> {
    let command = Command::RetryTask { task: params.task_id()?, new: ids.new_ids() };
    Ok(Operation::Change { command, reply: Reply::Retried })
}

pub(super) fn status(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    Ok(Operation::Read(Query::TaskStatus(params.task_id()?)))
}

pub(super) fn result(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    Ok(Operation::Read(Query::TaskResult(params.task_id()?)))
}

pub(super) fn list(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    let pipeline = match params.opt_string("pipeline_id")?.filter(|id| !id.is_empty()) {
        None => Wanted::Any,
        // An unknown pipeline has no tasks, and so has one that can not exist (protocol §3).
        Some(id) => Uuid::try_parse(&id).map_or(Wanted::Nothing, |id| Wanted::Only(PipelineId(id))),
    };
    let known = TaskStatus::ALL.map(|status| (status.as_str(), Wanted::Only(status)));
    Ok(Operation::Read(Query::TaskList {
        pipeline,
        agent: params.filter("agent_id")?.map(|id| id.as_str().into()),
        status: params.filled("status").map_or(Ok(Wanted::Any), |field| field.word(&known))?,
        called: params.called()?,
        page: params.page()?,
    }))
}

pub(super) fn completed(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    let command = Command::CompleteTask {
        task: params.task_id()?,
        agent: params.agent_id()?,
        attempt: params.opt_u32("attempt", 1, u32::MAX)?,
        success: params.bool_or("success", true)?,
        result: params.json("result"),
        error: params.filled("error").map(|error| error_text(error).into_owned()),
        output: params.filled("output").map(|output| output.text().into()),
    };
    Ok(Operation::Change { command, reply: Reply::TaskRecorded })
}

/// What an agent says went wrong: a text, an object's `message`, or whatever else it sent, as its text. A completion is never
/// refused for the form of its error.
fn error_text<'a>(error: Field<'_, 'a>) -> Cow<'a, str> {
    let message = error.object().ok().and_then(|object| object.opt_string("message").ok().flatten());
    message.or_else(|| error.string().ok()).unwrap_or(Cow::Borrowed(error.text()))
}

pub(super) fn progress(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    let task: TaskId = params.task_id()?;
    Ok(Operation::Progress {
        task,
        agent: params.agent_id()?,
        progress: params.need("progress", "a number from 0 to 1")?.number(0.0, 1.0)?,
        details: params.json("details"),
    })
}

#[cfg(test)]
mod tests {
    use super::super::operation::Page;
    use super::super::testing::{ID, change, id, made, notification, refused, request};
    use super::*;
    use everlog_replay::{AgentId, Json};

    /// The tasks of a `task/create`, and the pipeline that they join.
    fn created(params: &str) -> (Option<PipelineId>, Vec<NewTask>, Reply) {
        match change("task/create", params) {
            (Command::CreateTasks { pipeline, tasks }, reply) => (pipeline, tasks, reply),
            other => panic!("{params} gave {other:?}"),
        }
    }

    #[test]
    fn a_task_needs_no_more_than_a_name() {
        for (params, pipeline) in [
            (r#"{"name": "t"}"#, None),
            (r#"{"name": "t", "pipeline_id": "", "config": null}"#, None),
            (r#"{"name": "t", "pipeline_id": null, "config": {}}"#, None),
            (r#"{"name": "t", "pipeline_id": "$ID"}"#, Some(PipelineId(id()))),
        ] {
            let plain = NewTask {
                task: TaskId(made(1)),
                name: "t".into(),
                wish: everlog_replay::spec::TaskWish::default(),
                depends_on: Vec::new(),
                config: Json::from("{}"),
            };
            assert_eq!(created(params), (pipeline, vec![plain], Reply::TaskCreated), "{params}");
        }
    }

    #[test]
    fn settings_beside_the_name_beat_those_in_config_and_nothing_is_lost() {
        let (_, tasks, reply) = created(
            r#"{"tasks": [{"name": "x", "type": "train", "config": {"required_capabilities": ["gpu"], "priority": 5,
                "lr": 1e-3}, "dependencies": ["load"], "priority": 7},
                {"name": "y", "config": {"depends_on": ["x"], "a\u00e9\"": {"deep": [ ]}}}, {"name": "z", "depends_on": [],
                "dependencies": ["x"]}]}"#,
        );
        assert_eq!(reply, Reply::TasksCreated);
        let seen: Vec<_> =
            tasks.iter().map(|task| (task.name.as_str(), task.depends_on.join(","), task.config.as_str())).collect();
        let expected = [
            (
                "x",
                "load",
                r#"{"required_capabilities":["gpu"],"lr":1e-3,"type":"train","dependencies":["load"],"priority":7}"#,
            ),
            ("y", "x", r#"{"depends_on":["x"],"aé\"":{"deep": [ ]}}"#),
            ("z", "", r#"{"depends_on":[],"dependencies":["x"]}"#),
        ];
        assert_eq!(seen, expected.map(|(name, upstream, config)| (name, upstream.to_owned(), config)));
        assert_eq!((tasks[0].wish.priority, &tasks[0].wish.capabilities), (7, &vec!["gpu".to_owned()]));
        assert_eq!(tasks.iter().map(|task| task.task.0).collect::<Vec<_>>(), [made(1), made(2), made(3)]);
    }

    #[test]
    fn a_creation_is_refused_field_by_field() {
        refused(
            "task/create",
            &[
                ("{}", -32_602, "name is missing; give a name"),
                (r#"{"tasks": []}"#, -32_602, "tasks is empty; give at least one task"),
                (
                    r#"{"name": "t", "tasks": [{"name": "u"}]}"#,
                    -32_602,
                    "name and tasks exclude each other; give name for one task, or tasks for many",
                ),
                (
                    r#"{"name": "t", "pipeline_id": "p"}"#,
                    -40_001,
                    "there is no pipeline p; pipeline/list shows the known ones",
                ),
                (r#"{"name": "t", "pipeline_id": 1}"#, -32_602, "pipeline_id must be a string, not the number 1"),
                (r#"{"name": "t", "config": "x"}"#, -32_602, "config must be an object, not the string \"x\""),
                (r#"{"name": "t", "depends_on": "u"}"#, -32_602, "depends_on must be a list, not the string \"u\""),
                (
                    r#"{"name": "t", "config": {"dependencies": [1]}}"#,
                    -32_602,
                    "config.dependencies[0] must be a string, not the number 1",
                ),
                (
                    r#"{"tasks": [{"name": "a"}, {"name": "b"}, {"name": "c"}, {"name": "d", "config": {"priority": "high"}}]}"#,
                    -32_602,
                    "tasks[3].config.priority must be a number from -1000 to 1000, not the string \"high\"",
                ),
            ],
        );
    }

    #[test]
    fn tasks_are_steered_and_asked_about() {
        let (task, agent) = (TaskId(id()), AgentId::from("w"));
        for method in ["task/assign", "agent/assign"] {
            let command = Command::AssignTask { task, agent: agent.clone() };
            assert_eq!(change(method, r#"{"task_id": "$ID", "agent_id": "w"}"#), (command, Reply::TaskAssigned));
            refused(method, &[(r#"{"task_id": "$ID"}"#, -32_602, "agent_id is missing; give the id of an agent")]);
        }
        for (params, reason) in
            [("", "on request"), (r#", "reason": "late""#, "late"), (r#", "reason": """#, "on request")]
        {
            let command = Command::CancelTask { task, reason: reason.into() };
            assert_eq!(
                change("task/cancel", &format!(r#"{{"task_id": "$ID"{params}}}"#)),
                (command, Reply::TaskCancelled)
            );
        }
        assert_eq!(request("task/status", r#"{"task_id": "$ID"}"#), Ok(Operation::Read(Query::TaskStatus(task))));
        assert_eq!(request("task/result", r#"{"task_id": "$ID"}"#), Ok(Operation::Read(Query::TaskResult(task))));
        for method in ["task/assign", "task/cancel", "task/status", "task/result", "task/completed", "task/progress"] {
            refused(
                method,
                &[
                    (r#"{"agent_id": "w"}"#, -32_602, "task_id is missing; give the id of a task"),
                    (r#"{"task_id": {}, "agent_id": "w"}"#, -32_602, "task_id must be a string, not an object"),
                    (
                        r#"{"task_id": "t1", "agent_id": "w"}"#,
                        -40_011,
                        "there is no task t1; task/list shows the known ones",
                    ),
                ],
            );
        }
    }

    #[test]
    fn a_list_takes_filters() {
        let list = |pipeline, agent: Option<&str>, status, limit, offset| {
            let (agent, page) = (agent.map(AgentId::from), Page { limit, offset });
            Ok(Operation::Read(Query::TaskList { pipeline, agent, status, called: None, page }))
        };
        for (params, expected) in [
            ("{}", list(Wanted::Any, None, Wanted::Any, None, 0)),
            (r#"{"pipeline_id": "", "agent_id": "", "status": ""}"#, list(Wanted::Any, None, Wanted::Any, None, 0)),
            (r#"{"pipeline_id": "nowhere"}"#, list(Wanted::Nothing, None, Wanted::Any, None, 0)),
            (
                r#"{"pipeline_id": "$ID", "agent_id": "w", "status": "TaskStatus.FAILED", "limit": 3, "offset": 4}"#,
                list(Wanted::Only(PipelineId(id())), Some("w"), Wanted::Only(TaskStatus::Failed), Some(3), 4),
            ),
        ] {
            assert_eq!(request("task/list", params), expected, "{params}");
        }
        let words = "one of pending, assigned, running, completed, failed, cancelled";
        refused(
            "task/list",
            &[
                (r#"{"status": "lost"}"#, -32_602, &format!("status must be {words}, not the string \"lost\"")),
                (r#"{"agent_id": 5}"#, -32_602, "agent_id must be a string, not the number 5"),
            ],
        );
    }

    #[test]
    fn a_completion_is_read_whatever_its_result() {
        let done = |attempt, success, result: &str, error: Option<&str>| Command::CompleteTask {
            task: TaskId(id()),
            agent: AgentId::from("w"),
            attempt,
            success,
            result: Json::from(result),
            error: error.map(str::to_owned),
            output: None,
        };
        for (params, command) in [
            ("", done(None, true, "null", None)),
            (
                r#", "result": {"loss":  NaN}, "success": true, "timestamp": "t""#,
                done(None, true, r#"{"loss":  null}"#, None),
            ),
            (r#", "result": 1e999, "attempt": 2.0, "error": null"#, done(Some(2), true, "null", None)),
            (r#", "success": false, "error": "bo\u006fm""#, done(None, false, "null", Some("boom"))),
            (r#", "success": false, "error": {"message": "m", "code": 1}"#, done(None, false, "null", Some("m"))),
            (r#", "success": false, "error": {"code": 1}"#, done(None, false, "null", Some(r#"{"code": 1}"#))),
            (r#", "success": false, "error": {"message": 5}"#, done(None, false, "null", Some(r#"{"message": 5}"#))),
            (r#", "success": false, "error": ["a"]"#, done(None, false, "null", Some(r#"["a"]"#))),
            (r#", "error": """#, done(None, true, "null", None)),
            (r#", "result": "\ud800", "result": "\udc00""#, done(None, true, r#""\ufffd""#, None)),
        ] {
            let params = format!(r#"{{"task_id": "$ID", "agent_id": "w"{params}}}"#);
            assert_eq!(change("task/completed", &params), (command.clone(), Reply::TaskRecorded), "{params}");
            let told = Operation::Change { command, reply: Reply::None };
            assert_eq!(notification("task/completed", &params), Ok(told), "{params}");
        }
        refused(
            "task/completed",
            &[
                (r#"{"task_id": "$ID"}"#, -32_602, "agent_id is missing; give the id of an agent"),
                (
                    r#"{"task_id": "$ID", "agent_id": "w", "success": "yes"}"#,
                    -32_602,
                    "success must be true or false, not the string \"yes\"",
                ),
                (
                    r#"{"task_id": "$ID", "agent_id": "w", "attempt": 0}"#,
                    -32_602,
                    "attempt must be a whole number from 1 to 4294967295, not the number 0",
                ),
            ],
        );
    }

    #[test]
    fn progress_goes_from_0_to_1() {
        let (task, agent) = (TaskId(id()), AgentId::from("w"));
        for (given, progress) in [("0", 0.0), ("1", 1.0), ("0.25", 0.25), ("1e-3", 0.001)] {
            let params =
                format!(r#"{{"task_id": "{ID}", "agent_id": "w", "progress": {given}, "details": {{"step":  3}}}}"#);
            let details = Json::from(r#"{"step":  3}"#);
            let expected = Ok(Operation::Progress { task, agent: agent.clone(), progress, details });
            assert_eq!(notification("task/progress", &params), expected, "{given}");
            assert_eq!(request("task/progress", &params), expected, "{given}");
        }
        for (given, sentence) in [
            ("1.01", "progress must be a number from 0 to 1, not the number 1.01"),
            ("-0.1", "progress must be a number from 0 to 1, not the number -0.1"),
            ("\"half\"", "progress must be a number from 0 to 1, not the string \"half\""),
            ("NaN", "progress is missing; give a number from 0 to 1"),
        ] {
            let params = format!(r#"{{"task_id": "$ID", "agent_id": "w", "progress": {given}}}"#);
            refused("task/progress", &[(&params, -32_602, sentence)]);
        }
    }
}
