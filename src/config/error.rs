//! What is wrong with a configuration, shown at the place where it is.

use super::{Key, Origin};
use crate::yaml::{Fault, FileError};
use miette::Diagnostic;
use std::path::PathBuf;

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
    /// The file says what makes no sense.
    #[error(transparent)]
    #[diagnostic(transparent)]
    File(#[from] FileError),
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
    #[error("the environment variable {name} names no key{}; rename it, or unset it", did_you_mean(nearest))]
    UnknownVariable {
        /// The variable.
        name: String,
        /// One that is near.
        nearest: Option<String>,
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
        Origin::Default => String::new(),
        Origin::File(path, line) => format!(" in {}:{line}", path.display()),
        Origin::Variable(name) => format!(" in the environment variable {name}, or unset it"),
        Origin::Flag(name) => format!(" with {name}"),
    }
}

fn did_you_mean(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or_else(String::new, |name| format!(" (did you mean {name}?)"))
}

impl ConfigError {
    /// All that is wrong in one line, for a log.
    pub(crate) fn in_a_line(&self) -> String {
        match self {
            Self::File(error) => error.faults().iter().map(Fault::in_a_line).collect::<Vec<_>>().join("; "),
            Self::Unreadable { .. }
            | Self::Value { .. }
            | Self::UnknownVariable { .. }
            | Self::BothSet { .. }
            | Self::ValueFile { .. } => self.to_string(),
        }
    }
}
