//! What every test stands on: the binary as a process, peers that send exact frames, agents that follow a script, and one check
//! that every frame of the server has to pass.

mod acknowledged;
mod agent;
mod check;
mod deadline;
mod description;
mod legacy;
mod peer;
mod process;
mod server;

pub(crate) use acknowledged::{Acknowledged, all};
pub(crate) use agent::{Agent, Assignment, plain};
pub(crate) use check::{AGENT_INFO, MODEL_METRICS, PIPELINE_INFO, TASK_INFO, is_uuid, micros, record};
pub(crate) use deadline::{Deadline, now};
pub(crate) use legacy::Legacy;
pub(crate) use peer::{Frame, Gone, Peer, envelope};
pub(crate) use process::{Ended, Process, everlog};
pub(crate) use server::Server;
