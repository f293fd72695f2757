//! How a pipeline of any size reaches the coordinator: frames have a limit (protocol §1), pipelines should not have the same.
//!
//! What fits one frame stays one `pipeline/create`. More goes as `task/create` calls behind it, each task after what it depends on,
//! so that the coordinator always knows the names. The pipeline is idle meanwhile: nothing of it runs before all of it is there.
//! The calls follow each other closely, so that client and coordinator work side by side.

mod order;
mod rehearsal;
#[cfg(test)]
mod tests;

use std::ops::Range;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::client::{Call, Client, ClientError, OUTBOUND_FRAME_BYTES_MAX};
pub(crate) use rehearsal::rehearse;

/// What a frame holds beside its tasks and the pipeline's own words, in bytes: the envelope, an id and the names of the parameters
/// take some 300.
const ENVELOPE_BYTES_MAX: usize = 1024;

/// The largest task that can be sent, in bytes of its JSON.
pub(crate) const TASK_BYTES_MAX: usize = OUTBOUND_FRAME_BYTES_MAX - ENVELOPE_BYTES_MAX;

/// What a call has of a pipeline that does not fit one, in bytes of its tasks: while the coordinator takes one up the next is written,
/// so the smaller they are the sooner both begin; below this the calls themselves begin to count.
const PART_BYTES: usize = 256 * 1024;

/// The key of a pipeline's config that says how many tasks it is to have, where they come in several calls: a pipeline whose author
/// was cut off between them must not be taken for a whole one.
const TASKS_EXPECTED: &str = "tasks_expected";

/// A pipeline that is not created yet.
#[derive(Debug, Clone)]
pub(crate) struct Submission {
    name: String,
    config: Map<String, Value>,
    tasks: Vec<Task>,
    /// The places of the tasks, each after what it depends on.
    order: Vec<usize>,
}

/// A task that is not created yet.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    /// What it waits for, as places in the list that it stands in.
    pub(crate) depends_on: Vec<usize>,
    /// What is sent, as it is: `{"name", "config"}`.
    pub(crate) json: Box<RawValue>,
}

/// Tasks that wait for each other, by their places: the first one again at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Circle(pub(crate) Vec<usize>);

/// Tasks of a circle that a sentence names.
const CIRCLE_NAMES_MAX: usize = 12;

impl Circle {
    /// The tasks by their names, `a → b → a`; of many only the first and the last.
    pub(crate) fn told<'n>(&self, name: impl Fn(usize) -> &'n str) -> String {
        let told = |places: &[usize]| places.iter().map(|place| name(*place)).collect::<Vec<_>>().join(" → ");
        if self.0.len() <= CIRCLE_NAMES_MAX {
            return told(&self.0);
        }
        let (first, rest) = self.0.split_at(CIRCLE_NAMES_MAX / 2);
        let (between, last) = rest.split_at(rest.len() - CIRCLE_NAMES_MAX / 2);
        format!("{} → ({} more) → {}", told(first), between.len(), told(last))
    }
}

/// The parameters of the call that creates the pipeline.
#[derive(Serialize)]
struct NewPipeline<'a> {
    name: &'a str,
    config: Config<'a>,
}

#[derive(Serialize)]
struct Config<'a> {
    #[serde(flatten)]
    own: Map<String, Value>,
    tasks: Vec<&'a RawValue>,
}

/// The parameters of a call that adds tasks to it.
#[derive(Serialize)]
struct MoreTasks<'a> {
    pipeline_id: &'a str,
    tasks: Vec<&'a RawValue>,
}

impl Submission {
    /// A pipeline with these settings and tasks.
    ///
    /// # Errors
    /// When tasks wait for each other.
    pub(crate) fn new(name: String, config: Map<String, Value>, tasks: Vec<Task>) -> Result<Self, Vec<Circle>> {
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
        serde_json::to_value(self.new_pipeline(&(0..self.tasks.len()))).expect("JSON")
    }

    /// Which part of the order goes with each call. The first creates the pipeline: with all tasks where they fit, else without any,
    /// since the others need its id.
    fn parts(&self) -> Vec<Range<usize>> {
        let bytes = |place: &usize| self.tasks[*place].json.get().len() + ",".len();
        let mut parts = Vec::new();
        let own = self.name.len() + Value::from(self.config.clone()).to_string().len();
        if own + self.order.iter().map(bytes).sum::<usize>() <= TASK_BYTES_MAX {
            parts.push(0..self.order.len());
            return parts;
        }
        parts.push(0..0);
        let (mut start, mut size) = (0, 0);
        for (end, more) in self.order.iter().map(bytes).enumerate() {
            if size + more > PART_BYTES && end > start {
                parts.push(start..end);
                (start, size) = (end, 0);
            }
            size += more;
        }
        parts.push(start..self.order.len());
        parts
    }

    fn new_pipeline(&self, part: &Range<usize>) -> NewPipeline<'_> {
        let mut own = self.config.clone();
        if part.len() < self.tasks.len() {
            own.insert(TASKS_EXPECTED.to_owned(), json!(self.tasks.len()));
        }
        NewPipeline { name: &self.name, config: Config { own, tasks: self.list(part) } }
    }

    /// The call that creates the pipeline with the tasks of this part.
    fn create(&self, part: &Range<usize>) -> Result<Call, ClientError> {
        Call::new(Uuid::new_v4(), "pipeline/create", self.new_pipeline(part))
    }

    /// The call that adds the tasks of this part.
    fn add(&self, pipeline_id: &str, part: &Range<usize>) -> Result<Call, ClientError> {
        Call::new(Uuid::new_v4(), "task/create", MoreTasks { pipeline_id, tasks: self.list(part) })
    }

    /// The tasks of a part: in their order, or as their author has them where all go in one call.
    fn list(&self, part: &Range<usize>) -> Vec<&RawValue> {
        if part.len() == self.tasks.len() {
            return self.tasks.iter().map(|task| &*task.json).collect();
        }
        self.order[part.clone()].iter().map(|place| &*self.tasks[*place].json).collect()
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
}

/// Whether all tasks of this pipeline are there, by its record (protocol §5).
pub(crate) fn is_whole(info: &Value) -> bool {
    let expected = info["config"][TASKS_EXPECTED].as_u64();
    expected.is_none_or(|expected| info["metrics"]["tasks_total"].as_u64().is_some_and(|total| total >= expected))
}

/// Creates the pipeline, all of it or nothing: the coordinator's answer, with the ids of all tasks in the author's order.
///
/// # Errors
/// The first refusal or trouble on the way. What had been created is deleted again, if the coordinator can still be reached.
pub(crate) async fn submit(client: &Client, submission: &Submission) -> Result<Value, ClientError> {
    let parts = submission.parts();
    tracing::debug!(tasks = submission.tasks.len(), calls = parts.len(), "submission: begun");
    let mut created = Value::Null;
    client.call_in_order([submission.create(&parts[0])], |answer| created = answer).await?;
    let id = created["pipeline_id"].as_str().unwrap_or_default().to_owned();
    let calls = (1..parts.len()).map(|number| submission.add(&id, &parts[number]));
    if let Err(error) = client.call_in_order(calls, |added| take_ids(&mut created, added)).await {
        // Whether this succeeds or not, the first error is the one that counts.
        let _ = client.call("pipeline/delete", json!({"pipeline_id": id})).await;
        return Err(error);
    }
    if parts.len() > 1 {
        submission.sort_ids(&mut created);
    }
    tracing::debug!("submission: done");
    Ok(created)
}

/// Adds the task ids of a later answer to those of the first.
fn take_ids(created: &mut Value, mut added: Value) {
    if let (Some(Value::Array(all)), Some(Value::Array(more))) =
        (created.get_mut("task_ids"), added.get_mut("task_ids"))
    {
        all.append(more);
    }
}
