//! `agent/*`, and what agents tell without being asked.

use super::ids::Ids;
use super::operation::{Operation, Query, Reply};
use super::params::{Params, object_text};
use super::wishes::{MEGABYTE_KIB, MEGABYTES_MAX, MILLI, PERCENT_HUNDREDTHS, UNITS_MAX, scaled_u32, scaled_u64};
use everlog_replay::spec::Declared;
use everlog_replay::{AgentId, Command, Refusal, TaskId, limits};
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
        called: params.called()?,
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

#[cfg(test)]
mod tests {
    use super::super::operation::{Called, Page};
    use super::super::testing::{change, id, made, notification, refused, request};
    use super::*;
    use everlog_replay::Json;

    #[test]
    fn a_registration_has_defaults() {
        let expected = Operation::Register {
            command: Command::RegisterAgent {
                agent: AgentId::from(made(1).to_string().as_str()),
                name: "a".into(),
                kind: "generic".into(),
                capabilities: Vec::new(),
                resources: Declared::default(),
                slots: 1,
                running: Vec::new(),
                pid: None,
            },
            ready: false,
            frame_bytes_max: None,
        };
        assert_eq!(request("agent/register", r#"{"name": "a"}"#), Ok(expected.clone()));
        let nulls =
            r#"{"id": null, "name": "a", "type": null, "capabilities": null, "resources": null, "running": null}"#;
        assert_eq!(request("agent/register", nulls), Ok(expected));
    }

    #[test]
    fn a_registration_says_everything() {
        let params = r#"{"id": "w-1", "name": "a", "type": "gpu", "capabilities": ["x", "y"], "slots": 2.0, "pid": 77,
            "resources": {"cpu": 4, "memory_mb": 1.5, "gpu": 0.5, "disk": "big"}, "ready": true, "max_frame_bytes": 4194304,
            "running": [{"task_id": "$ID", "attempt": 3}]}"#;
        let command = Command::RegisterAgent {
            agent: AgentId::from("w-1"),
            name: "a".into(),
            kind: "gpu".into(),
            capabilities: vec!["x".into(), "y".into()],
            resources: Declared { cpu: Some(40_000), memory: Some(1_536), gpu: Some(500) },
            slots: 2,
            running: vec![(TaskId(id()), 3)],
            pid: Some(77),
        };
        let expected = Operation::Register { command, ready: true, frame_bytes_max: Some(4_194_304) };
        assert_eq!(request("agent/register", params), Ok(expected));
    }

    #[test]
    fn a_registration_is_refused_field_by_field() {
        let many = format!(r#"{{"name": "a", "capabilities": [{}]}}"#, ["\"c\""; 65].join(","));
        refused(
            "agent/register",
            &[
                ("{}", -32_602, "name is missing; give a name"),
                (r#"{"name": "a", "id": ""}"#, -32_602, "id is empty; give it at least one character"),
                (r#"{"name": "a", "type": 1}"#, -32_602, "type must be a string, not the number 1"),
                (r#"{"name": "a", "capabilities": "x"}"#, -32_602, "capabilities must be a list, not the string \"x\""),
                (
                    r#"{"name": "a", "capabilities": ["x", null]}"#,
                    -32_602,
                    "capabilities[1] must be a string, not null",
                ),
                (&many, -32_602, "capabilities has 65 items, more than the limit of 64"),
                (
                    r#"{"name": "a", "slots": 0}"#,
                    -32_602,
                    "slots must be a whole number from 1 to 65536, not the number 0",
                ),
                (
                    r#"{"name": "a", "slots": -1}"#,
                    -32_602,
                    "slots must be a whole number from 1 to 65536, not the number -1",
                ),
                (r#"{"name": "a", "ready": "yes"}"#, -32_602, "ready must be true or false, not the string \"yes\""),
                (
                    r#"{"name": "a", "resources": {"cpu": -4}}"#,
                    -32_602,
                    "resources.cpu must be a number from 0 to 100000, not the number -4",
                ),
                (r#"{"name": "a", "resources": [4]}"#, -32_602, "resources must be an object, not a list"),
                (r#"{"name": "a", "running": [{}]}"#, -32_602, "running[0].task_id is missing; give the id of a task"),
                (
                    r#"{"name": "a", "running": [{"task_id": "$ID"}]}"#,
                    -32_602,
                    "running[0].attempt is missing; give the attempt that task/assigned named",
                ),
                (
                    r#"{"name": "a", "pid": 4294967296}"#,
                    -32_602,
                    "pid must be a whole number from 1 to 4294967295, not the number 4294967296",
                ),
            ],
        );
    }

    #[test]
    fn agents_are_asked_about() {
        let (command, reply) = change("agent/unregister", r#"{"agent_id": "w"}"#);
        assert_eq!(
            (command, reply),
            (Command::UnregisterAgent { agent: AgentId::from("w") }, Reply::AgentUnregistered)
        );
        let status = Operation::Read(Query::AgentStatus(AgentId::from("w")));
        assert_eq!(request("agent/status", r#"{"agent_id": "w"}"#), Ok(status));
        let list = Query::AgentList {
            kind: Some("gpu".into()),
            status: Some("active".into()),
            capability: Some("x".into()),
            called: Some(Called("w1".into())),
            page: Page { limit: Some(1), offset: 2 },
        };
        let params = r#"{"type": "gpu", "status": "AgentStatus.ACTIVE", "capability": "x", "match": "w1", "limit": 1, "offset": 2}"#;
        assert_eq!(request("agent/list", params), Ok(Operation::Read(list)));
        for method in ["agent/unregister", "agent/status", "agent/metrics"] {
            refused(
                method,
                &[
                    ("{}", -32_602, "agent_id is missing; give the id of an agent"),
                    (r#"{"agent_id": ""}"#, -32_602, "agent_id is missing; give the id of an agent"),
                    (r#"{"agent_id": 5}"#, -32_602, "agent_id must be a string, not the number 5"),
                ],
            );
        }
    }

    #[test]
    fn metrics_are_an_object() {
        let params = r#"{"agent_id": "w", "metrics": {"cpu": NaN}, "timestamp": "now"}"#;
        let expected = Operation::AgentMetrics { agent: AgentId::from("w"), metrics: Json::from(r#"{"cpu": null}"#) };
        assert_eq!(notification("agent/metrics", params), Ok(expected.clone()));
        assert_eq!(request("agent/metrics", params), Ok(expected));
        refused(
            "agent/metrics",
            &[
                (r#"{"agent_id": "w"}"#, -32_602, "metrics is missing; give an object of figures"),
                (r#"{"agent_id": "w", "metrics": 3}"#, -32_602, "metrics must be an object, not the number 3"),
            ],
        );
    }

    #[test]
    fn a_hook_is_kept_whole_and_never_refused_for_what_it_names() {
        let named = (Some(TaskId(id())), Some(AgentId::from("w")));
        for (params, (task, agent), body) in [
            (
                r#"{"type": "pre-task", "task_id": "$ID", "agent_id": "w"}"#,
                named,
                r#"{"type":"pre-task","task_id":"$ID","agent_id":"w"}"#,
            ),
            (r#"{"task_id": "t1", "agent_id": 5}"#, (None, None), r#"{"task_id":"t1","agent_id":5}"#),
            ("{}", (None, None), "{}"),
        ] {
            let body = Json::from(body.replace("$ID", super::super::testing::ID));
            let command = Command::RecordHook { task, agent, body };
            assert_eq!(change("claude-flow/hook", params), (command.clone(), Reply::HookRecorded), "{params}");
            let expected = Operation::Change { command, reply: Reply::None };
            assert_eq!(notification("claude-flow/hook", params), Ok(expected), "{params}");
        }
    }
}
