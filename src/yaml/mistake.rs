//! What is wrong with a file, all of it, each shown at the place where it is.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};

use super::Span;
use crate::protocol::distance;

/// Mistakes that are told of one file: nobody mends more before the next try.
const MISTAKES_MAX: usize = 50;

/// A file that cannot be used: a list of mistakes, never empty.
#[derive(Debug, thiserror::Error)]
#[error("{}", headline(.0))]
pub(crate) struct FileError(Vec<Fault>);

/// One mistake, with what is needed to show it.
#[derive(Debug, thiserror::Error)]
#[error("{file}{}: {message}", place.map_or_else(String::new, |(line, column)| format!(":{line}:{column}")))]
pub(crate) struct Fault {
    file: String,
    /// Line and column of its start, both counted from 1, columns in characters.
    pub(crate) place: Option<(usize, usize)>,
    /// What is wrong.
    pub(crate) message: String,
    /// What to do, if that is not in the message.
    pub(crate) help: Option<String>,
    span: Span,
    text: Option<NamedSource<Arc<String>>>,
}

/// A mistake in a text that does not know its file yet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mistake {
    span: Option<Span>,
    pub(crate) message: String,
    help: Option<String>,
}

/// The mistakes found so far, each once however often a task is repeated.
#[derive(Debug, Default)]
pub(crate) struct Mistakes(Vec<Mistake>);

impl FileError {
    /// The mistakes in the order of the text.
    pub(crate) fn faults(&self) -> &[Fault] {
        &self.0
    }

    /// A file that cannot even be read.
    pub(crate) fn of_file(file: &Path, message: String) -> Self {
        Mistakes(vec![Mistake::new(message)]).within(file, None)
    }
}

fn headline(faults: &[Fault]) -> String {
    match faults {
        [only] => only.to_string(),
        all => {
            let file = all.first().map_or("", |fault| fault.file.as_str());
            format!("{file} has {} mistakes", all.len())
        }
    }
}

impl Fault {
    /// The mistake and what helps, for a log.
    pub(crate) fn in_a_line(&self) -> String {
        let help = self.help.as_ref().map_or_else(String::new, |help| format!("; {help}"));
        format!("{self}{help}")
    }
}

impl Diagnostic for FileError {
    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.only()?.source_code()
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.only()?.labels()
    }

    fn help<'a>(&'a self) -> Option<Box<dyn Display + 'a>> {
        self.only()?.help()
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        (self.0.len() > 1).then(|| Box::new(self.0.iter().map(|fault| fault as &dyn Diagnostic)) as Box<_>)
    }
}

impl FileError {
    /// The mistake of a file that has one: it is the whole message.
    fn only(&self) -> Option<&Fault> {
        self.0.first().filter(|_| self.0.len() == 1)
    }
}

impl Diagnostic for Fault {
    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.text.as_ref().map(|text| text as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.place?;
        let (start, end) = (self.span.start as usize, self.span.end as usize);
        let label = LabeledSpan::new(Some("here".to_owned()), start, end.saturating_sub(start).max(1));
        Some(Box::new(std::iter::once(label)))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn Display>)
    }
}

impl Mistake {
    /// One that has no place.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { span: None, message: message.into(), help: None }
    }

    pub(crate) fn at(span: Span, message: impl Into<String>) -> Self {
        Self { span: Some(span), message: message.into(), help: None }
    }

    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// Helps with the nearest of the known names, if there is one.
    pub(crate) fn near<'a>(self, name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let known: Vec<&str> = known.into_iter().collect();
        match nearest(name, &known) {
            Some(near) => self.help(format!("did you mean `{near}`?")),
            None => self,
        }
    }

    /// Helps with the nearest of the known names, or with all of them.
    pub(crate) fn known<'a>(self, name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let known: Vec<&str> = known.into_iter().collect();
        let mistake = self.near(name, known.iter().copied());
        if mistake.help.is_some() || known.is_empty() {
            return mistake;
        }
        mistake.help(format!("known are {}", shortened(&known)))
    }
}

impl Mistakes {
    pub(crate) fn add(&mut self, mistake: Mistake) {
        if self.0.len() < MISTAKES_MAX && !self.0.contains(&mistake) {
            self.0.push(mistake);
        }
    }

    pub(crate) fn extend(&mut self, mistakes: impl IntoIterator<Item = Mistake>) {
        mistakes.into_iter().for_each(|mistake| self.add(mistake));
    }

    /// The value, or a note of what is wrong.
    pub(crate) fn note<T>(&mut self, result: Result<T, Mistake>) -> Option<T> {
        result.map_err(|mistake| self.add(mistake)).ok()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one at this place is noted.
    pub(crate) fn is_at(&self, span: Span) -> bool {
        self.0.iter().any(|mistake| mistake.span == Some(span))
    }

    /// Whether no more are noted.
    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= MISTAKES_MAX
    }

    /// With the file that they were found in.
    pub(crate) fn within(mut self, file: &Path, text: Option<String>) -> FileError {
        self.0.sort();
        let file = file.to_string_lossy();
        let text = text.map(Arc::new);
        let fault = |Mistake { span, message, help }| Fault {
            file: file.clone().into_owned(),
            place: span.zip(text.as_ref()).map(|(span, text)| place(text, span)),
            message,
            help,
            span: span.unwrap_or_default(),
            text: text.as_ref().map(|text| NamedSource::new(&file, Arc::clone(text))),
        };
        FileError(self.0.into_iter().map(fault).collect())
    }
}

/// Line and column of its start, both counted from 1, columns in characters.
pub(crate) fn place(text: &str, span: Span) -> (usize, usize) {
    let before = text.get(..span.start as usize).unwrap_or(text);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

/// Names that a sentence lists.
const KNOWN_NAMES_MAX: usize = 24;

fn shortened(names: &[&str]) -> String {
    let shown = names[..names.len().min(KNOWN_NAMES_MAX)].join(", ");
    if names.len() > KNOWN_NAMES_MAX { format!("{shown}, …") } else { shown }
}

/// Bytes of a name that is compared with the known ones: a longer one among 100,000 would take minutes.
const COMPARED_BYTES_MAX: usize = 64;

/// The known name that `name` was probably meant to be: a third of it may be wrong, and two letters may have changed places.
pub(crate) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    if name.len() > COMPARED_BYTES_MAX {
        return None;
    }
    let typos_max = name.len().div_ceil(3);
    let near = known.iter().filter(|known| known.len().abs_diff(name.len()) <= typos_max);
    let (typos, nearest) = near.map(|known| (distance(known, name), *known)).min()?;
    (typos <= typos_max && typos < name.len()).then_some(nearest)
}
