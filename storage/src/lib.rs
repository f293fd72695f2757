//! everlog-storage.
