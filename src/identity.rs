//! Identities enter here and nowhere else.

use everlog_replay::Timestamp;
use uuid::Uuid;

/// Makes the identity of what comes to be at this time: a version 7 UUID, which tells when to look in the log.
pub(crate) type NewId = Box<dyn Fn(Timestamp) -> Uuid + Send + Sync>;

/// A version 7 UUID of this time, random otherwise.
#[must_use]
pub(crate) fn random(at: Timestamp) -> Uuid {
    const SECOND_US: i64 = 1_000_000;
    let seconds = u64::try_from(at.0.div_euclid(SECOND_US)).unwrap_or(0);
    let nanos = u32::try_from(at.0.rem_euclid(SECOND_US) * 1_000).unwrap_or(0);
    Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos))
}
