//! Completions on their way to the coordinator: repeated until it has answered.
//!
//! `task/completed` is sent as a request although existing clients send it as a notification: the
//! protocol answers only requests, and an agent may forget a completion only once it is recorded.

use serde_json::{Value, json};
use uuid::Uuid;

use super::handler::Outcome;
use super::told::{AttemptKey, Completion};
use crate::api::methods::{MODEL_REPORT, TASK_COMPLETED};
use crate::backoff::Backoff;
use crate::client::{Call, ClientError, Connection, code};
use crate::clock;

/// What there is to say about a finished attempt. The ids stay the same over repetitions, so that
/// the coordinator recognises them.
#[derive(Debug)]
pub(super) struct Delivery {
    key: AttemptKey,
    model_metrics: Vec<(Uuid, Value)>,
    completion: (Uuid, Completion),
}

impl Delivery {
    pub(super) fn new(key: AttemptKey, agent_id: &str, outcome: Outcome) -> Self {
        let timestamp = clock::now_text();
        let stamped = |metrics: Value| match metrics {
            Value::Object(mut fields) => {
                fields.entry("timestamp").or_insert_with(|| json!(timestamp));
                Value::Object(fields)
            }
            other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => other,
        };
        let reports = outcome.model_metrics.into_iter();
        let model_metrics = reports.map(|one| (Uuid::new_v4(), stamped(one))).collect();
        let completion = Completion {
            task_id: key.task_id.clone(),
            agent_id: agent_id.to_owned(),
            attempt: Some(key.attempt),
            success: outcome.error.is_none(),
            result: outcome.result,
            error: outcome.error,
            output: outcome.output,
            timestamp,
        };
        Self { key, model_metrics, completion: (Uuid::new_v4(), completion) }
    }

    /// Delivers everything over `connection`.
    ///
    /// # Errors
    /// The connection's trouble: then all of it is to be delivered again over the next one.
    pub(super) async fn deliver(&self, connection: &Connection) -> Result<(), ClientError> {
        for (id, metrics) in &self.model_metrics {
            if let Err(error) = persist(connection, *id, (MODEL_REPORT.name, metrics.clone())).await? {
                tracing::warn!(task = self.key.task_id, %error, "a model report was not accepted");
            }
        }
        let (id, completion) = &self.completion;
        match persist(connection, *id, TASK_COMPLETED.call(completion)).await? {
            Ok(()) => Ok(()),
            Err(ClientError::TooLarge { bytes, limit, .. }) => {
                let shorter = self.too_large(bytes, limit);
                self.note(persist(connection, Uuid::new_v4(), TASK_COMPLETED.call(&shorter)).await?);
                Ok(())
            }
            refused @ Err(_) => {
                self.note(refused);
                Ok(())
            }
        }
    }

    /// The failure that stands for a completion which no coordinator would accept.
    fn too_large(&self, bytes: usize, limit: usize) -> Completion {
        let error = Some(too_large_sentence(bytes, limit));
        Completion { success: false, result: Value::Null, error, ..self.completion.1.clone() }
    }

    fn note(&self, answer: Result<(), ClientError>) {
        if let Err(error) = answer {
            let AttemptKey { task_id, attempt } = &self.key;
            tracing::warn!(%task_id, attempt, %error, "the coordinator has no use for a completion; dropped");
        }
    }
}

/// Why a result was not delivered.
pub(super) fn too_large_sentence(bytes: usize, limit: usize) -> String {
    format!(
        "the result needs {bytes} bytes and the coordinator accepts {limit}; \
         write large results to a file and return its path"
    )
}

/// Calls until there is an answer: inside, whether it was a yes or a final no; outside, trouble
/// that another connection may cure.
async fn persist(
    connection: &Connection,
    id: Uuid,
    (method, params): (&str, Value),
) -> Result<Result<(), ClientError>, ClientError> {
    let call = match Call::new(id, method, params) {
        Ok(call) => call,
        Err(error) => return Ok(Err(error)),
    };
    let mut backoff = Backoff::default();
    loop {
        let error = match connection.exchange(&call).await {
            Ok(_) => return Ok(Ok(())),
            Err(error) => error,
        };
        match &error {
            ClientError::Refused { code: code::OVERLOADED, .. } => {
                tokio::time::sleep(backoff.next()).await;
            }
            ClientError::Refused { code, .. } if !needs_registration(*code) => {
                return Ok(Err(error));
            }
            ClientError::TooLarge { .. } | ClientError::Malformed { .. } => return Ok(Err(error)),
            ClientError::Refused { .. }
            | ClientError::Unreachable { .. }
            | ClientError::TurnedAway { .. }
            | ClientError::BadAddress { .. }
            | ClientError::BadSetting { .. }
            | ClientError::Ended
            | ClientError::Closed { .. }
            | ClientError::TimedOut { .. } => return Err(error),
        }
    }
}

/// Refusals of the agent or the moment rather than of the completion: nothing may be dropped.
fn needs_registration(code: i64) -> bool {
    matches!(code, code::AGENT_NOT_FOUND | code::UNAUTHENTICATED | code::FORBIDDEN | code::INTERNAL)
}
