//! A damaged data directory put together again, in a new one: every record from a copy that is sound.

use super::{INDEX_VERSION, index, scratch, snapshot};
use crate::failure::Failure;
use everlog_replay::Seq;
use everlog_storage::{DataDir, Fault, Lineage, Opened, Options, Origin, Salvage, Stretch, Witnessed};
use std::path::Path;

/// Where the records are to come from, or came from.
#[derive(Debug, Default)]
pub(crate) struct Repair {
    /// What can be put together from record 1 on, in order.
    pub(crate) stretches: Vec<Stretch>,
    /// What is sound behind that, and cannot be joined to it.
    pub(crate) behind: Vec<Stretch>,
    /// Records of which no copy is sound, first and last, in order.
    pub(crate) damaged: Vec<(Seq, Seq)>,
    /// What the anchor says of it.
    pub(crate) anchor: Anchored,
    /// The snapshot that stands for what is damaged, so that the directory starts as it is.
    pub(crate) starts_from: Option<Seq>,
    /// Files of which something could not be read, with the first such byte.
    pub(crate) unreadable: Vec<(String, u64)>,
}

/// What the anchor, which knows how far the log was acknowledged, says of what was put together.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchored {
    /// It can not be read: how far the log went nobody knows.
    #[default]
    Unknown,
    /// The same, record by record.
    Agrees,
    /// It speaks of records that are not there.
    Beyond,
    /// It was another log that it speaks of, or that the snapshots are of.
    Disagrees,
}

impl Repair {
    /// Looks where every record of `data` can be had from, and writes them into the new directory `into`, if one is given: it is
    /// made with the first of them, since without a record it would be the start of another history. `progress` is told how many
    /// records of how many are done. `data` is not changed.
    ///
    /// # Errors
    /// When a copy can not be made, or the new directory not be written.
    pub(crate) fn of(data: &Path, into: Option<&Path>, progress: impl FnMut(Seq, Seq)) -> Result<Self, Failure> {
        let scratch = scratch()?;
        let mut salvage = Salvage::new(data, scratch.path())?;
        let witnesses = witnesses(&salvage)?;
        let lineage = salvage.lineage(&witnesses)?;
        let behind = salvage.behind(&lineage)?;
        let last = salvage.last_known(&lineage, &behind)?;
        let newest = witnesses.iter().rev().find(|witness| salvage.holds(witness)).map(|(seq, _)| *seq);
        let repair = Self {
            damaged: gaps(lineage.last(), &behind, last),
            anchor: Anchored::of(&lineage, &salvage),
            starts_from: newest.filter(|newest| *newest > lineage.last() && salvage.opens()),
            unreadable: salvage.unreadable(),
            stretches: lineage.stretches(),
            behind,
        };
        if let Some(into) = into.filter(|_| lineage.last() > 0) {
            write(&mut salvage, &lineage, into, progress)?;
        }
        Ok(repair)
    }

    /// The last record that can be had; 0 for none.
    pub(crate) fn last(&self) -> Seq {
        self.stretches.last().map_or(0, |stretch| stretch.last)
    }

    /// Whether everything that is known to have been there can be had, as it was.
    pub(crate) fn is_complete(&self) -> bool {
        self.damaged.is_empty() && self.behind.is_empty() && self.anchor != Anchored::Disagrees
    }

    /// Whether all of it is in the commit log.
    pub(crate) fn is_all_in_the_log(&self) -> bool {
        self.stretches.iter().all(|stretch| stretch.origin == Origin::CommitLog)
    }
}

impl Anchored {
    fn of(lineage: &Lineage, salvage: &Salvage) -> Self {
        match salvage.anchored() {
            None => Self::Unknown,
            // An empty log has nothing to agree about.
            Some(0) => Self::Agrees,
            Some(_) if lineage.is_anchored() => Self::Agrees,
            Some(_) if lineage.is_doubtful() => Self::Disagrees,
            Some(seq) if seq > lineage.last() && !salvage.contradicts_anchor() => Self::Beyond,
            Some(_) => Self::Disagrees,
        }
    }
}

/// The records that the sound snapshots end with.
fn witnesses(salvage: &Salvage) -> Result<Vec<Witnessed>, Fault> {
    let snapshots = salvage.snapshots();
    let read = |seq| Some((seq, snapshot::of(&snapshots.read(seq).ok()?)?));
    Ok(snapshots.list()?.into_iter().filter_map(read).collect())
}

/// What lies between the end of what can be had, what is sound behind it, and the last record that was there.
fn gaps(had: Seq, behind: &[Stretch], last: Seq) -> Vec<(Seq, Seq)> {
    let starts = behind.iter().map(|stretch| stretch.first).chain([last + 1]);
    let ends = std::iter::once(had).chain(behind.iter().map(|stretch| stretch.last));
    ends.zip(starts).map(|(end, start)| (end + 1, start - 1)).filter(|(first, last)| first <= last).collect()
}

/// What could not be finished is no data directory, and does not stay.
fn write(salvage: &mut Salvage, lineage: &Lineage, into: &Path, progress: impl FnMut(Seq, Seq)) -> Result<(), Failure> {
    let was_there = into.exists();
    let written = fill(salvage, lineage, into, progress);
    if written.is_err() {
        let remains = if was_there { std::fs::read_dir(into).and_then(empty) } else { std::fs::remove_dir_all(into) };
        if let Err(error) = remains {
            tracing::warn!(%error, into = %into.display(), "what could not be finished could not be removed");
        }
    }
    written
}

fn empty(dir: std::fs::ReadDir) -> std::io::Result<()> {
    for entry in dir {
        let path = entry?.path();
        if path.is_dir() { std::fs::remove_dir_all(path)? } else { std::fs::remove_file(path)? }
    }
    Ok(())
}

fn fill(
    salvage: &mut Salvage,
    lineage: &Lineage,
    into: &Path,
    mut progress: impl FnMut(Seq, Seq),
) -> Result<(), Failure> {
    let options = Options { index, index_version: INDEX_VERSION, ..Options::default() };
    let mut target = DataDir::open(into, options)?;
    salvage.each(lineage, |frame| {
        progress(frame.last(), lineage.last());
        target.log.append_unsynced(frame)
    })?;
    target.log.sync()?;
    finish(target, salvage, lineage.last())
}

/// The sound snapshots of this log come along: the check compares them with what the new log amounts to.
fn finish(target: Opened, salvage: &Salvage, last: Seq) -> Result<(), Failure> {
    let log = target.log.reader();
    for seq in salvage.snapshots().list()?.into_iter().filter(|seq| *seq <= last) {
        let of = snapshot::log_of(&log, seq)?;
        if let Some(state) = salvage.snapshots().read(seq).ok().filter(|state| snapshot::of(state) == Some(of)) {
            target.snapshots.write(seq, |out| out.write_all(&state))?;
        }
    }
    target.store.wait_fed(last);
    target.log.close()?;
    target.store.close();
    Ok(())
}
