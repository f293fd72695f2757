//! The targets on the stable toolchain: every input that is kept, and changes of them.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::Config;
use std::path::{Path, PathBuf};

/// Changes of kept inputs, for each target: some seconds of a debug build in all.
const CASES: u32 = 1_000;
/// Bytes of the longest input that is made up here.
const BYTES_MAX: usize = 512;

/// The inputs in a folder of a target; none where there is no such folder.
fn inputs(folder: &str, target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz").join(folder).join(target);
    let Ok(entries) = std::fs::read_dir(&folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// One change: what stands from a place on, as far as it is replaced, gives way to some bytes.
type Change = (Index, usize, Vec<u8>);

fn changed(mut input: Vec<u8>, changes: Vec<Change>) -> Vec<u8> {
    for (place, replaced, bytes) in changes {
        let start = place.index(input.len() + 1);
        let end = input.len().min(start + replaced);
        input.splice(start..end, bytes);
    }
    input
}

fn tried(target: &str, run: fn(&[u8])) {
    // What once broke something, first.
    inputs("found", target).iter().for_each(|input| run(input));
    let kept = inputs("corpus", target);
    assert!(!kept.is_empty(), "tests/fuzz/corpus/{target} is empty");
    kept.iter().for_each(|input| run(input));
    let changes = vec((any::<Index>(), 0_usize..24, vec(any::<u8>(), 0..24)), 1..6);
    let any_bytes = vec(any::<u8>(), 0..BYTES_MAX);
    let input =
        prop_oneof![4 => (select(kept), changes).prop_map(|(input, changes)| changed(input, changes)), 1 => any_bytes];
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    proptest!(config, |(input in input)| run(&input));
}

macro_rules! targets {
    ($($target:ident)*) => { $(#[test] fn $target() { tried(stringify!($target), super::$target); })* };
}

targets! { frame history records recovery pipeline_file config expression }
