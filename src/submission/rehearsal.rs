//! What a coordinator will say, without one: the calls go through its own door and its own decisions, on an empty state.

use everlog_replay::{Actor, Command, Stamp, State, Timestamp, apply, decide};
use uuid::Uuid;

use super::Submission;
use crate::client::Call;
use crate::protocol::{self, Frame, Operation, frame, json};

/// Creates the pipeline in an empty coordinator that nobody else knows.
///
/// # Errors
/// The first refusal, in the words of the coordinator.
pub(crate) fn rehearse(submission: &Submission) -> Result<(), String> {
    let mut state = State::default();
    let mut pipeline_id = String::new();
    for (number, part) in submission.parts().iter().enumerate() {
        let call = if number == 0 { submission.create(part) } else { submission.add(&pipeline_id, part) };
        let command = take(&mut state, &call.map_err(|error| error.to_string())?)?;
        if let Command::CreatePipeline { pipeline, .. } = command {
            pipeline_id = pipeline.to_string();
        }
    }
    Ok(())
}

/// One call, from its text to its effect; the command that it was.
fn take(state: &mut State, call: &Call) -> Result<Command, String> {
    let clean = json::clean(call.text()).map_err(|problem| problem.to_string())?;
    let frame: Frame<'_> = frame::parse(&clean.text).map_err(|bad| bad.refusal.to_string())?;
    let operation = protocol::interpret(&frame, &mut Uuid::new_v4).map_err(|refusal| refusal.to_string())?;
    let Operation::Change { command, .. } = operation else { return Err(format!("{} changes nothing", frame.method)) };
    let stamp = Stamp { at: Timestamp(0), actor: Actor::Coordinator, cause: 0, request: None, altered: false };
    for event in decide(state, &command, &stamp).map_err(|refusal| refusal.to_string())? {
        let envelope = state.seal(event, &stamp, None);
        apply(state, &envelope).map_err(|illegal| illegal.to_string())?;
    }
    Ok(command)
}
