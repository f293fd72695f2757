//! What is wrong with a pipeline file, shown at the place where it is.

use std::path::{Path, PathBuf};

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode, SourceOffset};
use serde_saphyr::Location;

/// A pipeline file that cannot be submitted.
#[derive(Debug, thiserror::Error)]
#[error("{}{}: {message}", path.display(), line_suffix(*place))]
pub(crate) struct PipelineFileError {
    path: PathBuf,
    message: String,
    place: Option<(usize, usize)>,
    source_text: Option<Box<NamedSource<String>>>,
}

fn line_suffix(place: Option<(usize, usize)>) -> String {
    place.map_or_else(String::new, |(line, column)| format!(":{line}:{column}"))
}

impl PipelineFileError {
    pub(super) fn unreadable(path: &Path, cause: &std::io::Error) -> Self {
        let message = format!("the file cannot be read: {cause}; check the path");
        Self { path: path.to_owned(), message, place: None, source_text: None }
    }

    pub(super) fn too_large(path: &Path, bytes: u64, limit: u64) -> Self {
        let message =
            format!("the file has {bytes} bytes and the limit is {limit}; use `replicas`, or several pipelines");
        Self { path: path.to_owned(), message, place: None, source_text: None }
    }
}

impl Diagnostic for PipelineFileError {
    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source_text.as_deref().map(|text| text as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let ((line, column), text) = (self.place?, self.source_text.as_ref()?);
        let offset = SourceOffset::from_location(text.inner(), line, column);
        let label = LabeledSpan::new(Some("here".to_owned()), offset.offset(), 1);
        Some(Box::new(std::iter::once(label)))
    }
}

/// A mistake in a text that does not know its file yet.
#[derive(Debug)]
pub(super) struct Mistake {
    pub(super) message: String,
    place: Option<(usize, usize)>,
}

impl Mistake {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), place: None }
    }

    pub(super) fn at(location: Location, message: impl Into<String>) -> Self {
        Self { message: message.into(), place: place(location) }
    }

    pub(super) fn within(self, path: &Path, text: String) -> PipelineFileError {
        let Self { message, place } = self;
        let source_text = Some(Box::new(NamedSource::new(path.to_string_lossy(), text)));
        PipelineFileError { path: path.to_owned(), message, place, source_text }
    }
}

impl From<serde_saphyr::Error> for Mistake {
    fn from(error: serde_saphyr::Error) -> Self {
        let error = error.without_snippet();
        let place = error.location().and_then(place);
        let mut message = error.to_string();
        if let Some((line, column)) = place
            && let Some(shorter) = message.strip_suffix(&format!(" at line {line}, column {column}"))
        {
            message = shorter.to_owned(); // The place is shown in front already.
        }
        Self { message, place }
    }
}

/// Line and column, both from 1.
fn place(location: Location) -> Option<(usize, usize)> {
    let line = usize::try_from(location.line()).ok().filter(|line| *line > 0)?;
    Some((line, usize::try_from(location.column()).ok()?.max(1)))
}
