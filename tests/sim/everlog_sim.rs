//! The command `everlog-sim`: see `mod.rs`.

use std::process::ExitCode;

fn main() -> ExitCode {
    everlog::sim::main()
}
