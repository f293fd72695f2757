//! What happened, line by line: the same seed gives the same lines, byte by byte.

use sha2::{Digest, Sha256};
use std::collections::VecDeque;

/// Lines that are shown of a run that fails.
const SHOWN: usize = 120;

/// The lines of a run: all of them as a hash, the newest as text.
pub(super) struct Trace {
    hash: Sha256,
    newest: VecDeque<String>,
    aloud: bool,
    /// Monotonic milliseconds.
    pub(super) now: u64,
}

impl Trace {
    pub(super) fn new(aloud: bool) -> Self {
        Self { hash: Sha256::new(), newest: VecDeque::new(), aloud, now: 0 }
    }

    pub(super) fn note(&mut self, what: &str) {
        let line = format!("{:>9.3} {what}", self.now as f64 / 1_000.0);
        if self.aloud {
            println!("{line}");
        }
        self.hash.update(&line);
        self.hash.update("\n");
        if self.newest.len() == SHOWN {
            self.newest.pop_front();
        }
        self.newest.push_back(line);
    }

    pub(super) fn hash(&self) -> [u8; 32] {
        self.hash.clone().finalize().into()
    }

    pub(super) fn newest(&self) -> Vec<String> {
        self.newest.iter().cloned().collect()
    }
}
