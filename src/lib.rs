//! everlog.

pub mod protocol;
