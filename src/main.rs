//! The `everlog` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    everlog::cli::main()
}
