//! A diagnostic on its way to a terminal. File names, keys and lines of files are in its words, and nothing in them may act
//! there; the colours that miette puts around them may.

use std::error::Error;
use std::fmt::{self, Debug, Display, Formatter};

use miette::{Diagnostic, LabeledSpan, MietteHandler, NamedSource, ReportHandler, SourceCode, SourceSpan};

use super::terminal;

/// A copy of a diagnostic that is safe to show.
#[derive(Debug)]
pub(super) struct Shown {
    message: String,
    help: Option<String>,
    source: Option<NamedSource<String>>,
    labels: Vec<LabeledSpan>,
    related: Vec<Self>,
    cause: Option<Box<Cause>>,
}

/// What an error goes back to.
#[derive(Debug)]
struct Cause {
    message: String,
    cause: Option<Box<Self>>,
}

/// Columns before a message and before a help: those of `  × ` and `  help: `.
const MESSAGE_INDENT: usize = 4;
const HELP_INDENT: usize = 8;
/// And before a cause: those of `  ╰─▶ `.
const CAUSE_INDENT: usize = 6;

impl Shown {
    /// In lines of at most so many columns of the terminal.
    pub(super) fn new(diagnostic: &dyn Diagnostic, columns: usize) -> Self {
        Self {
            message: wrapped(&diagnostic, columns, MESSAGE_INDENT),
            help: diagnostic.help().map(|help| wrapped(&help, columns, HELP_INDENT)),
            source: diagnostic.source_code().and_then(whole),
            labels: diagnostic.labels().into_iter().flatten().collect(),
            related: diagnostic.related().into_iter().flatten().map(|one| Self::new(one, columns)).collect(),
            cause: diagnostic.source().map(|error| Cause::new(error, columns)),
        }
    }

    /// The text that `handler` makes of it.
    pub(super) fn render(&self, handler: &MietteHandler) -> String {
        struct Rendered<'a>(&'a MietteHandler, &'a Shown);
        impl Display for Rendered<'_> {
            fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
                self.0.debug(self.1, f)
            }
        }
        Rendered(handler, self).to_string()
    }
}

/// A whole source. A source that cannot be read is not shown; the message stands without it.
fn whole(source: &dyn SourceCode) -> Option<NamedSource<String>> {
    let contents = source.read_span(&SourceSpan::from((0, 0)), 0, usize::MAX).ok()?;
    let text = terminal::same_bytes(&String::from_utf8_lossy(contents.data()));
    Some(NamedSource::new(terminal::one_line(contents.name().unwrap_or_default()), text))
}

fn wrapped(text: &dyn Display, columns: usize, indent: usize) -> String {
    terminal::wrapped(&terminal::lines(&text.to_string()), columns.saturating_sub(indent))
}

impl Cause {
    fn new(error: &(dyn Error + 'static), columns: usize) -> Box<Self> {
        let cause = error.source().map(|cause| Self::new(cause, columns));
        Box::new(Self { message: wrapped(&error, columns, CAUSE_INDENT), cause })
    }
}

impl Display for Shown {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Shown {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_ref().map(|cause| cause.as_ref() as &(dyn Error + 'static))
    }
}

impl Display for Cause {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_ref().map(|cause| cause.as_ref() as &(dyn Error + 'static))
    }
}

impl Diagnostic for Shown {
    fn help<'a>(&'a self) -> Option<Box<dyn Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        (!self.labels.is_empty()).then(|| Box::new(self.labels.iter().cloned()) as Box<_>)
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        (!self.related.is_empty()).then(|| Box::new(self.related.iter().map(|one| one as &dyn Diagnostic)) as Box<_>)
    }
}

#[cfg(test)]
mod tests {
    use miette::MietteHandlerOpts;

    use super::*;
    use crate::cli::exit::Trouble;
    use crate::pipeline_file;

    fn shown(yaml: &str) -> String {
        let home = tempfile::tempdir().expect("a directory");
        let file = home.path().join("p\u{1b}[31m.yaml");
        std::fs::write(&file, yaml).expect("a file");
        let error = pipeline_file::load(&file, &[]).map(|_| ()).expect_err("mistakes");
        let handler = MietteHandlerOpts::new().color(false).wrap_lines(false).build();
        Shown::new(&Trouble::from(error), 80).render(&handler)
    }

    #[test]
    fn a_key_cannot_steer_the_terminal() {
        for yaml in
            ["\"k\\e[31mRED\": 1\nname: x\n", "\"k\\e[31mRED\": 1\n\"l\\e[31m\": 2\n", "# \u{9b}31m\nname: [\u{202e}\n"]
        {
            let text = shown(yaml);
            assert!(!text.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{text:?}");
            assert!(text.contains("\\u001b[31m.yaml"), "{text}");
        }
    }

    #[test]
    fn the_lines_of_the_file_are_still_shown() {
        let text = shown("name: x\ncolour: red\n");
        assert!(text.contains("colour: red"), "{text}");
    }
}
