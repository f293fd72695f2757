//! What sessions, the writer and the collectors share.

use crate::clock::Clock;
use crate::exchange::{Directory, Inbound};
use crate::failure::Failure;
use crate::health::Pulse;
use crate::identity::NewId;
use crossbeam_channel::Sender;
use everlog_replay::record::{PipelineInfo, TaskInfo};
use everlog_replay::{AgentId, Envelope, Json, PipelineId, Seq, State, TaskId};
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use tokio::sync::watch;

/// What sessions, the writer and the collectors share.
pub(crate) struct Shared {
    /// The projection. The writer holds the write lock while it decides a batch, readers for the time of one answer.
    pub state: RwLock<State>,
    /// The newest event that is durable. What a reader saw leaves only when this has passed it.
    pub durable: watch::Receiver<Seq>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Identities.
    pub new_id: NewId,
    /// The open connections.
    pub directory: Directory,
    /// The way to the writer.
    pub inbox: Sender<Inbound>,
    /// Bytes of what waits there.
    pub inbox_bytes: AtomicUsize,
    /// The writer's signs of life.
    pub pulse: Pulse,
    /// How far the running attempts are, from 0 to 1, as their agents said last: the state does not hold it, and it ends with the
    /// attempt.
    pub progress: Mutex<BTreeMap<TaskId, f64>>,
    /// The newest figures of each agent.
    pub agent_metrics: Mutex<BTreeMap<AgentId, Json>>,
    /// Long payloads of events that are decided and not durable yet: the state refers to them already, and the log does not hold
    /// them.
    pub undurable: Mutex<VecDeque<(Seq, Json)>>,
    /// Long payloads and what is no longer in the state.
    pub history: Arc<dyn History>,
}

impl Shared {
    /// The payload of an event that the state refers to.
    ///
    /// # Errors
    /// When the log can not be read.
    pub(crate) fn payload(&self, seq: Seq) -> Result<Json, Failure> {
        let undurable = {
            let known = self.undurable.lock();
            known.binary_search_by_key(&seq, |(seq, _)| *seq).ok().map(|nth| known[nth].1.clone())
        };
        undurable.map_or_else(|| self.history.payload(seq), Ok)
    }
}

/// Events that were written long ago.
pub(crate) trait History: Send + Sync {
    /// The payload of an event.
    ///
    /// # Errors
    /// When the log can not be read.
    fn payload(&self, seq: Seq) -> Result<Json, Failure>;

    /// The events from `first` to `last`, both included.
    ///
    /// # Errors
    /// When the log can not be read.
    fn events(&self, first: Seq, last: Seq) -> Result<Vec<Envelope>, Failure>;

    /// The record of a pipeline that has left the state; `None` when there never was one, or it was deleted.
    ///
    /// # Errors
    /// When the log can not be read.
    fn pipeline(&self, id: PipelineId) -> Result<Option<PipelineInfo>, Failure>;

    /// The record of a task that has left the state; `None` when there never was one, or its pipeline was deleted.
    ///
    /// # Errors
    /// When the log can not be read.
    fn task(&self, id: TaskId) -> Result<Option<TaskInfo>, Failure>;
}
