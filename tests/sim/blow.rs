//! Blows: while some work is done the disk fails at one of its operations, and perhaps the process or the power goes with it; or
//! something can not be read.

use super::disk::{EIO, Unread};
use super::faults::Fault;
use super::peer::Around;
use super::world::World;
use everlog_storage::{FailPlan, MemoryDisk};

/// Work that a blow can meet.
pub(super) struct Work {
    faults: &'static [(Fault, Blow)],
    /// Operations of the disk, or reads, that it mostly has, and that it has at most.
    mostly: u64,
    most: u64,
}

/// A commit: a write and a sync, or more where a segment begins.
pub(super) const COMMIT: Work = Work {
    faults: &[(Fault::ErrorInCommit, Blow::Error), (Fault::KillInCommit, Blow::Kill), (Fault::CutInCommit, Blow::Cut)],
    mostly: 2,
    most: 9,
};

/// A start: what was torn is cleared, the newest frame is synced, the start is put on record.
pub(super) const START: Work = Work {
    faults: &[
        (Fault::ErrorInStart, Blow::Error),
        (Fault::KillInStart, Blow::Kill),
        (Fault::CutInStart, Blow::Cut),
        (Fault::UnreadInStart, Blow::Unread),
    ],
    mostly: 8,
    most: 30,
};

/// A snapshot: written, synced, renamed, and an old one removed.
pub(super) const SNAPSHOT: Work = Work {
    faults: &[
        (Fault::ErrorInSnapshot, Blow::Error),
        (Fault::KillInSnapshot, Blow::Kill),
        (Fault::CutInSnapshot, Blow::Cut),
    ],
    mostly: 8,
    most: 12,
};

/// The end of a drain: the log is closed, and a snapshot taken.
pub(super) const CLOSE: Work = Work {
    faults: &[(Fault::ErrorInClose, Blow::Error), (Fault::KillInClose, Blow::Kill), (Fault::CutInClose, Blow::Cut)],
    mostly: 10,
    most: 16,
};

/// The sessions go on: what is long, or ended long ago, is read from the log.
pub(super) const ANSWERS: Work = Work { faults: &[(Fault::UnreadInAnswer, Blow::Unread)], mostly: 1, most: 4 };

/// The scrub reads the log.
pub(super) const SCRUB: Work = Work { faults: &[(Fault::UnreadInScrub, Blow::Unread)], mostly: 8, most: 30 };

/// What the operation that fails does to the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blow {
    /// It learns of it, and does what it will.
    Error,
    /// It is killed; the page cache stays.
    Kill,
    /// The power goes.
    Cut,
    /// It can not read something, once or for as long as the work goes on.
    Unread,
}

/// A blow that is to come.
pub(super) struct Aim {
    fault: Fault,
    blow: Blow,
    /// Operations before it.
    after: u64,
}

impl Around {
    /// Draws whether a blow meets the work that begins now.
    pub(super) fn aim(&mut self, disk: &MemoryDisk, work: &Work) -> Option<Aim> {
        let (fault, blow) = work.faults.iter().copied().find(|(fault, _)| self.draws(*fault))?;
        let operations = if self.random.percent(75) { work.mostly } else { work.most };
        let after = self.random.between(0, operations - 1);
        if blow == Blow::Unread {
            self.reads.fail(Some(Unread { after, forever: self.random.percent(50) }));
        } else {
            disk.fail(Some(FailPlan { after, errno: EIO, forever: blow != Blow::Error }));
        }
        Some(Aim { fault, blow, after })
    }

    /// The work is done and the disk is well again: the blow, if it fell.
    pub(super) fn fallen(&mut self, disk: &MemoryDisk, aim: Option<Aim>) -> Option<Blow> {
        let (operations, reads) = (disk.operations(), self.reads.count());
        disk.fail(None);
        self.reads.fail(None);
        let aim = aim.filter(|aim| aim.after < if aim.blow == Blow::Unread { reads } else { operations })?;
        self.struck(aim.fault);
        self.audit.disk_failed = true;
        Some(aim.blow)
    }
}

impl World {
    /// What a blow means for the process; whether it is gone.
    pub(super) fn suffer(&mut self, blow: Option<Blow>) -> bool {
        match blow {
            Some(Blow::Kill) => self.kill(),
            Some(Blow::Cut) => self.power_cut(),
            Some(Blow::Error | Blow::Unread) | None => return false,
        }
        true
    }
}
