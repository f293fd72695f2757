//! The network lab: clients that mean harm, lines that fail, and crowds; and what they cost the coordinator at most.
//!
//! Part of the integration tests; `tests/network/campaign NAME` runs the long form of each.

mod bombs;
mod connects;
mod descriptors;
mod gauge;
mod half_open;
mod herd;
mod partitions;
mod proxy;
mod readers;
mod slowloris;

use crate::harness::Deadline;
use gauge::Gauge;
use proxy::{Fault, Proxy};

/// Waits until something that nobody tells is so.
#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Deadline::usual();
    while !holds() {
        assert!(deadline.left().is_some(), "it never came to this: {what}");
        std::thread::yield_now();
    }
}
