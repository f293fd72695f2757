//! The pure core from outside: transcripts of single behaviours, laws over random histories, the log format.

mod histories;
mod laws;
mod script;
mod transcripts;
mod world;
