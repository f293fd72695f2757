//! What a snapshot holds: which log it is of, then the state. Without the first a snapshot that was put into another data
//! directory would be taken for that one's past, since it is whole in itself.

use everlog_replay::{Seq, State};
use everlog_storage::{Fault, LogReader, Snapshots};
use sha2::{Digest, Sha256};

/// A log, told by its record that a snapshot ends with: no two logs have the same ones, since these hold times and random ids.
pub(crate) type LogHash = [u8; 32];

/// The log up to record `seq`.
///
/// # Errors
/// When the record can not be read.
pub(crate) fn log_of(log: &LogReader, seq: Seq) -> Result<LogHash, Fault> {
    Ok(hash(log.record(seq)?.as_deref().unwrap_or_default()))
}

/// The log that ends with this record.
pub(crate) fn hash(record: &[u8]) -> LogHash {
    Sha256::digest(record).into()
}

/// Writes a snapshot of the state that `log` amounts to.
///
/// # Errors
/// When the disk refuses.
pub(crate) fn write(snapshots: &Snapshots, log: &LogReader, state: &State) -> Result<(), Fault> {
    let of = log_of(log, state.seq)?;
    snapshots.write(state.seq, |out| {
        out.write_all(&of)?;
        state.save(out)
    })
}

/// Reads the state after the record of `log`.
///
/// # Errors
/// Why it is not that.
pub(crate) fn load(bytes: &[u8], log: &LogHash) -> Result<State, String> {
    match bytes.split_first_chunk() {
        Some((of, state)) if of == log => State::load(state).map_err(|error| error.to_string()),
        Some(_) => Err("it is of another log, or of another release".to_owned()),
        None => Err("it is shorter than any snapshot".to_owned()),
    }
}

/// Whether it is of this log, as far as its own word goes.
pub(crate) fn is_of(bytes: &[u8], log: &LogHash) -> bool {
    bytes.starts_with(log)
}
