//! Black-box tests: the real binary, real sockets, real files. What a client of the protocol may rely on, and nothing else.
//!
//! Nothing here sleeps to let something happen: every wait is for a frame, a line or the end of a process, and has a deadline.

#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod config;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod examples;
#[cfg(test)]
#[path = "../faults/mod.rs"]
mod faults;
#[cfg(test)]
mod harness;
#[cfg(test)]
#[path = "../network/mod.rs"]
mod network;
#[cfg(test)]
mod pipeline_file;
#[cfg(test)]
mod protocol;
#[cfg(test)]
mod quirks;
#[cfg(test)]
mod reconnect;
#[cfg(test)]
mod repair;
#[cfg(test)]
mod service;
#[cfg(test)]
mod terminal;
#[cfg(test)]
mod typed;
#[cfg(test)]
mod verbs;
