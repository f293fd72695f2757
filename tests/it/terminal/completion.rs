//! What a shell makes of the script that completes commands, asked of a real one.

use super::screen::Screen;
use crate::harness::{Process, everlog};
use std::process::Command;

#[test]
fn bash_completes_verbs_flags_and_files() {
    let home = tempfile::tempdir().unwrap();
    let script = home.path().join("script");
    let completions = Process::start(everlog(["completions", "bash"])).end().expect_code(0).stdout;
    std::fs::write(&script, format!("{completions}\nPS1='bash> '\n")).unwrap();
    let work = home.path().join("work");
    std::fs::create_dir(&work).unwrap();
    std::fs::write(work.join("my pipeline.yaml"), "").unwrap();
    let mut bash = Command::new("bash");
    bash.args(["--noprofile", "--rcfile"]).arg(script).arg("-i").current_dir(work);
    bash.env("INPUTRC", "/dev/null").env("HISTFILE", "/dev/null");
    let mut screen = Screen::start(bash, 120);
    screen.until("bash> ");
    for (typed, whole) in [
        ("subm", "submit"),
        ("check --ou", "check --output"),
        ("check --output nd", "check --output ndjson"),
        ("completions z", "completions zsh"),
        ("check ", r"check my\ pipeline.yaml"),
        ("submit my", r"submit my\ pipeline.yaml"),
        ("submit --wait ", r"submit --wait my\ pipeline.yaml"),
        ("run --output json ", r"run --output json my\ pipeline.yaml"),
        ("config check ", r"config check my\ pipeline.yaml"),
        ("run --config ", r"run --config my\ pipeline.yaml"),
    ] {
        // One candidate is completed, and a blank put behind it.
        screen.press(&format!("everlog {typed}\t;"));
        screen.until(&format!("everlog {whole} ;"));
        // Ctrl-U drops the line.
        screen.press("\u{15}");
    }
}
