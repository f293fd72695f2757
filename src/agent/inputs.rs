//! Inputs too large for one frame travel as `{"$ref": "task:<id>/result"}` (protocol §1): here they
//! are fetched, one by one, before the handler sees them.

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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_an_exact_reference_is_one() {
        let referred = |value: Value| referred_task(&value);
        assert_eq!(referred(json!({"$ref": "task:7/result"})).as_deref(), Some("7"));
        assert_eq!(referred(json!({"$ref": "task:7/result", "more": 1})), None);
        assert_eq!(referred(json!({"$ref": "memory:7"})), None);
        assert_eq!(referred(json!("task:7/result")), None);
    }
}
