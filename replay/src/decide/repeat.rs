//! Repetition: what failed or was cancelled runs again, as new tasks that name the old ones. What has ended stays as it is.
//!
//! A task is repeated together with all that hangs on it: the tasks before it that gave no result, and those after it that could
//! not run. Tasks of a pipeline that has ended get a new pipeline; the results that they need come from the old one.

use super::Decision;
use crate::command::NewIds;
use crate::event::{self, Event};
use crate::ids::{PipelineId, TaskId};
use crate::limits::{PIPELINES_MAX, REPEATED_BYTES_MAX};
use crate::refusal::Refusal;
use crate::spec::{OnFailure, Strategy};
use crate::state::{Pipeline, Task};
use crate::status::{PipelineStatus, TaskStatus};
use crate::text::Json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;

/// Tasks that are repeated together, in order of creation, so that each comes after what it depends on.
type Repeated<'s> = BTreeMap<u64, &'s Task>;

impl Decision<'_> {
    /// A waiting task is released from its back-off, an ended one is repeated.
    pub(super) fn retry_task(&self, id: TaskId, new: NewIds) -> Result<Vec<Event>, Refusal> {
        let task = self.state.task(id)?;
        if task.setbacks().retry_at.is_some() {
            return Ok(vec![event::TaskReleased { task: id }.into()]);
        }
        let refuse = |why: String| Err(Refusal::TaskNotReady { task: id, why });
        if !task.status.is_final() {
            return refuse(format!("it is {}, so a retry would change nothing", task.status));
        }
        if task.status == TaskStatus::Completed {
            return Err(Refusal::TaskEnded { task: id, status: task.status });
        }
        let run = self.state.pipeline_of(task);
        let mut fellows = run.into_iter().flat_map(|run| &run.tasks).map(|ix| &self.state.tasks[*ix]);
        match fellows.rfind(|fellow| fellow.setbacks().retry_of == Some(id)) {
            Some(again) => refuse(format!("it runs again already, as task {}", again.id)),
            None => self.repeat(run, vec![task], new),
        }
    }

    /// Everything that failed or was cancelled in a pipeline, and has not been repeated in it.
    pub(super) fn retry_pipeline(&self, id: PipelineId, new: NewIds) -> Result<Vec<Event>, Refusal> {
        let run = self.state.pipeline(id)?;
        let tasks = || run.tasks.iter().map(|ix| &self.state.tasks[*ix]);
        let again: BTreeSet<TaskId> = tasks().filter_map(|task| task.setbacks().retry_of).collect();
        let is_lost = |task: &&Task| {
            let status = task.status;
            matches!(status, TaskStatus::Failed | TaskStatus::Cancelled) && !again.contains(&task.id)
        };
        let lost: Vec<&Task> = tasks().filter(is_lost).collect();
        if !lost.is_empty() {
            return self.repeat(Some(run), lost, new);
        }
        let status = run.status;
        Err(match status {
            PipelineStatus::Idle => Refusal::PipelineNotRunning { pipeline: id, status },
            PipelineStatus::Completed | PipelineStatus::Failed => Refusal::PipelineEnded { pipeline: id, status },
            PipelineStatus::Running | PipelineStatus::Paused | PipelineStatus::Stopping => {
                Refusal::PipelineRunning { pipeline: id, status }
            }
        })
    }

    fn repeat(&self, run: Option<&Pipeline>, roots: Vec<&Task>, new: NewIds) -> Result<Vec<Event>, Refusal> {
        if let Some(run) = run.filter(|run| run.status == PipelineStatus::Stopping) {
            return Err(Refusal::PipelineRunning { pipeline: run.id, status: run.status });
        }
        let tasks = self.hanging_together(roots);
        let ids: BTreeMap<TaskId, TaskId> = tasks.values().map(|task| task.id).zip(new.tasks()).collect();
        self.check_repetition(run, &tasks, new)?;
        let ended = run.filter(|run| run.status.is_final());
        let joins = run.map(|run| if ended.is_some() { new.pipeline } else { run.id });
        let mut events: Vec<Event> = ended.map(|run| repeated_pipeline(run, new.pipeline).into()).into_iter().collect();
        let mut ready = 0;
        for task in tasks.values() {
            let upstream = |id: &TaskId| ids.get(id).copied().unwrap_or(*id);
            ready += u32::from(!task.edges().depends_on.iter().any(|id| ids.contains_key(id)));
            let created = event::TaskCreated {
                task: upstream(&task.id),
                pipeline: joins,
                name: task.name.to_string(),
                spec: Arc::clone(&task.spec),
                depends_on: task.edges().depends_on.iter().map(upstream).collect(),
                config: Json::null(),
                retry_of: Some(task.id),
            };
            events.push(created.into());
        }
        events.extend(ended.map(|run| {
            let mode = self.first_mode(run.options.strategy, ready);
            event::PipelineStarted { pipeline: new.pipeline, mode }.into()
        }));
        Ok(events)
    }

    /// `roots` with the tasks before them that gave no result and those after them that could not run, however far.
    fn hanging_together<'s>(&'s self, roots: Vec<&'s Task>) -> Repeated<'s> {
        let mut found = Repeated::new();
        let mut open = roots;
        while let Some(task) = open.pop() {
            if found.insert(task.ordinal, task).is_some() {
                continue;
            }
            let known = |id: &TaskId| self.state.task(*id).ok();
            open.extend(task.edges().depends_on.iter().filter_map(known).filter(|before| gave_nothing(before)));
            open.extend(
                task.edges().dependents.iter().filter_map(known).filter(|after| after.status == TaskStatus::Cancelled),
            );
        }
        found
    }

    /// Whether the state and one frame of the log have room for the repetition, and what it rests on is still there.
    fn check_repetition(&self, run: Option<&Pipeline>, tasks: &Repeated<'_>, new: NewIds) -> Result<(), Refusal> {
        if self.state.pipelines.len() >= PIPELINES_MAX && run.is_some_and(|run| run.status.is_final()) {
            return Err(Refusal::Overloaded(format!(
                "there are {PIPELINES_MAX} pipelines, the limit PIPELINES_MAX; delete some with pipeline/delete"
            )));
        }
        if self.state.pipeline(new.pipeline).is_ok() {
            return Err(Refusal::InvalidParams(format!("pipeline {} exists already; use a new id", new.pipeline)));
        }
        let bytes: usize = tasks.values().map(|task| bytes_of(task)).sum();
        if bytes > REPEATED_BYTES_MAX {
            return Err(Refusal::Overloaded(format!(
                "{} tasks would run again, with {bytes} bytes in one step; the limit REPEATED_BYTES_MAX is \
                 {REPEATED_BYTES_MAX}: retry them task by task, or submit the pipeline anew",
                tasks.len()
            )));
        }
        for task in tasks.values() {
            if let Some(gone) = task.edges().depends_on.iter().find(|id| self.state.task(**id).is_err()) {
                let why = format!("the result of task {gone}, which it needs, is no longer at hand; create both anew");
                return Err(Refusal::TaskNotReady { task: task.id, why });
            }
        }
        let specs: Vec<_> = tasks.values().map(|task| Arc::clone(&task.spec)).collect();
        let aware = run.is_some_and(|run| run.options.strategy == Strategy::ResourceAware);
        self.check_room(new.tasks().take(tasks.len()), &specs, aware)
    }
}

impl NewIds {
    /// Identities for as many tasks as there are: the one from the door, and those that follow it.
    fn tasks(self) -> impl Iterator<Item = TaskId> {
        let first = self.task.0.as_u128();
        (0..).map(move |n| TaskId(Uuid::from_u128(first.wrapping_add(n))))
    }
}

/// A pipeline like `run`; its configuration says which one it repeats.
fn repeated_pipeline(run: &Pipeline, pipeline: PipelineId) -> event::PipelineCreated {
    let config = Json::from(format!(r#"{{"retry_of":"{}"}}"#, run.id));
    event::PipelineCreated { pipeline, name: run.name.to_string(), options: run.options.clone(), config }
}

/// Whether a task ended without anything that those after it could go on with.
fn gave_nothing(task: &Task) -> bool {
    match task.status {
        TaskStatus::Cancelled => true,
        TaskStatus::Failed => task.spec.on_failure != OnFailure::Continue,
        TaskStatus::Pending | TaskStatus::Assigned | TaskStatus::Running | TaskStatus::Completed => false,
    }
}

/// About what the creation of a task takes in the log, at most.
fn bytes_of(task: &Task) -> usize {
    const FIXED: usize = 256;
    const ID: usize = 17;
    let texts = task.spec.capabilities.iter().chain(&task.spec.retry.not_on);
    FIXED + task.name.len() + task.edges().depends_on.len() * ID + texts.map(|text| text.len() + ID).sum::<usize>()
}
