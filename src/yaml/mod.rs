//! Files that people write: YAML or JSON as a tree that knows its lines, checked against a JSON Schema.
//!
//! Pipelines and the configuration are read in this one way, so that editors, which know the schemas, and this program accept the
//! same, and whatever is wrong is told in the same words: all at once, each at its place.

mod checker;
mod mistake;
mod tree;

pub(crate) use checker::Checker;
pub(crate) use mistake::{Fault, FileError, Mistake, Mistakes, nearest, place};
pub(crate) use tree::{Data, Key, NODES_MAX, Node, Span, bytes, parse, size};
