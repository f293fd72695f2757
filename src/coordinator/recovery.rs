//! Restart is replay: the newest snapshot that reads, and the log from there on, through the same `apply` that runs live.

use crate::failure::Failure;
use crate::history::{envelope, snapshot};
use everlog_replay::{State, apply};
use everlog_storage::{CommitLog, Frame, LogReader, Seq, Snapshots};

/// The state that the log amounts to.
///
/// # Errors
/// When the log can not be read or does not fold.
pub(super) fn recover(log: &CommitLog, snapshots: &Snapshots) -> Result<State, Failure> {
    let reader = log.reader();
    let mut state = newest(snapshots, &reader, reader.durable())?;
    fold(&mut state, &reader, reader.durable())?;
    Ok(state)
}

/// The state of the newest snapshot of this log that is sound and not ahead of it; otherwise the empty state.
pub(super) fn newest(snapshots: &Snapshots, log: &LogReader, durable: Seq) -> Result<State, Failure> {
    let mut before = durable;
    while let Some((seq, bytes)) = snapshots.at_or_before(before)? {
        match snapshot::load(&bytes, &snapshot::log_of(log, seq)?) {
            Ok(state) => return Ok(state),
            Err(detail) => tracing::warn!(seq, detail, "a snapshot is passed over; more of the log is replayed"),
        }
        before = seq.saturating_sub(1);
    }
    Ok(State::default())
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
