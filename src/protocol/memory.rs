//! `memory/*`: values under keys.

use super::operation::{Operation, Query, Reply};
use super::params::Params;
use super::request::Ids;
use everlog_replay::{Command, Refusal};

pub(super) fn get(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    Ok(Operation::Read(Query::MemoryGet { key: params.name("key")? }))
}

pub(super) fn set(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    let key = params.name("key")?;
    let value = params.present("value").ok_or_else(|| {
        Refusal::InvalidParams("value is missing; give any JSON (null is a value), or use memory/delete".to_owned())
    })?;
    Ok(Operation::Change { command: Command::SetMemory { key, value: value.json() }, reply: Reply::MemoryStored })
}

pub(super) fn delete(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    let command = Command::DeleteMemory { key: params.name("key")? };
    Ok(Operation::Change { command, reply: Reply::MemoryDeleted })
}

pub(super) fn list(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    let prefix = params.opt_string("prefix")?.unwrap_or_default().into_owned();
    Ok(Operation::Read(Query::MemoryList { prefix, limit: params.page()?.limit }))
}
