//! The pipeline file: YAML or JSON that a person writes, checked, expanded and put into the wire's form.
//!
//! Field names are the wire's own (protocol §3), so there is nothing to look up twice. What this adds is what only the file's
//! reader can know: parameters, defaults, copies, and where relative paths start. Nothing stops at the first mistake: all that can
//! be found are told at once, each at its place.

mod expand;
mod expression;
#[expect(dead_code, reason = "the schema is made of these types; files are read as trees, which know their lines")]
mod form;
mod names;
mod params;
mod spread;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::string::FromUtf8Error;
use std::sync::LazyLock;

use crate::submission::{self, Submission};
use crate::yaml::{self, Checker, FileError, Mistake, Mistakes, Span};
use expand::Context;
pub(crate) use form::schema;
pub(crate) use params::Setting;

/// The largest pipeline file, in bytes: room for 100,000 tasks of the usual size.
const FILE_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Bytes that the tasks of a file, or its expressions, may come to: room for 100,000 tasks of 2.6 KB.
const EXPANDED_BYTES_MAX: usize = 256 * 1024 * 1024;

/// The name of the standard input.
const STDIN: &str = "-";

/// Made once: who generates files checks thousands of them.
static CHECKER: LazyLock<Result<Checker, Mistake>> = LazyLock::new(|| Checker::new(schema().into(), expression::is_in));

/// What a file says.
#[derive(Debug, Clone)]
pub(crate) struct PipelineFile {
    /// What is to be created.
    pub(crate) submission: Submission,
    /// Every capability that some task requires.
    pub(crate) capabilities: BTreeSet<String>,
}

/// Reads and expands the file as [`load`] does, and finds out whether a coordinator would take it.
///
/// # Errors
/// As [`load`], and what a coordinator would refuse.
pub(crate) fn check(path: &Path, settings: &[Setting]) -> Result<PipelineFile, FileError> {
    let file = load(path, settings)?;
    match submission::rehearse(&file.submission) {
        Ok(()) => Ok(file),
        Err(refusal) => Err(FileError::of_file(path, format!("a coordinator would refuse it: {refusal}"))),
    }
}

/// Reads and expands the file at `path`, `-` being the standard input, with these parameters.
///
/// # Errors
/// All that is wrong with the file, with the places where they are known.
pub(crate) fn load(path: &Path, settings: &[Setting]) -> Result<PipelineFile, FileError> {
    let unreadable =
        |cause: std::io::Error| FileError::of_file(path, format!("the file cannot be read: {cause}; check the path"));
    let (text, directory) = read_file(path).map_err(unreadable)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        let message = format!("the file has more than {FILE_BYTES_MAX} bytes; use `foreach`, or several pipelines");
        return Err(FileError::of_file(path, message));
    }
    let text = String::from_utf8(text).map_err(|error| in_other_letters(path, &error))?;
    parse(&text, &directory, settings).map_err(|mistakes| mistakes.within(path, Some(text)))
}

/// A text that is no UTF-8: the first place where it is not.
fn in_other_letters(path: &Path, error: &FromUtf8Error) -> FileError {
    let start = u32::try_from(error.utf8_error().valid_up_to()).unwrap_or(u32::MAX);
    let span = Span { start, end: start.saturating_add(1) };
    let mut mistakes = Mistakes::default();
    mistakes.add(Mistake::at(span, "this is no UTF-8").help("save the file as UTF-8"));
    mistakes.within(path, Some(String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// The text, at most one byte more than is allowed, and the directory where relative paths start.
fn read_file(path: &Path) -> std::io::Result<(Vec<u8>, PathBuf)> {
    let mut text = Vec::new();
    if path.as_os_str() == STDIN {
        std::io::stdin().take(FILE_BYTES_MAX + 1).read_to_end(&mut text)?;
        return Ok((text, std::env::current_dir()?));
    }
    std::fs::File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut text)?;
    let directory = std::path::absolute(path)?.parent().unwrap_or(Path::new("/")).to_owned();
    Ok((text, directory))
}

/// Expands the text of a file in `directory`, which must be absolute.
fn parse(text: &str, directory: &Path, settings: &[Setting]) -> Result<PipelineFile, Mistakes> {
    let mut mistakes = Mistakes::default();
    match understand(text, directory, settings, &mut mistakes) {
        Some(file) if mistakes.is_empty() => Ok(file),
        _ => Err(mistakes),
    }
}

fn understand(text: &str, directory: &Path, settings: &[Setting], mistakes: &mut Mistakes) -> Option<PipelineFile> {
    tracing::debug!(bytes = text.len(), "pipeline file: parsing");
    let checker = mistakes.note(CHECKER.as_ref().map_err(Mistake::clone))?;
    let document = yaml::parse(text, mistakes);
    let empty = || Mistake::new("the file is empty; a pipeline needs at least `name` and `tasks`");
    let document = mistakes.note(document.and_then(|document| document.ok_or_else(empty)))?;
    tracing::debug!("pipeline file: checking");
    checker.file(&document, mistakes);
    let params = params::values(&document, settings, mistakes);
    tracing::debug!("pipeline file: expanding");
    let context = Context { source: text, directory, checker, params: &params, document: &document };
    let file = expand::expand(&context, mistakes);
    tracing::debug!("pipeline file: done");
    file
}
