//! What is wrong with a configuration, shown at the place where it is.

use super::{Key, Origin};
use miette::{Diagnostic, NamedSource, SourceOffset, SourceSpan};
use serde_saphyr::Location;
use std::path::{Path, PathBuf};

/// What is wrong with the configuration.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub(crate) enum ConfigError {
    /// The file can not be read.
    #[error("cannot read {}: {cause}; name another file, or none for the defaults", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: std::io::Error,
    },
    /// The file says something that makes no sense.
    #[error(transparent)]
    #[diagnostic(transparent)]
    File(#[from] Box<FileMistake>),
    /// A value is not one that the key takes.
    #[error("{} is {}; set it to {}{}", key.path(), quoted(text), key.allowed.in_words(), told_by(origin))]
    Value {
        /// The key.
        key: &'static Key,
        /// Who said so.
        origin: Origin,
        /// What was said.
        text: String,
    },
    /// There is no key of this name.
    #[error("the environment variable {name} names no key; did you mean {nearest}? Rename it, or unset it")]
    UnknownVariable {
        /// The variable.
        name: String,
        /// The nearest that there is.
        nearest: String,
    },
    /// A value is given twice.
    #[error("the environment variables {name} and {name}_FILE are both set; unset one of them")]
    BothSet {
        /// The shorter of the two.
        name: String,
    },
    /// A file that should hold a value can not be read.
    #[error("the environment variable {variable} names {}, which cannot be read: {cause}; name another file, or unset it", path.display())]
    ValueFile {
        /// The variable.
        variable: String,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: std::io::Error,
    },
}

fn quoted(text: &str) -> String {
    if text.is_empty() { "without a value".to_owned() } else { format!("'{text}'") }
}

fn told_by(origin: &Origin) -> String {
    match origin {
        // The place is shown in front.
        Origin::Default | Origin::File(..) => String::new(),
        Origin::Variable(name) => format!(" in the environment variable {name}, or unset it"),
        Origin::Flag(name) => format!(" with {name}"),
    }
}

/// A mistake in a file.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{file}{}: {message}", place.map_or_else(String::new, |(line, column)| format!(":{line}:{column}")))]
pub(crate) struct FileMistake {
    file: String,
    /// Line and column, from 1.
    pub(crate) place: Option<(usize, usize)>,
    pub(crate) message: String,
    #[source_code]
    text: NamedSource<String>,
    #[label("here")]
    at: Option<SourceSpan>,
}

impl FileMistake {
    pub(super) fn new(path: &Path, text: &str, place: Option<Location>, message: String) -> Box<Self> {
        let number = |number: u64| usize::try_from(number).unwrap_or(0);
        let place = place.map(|at| (number(at.line()), number(at.column()))).filter(|(line, _)| *line > 0);
        let at = place.map(|(line, column)| SourceSpan::new(SourceOffset::from_location(text, line, column), 1));
        let file = path.to_string_lossy().into_owned();
        Box::new(Self { text: NamedSource::new(&file, text.to_owned()), file, place, message, at })
    }
}
