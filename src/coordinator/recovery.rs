//! Restart is replay: the newest snapshot that reads, and the log from there on, through the same `apply` that runs live.

use crate::failure::Failure;
use crate::history::{StateSnapshots, envelope};
use everlog_replay::{State, apply};
use everlog_storage::{Frame, LogReader, Seq};

/// The state that the log amounts to.
///
/// # Errors
/// When the log can not be read or does not fold.
pub(super) fn recover(log: &LogReader, snapshots: &StateSnapshots) -> Result<State, Failure> {
    let mut state = snapshots.newest(log.durable())?;
    fold(&mut state, log, log.durable())?;
    Ok(state)
}

/// Folds the log into `state`, up to and including `to`.
pub(super) fn fold(state: &mut State, log: &LogReader, to: Seq) -> Result<(), Failure> {
    state.begin_recovery();
    fold_frames(state, log, to)?;
    state.end_recovery();
    Ok(())
}

fn fold_frames(state: &mut State, log: &LogReader, to: Seq) -> Result<(), Failure> {
    let mut frames = log.frames(state.seq + 1);
    let mut frame = Frame::new(1, 0);
    while state.seq < to && frames.next_into(&mut frame)? {
        for (seq, record) in frame.records_from(state.seq + 1) {
            if seq > to {
                return Ok(());
            }
            let envelope = envelope(seq, record)?;
            apply(state, &envelope).map_err(|illegal| Failure::Record { seq, detail: illegal.to_string() })?;
        }
    }
    Ok(())
}
