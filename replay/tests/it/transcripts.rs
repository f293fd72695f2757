//! One file a behaviour: `transcripts/NAME.txt` holds the commands with what they lead to.
//! `EVERLOG_BLESS=1 cargo test -p everlog-replay` writes the files anew; read the difference before you commit it.

use crate::script::transcript;
use std::path::Path;

macro_rules! transcripts {
    ($($name:ident)+) => {
        $(#[test]
        fn $name() {
            check(stringify!($name));
        })+

        const NAMES: &[&str] = &[$(stringify!($name)),+];
    };
}

transcripts! {
    adaptive ageing agents budget by_hand capacity configuration crowd dag failures history placement quarantine refusals registers repetition requests retries steering strategies timeouts
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/transcripts")
}

/// The script leads to exactly what stands in its file.
fn check(name: &str) {
    let path = folder().join(format!("{name}.txt"));
    let expected = std::fs::read_to_string(&path).expect("the script is there");
    let (found, _) = transcript(&expected);
    if std::env::var_os("EVERLOG_BLESS").is_some() {
        std::fs::write(&path, found).expect("the script can be written");
        return;
    }
    for (n, (expected, found)) in expected.lines().zip(found.lines()).enumerate() {
        assert_eq!(expected, found, "{name}.txt, line {}", n + 1);
    }
    assert_eq!(expected, found, "{name}.txt");
}

#[test]
fn every_script_is_a_test() {
    let files = std::fs::read_dir(folder()).expect("the folder is there");
    let mut found: Vec<String> =
        files.map(|file| file.expect("a file").path().file_stem().expect("a name").to_string_lossy().into()).collect();
    found.sort();
    let mut names = NAMES.to_vec();
    names.sort_unstable();
    assert_eq!(found, names);
}
