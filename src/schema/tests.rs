//! That the description is whole, says one thing, is the one in the tree, and fits what is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use super::messages::{Describer, document};
use crate::api::methods::METHODS;
use crate::api::{OnFailure, PipelineSpec, Retry, Strategy, TaskSpec};
use crate::protocol;

/// Compares with `docs/asyncapi.json`, or writes it with `EVERLOG_BLESS=1`.
#[test]
fn the_document_in_the_tree_is_the_present_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/asyncapi.json");
    let present = format!("{:#}\n", document());
    if std::env::var_os("EVERLOG_BLESS").is_some() {
        std::fs::write(path, present).expect("written");
        return;
    }
    let kept = std::fs::read_to_string(path).expect("it is in the tree");
    for (n, (kept, present)) in kept.lines().zip(present.lines()).enumerate() {
        assert_eq!(kept, present, "line {}; EVERLOG_BLESS=1 writes it anew", n + 1);
    }
    assert_eq!(kept, present);
}

#[test]
fn the_methods_are_those_that_the_coordinator_knows() {
    let described: BTreeSet<&str> = METHODS.iter().map(|entry| entry.method).collect();
    let known: BTreeSet<&str> = protocol::methods().collect();
    assert_eq!(described, known);
}

#[test]
fn no_name_means_two_things() {
    let (read, written) = Describer::of_everything().schemas();
    for (name, schema) in read {
        let other = written.get(&name).unwrap_or(&schema);
        assert_eq!(*other, schema, "{name} as it is read, and as it is written");
    }
}

/// A validator for what the document has under `pointer`.
fn validator(document: &Value, pointer: &str) -> jsonschema::Validator {
    let schema = json!({"allOf": [document.pointer(pointer)], "components": document["components"]});
    jsonschema::draft7::options().should_validate_formats(true).build(&schema).expect("a schema")
}

#[test]
fn specifications_are_described_in_full() {
    let retry = Retry::attempts(2).backoff(Duration::from_millis(1500)).factor(2.0).not_on(["timeout"]);
    let task = TaskSpec::new("train")
        .command(["python3", "train.py"])
        .env("SEED", "7")
        .cwd("/work")
        .depends_on(["fetch"])
        .required_capabilities(["gpu"])
        .priority(-3)
        .cpu_percent(150.0)
        .memory_mb(512.0)
        .gpus(0.5)
        .resource_weight(2.0)
        .execution_time(Duration::from_secs(60))
        .timeout(Duration::from_secs(90))
        .retry(retry.max_backoff(Duration::from_secs(10)))
        .on_failure(OnFailure::SkipDownstream);
    let spec = PipelineSpec::new("nightly")
        .strategy(Strategy::PriorityBased)
        .max_concurrent_tasks(4)
        .task_timeout(Duration::from_secs(5))
        .retry(Retry::attempts(0))
        .on_failure(OnFailure::Continue)
        .set("tasks_expected", 1)
        .task(task);
    let (document, spec) = (document(), json!(spec));
    validator(&document, "/components/schemas/PipelineSpec").validate(&spec).expect("as described");
    let task = &spec["tasks"][0]["config"];
    for (written, name) in
        [(&spec["config"], "PipelineSettings"), (task, "TaskSettings"), (&task["retry"], "RetrySettings")]
    {
        let keys = |object: &Value| object.as_object().expect("an object").keys().cloned().collect::<BTreeSet<_>>();
        let described = &document["components"]["schemas"][name]["properties"];
        assert_eq!(keys(written), keys(described), "{name}");
    }
}

/// The frames that docs/protocol.md shows.
#[test]
fn the_frames_of_the_manual_are_as_described() {
    let document = document();
    let manual = include_str!("../../docs/protocol.md");
    let mut asked: BTreeMap<String, String> = BTreeMap::new();
    let mut seen = 0;
    for (sent, line) in manual.lines().filter_map(|line| Some((line.starts_with('→'), line.strip_prefix(['→', '←'])?)))
    {
        let frame: Value = serde_json::from_str(line).expect("a frame");
        let [id, kind, method] = ["id", "type", "method"].map(|field| frame[field].as_str().unwrap_or_default());
        let name = |prefix: &str| format!("{prefix}{}", method.replace(['/', '-'], "_"));
        let message = match (kind, sent) {
            ("request", true) => {
                asked.insert(id.to_owned(), name(""));
                name("") + "_request"
            }
            ("response", false) if frame["error"].is_object() => "refusal".to_owned(),
            ("response", false) => format!("{}_reply", asked[id]),
            ("notification", true) => name("notify_"),
            ("notification", false) => name("on_"),
            _ => panic!("no such frame: {line}"),
        };
        let payload = format!("/channels/connection/messages/{message}/payload");
        if let Err(error) = validator(&document, &payload).validate(&frame) {
            panic!("{message}: {error} in {line}");
        }
        seen += 1;
    }
    assert!(seen > 10, "only {seen}");
}
