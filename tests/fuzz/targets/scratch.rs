//! A file for one input, where the product wants a path.

use std::path::{Path, PathBuf};
use tempfile::TempDir;

thread_local! {
    static DIRECTORY: TempDir = tempfile::tempdir_in(memory()).expect("a place for one file");
}

/// In memory where there is such a place: it is written at every execution.
fn memory() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }
}

/// Calls `work` with the path of a file that holds these bytes.
pub(super) fn with_file<T>(bytes: &[u8], work: impl FnOnce(&Path) -> T) -> T {
    DIRECTORY.with(|directory| {
        let path = directory.path().join("input.yaml");
        std::fs::write(&path, bytes).expect("the place has room");
        work(&path)
    })
}
