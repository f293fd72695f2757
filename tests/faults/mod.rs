//! The fault lab: the real binary on a disk that misbehaves, and machines that look for the operation that got lost.
//!
//! Part of the integration tests; `tests/faults/campaign NAME` runs the long form of each.

mod damage;
mod full;
mod history;
mod points;
mod power;
mod rot;
mod session;
mod shim;
mod trace;

use std::fmt::Display;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use tempfile::TempDir;
use uuid::Uuid;

/// Workers of a campaign: the cores of the machine that CI has.
const WORKERS: usize = 2;

/// Experiments between two signs of life of a campaign.
const TELL_EVERY: usize = 100;

/// Does the work for every item, some at a time. All that fail are named at the end, in the words that repeat them.
fn for_each<T: Display + Send>(items: impl IntoIterator<Item = T, IntoIter: Send>, work: impl Fn(&T) + Sync) {
    let (items, failed) = (Mutex::new(items.into_iter().enumerate()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let Some((nth, item)) = items.lock().unwrap().next() else { return };
                    if nth > 0 && nth % TELL_EVERY == 0 {
                        eprintln!("{nth} done");
                    }
                    if catch_unwind(AssertUnwindSafe(|| work(&item))).is_err() {
                        eprintln!("--- that was {item}");
                        failed.lock().unwrap().push(item.to_string());
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} failed: {failed:#?}", failed.len());
}

/// Says it past the capture of a test's output, so that the log of CI has what was tried and what was not.
fn tell(what: impl Display) {
    writeln!(std::io::stderr(), "{what}").unwrap();
}

/// A directory for one experiment: in memory where there is such a place, for it is made and thrown away by the thousand.
fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir()).unwrap()
}

/// A generator of choices (splitmix64).
#[derive(Clone)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// Another place to begin for every run; `EVERLOG_FAULTS_SEED` repeats one.
    pub(crate) fn new() -> Self {
        Self(seed())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Less than `sides`.
    pub(crate) fn throw(&mut self, sides: usize) -> usize {
        usize::try_from(self.next() % sides as u64).unwrap()
    }
}

/// A setting of a campaign from the environment.
pub(crate) fn setting<T: std::str::FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, which makes no sense")))
}

/// Another place to begin for every run; `EVERLOG_FAULTS_SEED` repeats one.
fn seed() -> u64 {
    let seed = setting("EVERLOG_FAULTS_SEED").unwrap_or_else(|| Uuid::new_v4().as_u64_pair().0);
    eprintln!("EVERLOG_FAULTS_SEED={seed}");
    seed
}
