//! What the two halves of a session know of each other: whose turn it is among the answers, what the agents behind the
//! connection hold, and whether the peer has spoken.
//!
//! Answers come back from the coordinator in the order of the requests. A request that never reached it (the inbox is full, too
//! many are in flight) is answered here, and must not overtake the answers before it: it waits aside until its turn has come.

use super::limits::{IN_FLIGHT_BYTES_MAX, IN_FLIGHT_MAX};
use axum::extract::ws::CloseFrame;
use everlog_replay::{AgentId, Refusal, TaskId};
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Notify;

/// Something that the session says by itself, in its place among the answers.
#[derive(Debug)]
pub(super) enum Aside {
    /// The answer to a request that did not reach the coordinator.
    Refuse {
        /// The request.
        id: String,
        /// Why.
        refusal: Refusal,
    },
    /// The end of the connection.
    Close(CloseFrame),
}

/// What the halves of one session share.
#[derive(Debug, Default)]
pub(super) struct Turns {
    order: Mutex<Order>,
    /// Attempts that were sent to agents of this connection and have not been answered, or that they brought along.
    held: Mutex<BTreeMap<TaskId, AgentId>>,
    /// Frames that the peer has sent.
    spoken: AtomicU64,
    /// For the sending half: something was put aside.
    aside: Notify,
    /// For the reading half: what was put aside has left.
    room: Notify,
    /// For the reading half: an answer has left.
    progress: Notify,
}

#[derive(Debug, Default)]
struct Order {
    asked: u64,
    answered: u64,
    /// Bytes of each request that is not answered, and of all.
    in_flight: VecDeque<usize>,
    in_flight_bytes: usize,
    /// What was put aside, each with the number of answers that leave before it.
    asides: VecDeque<(u64, Aside)>,
}

impl Order {
    fn ask(&mut self, bytes: usize) -> u64 {
        self.asked += 1;
        self.in_flight.push_back(bytes);
        self.in_flight_bytes += bytes;
        self.asked
    }

    fn answer(&mut self) {
        self.answered += 1;
        self.in_flight_bytes -= self.in_flight.pop_front().unwrap_or(0);
    }
}

impl Turns {
    /// A request of so many bytes was handed in; how many requests that makes.
    pub(super) fn asked(&self, bytes: usize) -> u64 {
        self.order.lock().ask(bytes)
    }

    /// Resolves when so many bytes more may be in flight. What is alone there is always let in.
    pub(super) async fn room_in_flight(&self, bytes: usize) {
        loop {
            let answered = self.progress.notified();
            let held = self.order.lock().in_flight_bytes;
            if held == 0 || held + bytes <= IN_FLIGHT_BYTES_MAX {
                return;
            }
            answered.await;
        }
    }

    /// Resolves when so many requests are answered.
    pub(super) async fn answered_up_to(&self, count: u64) {
        loop {
            let answered = self.progress.notified();
            if self.order.lock().answered >= count {
                return;
            }
            answered.await;
        }
    }

    /// Requests that are not answered yet.
    pub(super) fn in_flight(&self) -> u64 {
        let order = self.order.lock();
        order.asked.saturating_sub(order.answered)
    }

    /// Answers a request that was not handed in, when its turn has come.
    pub(super) fn refuse(&self, id: String, refusal: Refusal) {
        let mut order = self.order.lock();
        let before = order.asked;
        order.asides.push_back((before, Aside::Refuse { id, refusal }));
        order.ask(0);
        drop(order);
        self.aside.notify_one();
    }

    /// Ends the connection after the answers that are due.
    pub(super) fn close(&self, frame: CloseFrame) {
        let mut order = self.order.lock();
        let before = order.asked;
        order.asides.push_back((before, Aside::Close(frame)));
        drop(order);
        self.aside.notify_one();
    }

    /// An answer of the coordinator leaves.
    pub(super) fn answered(&self) {
        self.order.lock().answer();
        self.progress.notify_one();
    }

    /// What was put aside and has its turn now.
    pub(super) fn next_aside(&self) -> Option<Aside> {
        let mut order = self.order.lock();
        let (before, _) = order.asides.front()?;
        if *before > order.answered {
            return None;
        }
        let (_, aside) = order.asides.pop_front()?;
        if matches!(aside, Aside::Refuse { .. }) {
            order.answer();
        }
        drop(order);
        self.progress.notify_one();
        self.room.notify_one();
        Some(aside)
    }

    /// Resolves when something was put aside since the last time.
    pub(super) async fn aside(&self) {
        self.aside.notified().await;
    }

    /// Resolves when not too much is aside: a peer that reads no answers is not read either.
    pub(super) async fn room(&self) {
        while self.order.lock().asides.len() as u64 >= IN_FLIGHT_MAX {
            self.room.notified().await;
        }
    }

    /// The peer has sent a message.
    pub(super) fn spoke(&self) {
        self.spoken.fetch_add(1, Ordering::AcqRel);
    }

    /// Messages that the peer has sent.
    pub(super) fn spoken(&self) -> u64 {
        self.spoken.load(Ordering::Acquire)
    }

    /// An agent of this connection works on a task from here on.
    pub(super) fn hold(&self, task: TaskId, agent: AgentId) {
        self.held.lock().insert(task, agent);
    }

    /// It no longer does.
    pub(super) fn let_go(&self, task: TaskId) {
        self.held.lock().remove(&task);
    }

    /// An agent has left.
    pub(super) fn forget(&self, agent: &AgentId) {
        self.held.lock().retain(|_, holder| holder != agent);
    }

    /// Whether an agent of this connection works on something.
    pub(super) fn holds(&self) -> bool {
        !self.held.lock().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const LONG: Duration = Duration::from_secs(60);

    fn id_of(aside: Option<Aside>) -> Option<String> {
        match aside {
            Some(Aside::Refuse { id, .. }) => Some(id),
            Some(Aside::Close(_)) => Some("close".to_owned()),
            None => None,
        }
    }

    #[test]
    fn what_is_put_aside_leaves_in_its_turn() {
        let turns = Turns::default();
        turns.asked(1);
        turns.refuse("second".to_owned(), Refusal::Overloaded("full".to_owned()));
        turns.asked(1);
        turns.refuse("fourth".to_owned(), Refusal::Overloaded("full".to_owned()));
        turns.close(CloseFrame { code: 1000, reason: "".into() });
        assert_eq!(turns.in_flight(), 4);
        assert_eq!(id_of(turns.next_aside()), None);
        turns.answered();
        assert_eq!(id_of(turns.next_aside()).as_deref(), Some("second"));
        assert_eq!(id_of(turns.next_aside()), None, "the third is the coordinator's");
        turns.answered();
        assert_eq!(id_of(turns.next_aside()).as_deref(), Some("fourth"));
        assert_eq!(id_of(turns.next_aside()).as_deref(), Some("close"));
        assert_eq!((id_of(turns.next_aside()), turns.in_flight()), (None, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn who_awaits_no_answers_is_not_read() {
        let soon = |turns: &'static Turns| tokio::time::timeout(LONG, turns.room_in_flight(2));
        let turns: &'static Turns = Box::leak(Box::default());
        turns.room_in_flight(2 * IN_FLIGHT_BYTES_MAX).await;
        turns.asked(IN_FLIGHT_BYTES_MAX);
        turns.asked(1);
        assert!(soon(turns).await.is_err());
        let waiting = tokio::spawn(soon(turns));
        turns.answered();
        waiting.await.unwrap().unwrap();
        turns.refuse("third".to_owned(), Refusal::Overloaded("full".to_owned()));
        turns.answered();
        assert_eq!(id_of(turns.next_aside()).as_deref(), Some("third"));
        assert_eq!(turns.order.lock().in_flight_bytes, 0);
    }
}
