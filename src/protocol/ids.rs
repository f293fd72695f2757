//! New identities for what a message creates.

use everlog_replay::{AgentId, ErrorId, NewIds, PipelineId, TaskId};
use uuid::Uuid;

/// Makes new identities. They are the caller's to choose, so that a test or a simulation chooses them as well.
pub(super) struct Ids<'a>(pub(super) &'a mut dyn FnMut() -> Uuid);

impl Ids<'_> {
    pub(super) fn task(&mut self) -> TaskId {
        TaskId((self.0)())
    }

    pub(super) fn pipeline(&mut self) -> PipelineId {
        PipelineId((self.0)())
    }

    pub(super) fn new_ids(&mut self) -> NewIds {
        NewIds { pipeline: self.pipeline(), task: self.task() }
    }

    pub(super) fn error(&mut self) -> ErrorId {
        ErrorId((self.0)())
    }

    pub(super) fn agent(&mut self) -> AgentId {
        AgentId::from((self.0)().to_string().as_str())
    }
}
