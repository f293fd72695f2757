//! How attempts end, and what follows from it: retries, skipped tasks, the end of a pipeline.

use super::{Decision, cut};
use crate::command::Failure;
use crate::event::{self, AfterFailure, CancelReason, Event, FailureKind, RequeueReason};
use crate::ids::{PipelineId, TaskId, Timestamp};
use crate::spec::{OnFailure, RetryPolicy};
use crate::state::{Pipeline, Task};
use crate::status::PipelineStatus;
use std::collections::{BTreeMap, BTreeSet};

impl Decision<'_> {
    /// The live attempt of `task` failed.
    pub(super) fn fail(&self, task: &Task, failure: &Failure, events: &mut Vec<Event>) {
        let Some(lease) = &task.lease else { return };
        let then = self.after_failure(task, failure);
        events.push(
            event::TaskFailed {
                task: task.id,
                agent: self.state.agents[lease.agent].id.clone(),
                attempt: task.attempt,
                failure: failure.kind,
                message: cut(&failure.message),
                result: failure.result.clone(),
                then,
            }
            .into(),
        );
        if !matches!(then, AfterFailure::Retry { .. }) {
            self.after_final_failure(task, events);
        }
    }

    fn after_failure(&self, task: &Task, failure: &Failure) -> AfterFailure {
        let doomed = self.state.pipeline_of(task).is_some_and(|pipeline| pipeline.status == PipelineStatus::Stopping);
        let retry = &task.spec.retry;
        if !doomed && task.setbacks().failures < retry.attempts && worth_a_retry(retry, failure) {
            let wait_ms = backoff_ms(retry, task.setbacks().failures, task.id);
            return AfterFailure::Retry { not_before: self.stamp.at.plus_ms(wait_ms) };
        }
        let exhausted = task.setbacks().failures >= retry.attempts;
        match failure.kind {
            FailureKind::AgentLost if exhausted => AfterFailure::Quarantined,
            FailureKind::AgentLost | FailureKind::Reported | FailureKind::Timeout => AfterFailure::Final,
        }
    }

    /// What the failure of a task that is not tried again does to the others.
    fn after_final_failure(&self, task: &Task, events: &mut Vec<Event>) {
        match (task.spec.on_failure, self.state.pipeline_of(task)) {
            (OnFailure::Continue, _) => {}
            (OnFailure::Fail, Some(pipeline)) => {
                self.cancel_waiting(pipeline, CancelReason::PipelineFailed, "the pipeline failed", events);
            }
            (OnFailure::Fail, None) | (OnFailure::SkipDownstream, _) => self.skip_downstream(task, events),
        }
    }

    /// Cancels what waits in a pipeline and is not in `events` yet.
    fn cancel_waiting(&self, pipeline: &Pipeline, reason: CancelReason, message: &str, events: &mut Vec<Event>) {
        let gone: BTreeSet<TaskId> = events.iter().filter_map(ended_task).collect();
        for ix in &pipeline.tasks {
            let task = &self.state.tasks[*ix];
            if !task.status.is_final() && !task.status.is_leased() && !gone.contains(&task.id) {
                events.push(self.cancelled(task, reason, message));
            }
        }
    }

    /// Cancels everything that depends on a task, however far.
    pub(super) fn skip_downstream(&self, task: &Task, events: &mut Vec<Event>) {
        let mut seen: BTreeSet<TaskId> = events.iter().filter_map(ended_task).collect();
        let mut open = vec![task];
        while let Some(upstream) = open.pop() {
            for id in &upstream.edges().dependents {
                let Ok(dependent) = self.state.task(*id) else { continue };
                if dependent.status.is_final() || !seen.insert(*id) {
                    continue;
                }
                // Without words: there may be a million of these in one frame, and the reason says it all.
                events.push(self.cancelled(dependent, CancelReason::Skipped { upstream: upstream.id }, ""));
                open.push(dependent);
            }
        }
    }

    /// The cancellation of one task.
    pub(super) fn cancelled(&self, task: &Task, reason: CancelReason, message: &str) -> Event {
        let agent = task.lease.as_ref().map(|lease| self.state.agents[lease.agent].id.clone());
        event::TaskCancelled { task: task.id, agent, reason, message: cut(message) }.into()
    }

    /// Leases that end through no fault of their tasks. These wait again; where a failure has ended the pipeline, nothing of it
    /// starts any more.
    pub(super) fn let_go<'a>(&self, tasks: impl Iterator<Item = &'a Task>, reason: RequeueReason) -> Vec<Event> {
        let mut events = Vec::new();
        let mut doomed: BTreeMap<PipelineId, &Task> = BTreeMap::new();
        for task in tasks {
            match self.state.pipeline_of(task).filter(|pipeline| pipeline.status == PipelineStatus::Stopping) {
                None => events.extend(self.requeued(task, reason)),
                Some(pipeline) => {
                    doomed.insert(pipeline.id, task);
                    let message = "its agent let go of it after the pipeline had failed";
                    events.push(self.cancelled(task, CancelReason::PipelineFailed, message));
                }
            }
        }
        for task in doomed.into_values() {
            self.settle(task, &mut events);
        }
        events
    }

    /// Ends the pipeline of `task` where its last tasks end with `events`. To be called when they are complete.
    pub(super) fn settle(&self, task: &Task, events: &mut Vec<Event>) {
        let Some(pipeline) = self.state.pipeline_of(task) else { return };
        let is_fellow = |id: &TaskId| self.state.task(*id).is_ok_and(|fellow| fellow.pipeline == task.pipeline);
        let ended = events.iter().filter_map(ended_task).filter(is_fellow).count() as u64;
        if ended == 0 || pipeline.counts.live() > ended || pipeline.status == PipelineStatus::Idle {
            return;
        }
        let error = pipeline.error.clone().or_else(|| events.iter().find_map(|event| self.counting_failure(event)));
        let pipeline = pipeline.id;
        events.push(match error {
            Some(error) => event::PipelineFailed { pipeline, error }.into(),
            None => event::PipelineCompleted { pipeline }.into(),
        });
    }

    /// The message of a failure that counts against the pipeline.
    fn counting_failure(&self, event: &Event) -> Option<String> {
        let Event::TaskFailed(failed) = event else { return None };
        let task = self.state.task(failed.task).ok()?;
        let counts = ended_task(event).is_some() && task.spec.on_failure != OnFailure::Continue;
        counts.then(|| format!("task '{}' failed: {}", task.name, failed.message))
    }
}

/// The task that an event ends.
fn ended_task(event: &Event) -> Option<TaskId> {
    if let Event::TaskCancelled(e) = event {
        return Some(e.task);
    }
    if let Event::TaskCompleted(e) = event {
        return Some(e.task);
    }
    if let Event::TaskFailed(e) = event {
        return (!matches!(e.then, AfterFailure::Retry { .. })).then_some(e.task);
    }
    None
}

fn worth_a_retry(retry: &RetryPolicy, failure: &Failure) -> bool {
    let is_meant = |entry: &String| entry == failure.kind.as_str() || failure.message.contains(entry.as_str());
    !retry.not_on.iter().any(is_meant)
}

/// The wait before the next attempt: exponential, with a jitter that depends on task and attempt alone, so that it replays.
pub(super) fn backoff_ms(retry: &RetryPolicy, failures: u32, task: TaskId) -> u64 {
    let mut wait = retry.backoff_ms;
    for _ in 0..failures {
        if wait >= retry.backoff_max_ms {
            break;
        }
        wait = wait.saturating_mul(u64::from(retry.factor_milli)) / 1_000;
    }
    let wait = wait.min(retry.backoff_max_ms);
    // Up to a quarter less, spread evenly: tasks that failed together do not all return together.
    let spread = task.0.as_u64_pair().1.wrapping_add(u64::from(failures)).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 54;
    wait - wait / 4 * spread / 1_024
}

/// Whether a point in time has come.
pub(super) fn is_due(at: Option<Timestamp>, now: Timestamp) -> bool {
    at.is_some_and(|at| at <= now)
}
