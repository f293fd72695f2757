//! everlog.
