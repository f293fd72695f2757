//! Dependencies: names and ids to tasks, and no circles.

use crate::command::NewTask;
use crate::ids::TaskId;
use crate::limits::{DEPENDENCIES_MAX, INPUT_BYTES_MAX, INPUT_OVERHEAD_BYTES};
use crate::refusal::Refusal;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// What a name stands for.
enum Named {
    One(TaskId),
    Many,
}

/// Resolves what each new task depends on. `known` are tasks that exist already, by name; `name_of` has the name of one of them, by
/// id. The order of the result is that of `tasks`.
///
/// # Errors
/// When a dependency is not known or not clear, or when tasks wait for each other in a circle, which is named.
pub(super) fn resolve<'a>(
    tasks: &'a [NewTask],
    known: impl Iterator<Item = (&'a str, TaskId)>,
    name_of: impl Fn(TaskId) -> Option<&'a str>,
) -> Result<Vec<Vec<TaskId>>, Refusal> {
    if tasks.iter().all(|task| task.depends_on.is_empty()) {
        return Ok(vec![Vec::new(); tasks.len()]);
    }
    let new: BTreeMap<TaskId, usize> = tasks.iter().enumerate().map(|(n, task)| (task.task, n)).collect();
    let mut names: BTreeMap<&str, Named> = BTreeMap::new();
    let wanted: BTreeSet<&str> = tasks.iter().flat_map(|task| &task.depends_on).map(String::as_str).collect();
    let all = known.chain(tasks.iter().map(|task| (task.name.as_str(), task.task)));
    for (name, id) in all.filter(|(name, _)| wanted.contains(name)) {
        names.entry(name).and_modify(|named| *named = Named::Many).or_insert(Named::One(id));
    }
    let mut edges = Vec::with_capacity(tasks.len());
    for task in tasks {
        let count = task.depends_on.len();
        if count > DEPENDENCIES_MAX {
            return Err(Refusal::InvalidParams(format!(
                "task '{}' has {count} dependencies; the limit DEPENDENCIES_MAX is {DEPENDENCIES_MAX}",
                task.name
            )));
        }
        let mut upstream = Vec::with_capacity(count);
        let mut bytes = 0;
        let mut seen = BTreeSet::new();
        for wanted in &task.depends_on {
            let id = match names.get(wanted.as_str()) {
                Some(Named::One(id)) => *id,
                Some(Named::Many) => {
                    return Err(Refusal::InvalidParams(format!(
                        "task '{}' depends on '{wanted}', which names several tasks; give them different names or use an id",
                        task.name
                    )));
                }
                None => by_id(wanted, |id| new.contains_key(&id) || name_of(id).is_some()).ok_or_else(|| {
                    Refusal::InvalidParams(format!(
                        "task '{}' depends on '{wanted}', which is not a task here; correct the name or add the task",
                        task.name
                    ))
                })?,
            };
            if seen.insert(id) {
                let name = new.get(&id).map(|n| tasks[*n].name.as_str()).or_else(|| name_of(id));
                bytes += name.unwrap_or_default().len() + INPUT_OVERHEAD_BYTES;
                upstream.push(id);
            }
        }
        if bytes > INPUT_BYTES_MAX {
            return Err(Refusal::InvalidParams(format!(
                "the inputs of task '{}' take {bytes} bytes with their names alone; the limit INPUT_BYTES_MAX is {INPUT_BYTES_MAX}: \
                 shorten the names, or join in two steps",
                task.name
            )));
        }
        edges.push(upstream);
    }
    match circle(&edges, &new) {
        None => Ok(edges),
        Some(circle) => {
            let names: Vec<&str> = circle.iter().map(|n| tasks[*n].name.as_str()).collect();
            Err(Refusal::InvalidParams(format!(
                "the tasks wait for each other in a circle: {}; remove one of these dependencies",
                shortened(&names).join(" → ")
            )))
        }
    }
}

/// Names of a circle that a refusal tells.
const CIRCLE_NAMES_MAX: usize = 12;

/// A long circle by its first names and its last.
fn shortened<'a>(names: &[&'a str]) -> Vec<&'a str> {
    if names.len() <= CIRCLE_NAMES_MAX {
        return names.to_vec();
    }
    let (first, last) = (&names[..CIRCLE_NAMES_MAX - 2], &names[names.len() - 1..]);
    [first, &["…"], last].concat()
}

fn by_id(text: &str, exists: impl Fn(TaskId) -> bool) -> Option<TaskId> {
    let id = TaskId(Uuid::try_parse(text).ok()?);
    exists(id).then_some(id)
}

/// A circle, as the numbers of its tasks, the first again at the end; found without recursion, so that a long chain is no danger.
fn circle(edges: &[Vec<TaskId>], new: &BTreeMap<TaskId, usize>) -> Option<Vec<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        OnPath,
        Done,
    }
    let mut marks = vec![Mark::New; edges.len()];
    for start in 0..edges.len() {
        if marks[start] != Mark::New {
            continue;
        }
        // The path walked so far, each with the number of its edges already followed.
        let mut path = vec![(start, 0)];
        marks[start] = Mark::OnPath;
        while let Some((at, followed)) = path.last_mut() {
            let next = edges[*at].get(*followed).map(|id| new.get(id).copied());
            *followed += 1;
            match next {
                None => {
                    marks[*at] = Mark::Done;
                    path.pop();
                }
                Some(Some(next)) if marks[next] == Mark::OnPath => {
                    let from = path.iter().position(|(n, _)| *n == next).unwrap_or(0);
                    return Some(path[from..].iter().map(|(n, _)| *n).chain([next]).collect());
                }
                Some(Some(next)) if marks[next] == Mark::New => {
                    marks[next] = Mark::OnPath;
                    path.push((next, 0));
                }
                Some(_) => {}
            }
        }
    }
    None
}

/// The tasks in an order in which each comes after what it depends on; otherwise as given.
pub(super) fn in_order(tasks: &[NewTask], edges: &[Vec<TaskId>]) -> Vec<usize> {
    if edges.iter().all(Vec::is_empty) {
        return (0..tasks.len()).collect();
    }
    let new: BTreeMap<TaskId, usize> = tasks.iter().enumerate().map(|(n, task)| (task.task, n)).collect();
    let mut placed = vec![false; tasks.len()];
    let mut order = Vec::with_capacity(tasks.len());
    for start in 0..tasks.len() {
        // The path walked so far, each with the number of its edges already followed.
        let mut path = if placed[start] { Vec::new() } else { vec![(start, 0)] };
        while let Some((at, followed)) = path.last_mut() {
            match edges[*at].get(*followed).map(|id| new.get(id)) {
                Some(next) => {
                    *followed += 1;
                    path.extend(next.filter(|next| !placed[**next]).map(|next| (*next, 0)));
                }
                None => {
                    placed[*at] = true;
                    order.push(*at);
                    path.pop();
                }
            }
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(n: u128, name: String, depends_on: Vec<String>) -> NewTask {
        NewTask { task: TaskId(Uuid::from_u128(n)), name, wish: Default::default(), depends_on, config: "{}".into() }
    }

    /// `count` tasks with names of `chars` characters, and one that joins them.
    fn join(count: u128, chars: usize) -> Result<Vec<Vec<TaskId>>, Refusal> {
        let names: Vec<String> = (0..count).map(|n| format!("{n:0>chars$}")).collect();
        let mut tasks: Vec<NewTask> =
            (0..count).zip(&names).map(|(n, name)| task(n, name.clone(), Vec::new())).collect();
        tasks.push(task(count, "join".to_owned(), names));
        resolve(&tasks, std::iter::empty(), |_| None)
    }

    #[test]
    fn inputs_that_no_frame_could_carry_are_refused_when_they_are_asked_for() {
        let most = (INPUT_BYTES_MAX / (36 + INPUT_OVERHEAD_BYTES)) as u128;
        assert_eq!(join(most, 36).map(|edges| edges.last().map_or(0, Vec::len)), Ok(most as usize));
        let refused = join(most + 1, 36).map_err(|refusal| refusal.to_string());
        assert!(refused.is_err_and(|sentence| sentence.contains("the limit INPUT_BYTES_MAX is 524288")));
    }
}
