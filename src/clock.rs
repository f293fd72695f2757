//! Time enters here and nowhere else.

use everlog_replay::Timestamp;

/// Time as the coordinator needs it; a simulator brings its own.
pub trait Clock: Send + Sync {
    /// Log time: never decreases, also across restarts.
    fn now(&self) -> Timestamp;
    /// Milliseconds since some fixed point, suspend included; what leases and silences are measured with.
    fn mono_ms(&self) -> i64;
}
