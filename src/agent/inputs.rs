//! Inputs too large for one frame travel as `{"$ref": "task:<id>/result"}` (protocol §1): here they
//! are fetched, one by one, before the handler sees them. A command may want them under names of its own.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::watch;

use crate::api::methods::TASK_RESULT;
use crate::api::params::TaskRef;
use crate::backoff::Backoff;
use crate::client::{ClientError, Connection};

/// The present connection, if there is one: attempts outlive connections.
pub(super) type Link = watch::Receiver<Option<Connection>>;

/// Replaces every reference by what it refers to; a sentence if that cannot be had.
pub(super) async fn resolve(inputs: &mut Map<String, Value>, link: &Link) -> Result<(), String> {
    for (name, value) in inputs.iter_mut() {
        if let Some(task_id) = referred_task(value) {
            *value = fetch(&task_id, link.clone())
                .await
                .map_err(|error| format!("the result of `{name}`, an input of this task, cannot be had: {error}"))?;
        }
    }
    Ok(())
}

/// The task whose result is meant, if `value` is a reference.
fn referred_task(value: &Value) -> Option<String> {
    let object = value.as_object().filter(|object| object.len() == 1)?;
    let id = object.get("$ref")?.as_str()?.strip_prefix("task:")?.strip_suffix("/result")?;
    Some(id.to_owned())
}

/// Asks until there is an answer, over as many connections as it takes.
async fn fetch(task_id: &str, mut link: Link) -> Result<Value, ClientError> {
    let mut backoff = Backoff::default();
    loop {
        let connection = match link.wait_for(Option::is_some).await {
            Ok(connection) => connection.clone(),
            Err(_gone) => None,
        };
        let Some(connection) = connection else {
            let reason = "this agent is leaving".to_owned();
            return Err(ClientError::Closed { reason });
        };
        let (method, params) = TASK_RESULT.call(&TaskRef { task_id });
        match connection.request(method, params).await {
            Ok(mut answer) => {
                return Ok(answer.get_mut("result").map(Value::take).unwrap_or_default());
            }
            Err(ClientError::Closed { .. }) => {
                // Wait for the session to notice, lest this spins on the dead connection.
                let _ = link.changed().await;
            }
            Err(error) if error.is_transient() => tokio::time::sleep(backoff.next()).await,
            Err(error) => return Err(error),
        }
    }
}

/// `inputs` of a task's config: what the command finds, by its own names. Empty: the results by the names of their tasks.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Selection(BTreeMap<String, Source>);

/// Where an input comes from.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
struct Source {
    #[serde(flatten)]
    of: Upstream,
    /// Keys into the result of each.
    #[serde(default)]
    path: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Upstream {
    /// The result of this task.
    Task(String),
    /// The results of these tasks, by their names.
    Tasks(Vec<String>),
}

impl Selection {
    /// What the command is given of the task's inputs; a sentence if a part of it is not there.
    pub(super) fn of(&self, inputs: &Map<String, Value>) -> Result<Map<String, Value>, String> {
        if self.0.is_empty() {
            return Ok(inputs.clone());
        }
        let select = |(name, source): (&String, &Source)| {
            let value = match &source.of {
                Upstream::Task(task) => part(inputs, name, task, &source.path)?,
                Upstream::Tasks(tasks) => {
                    let parts = tasks.iter().map(|task| Ok((task.clone(), part(inputs, name, task, &source.path)?)));
                    Value::Object(parts.collect::<Result<_, String>>()?)
                }
            };
            Ok((name.clone(), value))
        };
        self.0.iter().map(select).collect()
    }
}

/// The part of a task's result that an input names.
fn part(inputs: &Map<String, Value>, name: &str, task: &str, path: &[String]) -> Result<Value, String> {
    let result = inputs.get(task).ok_or_else(|| {
        format!(
            "the input `{name}` is the result of `{task}`, which this task does not depend on; add it to `depends_on`"
        )
    })?;
    let found = path.iter().try_fold(result, |value, key| match key.parse::<usize>() {
        Ok(place) if value.is_array() => value.get(place),
        Ok(_) | Err(_) => value.get(key),
    });
    found.cloned().ok_or_else(|| {
        let path = path.join(".");
        format!("the input `{name}` is `{path}` of the result of `{task}`, and that has no such part; correct `inputs`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_command_gets_the_parts_that_it_names() {
        let inputs = json!({"a": {"outputs": {"m": "/m"}, "list": [1, 2]}, "b-1": {"x": 1}, "b-2": {"x": 2}});
        let inputs = inputs.as_object().expect("an object");
        let select = |selection: Value| {
            let selection: Selection = serde_json::from_value(selection).expect("a selection");
            selection.of(inputs).map(Value::Object)
        };
        assert_eq!(select(json!({})), Ok(Value::Object(inputs.clone())));
        let named = json!({
            "model": {"task": "a", "path": ["outputs", "m"]}, "second": {"task": "a", "path": ["list", "1"]},
            "all": {"tasks": ["b-1", "b-2"], "path": ["x"]}, "whole": {"task": "b-1", "path": []},
        });
        let expected = json!({"model": "/m", "second": 2, "all": {"b-1": 1, "b-2": 2}, "whole": {"x": 1}});
        assert_eq!(select(named), Ok(expected));
        let missing = select(json!({"y": {"task": "b-1", "path": ["y"]}})).expect_err("no such part");
        assert!(missing.contains("`y` of the result of `b-1`"), "{missing}");
        let unknown = select(json!({"y": {"task": "c", "path": []}})).expect_err("no such task");
        assert!(unknown.contains("add it to `depends_on`"), "{unknown}");
    }

    #[test]
    fn only_an_exact_reference_is_one() {
        let referred = |value: Value| referred_task(&value);
        assert_eq!(referred(json!({"$ref": "task:7/result"})).as_deref(), Some("7"));
        assert_eq!(referred(json!({"$ref": "task:7/result", "more": 1})), None);
        assert_eq!(referred(json!({"$ref": "memory:7"})), None);
        assert_eq!(referred(json!("task:7/result")), None);
    }
}
