//! What a snapshot holds: which log it is of, then the state. Without the first a snapshot that was put into another data
//! directory would be taken for that one's past, since it is whole in itself.

use crate::failure::Failure;
use everlog_replay::{Seq, State};
use everlog_storage::{Finding, LogReader, Snapshots};
use sha2::{Digest, Sha256};

/// A log, told by its record that a snapshot ends with: no two logs have the same ones, since these hold times and random ids.
pub(crate) type LogHash = [u8; 32];

/// The snapshots of a log.
#[derive(Clone, Debug)]
pub(crate) struct StateSnapshots {
    files: Snapshots,
    log: LogReader,
}

impl StateSnapshots {
    /// Those in `files`, as far as they are of `log`.
    #[must_use]
    pub(crate) fn new(files: Snapshots, log: LogReader) -> Self {
        Self { files, log }
    }

    /// Writes one: of what the log amounts to, up to a record that is durable.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) fn write(&self, state: &State) -> Result<(), Failure> {
        let of = log_of(&self.log, state.seq)?;
        let written = self.files.write(state.seq, |out| {
            out.write_all(&of)?;
            state.save(out)
        });
        Ok(written?)
    }

    /// The state of the newest one that is sound, of this log and of no later record than `until`; otherwise the empty state.
    ///
    /// # Errors
    /// When the log can not be read.
    pub(crate) fn newest(&self, until: Seq) -> Result<State, Failure> {
        let mut before = until;
        while let Some((seq, bytes)) = self.files.at_or_before(before)? {
            match load(&bytes, &log_of(&self.log, seq)?) {
                Ok(state) => return Ok(state),
                Err(detail) => self.files.pass_over(seq, &detail),
            }
            before = seq.saturating_sub(1);
        }
        Ok(State::default())
    }

    /// The last record that one of them claims to hold; 0 where there is none.
    #[must_use]
    pub(crate) fn last(&self) -> Seq {
        self.files.list().ok().and_then(|all| all.last().copied()).unwrap_or(0)
    }

    /// What was found to be damaged since the last call.
    #[must_use]
    pub(crate) fn take_findings(&self) -> Vec<Finding> {
        self.files.take_findings()
    }
}

/// The log up to record `seq`.
///
/// # Errors
/// When the record can not be read, or is not there.
pub(crate) fn log_of(log: &LogReader, seq: Seq) -> Result<LogHash, Failure> {
    let detail = "a snapshot ends with it, and the log has no such record";
    log.record(seq)?.map(|record| hash(&record)).ok_or_else(|| Failure::Record { seq, detail: detail.to_owned() })
}

/// The log that ends with this record.
pub(crate) fn hash(record: &[u8]) -> LogHash {
    Sha256::digest(record).into()
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

/// The log that it is of, by its own word.
pub(crate) fn of(bytes: &[u8]) -> Option<LogHash> {
    bytes.first_chunk().copied()
}
