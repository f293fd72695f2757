//! Tasks counted by status.

use crate::status::TaskStatus;
use serde::{Deserialize, Serialize};

/// Tasks by status, in the order of [`TaskStatus::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts(pub [u64; TaskStatus::ALL.len()]);

impl Counts {
    /// Tasks with this status.
    #[must_use]
    pub fn of(&self, status: TaskStatus) -> u64 {
        self.0[status as usize]
    }

    /// Tasks that an agent holds.
    #[must_use]
    pub fn leased(&self) -> u64 {
        self.of(TaskStatus::Assigned) + self.of(TaskStatus::Running)
    }

    /// Tasks that have not ended.
    #[must_use]
    pub fn live(&self) -> u64 {
        self.of(TaskStatus::Pending) + self.leased()
    }

    /// All tasks.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// These tasks after all live ones were cancelled.
    pub(crate) fn all_cancelled(mut self) -> Self {
        self.0[TaskStatus::Cancelled as usize] += self.live();
        for status in [TaskStatus::Pending, TaskStatus::Assigned, TaskStatus::Running] {
            self.0[status as usize] = 0;
        }
        self
    }

    pub(crate) fn add(&mut self, status: TaskStatus) {
        self.0[status as usize] += 1;
    }

    pub(crate) fn shift(&mut self, from: TaskStatus, to: TaskStatus) {
        self.0[from as usize] = self.0[from as usize].saturating_sub(1);
        self.0[to as usize] += 1;
    }
}
