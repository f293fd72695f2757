//! What happened, line by line: the same seed gives the same lines, byte by byte.

use everlog_replay::Envelope;
use sha2::{Digest, Sha256};

/// Lines that are shown of one part of a story: as many from its begin as from its end.
const SHOWN: usize = 80;
/// Characters of an identity.
const ID_CHARS: usize = 36;

/// The lines of a run.
pub(super) struct Trace {
    hash: Sha256,
    lines: Vec<String>,
    /// The newest line that tells of a fault.
    fault: usize,
    aloud: bool,
    /// Monotonic milliseconds.
    pub(super) now: u64,
}

impl Trace {
    pub(super) fn new(aloud: bool) -> Self {
        Self { hash: Sha256::new(), lines: Vec::new(), fault: 0, aloud, now: 0 }
    }

    pub(super) fn note(&mut self, what: &str) {
        let line = format!("{:>9.3} {what}", self.now as f64 / 1_000.0);
        if self.aloud {
            println!("{line}");
        }
        self.hash.update(&line);
        self.hash.update("\n");
        self.lines.push(line);
    }

    pub(super) fn fault(&mut self, name: &str) {
        self.fault = self.lines.len();
        self.note(&format!("fault {name}"));
    }

    pub(super) fn event(&mut self, envelope: &Envelope) {
        let subject = envelope.event.subject();
        let ids = [
            subject.task.map(|id| id.to_string()),
            subject.pipeline.map(|id| id.to_string()),
            subject.agent.map(|id| id.to_string()),
        ];
        let about: Vec<String> = ids.into_iter().flatten().collect();
        self.note(&format!("{} {:?} {} {}", envelope.seq, envelope.actor, envelope.event.name(), about.join(" ")));
    }

    pub(super) fn hash(&self) -> [u8; 32] {
        self.hash.clone().finalize().into()
    }

    /// What tells of a failure: the lines about what it names, up to the newest fault, and all that came after that.
    pub(super) fn story(&self, failure: &str) -> Vec<String> {
        let words = failure.split(|letter: char| !letter.is_ascii_hexdigit() && letter != '-');
        let named: Vec<&str> = words.filter(|word| word.len() == ID_CHARS).collect();
        let (before, since) = self.lines.split_at(self.fault);
        let about = before.iter().filter(|line| named.iter().any(|id| line.contains(id)));
        [ends(&about.collect::<Vec<_>>()), ends(&since.iter().collect::<Vec<_>>())].concat()
    }
}

/// Begin and end of what is too long.
fn ends(lines: &[&String]) -> Vec<String> {
    let owned = |lines: &[&String]| lines.iter().map(|line| (*line).clone()).collect::<Vec<_>>();
    if lines.len() <= SHOWN {
        return owned(lines);
    }
    let (first, rest) = lines.split_at(SHOWN / 2);
    let (left_out, last) = rest.split_at(rest.len() - SHOWN / 2);
    [owned(first), vec![format!("          … {} lines …", left_out.len())], owned(last)].concat()
}
