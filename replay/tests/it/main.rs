//! The pure core from outside: transcripts of single behaviours, laws over random histories, the log format.
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

mod golden;
mod histories;
mod laws;
mod records;
mod script;
mod transcripts;
mod world;
