//! The one decision: what a command leads to, or why not. Pure; looks at nothing but its arguments.

mod agents;
mod graph;
mod outcome;
mod pipelines;
pub(crate) mod registers;
mod repeat;
mod tasks;

use crate::command::Command;
use crate::envelope::{Actor, Stamp};
use crate::event::{self, Event};
use crate::ids::AgentId;
use crate::limits::{NAME_CHARS_MAX, TEXT_CHARS_MAX};
use crate::refusal::Refusal;
use crate::state::{Agent, State};

/// What a command leads to. All of its events are written, or none (law 4); each of them applies in order.
///
/// # Errors
/// The refusal that the client is told; nothing has changed then.
pub fn decide(state: &State, command: &Command, stamp: &Stamp) -> Result<Vec<Event>, Refusal> {
    let decision = Decision { state, stamp };
    match command {
        Command::StartCoordinator { version, settings } => {
            let (version, settings) = (version.clone(), settings.clone());
            Ok(vec![event::CoordinatorStarted { version, settings }.into()])
        }
        Command::ConfigureCoordinator { settings } => Ok(decision.configure(settings)),
        Command::StopCoordinator { reason } => Ok(vec![event::CoordinatorStopped { reason: reason.clone() }.into()]),
        Command::OpenConnection { peer } => decision.open_connection(peer),
        Command::RecordObservations { observed } => Ok(registers::observations(observed)),
        Command::RecordRefusal { method, code, message } => Ok(decision.record_refusal(method, *code, message)),
        Command::ObserveLoad { cpu, memory } => Ok(decision.observe_load(*cpu, *memory)),

        Command::CreatePipeline { pipeline, name, wish, config, tasks } => {
            decision.create_pipeline(*pipeline, name, wish, config, tasks)
        }
        Command::StartPipeline { pipeline } => decision.start_pipeline(*pipeline),
        Command::PausePipeline { pipeline, running } => decision.pause_pipeline(*pipeline, *running),
        Command::ResumePipeline { pipeline } => decision.resume_pipeline(*pipeline),
        Command::StopPipeline { pipeline, reason } => decision.stop_pipeline(*pipeline, reason),
        Command::DeletePipeline { pipeline } => decision.delete_pipeline(*pipeline),
        Command::RetryPipeline { pipeline, new } => decision.retry_pipeline(*pipeline, *new),
        Command::ChooseMode { pipeline, mode } => decision.choose_mode(*pipeline, *mode),

        Command::CreateTasks { pipeline, tasks } => decision.create_tasks(*pipeline, tasks),
        Command::AssignTask { task, agent } => decision.assign_task(*task, agent),
        Command::StartTask { task, agent } => decision.start_task(*task, agent),
        Command::CompleteTask { task, agent, attempt, success, result, error, output } => {
            let outcome =
                tasks::Outcome { success: *success, result, error: error.as_deref(), output: output.as_ref() };
            decision.complete_task(*task, agent, *attempt, &outcome)
        }
        Command::CancelTask { task, reason } => decision.cancel_task(*task, reason),
        Command::RetryTask { task, new } => decision.retry_task(*task, *new),
        Command::TimeoutTask { task } => decision.time_out(*task),
        Command::ReleaseTask { task } => decision.release(*task),
        Command::ExpireLease { task } => decision.expire_lease(*task),

        Command::RegisterAgent { .. } => decision.register_agent(command),
        Command::UnregisterAgent { agent } => decision.unregister_agent(agent),
        Command::DisconnectAgents { connection, agents } => Ok(decision.disconnect_agents(*connection, agents)),
        Command::LoseAgent { agent, silent_ms } => decision.lose_agent(agent, *silent_ms),

        Command::SetMemory { key, value } => decision.set_memory(key, value),
        Command::DeleteMemory { key } => decision.delete_memory(key),
        Command::ReportError { .. } => decision.report_error(command),
        Command::RecoverError { error, action, new } => decision.recover_error(*error, action, *new),
        Command::ReportModel { model, figures, extra } => decision.report_model(model, figures, extra),
        Command::RecordHook { task, agent, body } => {
            Ok(vec![event::HookRecorded { task: *task, agent: agent.clone(), body: body.clone() }.into()])
        }
    }
}

/// What every decision looks at.
struct Decision<'a> {
    state: &'a State,
    stamp: &'a Stamp,
}

impl Decision<'_> {
    /// What a connection says in an agent's name counts only for agents registered through it (protocol §3).
    fn speaks_for(&self, agent: &AgentId) -> Result<&Agent, Refusal> {
        match self.stamp.actor {
            Actor::Connection(no) => self.state.agent_at(agent, no),
            Actor::Coordinator | Actor::Scheduler => self.state.agent(agent),
        }
    }
}

/// A name within its limit.
fn check_name(what: &str, name: &str) -> Result<(), Refusal> {
    if name.is_empty() {
        return Err(Refusal::InvalidParams(format!("{what} is empty; give at least one character")));
    }
    let chars = name.chars().count();
    if chars > NAME_CHARS_MAX {
        return Err(Refusal::InvalidParams(format!(
            "{what} has {chars} characters; the limit NAME_CHARS_MAX is {NAME_CHARS_MAX}"
        )));
    }
    Ok(())
}

/// A free text, cut to its limit.
fn cut(text: &str) -> String {
    match text.char_indices().nth(TEXT_CHARS_MAX) {
        Some((end, _)) => text[..end].to_owned(),
        None => text.to_owned(),
    }
}
