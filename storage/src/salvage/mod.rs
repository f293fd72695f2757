//! What can still be read of a damaged data directory: one log, put together from both copies of its records.
//!
//! A frame of the commit log is known by the chain of hashes to follow the one before it. What is missing there is taken from the
//! store, whose copy counts where it holds a record that is known already; so a file of another log is told from the own ones.
//! Where the two copies tell two histories from the beginning, the anchor decides, then what else is known of single records.
//! Nothing is changed; the records go into a new directory.

mod check;
mod lineage;
mod log;
mod store;

use std::path::Path;
use std::sync::Arc;

pub use check::BucketCheck;
pub use lineage::{Lineage, Witnessed};

use crate::anchor::{Anchor, Witness};
use crate::data_dir::{LOCK, newest_whole, verify_tail};
use crate::disk::{DirLock, Disk, PatientDisk, RealDisk};
use crate::reader::LogShared;
use crate::report::OpenReport;
use crate::segment::list_segments;
use crate::snapshots::Snapshots;
use crate::{Fault, Frame, Head, Seq};
use lineage::Step;
use log::{LogCopy, Place};
use store::StoreCopy;

/// How far back a record is looked for that both copies hold, to tell whether they are of one log: more than a batch.
const OVERLAP: Seq = 10_000;

/// A damaged directory, looked through for sound frames.
#[derive(Debug)]
pub struct Salvage {
    disk: Arc<PatientDisk>,
    log: LogCopy,
    store: StoreCopy,
    snapshots: Snapshots,
    /// What the anchor says, where it can be read.
    witness: Option<Witness>,
    _lock: Arc<DirLock>,
}

/// Where records were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// In the commit log.
    CommitLog,
    /// In the store's copy.
    Store,
}

/// Records with the same origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// The first of them.
    pub first: Seq,
    /// The last of them.
    pub last: Seq,
    /// Where they were found.
    pub origin: Origin,
}

impl Salvage {
    /// Looks through the directory at `path`; copies of the store's buckets are made in `scratch`, an empty directory, one after
    /// the other.
    ///
    /// # Errors
    /// When another process works on it, or it cannot be read. Sectors that cannot be read are damage.
    pub fn new(path: impl AsRef<Path>, scratch: &Path) -> Result<Self, Fault> {
        let patient = Arc::new(PatientDisk::new(Arc::new(RealDisk::new(path.as_ref()))));
        let disk: Arc<dyn Disk> = Arc::<PatientDisk>::clone(&patient);
        let lock = Arc::new(disk.lock(LOCK)?);
        let log = LogCopy::scan(&disk)?;
        let store = StoreCopy::new(&disk, scratch.to_owned())?;
        // A damaged anchor is part of what is to be mended.
        let witness = Anchor::read(&*disk).ok().flatten();
        let snapshots = Snapshots::new(disk, Some(Arc::clone(&lock)));
        Ok(Self { disk: patient, log, store, snapshots, witness, _lock: lock })
    }

    /// The last record that was acknowledged, at least, where the anchor can be read.
    pub fn anchored(&self) -> Option<Seq> {
        self.witness.as_ref().map(|witness| witness.head.seq)
    }

    /// The snapshots, damaged or not.
    pub fn snapshots(&self) -> &Snapshots {
        &self.snapshots
    }

    /// The files of which something could not be read, with the first such byte.
    pub fn unreadable(&self) -> Vec<(String, u64)> {
        self.disk.unreadable()
    }

    /// Whether the commit log holds this record, wherever it stands.
    pub fn holds(&mut self, (seq, hash): &Witnessed) -> bool {
        let places: Vec<Place> = self.log.holding(*seq).cloned().collect();
        let mut frames = places.iter().filter_map(|place| self.log.read(place));
        frames.any(|frame| frame.record(*seq).is_some_and(|record| lineage::is(record, hash)))
    }

    /// Whether the directory can be opened as it is: a snapshot behind all damage stands for what came before it.
    pub fn opens(&self) -> bool {
        let disk: Arc<dyn Disk> = Arc::<PatientDisk>::clone(&self.disk);
        let Some(witness) = &self.witness else { return false };
        let verified = || {
            let shared = Arc::new(LogShared::new(Arc::clone(&disk), list_segments(&*disk)?, false));
            let newest = newest_whole(&self.snapshots, witness.head.seq)?;
            verify_tail(&shared, witness, &self.snapshots, newest + 1, &mut OpenReport::default(), |_| ())
        };
        verified().is_ok()
    }

    /// Puts the log together from its beginning, as far as it can be. `witnesses` are records that are known from elsewhere.
    ///
    /// # Errors
    /// When a copy of the store cannot be made.
    pub fn lineage(&mut self, witnesses: &[Witnessed]) -> Result<Lineage, Fault> {
        let by_log = self.walk([Origin::CommitLog, Origin::Store], witnesses)?;
        if by_log.anchored {
            return Ok(by_log);
        }
        let by_store = self.walk([Origin::Store, Origin::CommitLog], witnesses)?;
        // Where the store agrees with the frame that the anchor speaks of, it is of that log.
        let anchors: Vec<Place> =
            self.anchor().iter().flat_map(|anchor| self.log.ending_with(*anchor)).cloned().collect();
        let mut store_is_anchored = false;
        for place in &anchors {
            store_is_anchored |= self.store_agrees(place)?;
        }
        let log_agrees = self.newest_shared(&by_log)?.unwrap_or(false);
        let refuted = |lineage: &Lineage| self.anchor().is_some_and(|anchor| anchor.seq <= lineage.last());
        let by_log_stands = (store_is_anchored && log_agrees, by_log.witnessed, !refuted(&by_log));
        let by_store_stands = (store_is_anchored || by_store.anchored, by_store.witnessed, !refuted(&by_store));
        let best = if by_store_stands > by_log_stands { by_store } else { by_log };
        // It ends where the log of the anchor goes on, and does not lead there: it is of another one.
        let is_other = !best.guessed
            && self
                .log
                .from(best.last() + 1)
                .take_while(|place| place.first == best.last() + 1)
                .any(|place| self.leads_to_anchor(place));
        Ok(if is_other { Lineage::default() } else { best })
    }

    /// Whether the frames from this one on follow each other up to the one that the anchor speaks of.
    fn leads_to_anchor(&self, place: &Place) -> bool {
        let mut at = Some(place);
        while let Some(place) = at {
            if self.anchor() == Some(Head { seq: place.last, chain: place.after }) {
                return true;
            }
            at = self.log.after(place.last + 1, place.after);
        }
        false
    }

    /// Whether the commit log tells something else of the record that the anchor speaks of.
    pub fn contradicts_anchor(&self) -> bool {
        let told = |anchor: Head| {
            self.log.holding(anchor.seq).next().is_some() && self.log.ending_with(anchor).next().is_none()
        };
        self.anchor().is_some_and(told)
    }

    fn anchor(&self) -> Option<Head> {
        self.witness.as_ref().map(|witness| witness.head)
    }

    fn walk(&mut self, order: [Origin; 2], witnesses: &[Witnessed]) -> Result<Lineage, Fault> {
        let mut lineage = Lineage::default();
        let anchor = self.anchor();
        while self.step(&mut lineage, order)? {
            lineage.anchored |= anchor == Some(Head { seq: lineage.last(), chain: lineage.chain });
        }
        for (seq, hash) in witnesses {
            let mut record = self.record(&lineage, *seq)?;
            if record.is_none() && lineage.guessed {
                record = self.store.record(*seq)?;
            }
            if let Some(record) = record {
                let same = lineage::is(&record, hash);
                lineage.witnessed += usize::from(same);
                lineage.refuted += usize::from(!same);
            }
        }
        Ok(lineage)
    }

    /// Goes on by one frame, from the first copy that has it.
    fn step(&mut self, lineage: &mut Lineage, order: [Origin; 2]) -> Result<bool, Fault> {
        for origin in order {
            let stepped = match origin {
                Origin::CommitLog => self.step_in_log(lineage)?,
                Origin::Store => self.step_in_store(lineage)?,
            };
            if stepped {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn step_in_log(&mut self, lineage: &mut Lineage) -> Result<bool, Fault> {
        let next = lineage.last() + 1;
        if let Some(place) = self.log.after(next, lineage.chain) {
            lineage.push_place(place);
            return Ok(true);
        }
        if !lineage.guessed {
            return Ok(false);
        }
        // The borders before it were others than guessed: it is known by its records.
        let candidates: Vec<Place> = self.log.holding(next).cloned().collect();
        for place in candidates {
            if self.store_agrees(&place)? {
                lineage.push_place(&place);
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn step_in_store(&mut self, lineage: &mut Lineage) -> Result<bool, Fault> {
        let next = lineage.last() + 1;
        let Some(frame) = self.store.frame(next)? else { return Ok(false) };
        // What came from the store before vouches for what comes from there now.
        if next > 1 && !lineage.guessed && !self.store_is_of(lineage, &frame)? {
            return Ok(false);
        }
        lineage.push_stored(&frame);
        Ok(true)
    }

    /// Whether the store holds the same records as this frame of the log, as far as it holds them, and one of them at least.
    fn store_agrees(&mut self, place: &Place) -> Result<bool, Fault> {
        let Some(frame) = self.log.read(place) else { return Ok(false) };
        let mut agrees = false;
        for (seq, record) in frame.records() {
            match self.store.record(seq)? {
                Some(stored) if stored != record => return Ok(false),
                Some(_) => agrees = true,
                None => {}
            }
        }
        Ok(agrees)
    }

    /// Whether the store is of the same log as what was found so far: by the newest record that both hold, or because the log goes
    /// on behind `frame` as it would then.
    fn store_is_of(&mut self, lineage: &Lineage, frame: &Frame) -> Result<bool, Fault> {
        if let Some(same) = self.newest_shared(lineage)? {
            return Ok(same);
        }
        let mut then = Lineage { steps: Vec::new(), ..*lineage };
        then.push_stored(frame);
        Ok(self.log.after(frame.next(), then.chain).is_some())
    }

    /// Whether the newest record that the store holds too is the same there; `None` where there is none among the last.
    fn newest_shared(&mut self, lineage: &Lineage) -> Result<Option<bool>, Fault> {
        for seq in (lineage.last().saturating_sub(OVERLAP).max(1)..=lineage.last()).rev() {
            if let Some(stored) = self.store.record(seq)? {
                return Ok(Some(self.record(lineage, seq)?.as_ref() == Some(&stored)));
            }
        }
        Ok(None)
    }

    fn record(&mut self, lineage: &Lineage, seq: Seq) -> Result<Option<Vec<u8>>, Fault> {
        let frame = match lineage.step_of(seq) {
            Some(step) => self.frame(step)?,
            None => None,
        };
        Ok(frame.and_then(|frame| frame.record(seq).map(<[u8]>::to_vec)))
    }

    fn frame(&mut self, step: &Step) -> Result<Option<Frame>, Fault> {
        let frame = match &step.place {
            Some(place) => self.log.read(place),
            None => self.store.frame(step.first)?,
        };
        Ok(frame.map(|mut frame| {
            frame.trim_start(step.first);
            frame
        }))
    }

    /// Shows the frames in order.
    ///
    /// # Errors
    /// When one of them cannot be read any more, or what they are shown to fails.
    pub fn each<E: From<Fault>>(
        &mut self,
        lineage: &Lineage,
        mut show: impl FnMut(&Frame) -> Result<(), E>,
    ) -> Result<(), E> {
        for step in &lineage.steps {
            let Some(frame) = self.frame(step)? else {
                let error = std::io::Error::other("it has changed since it was looked at");
                return Err(Fault::io("read", self.disk.root(), error).into());
            };
            show(&frame)?;
        }
        Ok(())
    }

    /// What is sound behind the end of `lineage` and belongs to it, but cannot be joined to it, in order.
    ///
    /// # Errors
    /// When a copy of the store cannot be made.
    pub fn behind(&mut self, lineage: &Lineage) -> Result<Vec<Stretch>, Fault> {
        let mut in_log = Vec::new();
        let mut next = lineage.last() + 1;
        while let Some((stretch, ours)) = self.stretch_in_log(lineage, next)? {
            next = stretch.last + 1;
            in_log.extend(ours.then_some(stretch));
        }
        if !self.store_is_ours(lineage, &in_log)? {
            return Ok(in_log);
        }
        let mut stretches = Vec::new();
        for stretch in in_log {
            self.fill(lineage, stretch.first - 1, &mut stretches)?;
            stretches.push(stretch);
        }
        let last = self.store.last()?;
        self.fill(lineage, last, &mut stretches)?;
        Ok(stretches)
    }

    /// Whether what the store has belongs to what was found in the log; where nothing was found there, it is all that there is.
    fn store_is_ours(&mut self, lineage: &Lineage, behind: &[Stretch]) -> Result<bool, Fault> {
        let mut places: Vec<Place> = Vec::new();
        for stretch in behind {
            places.extend(self.log.from(stretch.first).next().cloned());
        }
        for place in &places {
            if self.store_agrees(place)? {
                return Ok(true);
            }
        }
        let shared = self.newest_shared(lineage)?;
        Ok(shared.unwrap_or(behind.is_empty() && lineage.last() == 0))
    }

    /// The next frames of the log that follow each other, and whether they are of this log.
    fn stretch_in_log(&mut self, lineage: &Lineage, next: Seq) -> Result<Option<(Stretch, bool)>, Fault> {
        let own =
            |segment| lineage.steps.iter().filter_map(|step| step.place.as_ref()).any(|own| own.segment == segment);
        let anchor = self.anchor();
        let Some(first) = self.log.from(next).next().cloned() else { return Ok(None) };
        let mut last = first.clone();
        let mut ours = own(first.segment);
        loop {
            ours |= anchor.is_some_and(|anchor| (anchor.seq, anchor.chain) == (last.last, last.after));
            match self.log.after(last.last + 1, last.after) {
                Some(more) => last = more.clone(),
                None => break,
            }
        }
        let ours = ours || self.store_agrees(&first)?;
        let stretch = Stretch { first: first.first, last: last.last, origin: Origin::CommitLog };
        Ok(Some((stretch, ours)))
    }

    /// What the store has up to record `until`, behind what there is already.
    fn fill(&mut self, lineage: &Lineage, until: Seq, stretches: &mut Vec<Stretch>) -> Result<(), Fault> {
        let mut seq = stretches.last().map_or(lineage.last(), |stretch| stretch.last) + 1;
        while seq <= until {
            let Some(frame) = self.store.frame(seq)? else {
                seq += 1;
                continue;
            };
            let last = frame.last().min(until);
            match stretches.last_mut() {
                Some(before) if before.origin == Origin::Store && before.last + 1 == seq => before.last = last,
                Some(_) | None => stretches.push(Stretch { first: seq, last, origin: Origin::Store }),
            }
            seq = last + 1;
        }
        Ok(())
    }

    /// The last record that is known to have been there: by the anchor, by a snapshot, or because it is found.
    ///
    /// # Errors
    /// When the directory of the snapshots cannot be read.
    pub fn last_known(&self, lineage: &Lineage, behind: &[Stretch]) -> Result<Seq, Fault> {
        let found = behind.last().map_or(lineage.last(), |stretch| stretch.last);
        let snapshot = newest_whole(&self.snapshots, Seq::MAX)?;
        // A log without an anchor had a record, as far as anybody knows.
        Ok(found.max(snapshot).max(self.anchored().unwrap_or(1)))
    }
}
