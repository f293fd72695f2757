//! A damaged data directory put together again, in a new one: every record from a copy that is sound.

use super::{INDEX_VERSION, index, snapshot};
use crate::failure::Failure;
use everlog_replay::Seq;
use everlog_storage::{DataDir, Fault, Log, Opened, Options, Origin, Salvage};
use std::path::Path;

/// Where the records are to come from, or came from.
#[derive(Debug, Default)]
pub(crate) struct Repair {
    /// Stretches of records, in order.
    pub(crate) stretches: Vec<Stretch>,
    /// From the first record of which no copy is sound to the last that is known to have been there.
    pub(crate) lost: Option<(Seq, Seq)>,
}

/// Records with the same origin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stretch {
    /// The first of them.
    pub(crate) first: Seq,
    /// The last of them.
    pub(crate) last: Seq,
    /// Where they were found.
    pub(crate) origin: Origin,
}

impl Repair {
    /// Looks where every record of `data` can be had from, and writes them into the new directory `into`, if one is given: it is
    /// made with the first of them, since without a record it would be the start of another history. `progress` is told how many
    /// records of how many are done. `data` is not changed.
    ///
    /// # Errors
    /// When one of them can not be read or written.
    pub(crate) fn of(data: &Path, into: Option<&Path>, mut progress: impl FnMut(Seq, Seq)) -> Result<Self, Failure> {
        let scratch = tempfile::tempdir().map_err(|error| Fault::io("create", std::env::temp_dir(), error))?;
        let salvage = Salvage::new(data, scratch.path())?;
        let mut target = None;
        let mut repair = Self::default();
        let (mut next, last) = (1, salvage.last_known());
        while let Some((origin, frame)) = salvage.frame(next) {
            if target.is_none() {
                target = into.map(create).transpose()?;
            }
            if let Some(target) = &mut target {
                target.log.append(&frame)?;
            }
            repair.add(Stretch { first: next, last: frame.last(), origin });
            next = frame.next();
            progress(next - 1, last);
        }
        repair.lost = (next <= last).then_some((next, last));
        if let Some(target) = target {
            finish(target, &salvage, next - 1)?;
        }
        Ok(repair)
    }

    fn add(&mut self, stretch: Stretch) {
        match self.stretches.last_mut() {
            Some(before) if before.origin == stretch.origin => before.last = stretch.last,
            Some(_) | None => self.stretches.push(stretch),
        }
    }
}

fn create(into: &Path) -> Result<Opened, Fault> {
    DataDir::open(into, Options { index, index_version: INDEX_VERSION, ..Options::default() })
}

/// The sound snapshots of this log come along: the check compares them with what the new log amounts to.
fn finish(target: Opened, salvage: &Salvage, last: Seq) -> Result<(), Failure> {
    let log = target.log.reader();
    for seq in salvage.snapshots().list()?.into_iter().filter(|seq| *seq <= last) {
        let of = snapshot::log_of(&log, seq)?;
        if let Some(state) = salvage.snapshots().read(seq).ok().filter(|state| snapshot::is_of(state, &of)) {
            target.snapshots.write(seq, |out| out.write_all(&state))?;
        }
    }
    target.store.wait_fed(last);
    target.log.close()?;
    target.store.close();
    Ok(())
}
