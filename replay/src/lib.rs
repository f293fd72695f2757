//! everlog-replay.
