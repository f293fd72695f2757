//! The fuzz targets: plain functions that take any bytes and panic when something does not hold.
//!
//! libFuzzer calls them (`tests/fuzz/fuzz_targets`, driven by `tests/fuzz/campaign`), and so does every `cargo test`, with the inputs
//! that are kept in the tree and with changes of them. They are part of the library, under a feature, so that they reach what
//! users do not; the product knows nothing of them.

mod config;
#[cfg(test)]
mod corpus;
mod expression;
mod feed;
mod frame;
mod history;
#[path = "../../../replay/tests/it/laws.rs"]
mod laws;
mod pipeline_file;
mod records;
mod recovery;
mod scratch;
#[path = "../../../replay/tests/it/world.rs"]
mod world;

pub use config::config;
pub use expression::expression;
pub use frame::frame;
pub use history::history;
pub use pipeline_file::pipeline_file;
pub use records::records;
pub use recovery::recovery;
