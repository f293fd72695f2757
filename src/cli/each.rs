//! Verbs that take several things at once: one line each, and the exit code of the worst.

use std::io::{self, Write};

use super::exit::{Exit, Trouble};
use super::remote::Remote;

/// Does `work` with each of `names` and prints its line. What goes wrong with one is told and does not keep back the others,
/// unless it is the coordinator that is gone. A line that nobody takes (`| head`) keeps back no work either.
pub(super) async fn each(
    remote: &Remote,
    names: &[String],
    work: impl AsyncFn(&Remote, &str) -> Result<String, Trouble>,
) -> Result<Exit, Trouble> {
    let mut worst = Exit::Ok;
    let mut printed = Heard::default();
    for name in names {
        match work(remote, name).await {
            Ok(line) => printed.say(&mut std::io::stdout(), &line),
            Err(trouble) if trouble.exit() == Exit::Unreachable || names.len() == 1 => return Err(trouble),
            Err(trouble) => worst = worst.max(super::tell(trouble)),
        }
    }
    printed.ended(worst)
}

/// Lines about work that is done whether they can be printed or not.
#[derive(Default)]
struct Heard {
    failed: Option<io::Error>,
}

impl Heard {
    /// Prints a line, unless one before it could not be.
    fn say(&mut self, out: &mut impl Write, line: &str) {
        if self.failed.is_none() {
            self.failed = writeln!(out, "{line}").err();
        }
    }

    /// The exit code of the work. Output that was lost to more than a reader that has seen enough is told, and is a failure.
    fn ended(self, work: Exit) -> Result<Exit, Trouble> {
        match self.failed {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => Ok(work.max(super::tell(error.into()))),
            Some(_) | None => Ok(work),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pipe whose reader has left, and how often it was written to.
    struct Left(usize);

    impl Write for Left {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            self.0 += 1;
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_leaves_changes_no_exit_code() {
        let (mut printed, mut out) = (Heard::default(), Left(0));
        printed.say(&mut out, "one");
        printed.say(&mut out, "two");
        assert_eq!(out.0, 1, "nothing is printed after a failure");
        assert_eq!(printed.ended(Exit::Conflict).expect("an exit code"), Exit::Conflict);
    }

    #[test]
    fn lost_output_is_a_failure() {
        let lost = || Heard { failed: Some(io::ErrorKind::StorageFull.into()) };
        assert_eq!(lost().ended(Exit::Ok).expect("an exit code"), Exit::Failed);
        assert_eq!(lost().ended(Exit::Conflict).expect("an exit code"), Exit::Conflict);
    }
}
