//! The pure core from outside: transcripts of single behaviours, laws over random histories, the log format.

mod golden;
mod histories;
mod laws;
mod records;
mod script;
mod transcripts;
mod world;
