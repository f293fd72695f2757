//! The settings of tasks and pipelines, from the units of the protocol (seconds, percent, megabytes) into those of the core.

use super::field::Field;
use super::params::{Params, object_text};
use everlog_replay::spec::{OnFailure, PipelineWish, Resources, RetryWish, Strategy, TaskWish};
use everlog_replay::{Json, Refusal, limits};

/// Longest time that a setting may name, in seconds: a hundred years. Beyond it somebody mistook the unit.
pub(crate) const SECONDS_MAX: f64 = 3_155_760_000.0;
/// Milliseconds in a second.
const SECOND_MS: f64 = 1_000.0;
/// Thousandths in one.
pub(super) const MILLI: f64 = 1_000.0;
/// Hundredths in a percent.
pub(super) const PERCENT_HUNDREDTHS: f64 = 100.0;
/// KiB in a megabyte of the protocol.
pub(super) const MEGABYTE_KIB: f64 = 1_024.0;
/// Most megabytes that a setting may name: a petabyte.
pub(crate) const MEGABYTES_MAX: f64 = 1e9;
/// Most graphics processors, and the largest weight: beyond any machine, and its thousandths still fit 32 bits.
pub(crate) const UNITS_MAX: f64 = 1e6;
/// Most processor time in percent of one core: 100,000 cores.
pub(crate) const CPU_PERCENT_MAX: f64 = 1e7;
/// The largest back-off factor; from there on one retry reaches any longest wait.
pub(crate) const FACTOR_MAX: f64 = 1_000.0;

/// Where a setting may stand: beside the name, or in `config`. Beside the name counts more.
pub(super) struct Layers<'p, 'a> {
    /// The object with the name.
    pub(super) top: &'p Params<'a>,
    /// Its `config`.
    pub(super) config: &'p Params<'a>,
}

impl<'p, 'a> Layers<'p, 'a> {
    /// The first of these settings that is there and not null.
    pub(super) fn get(&self, names: &[&'p str]) -> Option<Field<'p, 'a>> {
        [self.top, self.config].into_iter().find_map(|layer| names.iter().find_map(|name| layer.get(name)))
    }

    /// Both layers as one object, each without the fields that are kept elsewhere.
    pub(super) fn text(&self, without_top: &[&str], without_config: &[&str]) -> Json {
        let config = self.config.iter().filter(|(key, _)| !without_config.contains(key));
        object_text(config.chain(self.top.iter().filter(|(key, _)| !without_top.contains(key))))
    }
}

/// What a task asks for.
pub(super) fn task_wish(layers: &Layers<'_, '_>) -> Result<TaskWish, Refusal> {
    let capabilities = layers.get(&["required_capabilities"]);
    let cpu = layers.get(&["cpu_requirement"]).map(|field| scaled_u32(field, CPU_PERCENT_MAX, PERCENT_HUNDREDTHS));
    let memory = layers.get(&["memory_requirement"]).map(|field| scaled_u64(field, MEGABYTES_MAX, MEGABYTE_KIB));
    let gpu = layers.get(&["gpu_requirement"]).map(|field| scaled_u32(field, UNITS_MAX, MILLI));
    let weight = layers.get(&["resource_weight"]).map(|field| scaled_u32(field, UNITS_MAX, MILLI));
    Ok(TaskWish {
        capabilities: capabilities.map_or(Ok(Vec::new()), |field| field.names(limits::CAPABILITIES_MAX))?,
        priority: layers.get(&["priority"]).map_or(Ok(0), priority)?,
        demand: Resources {
            cpu: cpu.transpose()?.unwrap_or(0),
            memory: memory.transpose()?.unwrap_or(0),
            gpu: gpu.transpose()?.unwrap_or(0),
        },
        weight_milli: weight.transpose()?,
        estimate_ms: layers.get(&["execution_time"]).map(millis).transpose()?,
        timeout_ms: layers.get(&["timeout", "task_timeout"]).map(millis).transpose()?,
        retry: retry_wish(layers)?,
        on_failure: on_failure(layers)?,
    })
}

/// What a pipeline asks for.
pub(super) fn pipeline_wish(layers: &Layers<'_, '_>) -> Result<PipelineWish, Refusal> {
    let strategies = Strategy::ALL.map(|strategy| (strategy.as_str(), strategy));
    let concurrent_max = layers.get(&["max_concurrent_tasks"]);
    Ok(PipelineWish {
        strategy: layers.get(&["strategy"]).map(|field| field.word(&strategies)).transpose()?,
        concurrent_max: concurrent_max.map(|field| field.whole_u32(1, u32::MAX)).transpose()?,
        timeout_ms: layers.get(&["task_timeout"]).map(millis).transpose()?,
        retry: retry_wish(layers)?,
        on_failure: on_failure(layers)?,
        tasks_expected: layers.get(&["tasks_expected"]).map(|field| field.whole_u32(0, u32::MAX)).transpose()?,
    })
}

/// `retry {…}` says more than the plain `retry_attempts`, so its number counts where both are given.
fn retry_wish(layers: &Layers<'_, '_>) -> Result<RetryWish, Refusal> {
    let attempts = |field: Field<'_, '_>| field.whole_u32(0, limits::RETRIES_MAX);
    let plain = layers.get(&["retry_attempts"]).map(attempts).transpose()?;
    let Some(retry) = layers.get(&["retry"]) else { return Ok(RetryWish { attempts: plain, ..RetryWish::default() }) };
    let retry = retry.object()?;
    let first = |names: [&'static str; 2]| names.into_iter().find_map(|name| retry.get(name));
    Ok(RetryWish {
        attempts: retry.get("attempts").map(attempts).transpose()?.or(plain),
        backoff_ms: first(["backoff", "backoff_s"]).map(millis).transpose()?,
        factor_milli: retry.get("factor").map(|field| scaled_u32(field, FACTOR_MAX, MILLI)).transpose()?,
        backoff_max_ms: first(["max_backoff", "max_backoff_s"]).map(millis).transpose()?,
        not_on: retry.get("not_on").map(|field| field.names(limits::NOT_ON_MAX)).transpose()?,
    })
}

fn on_failure(layers: &Layers<'_, '_>) -> Result<Option<OnFailure>, Refusal> {
    let known =
        [("fail", OnFailure::Fail), ("continue", OnFailure::Continue), ("skip_downstream", OnFailure::SkipDownstream)];
    layers.get(&["on_failure"]).map(|field| field.word(&known)).transpose()
}

/// A priority; fractions are rounded.
fn priority(field: Field<'_, '_>) -> Result<i32, Refusal> {
    let most = f64::from(limits::PRIORITY_MAX);
    Ok(field.number(-most, most)?.round() as i32)
}

/// Seconds as milliseconds. What is more than nothing stays so: 0 has a meaning of its own.
fn millis(field: Field<'_, '_>) -> Result<u64, Refusal> {
    let seconds = field.number(0.0, SECONDS_MAX)?;
    Ok(((seconds * SECOND_MS).round() as u64).max(u64::from(seconds > 0.0)))
}

/// An amount from 0 to `max`, in units of which one is `scale`, rounded.
pub(super) fn scaled_u64(field: Field<'_, '_>, max: f64, scale: f64) -> Result<u64, Refusal> {
    Ok((field.number(0.0, max)? * scale).round() as u64)
}

/// An amount as [`scaled_u64`], where `max` × `scale` fits 32 bits.
pub(super) fn scaled_u32(field: Field<'_, '_>, max: f64, scale: f64) -> Result<u32, Refusal> {
    Ok((field.number(0.0, max)? * scale).round() as u32)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{change, refused};
    use super::*;
    use everlog_replay::Command;

    /// What a task with this `config` asks for.
    fn wish(config: &str) -> TaskWish {
        match change("task/create", &format!(r#"{{"name": "t", "config": {{{config}}}}}"#)) {
            (Command::CreateTasks { tasks, .. }, _) => tasks[0].wish.clone(),
            other => panic!("{config} gave {other:?}"),
        }
    }

    #[test]
    fn units_are_those_of_the_core() {
        let resources = r#""cpu_requirement": 12.345, "memory_requirement": 0.5, "gpu_requirement": 0.25"#;
        assert_eq!(wish(resources).demand, Resources { cpu: 1_235, memory: 512, gpu: 250 });
        let most =
            r#""cpu_requirement": 1e7, "memory_requirement": 1e9, "gpu_requirement": 1e6, "resource_weight": 1e6"#;
        assert_eq!(wish(most).demand, Resources { cpu: 1_000_000_000, memory: 1_024_000_000_000, gpu: 1_000_000_000 });
        assert_eq!(wish(most).weight_milli, Some(1_000_000_000));
        assert_eq!(wish(r#""execution_time": 2"#).estimate_ms, Some(2_000));
        for (given, milliseconds) in [("1.1", 1_100), ("0", 0), ("0.0001", 1), ("3155760000", 3_155_760_000_000)] {
            assert_eq!(wish(&format!("\"timeout\": {given}")).timeout_ms, Some(milliseconds), "{given}");
            assert_eq!(wish(&format!("\"task_timeout\": {given}")).timeout_ms, Some(milliseconds), "{given}");
        }
        for (given, priority) in [("5", 5), ("-3.6", -4), ("0.5", 1), ("1e3", 1_000), ("null", 0), ("Infinity", 0)] {
            assert_eq!(wish(&format!("\"priority\": {given}")).priority, priority, "{given}");
        }
    }

    #[test]
    fn retries_are_read_in_both_forms() {
        let attempts = |config: &str| wish(config).retry.attempts;
        assert_eq!(attempts(r#""retry_attempts": 0"#), Some(0));
        assert_eq!(attempts(r#""retry_attempts": 1, "retry": {"attempts": 2}"#), Some(2));
        assert_eq!(attempts(r#""retry_attempts": 1, "retry": {"factor": 2}"#), Some(1));
        let all = r#""retry": {"backoff_s": 2, "factor": 3, "max_backoff": 4.5, "not_on": []}"#;
        let expected = RetryWish {
            attempts: None,
            backoff_ms: Some(2_000),
            factor_milli: Some(3_000),
            backoff_max_ms: Some(4_500),
            not_on: Some(Vec::new()),
        };
        assert_eq!(wish(all).retry, expected);
    }

    #[test]
    fn every_setting_refuses_what_makes_no_sense() {
        let failures = "one of fail, continue, skip_downstream";
        for (config, sentence) in [
            (r#""required_capabilities": "gpu""#, "required_capabilities must be a list, not the string \"gpu\""),
            (r#""required_capabilities": [""]"#, "required_capabilities[0] is empty; give it at least one character"),
            (r#""priority": 1001"#, "priority must be a number from -1000 to 1000, not the number 1001"),
            (r#""priority": true"#, "priority must be a number from -1000 to 1000, not true"),
            (r#""cpu_requirement": -1"#, "cpu_requirement must be a number from 0 to 10000000, not the number -1"),
            (
                r#""memory_requirement": 1e10"#,
                "memory_requirement must be a number from 0 to 1000000000, not the number 1e10",
            ),
            (r#""gpu_requirement": "1""#, "gpu_requirement must be a number from 0 to 1000000, not the string \"1\""),
            (r#""resource_weight": []"#, "resource_weight must be a number from 0 to 1000000, not a list"),
            (r#""execution_time": -2"#, "execution_time must be a number from 0 to 3155760000, not the number -2"),
            (r#""timeout": 1e300"#, "timeout must be a number from 0 to 3155760000, not the number 1e300"),
            (r#""retry_attempts": 1001"#, "retry_attempts must be a whole number from 0 to 1000, not the number 1001"),
            (r#""retry_attempts": 1.5"#, "retry_attempts must be a whole number from 0 to 1000, not the number 1.5"),
            (r#""retry": 3"#, "retry must be an object, not the number 3"),
            (r#""retry": {"attempts": -1}"#, "retry.attempts must be a whole number from 0 to 1000, not the number -1"),
            (
                r#""retry": {"backoff": "1s"}"#,
                "retry.backoff must be a number from 0 to 3155760000, not the string \"1s\"",
            ),
            (r#""retry": {"factor": 1001}"#, "retry.factor must be a number from 0 to 1000, not the number 1001"),
            (r#""retry": {"not_on": [5]}"#, "retry.not_on[0] must be a string, not the number 5"),
            (r#""on_failure": "stop""#, &format!("on_failure must be {failures}, not the string \"stop\"")),
            (r#""on_failure": false"#, &format!("on_failure must be {failures}, not false")),
        ] {
            let params = format!(r#"{{"name": "t", "config": {{{config}}}}}"#);
            refused("task/create", &[(&params, -32_602, &format!("config.{sentence}"))]);
        }
    }
}
