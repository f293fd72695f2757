//! What rots, drawn from a number: bits flipped, pages zeroed, files cut, lost, swapped, put back as they once were, strangers among
//! them; whole directories lost or put back; and now and then two of these at once, so that a copy is hit together with its original.

use super::Dice;
use super::history::Reference;
use super::session::{LIVES, Session};
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
        let files = earlier.pop().unwrap();
        let reference = Reference::of(&session.data());
        Self { session, earlier, files, reference }
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
    /// Does it to a copy; says what was done.
    pub(super) fn apply(&self, original: &Original, data: &Path) -> String {
        let mut dice = Dice(self.0);
        let damages = if dice.throw(TWO_IN) == 0 { 2 } else { 1 };
        let told: Vec<String> = (0..damages).map(|_| damage(original, data, &mut dice)).collect();
        told.join(", and ")
    }
}

fn damage(original: &Original, data: &Path, dice: &mut Dice) -> String {
    if dice.throw(DIRECTORY_IN) == 0 {
        damage_directory(original, data, dice)
    } else {
        damage_file(original, data, dice)
    }
}

fn damage_directory(original: &Original, data: &Path, dice: &mut Dice) -> String {
    let name = DIRECTORIES[dice.throw(DIRECTORIES.len())];
    let path = data.join(name);
    if path.exists() {
        std::fs::remove_dir_all(path).unwrap();
    }
    if dice.throw(2) == 0 {
        return format!("{name}/ lost");
    }
    let life = dice.throw(original.earlier.len());
    copy(original.earlier[life].iter().filter(|(file, _)| Path::new(file).starts_with(name)), data);
    format!("{name}/ as it was after life {}", life + 1)
}

fn damage_file(original: &Original, data: &Path, dice: &mut Dice) -> String {
    let groups = ["commit/0", "anchor", "snapshots/", "log/", ""];
    let group = groups[dice.throw(groups.len())];
    let names: Vec<&String> = original.files.keys().filter(|name| name.starts_with(group) && *name != "lock").collect();
    let name = names[dice.throw(names.len())];
    let mut bytes = original.files[name].clone();
    // Most of a file is zeros that nobody has written to yet.
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(1, |last| last + 1);
    let within = if dice.throw(8) == 0 { bytes.len().max(1) } else { used };
    let at = dice.throw(within);
    let told = match dice.throw(10) {
        0..=2 if !bytes.is_empty() => {
            let bit = dice.throw(8);
            bytes[at] ^= 1 << bit;
            format!("bit {bit} of byte {at} of {name} flipped")
        }
        3 => {
            let page = at / PAGE * PAGE;
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
            let other = names[dice.throw(names.len())];
            bytes.clone_from(&original.files[other]);
            put(data, other, &original.files[name]);
            format!("{name} and {other} swapped")
        }
        7 => {
            let path = data.join(name);
            if path.exists() {
                std::fs::remove_file(path).unwrap();
            }
            return format!("{name} lost");
        }
        8 => {
            // What was not there yet is cut to nothing.
            let life = dice.throw(original.earlier.len());
            bytes = original.earlier[life].get(name).cloned().unwrap_or_default();
            format!("{name} as it was after life {}", life + 1)
        }
        _ => {
            let stray = STRAYS[dice.throw(STRAYS.len())];
            put(data, stray, &bytes[..at]);
            return format!("{stray} with {at} bytes of {name} in it");
        }
    };
    put(data, name, &bytes);
    told
}
