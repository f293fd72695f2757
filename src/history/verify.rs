//! The check of everything: the log folds, every snapshot is what the log amounts to there, the store holds what the log holds.

use super::{INDEX_VERSION, envelope, index, scratch, snapshot};
use crate::failure::Failure;
use everlog_replay::{Seq, State, apply};
use everlog_storage::{BucketCheck, Fault, Frame, Options, Salvage, Verifier};
use std::collections::BTreeSet;
use std::path::Path;

/// What was checked, part by part.
#[derive(Debug, Default)]
pub(crate) struct Verification {
    /// In the order of what counts.
    pub(crate) parts: Vec<Checked>,
}

/// One part of a data directory.
#[derive(Debug)]
pub(crate) struct Checked {
    /// Which.
    pub(crate) part: String,
    /// What is in it.
    pub(crate) held: String,
    /// What is wrong with it, with the next step.
    pub(crate) damage: Option<String>,
    /// What is worth knowing and no damage.
    pub(crate) note: Option<String>,
}

/// What a start does about damage outside the log.
const HEALS: &str = "a start does without it, for everything is in the commit log";
const SLOT_DAMAGED: &str =
    "one of its two slots is unreadable; the other one says enough, and a start writes both anew";
/// No damage: it may be deleted.
const NO_STORE: &str = "there is none; a start feeds it from the commit log";
/// No damage: a crash leaves such ends.
const TORN: &str = "the rest of a batch that was never acknowledged stands at its end; a start cuts it off";
/// Perhaps damage.
const TORN_UNKNOWN: &str =
    "the rest of a batch stands at its end, and without the anchor nobody knows whether it was acknowledged";
/// What a snapshot is not compared with behind damage.
const NOT_FOLDED: &str =
    "it is whole in itself; whether it is what the log amounts to cannot be said, for that is damaged";

impl Verification {
    /// Checks the directory; `progress` is told how many records of how many are done.
    ///
    /// # Errors
    /// When the directory can not be read, or somebody works on it. Damage is no error but part of the answer.
    pub(crate) fn of(data: &Path, progress: impl FnMut(Seq, Seq)) -> Result<Self, Failure> {
        let verifier = match Verifier::new(data) {
            Ok(verifier) => verifier,
            Err(fault @ Fault::FutureFormat { .. }) => {
                return Ok(Self { parts: vec![Checked::damaged("anchor", String::new(), fault.to_string())] });
            }
            Err(fault) => return Err(fault.into()),
        };
        let mut verification = Self::default();
        match verification.log(&verifier, progress)? {
            None => {
                verification.store(&verifier)?;
                verification.disk(verifier.unreadable());
            }
            Some(snapshots) => {
                drop(verifier);
                verification.beside_damage(data, &snapshots)?;
            }
        }
        Ok(verification)
    }

    /// Whether nothing is damaged.
    pub(crate) fn is_whole(&self) -> bool {
        self.parts.iter().all(|checked| checked.damage.is_none())
    }

    /// The commit log with its anchor, and on the way every snapshot. Where the log is damaged, the snapshots that were not
    /// reached.
    fn log(
        &mut self,
        verifier: &Verifier,
        mut progress: impl FnMut(Seq, Seq),
    ) -> Result<Option<BTreeSet<Seq>>, Failure> {
        let of = verifier.anchored().unwrap_or(0);
        let mut fold = Fold {
            state: State::default(),
            snapshots: verifier.snapshots().list()?.into_iter().collect(),
            parts: Vec::new(),
            failed: None,
        };
        let report = verifier.log(|frame| {
            if fold.failed.is_none() {
                fold.failed = fold.frame(frame, verifier).err();
            }
            progress(frame.last(), of.max(frame.last()));
        });
        if let Some(failure) = fold.failed.take() {
            self.parts.push(Checked::damaged("log", String::new(), failure.to_string()));
        }
        let not_reached = match report {
            Ok(report) => {
                let commit = Checked::whole("commit", format!("{} records", report.last));
                let torn = if verifier.anchored().is_ok() { TORN } else { TORN_UNKNOWN };
                let note = (!report.findings.is_empty()).then(|| torn.to_owned());
                self.parts.extend([Checked { note, ..commit }, anchor(verifier)]);
                fold.rest(verifier, report.last);
                None
            }
            Err(fault @ (Fault::Corrupt { .. } | Fault::FutureFormat { .. })) => {
                self.parts.extend([Checked::damaged("commit", String::new(), fault.to_string()), anchor(verifier)]);
                Some(std::mem::take(&mut fold.snapshots))
            }
            Err(fault) => return Err(fault.into()),
        };
        self.parts.append(&mut fold.parts);
        Ok(not_reached)
    }

    /// What can be said of the rest where the commit log is damaged.
    fn beside_damage(&mut self, data: &Path, snapshots: &BTreeSet<Seq>) -> Result<(), Failure> {
        let scratch = scratch()?;
        let mut salvage = Salvage::new(data, scratch.path())?;
        let sound: Vec<String> = salvage.sound().iter().map(|(first, last)| format!("{first} to {last}")).collect();
        for commit in self.parts.iter_mut().filter(|checked| checked.part == "commit") {
            commit.held = match sound.as_slice() {
                [] => "no sound record".to_owned(),
                ranges => format!("records {}", ranges.join(", ")),
            };
        }
        for seq in snapshots {
            let of = salvage.snapshots().read(*seq).map(|state| snapshot::of(&state));
            let checked = Checked::whole(&format!("snapshot {seq}"), format!("the state after record {seq}"));
            let known = salvage.sound().iter().any(|(first, last)| (first..=last).contains(&seq));
            self.parts.push(match of {
                Err(detail) => Checked { damage: Some(format!("{detail}; {HEALS}")), ..checked },
                Ok(Some(of)) if known && !salvage.holds(&(*seq, of)) => {
                    Checked { damage: Some("it is of another log, or of another release".to_owned()), ..checked }
                }
                Ok(_) => Checked { note: Some(NOT_FOLDED.to_owned()), ..checked },
            });
        }
        for first in salvage.buckets() {
            let part = format!("store from record {first}");
            self.parts.push(match salvage.check_bucket(first)? {
                Ok(BucketCheck { last, compared }) => {
                    let note = format!("{compared} of its records were compared with what is sound in the commit log");
                    Checked { note: Some(note), ..Checked::whole(&part, format!("up to record {last}")) }
                }
                Err(detail) => Checked::damaged(&part, String::new(), detail),
            });
        }
        self.disk(salvage.unreadable());
        Ok(())
    }

    /// What could not be read at all.
    fn disk(&mut self, unreadable: Vec<(String, u64)>) {
        for (file, offset) in unreadable {
            let damage = format!("it cannot read all of {file}, from byte {offset} on; look at the kernel's log");
            self.parts.push(Checked::damaged("disk", String::new(), damage));
        }
    }

    /// Every bucket of the store, each in a copy that is thrown away.
    fn store(&mut self, verifier: &Verifier) -> Result<(), Failure> {
        let options = Options { index, index_version: INDEX_VERSION, ..Options::default() };
        let buckets = verifier.buckets()?;
        if buckets.is_empty() {
            let note = Some(NO_STORE.to_owned());
            self.parts.push(Checked { note, ..Checked::whole("store", "nothing".to_owned()) });
        }
        for first in buckets {
            let scratch = scratch()?;
            let part = format!("store from record {first}");
            self.parts.push(match verifier.bucket(first, &options, scratch.path())? {
                Ok(last) => Checked::whole(&part, format!("up to record {last}")),
                Err(detail) => Checked::damaged(&part, String::new(), format!("{detail}; {HEALS}")),
            });
        }
        Ok(())
    }
}

/// Both slots of the anchor: one of them may be damaged, or what counts of them.
fn anchor(verifier: &Verifier) -> Checked {
    match verifier.anchored() {
        Ok(seq) => {
            let damage = verifier.anchor_slot_damaged().then(|| SLOT_DAMAGED.to_owned());
            Checked { damage, ..Checked::whole("anchor", format!("up to record {seq}")) }
        }
        Err(fault) => Checked::damaged("anchor", String::new(), fault.to_string()),
    }
}

/// The state as it grows along the log, compared with the snapshots that it passes.
struct Fold {
    state: State,
    snapshots: BTreeSet<Seq>,
    parts: Vec<Checked>,
    failed: Option<Failure>,
}

impl Fold {
    fn frame(&mut self, frame: &Frame, verifier: &Verifier) -> Result<(), Failure> {
        for (seq, record) in frame.records() {
            let envelope = envelope(seq, record)?;
            apply(&mut self.state, &envelope)
                .map_err(|illegal| Failure::Record { seq, detail: illegal.to_string() })?;
            if self.snapshots.remove(&seq) {
                self.snapshot(seq, &snapshot::hash(record), verifier);
            }
        }
        Ok(())
    }

    fn snapshot(&mut self, seq: Seq, log: &snapshot::LogHash, verifier: &Verifier) {
        let read = verifier.snapshots().read(seq).map_err(str::to_owned);
        let damage = match read.and_then(|bytes| snapshot::load(&bytes, log)) {
            Ok(state) => (state.hash() != self.state.hash()).then(|| "it is not what the log amounts to".to_owned()),
            Err(detail) => Some(detail),
        };
        let part = format!("snapshot {seq}");
        let damage = damage.map(|damage| format!("{damage}; {HEALS}"));
        self.parts.push(Checked { damage, ..Checked::whole(&part, format!("the state after record {seq}")) });
    }

    /// Snapshots of records that the log does not have.
    fn rest(&mut self, verifier: &Verifier, last: Seq) {
        for seq in std::mem::take(&mut self.snapshots) {
            let detail = verifier.snapshots().read(seq).err().unwrap_or("the log has no such record");
            let damage = format!("{detail} (the log ends with record {last}); {HEALS}");
            self.parts.push(Checked::damaged(&format!("snapshot {seq}"), String::new(), damage));
        }
    }
}

impl Checked {
    fn whole(part: &str, held: String) -> Self {
        Self { part: part.to_owned(), held, damage: None, note: None }
    }

    fn damaged(part: &str, held: String, damage: String) -> Self {
        Self { damage: Some(damage), ..Self::whole(part, held) }
    }
}
