//! What one task has in common with the one before: those of one submission mostly wish for the same, and many carry and give the
//! same words. It is kept once, which is two thirds of the memory of a million tasks.

use crate::spec::TaskSpec;
use crate::text::{Json, Payload};
use std::sync::Arc;

/// What came last.
#[derive(Debug, Default)]
pub(crate) struct Alike {
    spec: Option<Arc<TaskSpec>>,
    config: Option<Arc<str>>,
    result: Option<Arc<str>>,
}

impl Alike {
    /// The same wishes, kept once where the last ones were equal.
    pub(crate) fn spec(&mut self, given: &Arc<TaskSpec>) -> Arc<TaskSpec> {
        shared(&mut self.spec, given)
    }

    /// The same configuration.
    pub(crate) fn config(&mut self, given: Payload) -> Payload {
        text(&mut self.config, given)
    }

    /// The same result.
    pub(crate) fn result(&mut self, given: Payload) -> Payload {
        text(&mut self.result, given)
    }
}

fn text(last: &mut Option<Arc<str>>, given: Payload) -> Payload {
    match given {
        Payload::Inline(Json(text)) => Payload::Inline(Json(shared(last, &text))),
        Payload::Logged(place) => Payload::Logged(place),
    }
}

fn shared<T: ?Sized + PartialEq>(last: &mut Option<Arc<T>>, given: &Arc<T>) -> Arc<T> {
    match last {
        Some(last) if **last == **given => Arc::clone(last),
        Some(_) | None => Arc::clone(last.insert(Arc::clone(given))),
    }
}
