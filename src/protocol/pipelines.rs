//! `pipeline/*`.

use super::field::Field;
use super::ids::Ids;
use super::operation::{Operation, Query, Reply, Wanted};
use super::params::Params;
use super::tasks::new_tasks;
use super::wishes::{Layers, pipeline_wish};
use everlog_replay::event::PauseRunning;
use everlog_replay::{Command, PipelineId, PipelineStatus, Refusal};

pub(super) fn create(params: &Params<'_>, ids: &mut Ids<'_>) -> Result<Operation, Refusal> {
    let name = params.name("name")?;
    let config = params.object_or_empty("config")?;
    let layers = Layers { top: params, config: &config };
    // An empty list at the top level hides nothing: clients send it as a default.
    let lists = [params.get("tasks"), params.get("tasks_config"), config.get("tasks")];
    let list = lists.into_iter().flatten().find(|field| !field.is_empty_list());
    let command = Command::CreatePipeline {
        pipeline: ids.pipeline(),
        name,
        wish: pipeline_wish(&layers)?,
        config: layers.text(&["name", "config", "tasks", "tasks_config"], &["tasks"]),
        tasks: list.map_or(Ok(Vec::new()), |field| new_tasks(field, ids))?,
    };
    Ok(Operation::Change { command, reply: Reply::PipelineCreated })
}

pub(super) fn start(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    change(params, Reply::PipelineStarted, |pipeline| Command::StartPipeline { pipeline })
}

pub(super) fn resume(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    change(params, Reply::PipelineResumed, |pipeline| Command::ResumePipeline { pipeline })
}

pub(super) fn delete(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    change(params, Reply::PipelineDeleted, |pipeline| Command::DeletePipeline { pipeline })
}

pub(super) fn retry(params: &Params<'_>, ids: &mut Ids<'_>) -> Result<Operation, Refusal> {
    let new = ids.new_ids();
    change(params, Reply::Retried, |pipeline| Command::RetryPipeline { pipeline, new })
}

pub(super) fn stop(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    let reason = params.reason()?;
    change(params, Reply::PipelineStopped, |pipeline| Command::StopPipeline { pipeline, reason })
}

pub(super) fn pause(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    let known = [("finish", PauseRunning::Finish), ("cancel", PauseRunning::Cancel)];
    let running = params.get("running").map_or(Ok(PauseRunning::Finish), |field| field.word(&known))?;
    change(params, Reply::PipelinePaused, |pipeline| Command::PausePipeline { pipeline, running })
}

fn change(
    params: &Params<'_>,
    reply: Reply,
    command: impl FnOnce(PipelineId) -> Command,
) -> Result<Operation, Refusal> {
    Ok(Operation::Change { command: command(params.pipeline_id()?), reply })
}

pub(super) fn status(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    Ok(Operation::Read(Query::PipelineStatus(params.pipeline_id()?)))
}

pub(super) fn list(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    let status = params.filled("status").map_or(Ok(Wanted::Any), status_wanted)?;
    Ok(Operation::Read(Query::PipelineList { status, called: params.called()?, page: params.page()? }))
}

/// The protocol knows two more words for a pipeline's status; this coordinator has no pipeline in them.
fn status_wanted(field: Field<'_, '_>) -> Result<Wanted<PipelineStatus>, Refusal> {
    let mut known = PipelineStatus::ALL.map(|status| (status.as_str(), Wanted::Only(status))).to_vec();
    known.extend(["starting", "error"].map(|word| (word, Wanted::Nothing)));
    field.word(&known)
}

#[cfg(test)]
mod tests {
    use super::super::operation::Page;
    use super::super::testing::{ID, change, id, made, refused, request};
    use super::*;
    use everlog_replay::spec::{OnFailure, PipelineWish, RetryWish, Strategy};
    use everlog_replay::{Json, TaskId};

    /// What `pipeline/create` reads: its wish, its configuration and the names of its tasks.
    fn created(params: &str) -> (PipelineWish, Json, Vec<String>) {
        match change("pipeline/create", params) {
            (Command::CreatePipeline { pipeline, name, wish, config, tasks }, Reply::PipelineCreated) => {
                assert_eq!((pipeline, name.as_str()), (PipelineId(made(1)), "p"));
                for (task, n) in tasks.iter().zip(2..) {
                    assert_eq!(task.task, TaskId(made(n)));
                }
                (wish, config, tasks.into_iter().map(|task| task.name).collect())
            }
            other => panic!("{params} gave {other:?}"),
        }
    }

    #[test]
    fn a_pipeline_needs_no_more_than_a_name() {
        for params in
            [r#"{"name": "p"}"#, r#"{"name": "p", "config": null}"#, r#"{"name": "p", "config": {"tasks": []}}"#]
        {
            assert_eq!(created(params), (PipelineWish::default(), Json::from("{}"), Vec::new()), "{params}");
        }
    }

    #[test]
    fn tasks_stand_where_clients_put_them() {
        for (params, names) in [
            (r#"{"name": "p", "config": {"tasks": [{"name": "a"}, {"name": "b"}]}}"#, vec!["a", "b"]),
            (r#"{"name": "p", "tasks": [{"name": "a"}]}"#, vec!["a"]),
            (r#"{"name": "p", "tasks_config": [{"name": "a"}]}"#, vec!["a"]),
            (r#"{"name": "p", "tasks": [{"name": "a"}], "config": {"tasks": [{"name": "b"}]}}"#, vec!["a"]),
            (r#"{"name": "p", "tasks_config": [ ], "config": {"tasks": [{"name": "b"}]}}"#, vec!["b"]),
            (r#"{"name": "p", "tasks": null, "tasks": [{"name": "a"}]}"#, vec!["a"]),
        ] {
            let (_, config, tasks) = created(params);
            assert_eq!((tasks, config.as_str()), (names.into_iter().map(str::to_owned).collect(), "{}"), "{params}");
        }
    }

    #[test]
    fn settings_are_read_and_the_rest_is_kept_as_it_came() {
        let (wish, config, _) = created(
            r#"{"name": "p", "strategy": "ExecutionStrategy.RESOURCE_AWARE", "owner": "me", "config":
                {"strategy": "parallel", "max_concurrent_tasks": 4, "task_timeout": 1.5, "tasks": [], "note": [1,  2.50],
                 "retry_attempts": 2, "retry": {"backoff": 0.25, "factor": 1.5, "max_backoff_s": 9, "not_on": ["timeout"]},
                 "on_failure": "skip_downstream", "tasks_expected": 3, "note": {"last":  "wins"}}}"#,
        );
        let expected = PipelineWish {
            strategy: Some(Strategy::ResourceAware),
            concurrent_max: Some(4),
            timeout_ms: Some(1_500),
            retry: RetryWish {
                attempts: Some(2),
                backoff_ms: Some(250),
                factor_milli: Some(1_500),
                backoff_max_ms: Some(9_000),
                not_on: Some(vec!["timeout".into()]),
            },
            on_failure: Some(OnFailure::SkipDownstream),
            tasks_expected: Some(3),
        };
        assert_eq!(wish, expected);
        let kept = concat!(
            r#"{"max_concurrent_tasks":4,"task_timeout":1.5,"retry_attempts":2,"#,
            r#""retry":{"backoff": 0.25, "factor": 1.5, "max_backoff_s": 9, "not_on": ["timeout"]},"#,
            r#""on_failure":"skip_downstream","tasks_expected":3,"note":{"last":  "wins"},"#,
            r#""strategy":"ExecutionStrategy.RESOURCE_AWARE","owner":"me"}"#
        );
        assert_eq!(config.as_str(), kept);
    }

    #[test]
    fn a_creation_is_refused_field_by_field() {
        let strategies = "one of sequential, parallel, priority_based, resource_aware, adaptive";
        refused(
            "pipeline/create",
            &[
                ("{}", -32_602, "name is missing; give a name"),
                (r#"{"name": ""}"#, -32_602, "name is empty; give it at least one character"),
                (r#"{"name": ["p"]}"#, -32_602, "name must be a string, not a list"),
                (r#"{"name": "p", "config": []}"#, -32_602, "config must be an object, not a list"),
                (r#"{"name": "p", "tasks": {}}"#, -32_602, "tasks must be a list, not an object"),
                (r#"{"name": "p", "tasks": ["a"]}"#, -32_602, "tasks[0] must be an object, not the string \"a\""),
                (
                    r#"{"name": "p", "config": {"tasks": [{}]}}"#,
                    -32_602,
                    "config.tasks[0].name is missing; give a name",
                ),
                (
                    r#"{"name": "p", "strategy": "fast"}"#,
                    -32_602,
                    &format!("strategy must be {strategies}, not the string \"fast\""),
                ),
                (
                    r#"{"name": "p", "config": {"strategy": 1}}"#,
                    -32_602,
                    &format!("config.strategy must be {strategies}, not the number 1"),
                ),
                (
                    r#"{"name": "p", "config": {"max_concurrent_tasks": 0}}"#,
                    -32_602,
                    "config.max_concurrent_tasks must be a whole number from 1 to 4294967295, not the number 0",
                ),
                (
                    r#"{"name": "p", "config": {"task_timeout": -1}}"#,
                    -32_602,
                    "config.task_timeout must be a number from 0 to 3155760000, not the number -1",
                ),
                (
                    r#"{"name": "p", "config": {"retry": {"factor": "2"}}}"#,
                    -32_602,
                    "config.retry.factor must be a number from 0 to 1000, not the string \"2\"",
                ),
            ],
        );
    }

    #[test]
    fn steering_names_a_pipeline() {
        let pipeline = PipelineId(id());
        let stop = |reason: &str| Command::StopPipeline { pipeline, reason: reason.into() };
        let pause = |running| Command::PausePipeline { pipeline, running };
        for (method, params, command, reply) in [
            ("pipeline/start", "", Command::StartPipeline { pipeline }, Reply::PipelineStarted),
            ("pipeline/resume", "", Command::ResumePipeline { pipeline }, Reply::PipelineResumed),
            ("pipeline/delete", "", Command::DeletePipeline { pipeline }, Reply::PipelineDeleted),
            ("pipeline/stop", "", stop("on request"), Reply::PipelineStopped),
            ("pipeline/stop", r#","reason": "done""#, stop("done"), Reply::PipelineStopped),
            ("pipeline/pause", "", pause(PauseRunning::Finish), Reply::PipelinePaused),
            ("pipeline/pause", r#","running": "finish""#, pause(PauseRunning::Finish), Reply::PipelinePaused),
            ("pipeline/pause", r#","running": "Cancel""#, pause(PauseRunning::Cancel), Reply::PipelinePaused),
        ] {
            assert_eq!(change(method, &format!(r#"{{"pipeline_id": "$ID"{params}}}"#)), (command, reply), "{method}");
        }
        let sentence = "running must be one of finish, cancel, not the string \"kill\"";
        refused("pipeline/pause", &[(r#"{"pipeline_id": "$ID", "running": "kill"}"#, -32_602, sentence)]);
        refused(
            "pipeline/stop",
            &[(r#"{"pipeline_id": "$ID", "reason": 1}"#, -32_602, "reason must be a string, not the number 1")],
        );
    }

    #[test]
    fn an_id_that_can_not_exist_is_not_found() {
        let long = format!(r#"{{"pipeline_id": "{}"}}"#, "x".repeat(1_000));
        let cut = format!("there is no pipeline {}…; pipeline/list shows the known ones", "x".repeat(128));
        for action in ["start", "stop", "pause", "resume", "status", "delete"] {
            refused(
                &format!("pipeline/{action}"),
                &[
                    ("{}", -32_602, "pipeline_id is missing; give the id of a pipeline"),
                    (r#"{"pipeline_id": null}"#, -32_602, "pipeline_id is missing; give the id of a pipeline"),
                    (r#"{"pipeline_id": ""}"#, -32_602, "pipeline_id is missing; give the id of a pipeline"),
                    (r#"{"pipeline_id": 7}"#, -32_602, "pipeline_id must be a string, not the number 7"),
                    (
                        r#"{"pipeline_id": "p-1"}"#,
                        -40_001,
                        "there is no pipeline p-1; pipeline/list shows the known ones",
                    ),
                    (&long, -40_001, &cut),
                ],
            );
        }
    }

    #[test]
    fn reads_are_queries() {
        let status = Operation::Read(Query::PipelineStatus(PipelineId(id())));
        let upper = format!(r#"{{"pipeline_id": "{}"}}"#, ID.to_uppercase());
        assert_eq!(request("pipeline/status", &upper), Ok(status));
        let all = Page::default();
        for (params, status, page) in [
            ("{}", Wanted::Any, all),
            (r#"{"status": "", "limit": null}"#, Wanted::Any, all),
            (
                r#"{"status": "running", "limit": 0}"#,
                Wanted::Only(PipelineStatus::Running),
                Page { limit: Some(0), offset: 0 },
            ),
            (r#"{"status": "PipelineStatus.PAUSED"}"#, Wanted::Only(PipelineStatus::Paused), all),
            (r#"{"status": "starting"}"#, Wanted::Nothing, all),
            (r#"{"status": "error", "offset": 9}"#, Wanted::Nothing, Page { limit: None, offset: 9 }),
        ] {
            let query = Query::PipelineList { status, called: None, page };
            assert_eq!(request("pipeline/list", params), Ok(Operation::Read(query)), "{params}");
        }
        let words = "one of idle, running, paused, stopping, completed, failed, starting, error";
        refused(
            "pipeline/list",
            &[
                (r#"{"status": "odd"}"#, -32_602, &format!("status must be {words}, not the string \"odd\"")),
                (r#"{"offset": "1"}"#, -32_602, "offset must be a whole number of at least 0, not the string \"1\""),
            ],
        );
    }
}
