//! The smaller registers: memory, errors, models; and what is put on record about operations and the machine.

use super::{Decision, check_name, cut};
use crate::command::{Command, NewIds, Observation};
use crate::envelope::Actor;
use crate::event::{self, Event, ModelFigures};
use crate::ids::ErrorId;
use crate::limits::{MEMORY_KEYS_MAX, MODELS_MAX, VALUE_BYTES_MAX};
use crate::refusal::Refusal;
use crate::spec::Settings;
use crate::text::Json;

/// The memory key that the coordinator itself keeps current (protocol §3).
pub const SERVER_METRICS_KEY: &str = "server/metrics";

pub(super) fn observations(observed: &[Observation]) -> Vec<Event> {
    let event = |o: &Observation| event::OperationsObserved {
        bucket: o.bucket,
        connection: o.connection,
        method: cut(&o.method),
        count: o.count,
        refused: o.refused,
    };
    observed.iter().map(|o| event(o).into()).collect()
}

impl Decision<'_> {
    pub(super) fn configure(&self, settings: &Settings) -> Vec<Event> {
        let changed = *settings != self.state.settings;
        let event = || event::CoordinatorConfigured { settings: settings.clone() }.into();
        changed.then(event).into_iter().collect()
    }

    pub(super) fn open_connection(&self, peer: &str) -> Result<Vec<Event>, Refusal> {
        let Actor::Connection(connection) = self.stamp.actor else {
            return Err(Refusal::Forbidden("only a client opens a connection".to_owned()));
        };
        Ok(vec![event::ConnectionOpened { connection, peer: cut(peer) }.into()])
    }

    /// A client can not make the log grow at will: beyond the actor's share of the bucket its refusals are only counted.
    pub(super) fn record_refusal(&self, method: &str, code: i32, message: &str) -> Vec<Event> {
        if !self.state.refusals.has_room(self.stamp.actor, self.stamp.at) {
            return Vec::new();
        }
        vec![event::OperationRefused { method: cut(method), code, message: cut(message) }.into()]
    }

    /// A reading becomes an event only when it crosses a limit.
    pub(super) fn observe_load(&self, cpu: u32, memory: u64) -> Vec<Event> {
        let (limits, load) = (self.state.settings.limits, self.state.load);
        let (over_cpu, over_memory) = (cpu > limits.cpu, memory > limits.memory);
        if over_cpu == load.over_cpu && over_memory == load.over_memory {
            return Vec::new();
        }
        vec![event::MachineLoadObserved { cpu, memory, over_cpu, over_memory }.into()]
    }

    pub(super) fn set_memory(&self, key: &str, value: &Json) -> Result<Vec<Event>, Refusal> {
        check_name("key", key)?;
        if key == SERVER_METRICS_KEY {
            return Err(Refusal::Forbidden(format!(
                "the key '{key}' is kept current by the coordinator itself; use another key"
            )));
        }
        let bytes = value.as_str().len();
        if bytes > VALUE_BYTES_MAX {
            return Err(Refusal::InvalidParams(format!(
                "the value has {bytes} bytes; the limit VALUE_BYTES_MAX is {VALUE_BYTES_MAX}: keep it in a file and store its path"
            )));
        }
        if self.state.memory.len() >= MEMORY_KEYS_MAX && !self.state.memory.contains_key(key) {
            return Err(Refusal::Overloaded(format!(
                "there are {MEMORY_KEYS_MAX} memory keys, the limit MEMORY_KEYS_MAX; delete some with memory/delete"
            )));
        }
        Ok(vec![event::MemorySet { key: key.to_owned(), value: value.clone() }.into()])
    }

    pub(super) fn delete_memory(&self, key: &str) -> Result<Vec<Event>, Refusal> {
        check_name("key", key)?;
        let existed = self.state.memory.contains_key(key);
        Ok(vec![event::MemoryDeleted { key: key.to_owned(), existed }.into()])
    }

    pub(super) fn report_error(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        let Command::ReportError { error, component, error_type, message, task, details } = command else {
            return Ok(Vec::new());
        };
        Ok(vec![
            event::ErrorReported {
                error: *error,
                component: cut(component),
                error_type: cut(error_type),
                message: cut(message),
                task: *task,
                details: details.clone(),
            }
            .into(),
        ])
    }

    /// `retry` really retries the task that the entry names, as `task/retry` does.
    pub(super) fn recover_error(&self, id: ErrorId, action: &str, new: NewIds) -> Result<Vec<Event>, Refusal> {
        let entry = self.state.errors.get(id)?;
        let mut events = Vec::new();
        match action {
            "retry" => {
                let Some(task) = entry.task else {
                    return Err(Refusal::InvalidParams(format!(
                        "error {id} names no task, so there is nothing to retry; use recovery_action 'ignore' to close it"
                    )));
                };
                events = self.retry_task(task, new)?;
            }
            "ignore" | "resolved" => {}
            other => {
                return Err(Refusal::InvalidParams(format!(
                    "recovery_action '{other}' is not known; use retry, ignore or resolved"
                )));
            }
        }
        let retried = events.iter().find_map(|event| {
            if let Event::TaskReleased(released) = event {
                return Some(released.task);
            }
            let Event::TaskCreated(created) = event else { return None };
            (created.retry_of == entry.task).then_some(created.task)
        });
        events.push(event::ErrorRecovered { error: id, action: action.to_owned(), retried }.into());
        Ok(events)
    }

    pub(super) fn report_model(
        &self,
        model: &str,
        figures: &ModelFigures,
        extra: &Json,
    ) -> Result<Vec<Event>, Refusal> {
        check_name("model_id", model)?;
        if self.state.models.len() >= MODELS_MAX && !self.state.models.contains_key(model) {
            return Err(Refusal::Overloaded(format!(
                "{MODELS_MAX} models are known, the limit MODELS_MAX; report under one of their names"
            )));
        }
        Ok(vec![
            event::ModelReported { model: model.to_owned(), figures: Box::new(*figures), extra: extra.clone() }.into(),
        ])
    }
}
