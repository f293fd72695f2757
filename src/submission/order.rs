//! An order in which every task comes after what it depends on.

use super::{Circle, Task};

/// Circles that are told at once: who mends these has found the habit that led to the others.
const CIRCLES_MAX: usize = 10;

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
/// When tasks wait for each other: the first [`CIRCLES_MAX`] circles.
pub(super) fn in_order(tasks: &[Task]) -> Result<Vec<usize>, Vec<Circle>> {
    let mut circles = Vec::new();
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
                    circles.push(Circle(circle.chain([next]).collect()));
                    if circles.len() == CIRCLES_MAX {
                        return Err(circles);
                    }
                }
            }
        }
    }
    if circles.is_empty() { Ok(order) } else { Err(circles) }
}
