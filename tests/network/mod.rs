//! The network lab: clients that mean harm, lines that fail, and crowds; and what they cost the coordinator at most.
//!
//! Part of the integration tests; `tests/network/campaign NAME` runs the long form of each.

mod connects;
mod descriptors;
mod gauge;
mod readers;
mod slowloris;

use crate::harness::Deadline;
use gauge::Gauge;

/// Waits until something that nobody tells is so.
#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Deadline::usual();
    while !holds() {
        assert!(deadline.left().is_some(), "it never came to this: {what}");
        std::thread::yield_now();
    }
}
