//! Verbs that take several things at once: a line or a record each, and the exit code of the worst.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::exit::{Exit, Trouble};
use super::output::{self, Output};
use super::remote::Remote;

/// A sort of things, as documents name it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Things {
    /// What their list is called, as in the listings (protocol §3).
    list: &'static str,
    /// The field of a record that says what a thing is called.
    called: &'static str,
}

pub(super) const PIPELINES: Things = Things { list: "pipelines", called: "name" };
pub(super) const TASKS: Things = Things { list: "tasks", called: "name" };
pub(super) const KEYS: Things = Things { list: "keys", called: "key" };
pub(super) const RETRIES: Things = Things { list: "retries", called: "name" };

/// What came of the work on one thing.
#[derive(Debug)]
pub(super) struct Done {
    /// What a person is told.
    pub(super) line: String,
    /// What a program reads.
    pub(super) record: Value,
}

impl Done {
    /// Prints it, where there is but one thing.
    pub(super) fn print(&self, output: Output) -> io::Result<()> {
        match output {
            Output::Table => super::say(&self.line),
            Output::Json | Output::Ndjson => output::print(&mut io::stdout(), &self.record, output),
        }
    }
}

/// Does `work` with each of `names` and reports it. What goes wrong with one is told and does not keep back the others,
/// unless it is the coordinator that is gone. A report that nobody takes (`| head`) keeps back no work either.
pub(super) async fn each(
    remote: &Remote,
    names: &[String],
    things: Things,
    output: Output,
    work: impl AsyncFn(&Remote, &str) -> Result<Done, Trouble>,
) -> Result<Exit, Trouble> {
    let mut worst = Exit::Ok;
    let mut report = Report::new(io::stdout(), things, output);
    for name in names {
        match work(remote, name).await {
            Ok(done) => report.done(done),
            Err(trouble) => {
                report.failed(json!({things.called: name}), &trouble);
                let exit = super::tell(trouble);
                worst = worst.max(exit);
                if exit == Exit::Unreachable {
                    break;
                }
            }
        }
    }
    report.ended(worst)
}

/// What is printed of several things: lines and `ndjson` as it happens, `json` as one document at the end.
pub(super) struct Report<W> {
    out: W,
    things: Things,
    output: Output,
    records: Vec<Value>,
    lost: Option<io::Error>,
}

impl<W: Write> Report<W> {
    pub(super) fn new(out: W, things: Things, output: Output) -> Self {
        Self { out, things, output, records: Vec::new(), lost: None }
    }

    pub(super) fn done(&mut self, Done { line, record }: Done) {
        match self.output {
            Output::Table => self.say(&line),
            Output::Json | Output::Ndjson => self.take(record),
        }
    }

    /// Reports what could not be done with a thing. A person is told on stderr.
    pub(super) fn failed(&mut self, mut record: Value, trouble: &Trouble) {
        if self.output != Output::Table {
            record["error"] = json!({"code": trouble.exit() as u8, "message": trouble.to_string()});
            self.take(record);
        }
    }

    fn take(&mut self, record: Value) {
        if self.output == Output::Ndjson {
            self.say(&output::compact(&record));
        } else {
            self.records.push(record);
        }
    }

    /// Prints a line, unless one before it could not be.
    fn say(&mut self, line: &str) {
        if self.lost.is_none() {
            self.lost = writeln!(self.out, "{line}").err();
        }
    }

    /// The exit code of the work. Output that was lost to more than a reader that has seen enough is told, and is a failure.
    pub(super) fn ended(mut self, work: Exit) -> Result<Exit, Trouble> {
        if self.output == Output::Json {
            let document = json!({self.things.list: std::mem::take(&mut self.records)});
            self.say(&output::pretty(&document));
        }
        match self.lost {
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

    impl Write for &mut Left {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            self.0 += 1;
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn done(name: &str) -> Done {
        Done { line: format!("{name} started"), record: json!({"name": name}) }
    }

    #[test]
    fn a_reader_that_leaves_changes_no_exit_code() {
        let mut out = Left(0);
        let mut report = Report::new(&mut out, PIPELINES, Output::Table);
        report.done(done("one"));
        report.done(done("two"));
        assert_eq!(report.ended(Exit::Conflict).expect("an exit code"), Exit::Conflict);
        assert_eq!(out.0, 1, "nothing is printed after a failure");
    }

    #[test]
    fn lost_output_is_a_failure() {
        let lost = || {
            let mut report = Report::new(Vec::new(), PIPELINES, Output::Table);
            report.lost = Some(io::ErrorKind::StorageFull.into());
            report
        };
        assert_eq!(lost().ended(Exit::Ok).expect("an exit code"), Exit::Failed);
        assert_eq!(lost().ended(Exit::Conflict).expect("an exit code"), Exit::Conflict);
    }

    #[test]
    fn what_failed_is_a_record_too() {
        let printed = |output| {
            let mut out = Vec::new();
            let mut report = Report::new(&mut out, PIPELINES, output);
            report.done(done("one"));
            report.failed(json!({"name": "two"}), &Trouble::NotFound("there is no pipeline `two`".to_owned()));
            report.ended(Exit::NotFound).expect("an exit code");
            String::from_utf8(out).expect("text")
        };
        let error = json!({"code": 3, "message": "there is no pipeline `two`"});
        let records = [json!({"name": "one"}), json!({"name": "two", "error": error})];
        let document: Value = serde_json::from_str(&printed(Output::Json)).expect("one document");
        assert_eq!(document, json!({"pipelines": records}));
        let lines: Vec<Value> =
            printed(Output::Ndjson).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(lines, records);
        assert_eq!(printed(Output::Table), "one started\n");
    }
}
