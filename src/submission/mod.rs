//! How a pipeline of any size reaches the coordinator: frames have a limit (protocol §1), pipelines should not have the same.
//!
//! What fits one frame stays one `pipeline/create`. More goes as `task/create` calls behind it, each task after what it depends on,
//! so that the coordinator always knows the names. The pipeline is idle meanwhile: nothing of it runs before all of it is there.

mod order;
mod rehearsal;
#[cfg(test)]
mod tests;

use std::ops::Range;

use serde_json::{Map, Value, json};

use crate::client::{Client, ClientError, OUTBOUND_FRAME_BYTES_MAX};
pub(crate) use rehearsal::rehearse;

/// What a frame holds beside its tasks and the pipeline's own words, in bytes: the envelope, an id and the names of the parameters
/// take some 300.
const ENVELOPE_BYTES_MAX: usize = 1024;

/// The largest task that can be sent, in bytes of its JSON.
pub(crate) const TASK_BYTES_MAX: usize = OUTBOUND_FRAME_BYTES_MAX - ENVELOPE_BYTES_MAX;

/// The key of a pipeline's config that says how many tasks it is to have, where they come in several calls: a pipeline whose author
/// was cut off between them must not be taken for a whole one.
const TASKS_EXPECTED: &str = "tasks_expected";

/// A pipeline that is not created yet.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Submission {
    name: String,
    config: Map<String, Value>,
    tasks: Vec<Task>,
    /// The places of the tasks, each after what it depends on.
    order: Vec<usize>,
}

/// A task that is not created yet.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Task {
    /// Its name, for messages.
    pub(crate) name: String,
    /// What it waits for, as places in the list that it stands in.
    pub(crate) depends_on: Vec<usize>,
    /// What is sent: `{"name", "config"}` as JSON.
    pub(crate) json: String,
}

/// Tasks that wait for each other, by their places: the first one again at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Circle(pub(crate) Vec<usize>);

/// A request on its way.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) params: Value,
}

impl Submission {
    /// A pipeline with these settings and tasks.
    ///
    /// # Errors
    /// When tasks wait for each other.
    pub(crate) fn new(name: String, config: Map<String, Value>, tasks: Vec<Task>) -> Result<Self, Circle> {
        let order = order::in_order(&tasks)?;
        Ok(Self { name, config, tasks, order })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The tasks, in the order of their author.
    pub(crate) fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// All of it as the parameters of one call, whatever its size.
    #[cfg(test)]
    pub(crate) fn whole(&self) -> Value {
        self.create(&(0..self.tasks.len())).expect("JSON").params
    }

    /// Which part of the order goes with the pipeline, and which with each call after it.
    fn parts(&self) -> Vec<Range<usize>> {
        let own = self.name.len() + Value::from(self.config.clone()).to_string().len();
        let mut parts = Vec::new();
        let (mut start, mut bytes) = (0, own);
        for (end, task) in self.order.iter().enumerate() {
            let more = self.tasks[*task].json.len() + ",".len();
            if bytes + more > TASK_BYTES_MAX && (end > start || parts.is_empty()) {
                parts.push(start..end);
                (start, bytes) = (end, 0);
            }
            bytes += more;
        }
        parts.push(start..self.order.len());
        parts
    }

    /// The call that creates the pipeline with the tasks of this part.
    fn create(&self, part: &Range<usize>) -> Result<Call, ClientError> {
        let mut config = self.config.clone();
        if part.len() < self.tasks.len() {
            config.insert(TASKS_EXPECTED.to_owned(), json!(self.tasks.len()));
        }
        config.insert("tasks".to_owned(), self.list(part)?);
        let name = Value::from(self.name.as_str());
        Ok(Call { method: "pipeline/create", params: object([("name", name), ("config", Value::Object(config))]) })
    }

    /// The call that adds the tasks of this part.
    fn add(&self, pipeline_id: &str, part: &Range<usize>) -> Result<Call, ClientError> {
        let params = object([("pipeline_id", Value::from(pipeline_id)), ("tasks", self.list(part)?)]);
        Ok(Call { method: "task/create", params })
    }

    /// Puts the ids of the tasks, which came as they were sent, into the author's order.
    fn sort_ids(&self, created: &mut Value) {
        let Some(Value::Array(ids)) = created.get_mut("task_ids") else { return };
        if ids.len() != self.order.len() {
            return;
        }
        let mut sorted = vec![Value::Null; ids.len()];
        for (place, id) in self.order.iter().zip(ids.drain(..)) {
            sorted[*place] = id;
        }
        *ids = sorted;
    }

    /// A part's tasks. Only now do they become values: as text a task takes a tenth of the memory.
    fn list(&self, part: &Range<usize>) -> Result<Value, ClientError> {
        let mut places = self.order[part.clone()].to_vec();
        if part.len() == self.tasks.len() {
            places.sort_unstable(); // In one call the author's order is as good.
        }
        let task = |place: usize| serde_json::from_str(&self.tasks[place].json);
        let tasks: Result<Vec<Value>, _> = places.into_iter().map(task).collect();
        tasks.map(Value::Array).map_err(|error| ClientError::Malformed {
            method: "task/create".to_owned(),
            cause: format!("a task is no JSON: {error}"),
        })
    }
}

/// An object of these fields. (`json!` would copy them, and they are megabytes.)
fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// Whether all tasks of this pipeline are there, by its record (protocol §5).
pub(crate) fn is_whole(info: &Value) -> bool {
    let expected = info["config"][TASKS_EXPECTED].as_u64();
    expected.is_none_or(|expected| info["metrics"]["tasks_total"].as_u64().is_some_and(|total| total >= expected))
}

/// Creates the pipeline, all of it or nothing: the coordinator's answer, with the ids of all tasks in the author's order.
///
/// One call after the other: a call that has to be repeated must not be overtaken by one that rests on it.
///
/// # Errors
/// The first refusal or trouble on the way. What had been created is deleted again, if the coordinator can still be reached.
pub(crate) async fn submit(client: &Client, submission: &Submission) -> Result<Value, ClientError> {
    let send = async |call: Call| client.call(call.method, call.params).await;
    let parts = submission.parts();
    tracing::debug!(tasks = submission.tasks.len(), calls = parts.len(), "submission: begun");
    let mut created = send(submission.create(&parts[0])?).await?;
    let id = created["pipeline_id"].as_str().unwrap_or_default().to_owned();
    for part in &parts[1..] {
        match async { send(submission.add(&id, part)?).await }.await {
            Ok(mut added) => take_ids(&mut created, &mut added),
            Err(error) => {
                // Whether this succeeds or not, the first error is the one that counts.
                let _ = send(Call { method: "pipeline/delete", params: json!({"pipeline_id": id}) }).await;
                return Err(error);
            }
        }
    }
    if parts.len() > 1 {
        submission.sort_ids(&mut created);
    }
    Ok(created)
}

/// Adds the task ids of a later answer to those of the first.
fn take_ids(created: &mut Value, added: &mut Value) {
    if let (Some(Value::Array(all)), Some(Value::Array(more))) =
        (created.get_mut("task_ids"), added.get_mut("task_ids"))
    {
        all.append(more);
    }
}
