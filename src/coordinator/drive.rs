//! Who drives writer and committer in production: two threads, between which the committer goes back and forth.
//!
//! Where nothing else waits, the writer commits what it decided by itself: to wake another thread takes nearly as long as a sync.
//! Where there is more to decide, it lends the committer to the other thread, and decides the next turn while this one is synced;
//! that one stays open until the committer is back.

use super::commit::{Committer, Outcome};
use super::{Failed, TURN_MESSAGES_MAX, Turn, Writer};
use crate::exchange::Inbound;
use crossbeam_channel::{Receiver, RecvTimeoutError, Select, Sender, bounded};
use std::time::Duration;
use tokio::sync::watch;

/// The writer's thread.
pub(super) struct Driver {
    writer: Writer,
    messages: Receiver<Inbound>,
    /// Missing while it is lent.
    committer: Option<Committer>,
    lend: Sender<(Committer, Turn)>,
    back: Receiver<Committer>,
    ended: watch::Sender<Option<Outcome>>,
}

/// The thread that commits while the writer decides.
pub(super) struct Borrower {
    lent: Receiver<(Committer, Turn)>,
    back: Sender<Committer>,
}

/// It can not go on: either the writer has said why, or the committer.
struct Ended;

impl Driver {
    pub(super) fn new(writer: Writer, committer: Committer, messages: Receiver<Inbound>) -> (Self, Borrower) {
        let (lend, lent) = bounded(1);
        let (give_back, back) = bounded(1);
        let ended = committer.ended();
        let driver = Self { writer, messages, committer: Some(committer), lend, back, ended };
        (driver, Borrower { lent, back: give_back })
    }

    /// Until the last turn, or until something fails. Unless that was the disk, the log is closed in order.
    pub(super) fn run(mut self) {
        while matches!(self.turn(), Ok(false)) {}
        let Self { committer, lend, back, .. } = self;
        // Whoever has borrowed it gives it back, or ends.
        drop(lend);
        if let Some(committer) = committer.or_else(|| back.recv().ok()) {
            committer.finish();
        }
    }

    /// Waits for something to do, and does it; whether it was the last.
    fn turn(&mut self) -> Result<bool, Ended> {
        let first = match self.messages.recv_timeout(Duration::from_millis(self.writer.idle_ms())) {
            Ok(first) => Some(first),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return Err(Ended),
        };
        let mut turn = Turn::default();
        self.decide(&mut turn, first)?;
        if self.is_home() {
            self.committer.iter_mut().try_for_each(Committer::look_for_space).map_err(|_| Ended)?;
        }
        let mut last = turn.last;
        while !turn.is_empty() {
            turn = self.commit(turn)?;
            last |= turn.last;
        }
        Ok(last)
    }

    fn decide(&mut self, turn: &mut Turn, first: Option<Inbound>) -> Result<(), Ended> {
        self.writer.take(turn, first, &self.messages, TURN_MESSAGES_MAX).map_err(|bug| {
            tracing::error!(%bug, "the writer stops");
            self.ended.send_replace(Some(Outcome::Failed(Failed(bug.to_string()))));
            Ended
        })
    }

    /// Whether the committer is here.
    fn is_home(&mut self) -> bool {
        if self.committer.is_none() {
            self.committer = self.back.try_recv().ok();
        }
        self.committer.is_some()
    }

    /// Commits a turn or has it committed; it comes back, perhaps with more in it, while the committer is away.
    fn commit(&mut self, turn: Turn) -> Result<Turn, Ended> {
        if !self.is_home() {
            return self.wait(turn);
        }
        let Some(mut committer) = self.committer.take() else { return Ok(turn) };
        if turn.last || self.messages.is_empty() {
            committer.take(turn).map_err(|_| Ended)?;
            self.committer = Some(committer);
        } else {
            self.lend.send((committer, turn)).map_err(|_| Ended)?;
        }
        Ok(Turn::default())
    }

    /// Waits for the committer; what comes before may share the turn's commit.
    fn wait(&mut self, mut turn: Turn) -> Result<Turn, Ended> {
        let mut select = Select::new();
        let back = select.recv(&self.back);
        if self.writer.may_join(&turn, TURN_MESSAGES_MAX) {
            select.recv(&self.messages);
        }
        let ready = select.select();
        if ready.index() == back {
            self.committer = Some(ready.recv(&self.back).map_err(|_| Ended)?);
        } else {
            let inbound = ready.recv(&self.messages).map_err(|_| Ended)?;
            self.decide(&mut turn, Some(inbound))?;
        }
        Ok(turn)
    }
}

impl Borrower {
    /// Until nobody lends any more, or the disk fails: then the committer is not given back.
    pub(super) fn run(self) {
        for (mut committer, turn) in self.lent {
            if committer.take(turn).is_err() || self.back.send(committer).is_err() {
                return;
            }
        }
    }
}
