//! What a person calls a pipeline, a task or an agent, and which one that is.
//!
//! A whole id costs one look-up. A name or a part of an id is looked for by the coordinator, which sends what fits; nothing is
//! paged through.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use uuid::Uuid;

use super::exit::{Exit, Trouble};
use super::list::{Ask, ps, short};
use super::remote::Remote;
use super::{terminal, when};
use crate::protocol::{Called, distance};

/// The newest pipeline.
const LAST: &str = "@last";

/// Candidates that are named; more are only counted.
const CANDIDATES_TOLD: usize = 8;

/// Candidates asked for: those that were tried again since are no longer meant, and there may be some of them.
const CANDIDATES_MAX: usize = 100;

/// Names looked through for the one that was meant.
const NAMES_SEEN: usize = 1_000;

/// Differences up to which a name is taken for a misspelt other one: two letters that changed places are two.
const TYPOS_MAX: usize = 3;

/// Names that are suggested.
const SUGGESTED_MAX: usize = 3;

/// Something that has an id and a name.
struct Kind {
    what: &'static str,
    list: &'static str,
    field: &'static str,
    status: &'static str,
    id: &'static str,
    see: &'static str,
}

const PIPELINE: Kind = Kind {
    what: "pipeline",
    list: "pipeline/list",
    field: "pipelines",
    status: "pipeline/status",
    id: "pipeline_id",
    see: "everlog ps --all",
};
const TASK: Kind = Kind {
    what: "task",
    list: "task/list",
    field: "tasks",
    status: "task/status",
    id: "task_id",
    see: "everlog tasks",
};
const AGENT: Kind = Kind {
    what: "agent",
    list: "agent/list",
    field: "agents",
    status: "agent/status",
    id: "agent_id",
    see: "everlog agents",
};

/// The record of the pipeline that is called so.
pub(super) async fn pipeline(remote: &Remote, called: &str) -> Result<Value, Trouble> {
    match look_for_pipeline(remote, called).await? {
        Some(found) => Ok(found),
        None if called == LAST => Err(no_pipelines()),
        None => Err(PIPELINE.not_found(remote, called, json!({})).await?),
    }
}

fn no_pipelines() -> Trouble {
    let step = "try: everlog run examples/iris/pipeline.yaml, or everlog submit examples/iris/pipeline.yaml";
    Trouble::NotFound(format!("there are no pipelines yet; {step}"))
}

async fn look_for_pipeline(remote: &Remote, called: &str) -> Result<Option<Value>, Trouble> {
    if called == LAST {
        let newest = Ask { newest_first: true, limit: Some(1), ..PIPELINE.ask(json!({})) };
        return Ok(newest.all(remote).await?.pop());
    }
    PIPELINE.look_for(remote, called, json!({})).await
}

/// The record of the agent that is called so.
pub(super) async fn agent(remote: &Remote, called: &str) -> Result<Value, Trouble> {
    match AGENT.look_for(remote, called, json!({})).await? {
        Some(found) => Ok(found),
        None => Err(AGENT.not_found(remote, called, json!({})).await?),
    }
}

/// The record of the task that is called so: by its id, by its name, or as `PIPELINE/TASK`.
pub(super) async fn task(remote: &Remote, called: &str, within: Option<&str>) -> Result<Value, Trouble> {
    if let Some(within) = within {
        return task_of(remote, called, within).await;
    }
    // A name may hold a slash itself, so the whole is tried first.
    if let Some(found) = TASK.look_for(remote, called, json!({})).await? {
        return Ok(found);
    }
    match called.split_once('/') {
        Some((within, name)) => task_of(remote, name, within).await,
        None => Err(TASK.not_found(remote, called, json!({})).await?),
    }
}

async fn task_of(remote: &Remote, called: &str, within: &str) -> Result<Value, Trouble> {
    let filters = json!({"pipeline_id": pipeline(remote, within).await?["id"]});
    match TASK.look_for(remote, called, filters.clone()).await? {
        Some(found) => Ok(found),
        None => Err(TASK.not_found(remote, called, filters).await?),
    }
}

/// What something that has been looked up is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Pipeline,
    Task,
    Agent,
}

/// Whatever is called so, a pipeline before an agent before a task.
pub(super) async fn any(remote: &Remote, called: &str) -> Result<(Sort, Value), Trouble> {
    if let Some(found) = look_for_pipeline(remote, called).await? {
        return Ok((Sort::Pipeline, found));
    }
    if called == LAST {
        return Err(no_pipelines());
    }
    if let Some(found) = AGENT.look_for(remote, called, json!({})).await? {
        return Ok((Sort::Agent, found));
    }
    match task(remote, called, None).await {
        Err(trouble) if trouble.exit() == Exit::NotFound && !called.contains('/') => {}
        found => return Ok((Sort::Task, found?)),
    }
    let what = format!("there is no pipeline, task or agent `{}`", terminal::one_line(called));
    let mut names = Vec::new();
    for kind in [PIPELINE, AGENT, TASK] {
        names.extend(kind.names(remote, json!({})).await?);
    }
    let see = format!("{}, {}, {}", PIPELINE.see, TASK.see, AGENT.see);
    Err(Trouble::NotFound(format!("{what}; {}", next_step(called, names, &see))))
}

/// The names that may be meant, or else where to look.
fn next_step(called: &str, names: Vec<String>, see: &str) -> String {
    let near: Vec<String> =
        nearest(called, names).iter().map(|name| format!("`{}`", terminal::one_line(name))).collect();
    match near.split_last() {
        None => format!("see what there is: {see}"),
        Some((only, [])) => format!("did you mean {only}?"),
        Some((last, others)) => format!("did you mean {} or {last}?", others.join(", ")),
    }
}

/// The names that look most like `called`, the nearest first.
fn nearest(called: &str, names: Vec<String>) -> Vec<String> {
    let near = names.into_iter().map(|name| (distance(&name, called), name));
    // Of a short name, half must be right.
    let near = near.filter(|(typos, name)| *typos <= TYPOS_MAX && 2 * typos <= name.len());
    // Many tasks may have one name, which is suggested once.
    let near: BTreeSet<(usize, String)> = near.collect();
    near.into_iter().take(SUGGESTED_MAX).map(|(_, name)| name).collect()
}

impl Kind {
    fn ask(&self, filters: Value) -> Ask {
        Ask::new(self.list, self.field, filters)
    }

    /// The record of what is called so, if there is one.
    async fn look_for(&self, remote: &Remote, called: &str, mut filters: Value) -> Result<Option<Value>, Trouble> {
        if Uuid::try_parse(called).is_ok() {
            match remote.call(self.status, json!({self.id: called})).await {
                // A name may look like an id: a commit, or the hash of a file.
                Err(trouble) if trouble.exit() == Exit::NotFound => {}
                found => return found.map(Some),
            }
        }
        filters["match"] = json!(called);
        let found = Ask { limit: Some(CANDIDATES_MAX), ..self.ask(filters) }.all(remote).await?;
        let mut found = meant(called, found);
        if found.len() > 1 {
            return Err(self.ambiguous(called, &found));
        }
        Ok(found.pop())
    }

    /// The names of the newest.
    async fn names(&self, remote: &Remote, filters: Value) -> Result<Vec<String>, Trouble> {
        let newest = Ask { newest_first: true, limit: Some(NAMES_SEEN), ..self.ask(filters) };
        let known = newest.all(remote).await?;
        Ok(known.iter().filter_map(|record| record["name"].as_str().map(str::to_owned)).collect())
    }

    /// What to say where nothing is called so.
    async fn not_found(&self, remote: &Remote, called: &str, filters: Value) -> Result<Trouble, Trouble> {
        let step = next_step(called, self.names(remote, filters).await?, self.see);
        Ok(Trouble::NotFound(format!("there is no {} `{}`; {step}", self.what, terminal::one_line(called))))
    }

    fn ambiguous(&self, called: &str, found: &[Value]) -> Trouble {
        let (count, what, now) = (found.len(), self.what, when::now());
        let line = |record: &Value| {
            let made = ["created_at", "registered_at"].iter().find_map(|name| when::moment(&record[*name]));
            let made = made.map(|made| when::ago(made, now)).unwrap_or_default();
            let name = terminal::shortened(record["name"].as_str().unwrap_or_default(), 40);
            let id = terminal::one_line(&short(&record["id"]));
            format!("  {id}  {:<12}  {made:<8}  {name}", ps::status(record))
        };
        // The newest come last in the lists, and are more likely meant.
        let mut lines: Vec<String> = found.iter().rev().take(CANDIDATES_TOLD).map(line).collect();
        lines.extend((count > CANDIDATES_TOLD).then(|| format!("  … and {} more", count - CANDIDATES_TOLD)));
        let what = format!("`{}` could be any of {count} {what}s", terminal::one_line(called));
        Trouble::Ambiguous { what, candidates: format!("name one by its id:\n{}", lines.join("\n")) }
    }
}

/// Those of `found` that are meant: those with the very name, if there are any; and not what has been tried again since.
fn meant(called: &str, mut found: Vec<Value>) -> Vec<Value> {
    let is = |record: &Value| {
        let field = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
        Called(called.to_owned()).is(&field("id"), &field("name"))
    };
    // A coordinator that does not know `match` sends everything.
    found.retain(is);
    if let Some(exact) = found.iter().find(|record| record["id"] == called) {
        return vec![exact.clone()];
    }
    if found.iter().any(|record| record["name"] == called) {
        found.retain(|record| record["name"] == called);
    }
    let again: BTreeSet<String> =
        found.iter().filter_map(|record| record["retry_of"].as_str().map(str::to_owned)).collect();
    found.retain(|record| record["id"].as_str().is_none_or(|id| !again.contains(id)));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: &str, name: &str) -> Value {
        json!({"id": id, "name": name})
    }

    #[test]
    fn a_whole_name_counts_before_a_part_of_an_id() {
        let found = vec![record("abcd-1", "x"), record("2-abcd", "y"), record("3", "abcd")];
        assert_eq!(meant("abcd", found.clone()), [record("3", "abcd")]);
        assert_eq!(meant("abcd-", found.clone()), [record("abcd-1", "x")]);
        assert_eq!(meant("-abcd", found), [record("2-abcd", "y")]);
    }

    #[test]
    fn the_nearest_names_are_suggested_first_and_no_others() {
        let step = |called: &str, names: &[&str]| {
            next_step(called, names.iter().map(|name| (*name).to_owned()).collect(), "everlog ps --all")
        };
        let names = ["nightly-4", "other", "nightly", "nightly-b", "nightly", "nightly-c"];
        assert_eq!(step("nigtly", &names), "did you mean `nightly`, `nightly-4` or `nightly-b`?");
        assert_eq!(step("trian", &["train", "rain"]), "did you mean `train`?");
        assert_eq!(step("laod", &["load", "train"]), "did you mean `load`?");
        assert_eq!(step("nightli", &["nightly", "nightlib"]), "did you mean `nightlib` or `nightly`?");
        for far in ["abc", "iris", "x"] {
            assert_eq!(step(far, &["xyz", "ir", "train"]), "see what there is: everlog ps --all", "{far}");
        }
    }

    #[test]
    fn what_is_no_match_is_not_taken_for_one() {
        assert!(meant("iris", vec![record("1", "other")]).is_empty());
    }

    #[test]
    fn what_was_tried_again_is_no_longer_meant() {
        let again = json!({"id": "2", "name": "train", "retry_of": "1"});
        assert_eq!(meant("train", vec![record("1", "train"), again.clone()]), [again]);
    }
}
