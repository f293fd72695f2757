//! `agent/*`, and what agents tell without being asked.

use super::operation::{Operation, Query, Reply};
use super::params::{Params, object_text};
use super::request::Ids;
use super::wishes::{MEGABYTE_KIB, MEGABYTES_MAX, MILLI, PERCENT_HUNDREDTHS, UNITS_MAX, scaled_u32, scaled_u64};
use everlog_replay::spec::Declared;
use everlog_replay::{AgentId, Command, Json, Refusal, TaskId, limits};
use uuid::Uuid;

/// Type of an agent that names none (protocol §3).
const KIND_DEFAULT: &str = "generic";
/// Hundredths of a percent of one core in a core.
const CORE: f64 = 100.0 * PERCENT_HUNDREDTHS;
/// Cores of one agent: beyond any machine, and its hundredths of a percent still fit 32 bits.
const CORES_MAX: f64 = 100_000.0;

pub(super) fn register(params: &Params<'_>, ids: &mut Ids<'_>) -> Result<Operation, Refusal> {
    let agent = params.opt_name("id")?.map_or_else(|| ids.agent(), |id| AgentId::from(id.as_str()));
    let command = Command::RegisterAgent {
        agent,
        name: params.name("name")?,
        kind: params.opt_name("type")?.unwrap_or_else(|| KIND_DEFAULT.to_owned()),
        capabilities: params
            .get("capabilities")
            .map_or(Ok(Vec::new()), |field| field.names(limits::CAPABILITIES_MAX))?,
        resources: resources(&params.object_or_empty("resources")?)?,
        slots: params.opt_u32("slots", 1, limits::SLOTS_MAX)?.unwrap_or(1),
        running: running(params)?,
        pid: params.opt_u32("pid", 1, u32::MAX)?,
    };
    let frame_bytes_max = params.opt_u64("max_frame_bytes", 1, u64::MAX)?;
    Ok(Operation::Register {
        command,
        ready: params.bool_or("ready", false)?,
        frame_bytes_max: frame_bytes_max.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
    })
}

fn resources(params: &Params<'_>) -> Result<Declared, Refusal> {
    Ok(Declared {
        cpu: params.get("cpu").map(|field| scaled_u32(field, CORES_MAX, CORE)).transpose()?,
        memory: params.get("memory_mb").map(|field| scaled_u64(field, MEGABYTES_MAX, MEGABYTE_KIB)).transpose()?,
        gpu: params.get("gpu").map(|field| scaled_u32(field, UNITS_MAX, MILLI)).transpose()?,
    })
}

fn running(params: &Params<'_>) -> Result<Vec<(TaskId, u32)>, Refusal> {
    let Some(field) = params.get("running") else { return Ok(Vec::new()) };
    let attempts = field.objects(limits::SLOTS_MAX as usize)?;
    let attempt =
        |item: &Params<'_>| item.need("attempt", "the attempt that task/assigned named")?.whole_u32(1, u32::MAX);
    attempts.iter().map(|item| Ok((item.task_id()?, attempt(item)?))).collect()
}

pub(super) fn unregister(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    let command = Command::UnregisterAgent { agent: params.agent_id()? };
    Ok(Operation::Change { command, reply: Reply::AgentUnregistered })
}

pub(super) fn status(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    Ok(Operation::Read(Query::AgentStatus(params.agent_id()?)))
}

pub(super) fn list(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    // An enum's qualified name (`AgentStatus.ACTIVE`) means its last word.
    let word = |text: String| text.rsplit('.').next().unwrap_or_default().to_lowercase();
    Ok(Operation::Read(Query::AgentList {
        kind: params.filter("type")?,
        status: params.filter("status")?.map(word),
        capability: params.filter("capability")?,
        page: params.page()?,
    }))
}

pub(super) fn metrics(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    let agent = params.agent_id()?;
    let metrics = params.need("metrics", "an object of figures")?;
    metrics.object()?;
    Ok(Operation::AgentMetrics { agent, metrics: metrics.json() })
}

/// A hook is the client's own event: it is kept whole, and what it names is only taken where it has the form of a name.
pub(super) fn hook(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    let task = params.opt_string("task_id").ok().flatten();
    let command = Command::RecordHook {
        task: task.and_then(|text| Uuid::try_parse(&text).ok()).map(TaskId),
        agent: params.agent_id().ok(),
        body: object_text(params.iter()),
    };
    Ok(Operation::Change { command, reply: Reply::HookRecorded })
}
