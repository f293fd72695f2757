//! The check of everything: the log folds, every snapshot is what the log amounts to there, the store holds what the log holds.

use super::{INDEX_VERSION, envelope, index, snapshot};
use crate::failure::Failure;
use everlog_replay::{Seq, State, apply};
use everlog_storage::{Fault, Frame, Options, Verifier};
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
        verification.log(&verifier, progress)?;
        verification.store(&verifier)?;
        Ok(verification)
    }

    /// Whether nothing is damaged.
    pub(crate) fn is_whole(&self) -> bool {
        self.parts.iter().all(|checked| checked.damage.is_none())
    }

    /// The commit log with its anchor, and on the way every snapshot.
    fn log(&mut self, verifier: &Verifier, mut progress: impl FnMut(Seq, Seq)) -> Result<(), Failure> {
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
        match report {
            Ok(report) => {
                let commit = Checked::whole("commit", format!("{} records", report.last));
                let note = (!report.findings.is_empty()).then(|| TORN.to_owned());
                self.parts.extend([Checked { note, ..commit }, anchor(verifier)]);
                fold.rest(verifier, report.last);
            }
            Err(fault @ (Fault::Corrupt { .. } | Fault::FutureFormat { .. })) => {
                let held = format!("{} records before the damage", fold.state.seq);
                self.parts.extend([Checked::damaged("commit", held, fault.to_string()), anchor(verifier)]);
            }
            Err(fault) => return Err(fault.into()),
        }
        self.parts.append(&mut fold.parts);
        Ok(())
    }

    /// Every bucket of the store, each in a copy that is thrown away.
    fn store(&mut self, verifier: &Verifier) -> Result<(), Failure> {
        // What the log itself does not vouch for can not be compared with it.
        if !self.is_whole() && self.parts.iter().any(|checked| checked.part == "commit" && checked.damage.is_some()) {
            return Ok(());
        }
        let options = Options { index, index_version: INDEX_VERSION, ..Options::default() };
        let buckets = verifier.buckets()?;
        if buckets.is_empty() {
            let note = Some(NO_STORE.to_owned());
            self.parts.push(Checked { note, ..Checked::whole("store", "nothing".to_owned()) });
        }
        for first in buckets {
            let scratch = tempfile::tempdir().map_err(|error| Fault::io("create", std::env::temp_dir(), error))?;
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
