//! A diagnostic on its way to a terminal. File names, keys and lines of files are in its words, and nothing in them may act
//! there; the colours that miette puts around them may.

use std::error::Error;
use std::fmt::{self, Debug, Display, Formatter};

use miette::{
    Diagnostic, LabeledSpan, MietteError, MietteHandler, MietteSpanContents, ReportHandler, SourceCode, SourceSpan,
    SpanContents,
};

use super::terminal;
use crate::yaml::{Span, place};

/// A copy of a diagnostic that is safe to show.
#[derive(Debug)]
pub(super) struct Shown {
    message: String,
    help: Option<String>,
    source: Option<Lines>,
    labels: Vec<LabeledSpan>,
    related: Vec<Self>,
    cause: Option<Box<Cause>>,
}

/// The lines of a file, with their columns counted in characters, as messages count them; miette counts bytes.
#[derive(Debug)]
struct Lines {
    name: String,
    text: String,
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
            cause: Cause::untold(diagnostic.source(), &diagnostic.to_string(), columns),
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
fn whole(source: &dyn SourceCode) -> Option<Lines> {
    let contents = source.read_span(&SourceSpan::from((0, 0)), 0, usize::MAX).ok()?;
    let text = terminal::same_bytes(&String::from_utf8_lossy(contents.data()));
    Some(Lines { name: terminal::one_line(contents.name().unwrap_or_default()), text })
}

impl SourceCode for Lines {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let found = self.text.read_span(span, before, after)?;
        let start = u32::try_from(found.span().offset()).unwrap_or(u32::MAX);
        let (_, column) = place(&self.text, Span { start, end: start });
        let (name, lines) = (self.name.clone(), found.line_count());
        Ok(Box::new(MietteSpanContents::new_named(name, found.data(), *found.span(), found.line(), column - 1, lines)))
    }
}

fn wrapped(text: &dyn Display, columns: usize, indent: usize) -> String {
    terminal::wrapped(&terminal::lines(&text.to_string()), columns.saturating_sub(indent))
}

impl Cause {
    /// What an error goes back to, but for what the words `told` say already: many a message quotes its cause.
    fn untold(error: Option<&(dyn Error + 'static)>, told: &str, columns: usize) -> Option<Box<Self>> {
        let error = error?;
        let message = error.to_string();
        if told.contains(&message) {
            return Self::untold(error.source(), told, columns);
        }
        let cause = Self::untold(error.source(), &format!("{told}\n{message}"), columns);
        Some(Box::new(Self { message: wrapped(&error, columns, CAUSE_INDENT), cause }))
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

    use std::io;

    use everlog_storage::Fault;

    use super::*;
    use crate::agent::AgentError;
    use crate::cli::exit::Trouble;
    use crate::client::ClientError;
    use crate::config::ConfigError;
    use crate::embedded::StartError;
    use crate::failure::Failure;
    use crate::pipeline_file;
    use crate::server::DoorError;

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
    fn a_place_is_the_same_in_the_message_and_above_the_lines() {
        for (text, place) in [
            ("name: p\ntasks: [{name: \"日本語日本語\", comand: [x]}]\n", ":2:26"),
            ("# ü\nname: p\ncolour: red\ntasks: [{name: a, command: [x]}]\n", ":3:1"),
        ] {
            let text = shown(text);
            assert_eq!(text.matches(place).count(), 2, "{text}");
        }
    }

    #[test]
    fn no_cause_is_told_twice() {
        const CAUSE: &str = "the disk is on fire";
        let cause = || io::Error::other(CAUSE);
        let client = || ClientError::Unreachable { url: "ws://localhost:1".to_owned(), cause: CAUSE.to_owned() };
        let fault = || Fault::io("sync", "data/commit", cause());
        let read_only = || Fault::ReadOnly { op: "create", path: "data".into(), source: cause() };
        let unreadable = || ConfigError::Unreadable { path: "mcp.yaml".into(), cause: cause() };
        let troubles = [
            Trouble::from(client()),
            Trouble::from(AgentError::Rejected { name: "worker".to_owned(), cause: client() }),
            Trouble::from(StartError::from(Failure::from(fault()))),
            Trouble::from(StartError::Thread(cause())),
            Trouble::from(StartError::Broken(CAUSE.to_owned())),
            Trouble::from(StartError::Door(DoorError::Bind { host: "localhost".to_owned(), port: 1, source: cause() })),
            Trouble::from(Failure::from(fault())),
            Trouble::from(Failure::from(read_only())),
            Trouble::from(Failure::Record { seq: 1, detail: CAUSE.to_owned() }),
            Trouble::from(unreadable()),
            Trouble::from(cause()),
            Trouble::Usage(CAUSE.to_owned()),
            Trouble::Failed(CAUSE.to_owned()),
        ];
        let handler = MietteHandlerOpts::new().color(false).width(1_000).build();
        for trouble in troubles {
            let told = Shown::new(&trouble, usize::MAX).render(&handler);
            assert_eq!(told.matches(CAUSE).count(), 1, "{told}");
            assert_eq!(told.trim().lines().count(), 1, "the message has its cause: {told}");
        }
    }

    #[test]
    fn a_cause_that_the_message_leaves_out_is_told_below_it() {
        #[derive(Debug, thiserror::Error, Diagnostic)]
        #[error("no history")]
        struct Top(#[source] io::Error);
        let handler = MietteHandlerOpts::new().color(false).build();
        let told = Shown::new(&Top(io::Error::other("no disk")), usize::MAX).render(&handler);
        assert!(told.contains("no history") && told.contains("no disk"), "{told}");
    }

    #[test]
    fn the_lines_of_the_file_are_still_shown() {
        let text = shown("name: x\ncolour: red\n");
        assert!(text.contains("colour: red"), "{text}");
    }
}
