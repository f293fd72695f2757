//! An order in which every task comes after what it depends on.

use super::{Circle, Task};

#[derive(Clone, Copy, PartialEq)]
enum Mark {
    New,
    OnPath,
    Done,
}

/// The places of `tasks`, each after what it depends on and otherwise as they stand. Without recursion: a chain of 100,000 tasks is
/// no danger.
///
/// # Errors
/// When tasks wait for each other.
pub(super) fn in_order(tasks: &[Task]) -> Result<Vec<usize>, Circle> {
    let mut marks = vec![Mark::New; tasks.len()];
    let mut order = Vec::with_capacity(tasks.len());
    // From a task to what it waits for, each with the number of dependencies that are done.
    let mut path: Vec<(usize, usize)> = Vec::new();
    for start in 0..tasks.len() {
        if marks[start] == Mark::New {
            marks[start] = Mark::OnPath;
            path.push((start, 0));
        }
        while let Some((task, done)) = path.last_mut() {
            let Some(next) = tasks[*task].depends_on.get(*done).copied() else {
                marks[*task] = Mark::Done;
                order.push(*task);
                path.pop();
                continue;
            };
            *done += 1;
            match marks[next] {
                Mark::Done => {}
                Mark::New => {
                    marks[next] = Mark::OnPath;
                    path.push((next, 0));
                }
                Mark::OnPath => {
                    let from = path.iter().position(|(task, _)| *task == next).unwrap_or(0);
                    let circle = path[from..].iter().map(|(task, _)| *task);
                    return Err(Circle(circle.chain([next]).collect()));
                }
            }
        }
    }
    Ok(order)
}
