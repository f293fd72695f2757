//! What rots, drawn from a number: bits flipped, pages zeroed or unreadable, files cut, lost, swapped, put back as they once were,
//! replaced by those of another log, strangers among them; whole directories lost or put back; and now and then two of these at
//! once, so that a copy is hit together with its original.

use super::Dice;
use super::history::Reference;
use super::session::{LIVES, Session};
use super::shim::BadPage;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// What rots at once: a page.
pub(super) const PAGE: usize = 4_096;
/// One mutation in so many is two damages.
const TWO_IN: usize = 4;
/// One damage in so many is to a whole directory.
const DIRECTORY_IN: usize = 10;
const DIRECTORIES: [&str; 3] = ["commit", "snapshots", "log"];
/// Names that a crash, or a person, may leave behind.
const STRAYS: [&str; 7] = [
    "anchor.tmp",
    "commit/spare",
    "commit/note.txt",
    "snapshots/new.tmp",
    "snapshots/00000000000000000077.snap",
    "log/00000000000000000001.tmp",
    "log/00000000000000000001/snap.0000000000000001.generating",
];

/// What all files of a directory hold, by name.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// A data directory that is well, as it was after each life of its coordinator but the last, and what it holds.
pub(super) struct Original {
    /// Keeps the directory.
    pub(super) session: Session,
    earlier: Vec<Files>,
    pub(super) files: Files,
    /// Those of another log.
    foreign: Files,
    pub(super) reference: Reference,
}

impl Original {
    pub(super) fn make() -> Self {
        let mut session = Session::new();
        let lives = (1..=LIVES).map(|life| {
            session.run_until(session.steps() * life / LIVES, None).unwrap();
            files(&session.data())
        });
        let mut earlier: Vec<Files> = lives.collect();
        let own = earlier.pop().unwrap();
        let reference = Reference::of(&session.data());
        let mut other = Session::new();
        other.run(None).unwrap();
        Self { session, earlier, files: own, foreign: files(&other.data()), reference }
    }
}

/// All files below a directory.
pub(super) fn files(dir: &Path) -> Files {
    let mut found = BTreeMap::new();
    let mut left = vec![dir.to_owned()];
    while let Some(next) = left.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
                found.insert(name, std::fs::read(path).unwrap());
            }
        }
    }
    found
}

pub(super) fn copy<'files>(files: impl IntoIterator<Item = (&'files String, &'files Vec<u8>)>, into: &Path) {
    for (name, bytes) in files {
        put(into, name, bytes);
    }
}

pub(super) fn put(dir: &Path, name: &str, bytes: &[u8]) {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// One damage or two, drawn from a number.
pub(super) struct Mutation(pub(super) u64);

impl fmt::Display for Mutation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "EVERLOG_MUTATION={}", self.0)
    }
}

impl Mutation {
    /// Does it to a copy.
    pub(super) fn apply(&self, original: &Original, data: &Path) -> Damage {
        let damage = Damage { told: Vec::new(), bad_page: None, is_foreign: false };
        let mut work = Work { original, data, dice: Dice(self.0), damage };
        for _ in 0..if work.dice.throw(TWO_IN) == 0 { 2 } else { 1 } {
            let told = if work.dice.throw(DIRECTORY_IN) == 0 { work.directory() } else { work.file() };
            work.damage.told.push(told);
        }
        work.damage
    }
}

/// What was done.
pub(super) struct Damage {
    told: Vec<String>,
    /// What is on the disk is well, and cannot be read.
    pub(super) bad_page: Option<BadPage>,
    /// Something of another log is there. Once only: what is another log in all is another log.
    is_foreign: bool,
}

impl fmt::Display for Damage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.told.join(", and "))
    }
}

/// A copy that is being damaged.
struct Work<'a> {
    original: &'a Original,
    data: &'a Path,
    dice: Dice,
    damage: Damage,
}

impl Work<'_> {
    fn directory(&mut self) -> String {
        let name = DIRECTORIES[self.dice.throw(DIRECTORIES.len())];
        let path = self.data.join(name);
        if path.exists() {
            std::fs::remove_dir_all(path).unwrap();
        }
        let of = |files: &Files| copy(files.iter().filter(|(file, _)| Path::new(file).starts_with(name)), self.data);
        match self.dice.throw(3) {
            0 => format!("{name}/ lost"),
            1 if !self.damage.is_foreign => {
                of(&self.original.foreign);
                self.damage.is_foreign = true;
                format!("{name}/ of another log")
            }
            _ => {
                let life = self.dice.throw(self.original.earlier.len());
                of(&self.original.earlier[life]);
                format!("{name}/ as it was after life {}", life + 1)
            }
        }
    }

    fn file(&mut self) -> String {
        let groups = ["commit/0", "anchor", "snapshots/", "log/", ""];
        let group = groups[self.dice.throw(groups.len())];
        let name = self.one_of(&self.original.files, group);
        let mut bytes = self.original.files[&name].clone();
        // Most of a file is zeros that nobody has written to yet.
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(1, |last| last + 1);
        let within = if self.dice.throw(8) == 0 { bytes.len().max(1) } else { used };
        let at = self.dice.throw(within);
        let page = at / PAGE * PAGE;
        let told = match self.dice.throw(12) {
            0..=2 if !bytes.is_empty() => {
                let bit = self.dice.throw(8);
                bytes[at] ^= 1 << bit;
                format!("bit {bit} of byte {at} of {name} flipped")
            }
            3 => {
                bytes.iter_mut().skip(page).take(PAGE).for_each(|byte| *byte = 0);
                format!("the page at byte {page} of {name} zeroed")
            }
            4 => {
                bytes.iter_mut().skip(at).take(8).for_each(|byte| *byte = 0xa5);
                format!("eight bytes at {at} of {name} overwritten")
            }
            5 => {
                bytes.truncate(at);
                format!("{name} cut at byte {at}")
            }
            6 => {
                let other = self.one_of(&self.original.files, group);
                bytes.clone_from(&self.original.files[&other]);
                put(self.data, &other, &self.original.files[&name]);
                format!("{name} and {other} swapped")
            }
            7 => {
                let path = self.data.join(&name);
                if path.exists() {
                    std::fs::remove_file(path).unwrap();
                }
                return format!("{name} lost");
            }
            8 => {
                // What was not there yet is cut to nothing.
                let life = self.dice.throw(self.original.earlier.len());
                bytes = self.original.earlier[life].get(&name).cloned().unwrap_or_default();
                format!("{name} as it was after life {}", life + 1)
            }
            9 if !self.damage.is_foreign => {
                let other = self.one_of(&self.original.foreign, group);
                bytes.clone_from(&self.original.foreign[&other]);
                self.damage.is_foreign = true;
                format!("{name} replaced by {other} of another log")
            }
            10 => {
                let told = format!("the page at byte {page} of {name} unreadable");
                self.damage.bad_page = Some(BadPage { file: name, at: page });
                return told;
            }
            _ => {
                let stray = STRAYS[self.dice.throw(STRAYS.len())];
                put(self.data, stray, &bytes[..at]);
                return format!("{stray} with {at} bytes of {name} in it");
            }
        };
        put(self.data, &name, &bytes);
        told
    }

    /// One of the files whose names begin so; the lock is nobody's data.
    fn one_of(&mut self, files: &Files, group: &str) -> String {
        let names: Vec<&String> = files.keys().filter(|name| name.starts_with(group) && *name != "lock").collect();
        names[self.dice.throw(names.len())].clone()
    }
}
