//! What clients send, turned into commands. The only place that reads the wire: from here on nobody meets a field name, an odd
//! spelling or a missing default, and nobody else has to know what existing clients get away with.
//!
//! A frame passes [`json::clean`] (one scan over its text), [`frame::parse`] (the envelope) and [`interpret`] (the method and its
//! parameters), and is then an [`Operation`] or a refusal. Nothing here knows the state: whether a task exists is the core's to say.

mod agents;
mod errors;
pub(crate) mod field;
pub(crate) mod frame;
mod ids;
pub(crate) mod json;
mod memory;
mod models;
mod operation;
pub(crate) mod params;
mod pipelines;
mod request;
mod session;
mod tasks;
#[cfg(test)]
mod testing;
mod topic;
pub(crate) mod wishes;

pub(crate) use frame::{BadFrame, Frame, FrameType};
pub(crate) use operation::{Called, Operation, Page, Query, Reply, SessionRequest, Timeframe, Wanted};
pub(crate) use request::distance;
pub(crate) use request::interpret;
#[cfg(test)]
pub(crate) use request::methods;
pub(crate) use topic::Topic;
