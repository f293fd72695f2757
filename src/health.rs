//! Whether the coordinator is alive and ready. Told without a lock: a probe is answered while a turn is long, and a writer that
//! hangs is just what it has to find.

use everlog_replay::Seq;
use serde::Serialize;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use tokio::sync::watch;

/// A writer that has not come round for so long hangs, in milliseconds: it comes round four times a second, its longest turns take
/// a second or two, and a disk may make it wait.
const WRITER_SILENCE_MAX_MS: i64 = 30_000;
/// A disk that has not confirmed an event for so long is not fit for more of them, in milliseconds.
const DISK_SILENCE_MAX_MS: i64 = 10_000;

/// The writer's signs of life; times are monotonic, in milliseconds.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    seq: AtomicU64,
    decided_ms: AtomicI64,
    turned_ms: AtomicI64,
}

impl Pulse {
    /// The writer has taken a turn, with events up to `decided` if there were any.
    pub(crate) fn turned(&self, decided: Option<Seq>, now_ms: i64) {
        if let Some(seq) = decided {
            self.seq.store(seq, Ordering::Release);
            self.decided_ms.store(now_ms, Ordering::Release);
        }
        self.turned_ms.store(now_ms, Ordering::Release);
    }
}

/// What the server is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It reads its log.
    Starting,
    /// It lets clients in.
    Open,
    /// It is about to end.
    Draining,
}

/// What a probe is told.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Health {
    /// `ok` or `unavailable`.
    pub status: &'static str,
    /// Why not, with the next step.
    pub reason: Option<String>,
    /// The newest event.
    pub seq: Seq,
    /// The newest event that is on the disk.
    pub durable_seq: Seq,
    /// Of the program.
    pub version: &'static str,
    /// Since the process began to listen, in seconds.
    pub uptime_seconds: i64,
}

/// What there is to tell from.
#[derive(Clone, Copy)]
pub(crate) struct Vitals<'a> {
    pub phase: Phase,
    /// The writer, and what is on the disk; `None` while there is no coordinator.
    pub signs: Option<(&'a Pulse, &'a watch::Receiver<Seq>)>,
    /// Monotonic, in milliseconds.
    pub started_ms: i64,
    /// Monotonic, in milliseconds.
    pub now_ms: i64,
}

impl Vitals<'_> {
    /// Whether the process does its work; one that does not has to be started again.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn live(self) -> Result<(), String> {
        // Who drains has a deadline, and its writer ends before it does.
        let Some((pulse, durable)) = self.signs.filter(|_| self.phase == Phase::Open) else { return Ok(()) };
        if durable.has_changed().is_err() {
            return Err("the coordinator has failed, its log says why; start it again".to_owned());
        }
        let silent_ms = self.now_ms.saturating_sub(pulse.turned_ms.load(Ordering::Acquire));
        if silent_ms > WRITER_SILENCE_MAX_MS {
            let seconds = silent_ms / 1_000;
            return Err(format!("the writer hangs for {seconds} s; look at the disk, and start the coordinator again"));
        }
        Ok(())
    }

    /// Whether clients are served.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn ready(self) -> Result<(), String> {
        self.live()?;
        let Some((pulse, _)) = self.signs.filter(|_| self.phase == Phase::Open) else {
            let draining = self.phase == Phase::Draining;
            let reason = if draining { "the coordinator is about to end" } else { "the coordinator reads its log" };
            return Err(format!("{reason}; ask again in a moment"));
        };
        let waits_ms = self.now_ms.saturating_sub(pulse.decided_ms.load(Ordering::Acquire));
        let (seq, durable_seq) = self.seqs();
        if seq > durable_seq && waits_ms > DISK_SILENCE_MAX_MS {
            let seconds = waits_ms / 1_000;
            return Err(format!("the disk has not confirmed event {seq} for {seconds} s; look at the disk"));
        }
        Ok(())
    }

    /// The newest event, and the newest on the disk.
    fn seqs(self) -> (Seq, Seq) {
        let Some((pulse, durable)) = self.signs else { return (0, 0) };
        let durable = *durable.borrow();
        // The writer may be about to say what the disk has confirmed already.
        (pulse.seq.load(Ordering::Acquire).max(durable), durable)
    }

    /// The answer to a probe that asked for `outcome`.
    pub(crate) fn health(self, outcome: Result<(), String>) -> Health {
        let (seq, durable_seq) = self.seqs();
        Health {
            status: if outcome.is_ok() { "ok" } else { "unavailable" },
            reason: outcome.err(),
            seq,
            durable_seq,
            version: env!("CARGO_PKG_VERSION"),
            uptime_seconds: self.now_ms.saturating_sub(self.started_ms) / 1_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A coordinator at second 100 whose newest event, decided at second 100, is 7.
    fn examine<T>(phase: Phase, durable: Seq, at_s: i64, look: impl FnOnce(Vitals<'_>) -> T) -> T {
        let pulse = Pulse::default();
        pulse.turned(Some(7), 100_000);
        let (_disk, durable) = watch::channel(durable);
        look(Vitals { phase, signs: Some((&pulse, &durable)), started_ms: 90_000, now_ms: at_s * 1_000 })
    }

    #[test]
    fn who_is_well_says_so() {
        let health = examine(Phase::Open, 7, 101, |vitals| vitals.health(vitals.ready()));
        assert_eq!(
            serde_json::to_value(health).unwrap(),
            serde_json::json!({"status": "ok", "reason": null, "seq": 7, "durable_seq": 7,
                "version": env!("CARGO_PKG_VERSION"), "uptime_seconds": 11})
        );
    }

    #[test]
    fn before_and_after_it_lives_and_is_not_ready() {
        for (phase, reason) in [(Phase::Starting, "reads its log"), (Phase::Draining, "about to end")] {
            // However long it takes, and whoever has ended.
            let (live, ready) = examine(phase, 0, 9_000, |vitals| (vitals.live(), vitals.ready()));
            assert_eq!(live, Ok(()));
            assert!(ready.unwrap_err().contains(reason));
        }
    }

    #[test]
    fn a_disk_that_confirms_nothing_is_told_after_a_while() {
        assert_eq!(examine(Phase::Open, 6, 110, |vitals| vitals.ready()), Ok(()));
        let ready = examine(Phase::Open, 6, 111, |vitals| vitals.ready()).unwrap_err();
        assert_eq!(ready, "the disk has not confirmed event 7 for 11 s; look at the disk");
        assert_eq!(examine(Phase::Open, 6, 111, |vitals| vitals.live()), Ok(()));
    }

    #[test]
    fn a_writer_that_hangs_or_has_ended_is_told() {
        assert_eq!(examine(Phase::Open, 7, 130, |vitals| vitals.live()), Ok(()));
        assert!(
            examine(Phase::Open, 7, 131, |vitals| vitals.live()).unwrap_err().starts_with("the writer hangs for 31 s")
        );
        let (disk, durable) = watch::channel(7);
        drop(disk);
        let pulse = Pulse::default();
        let vitals = Vitals { phase: Phase::Open, signs: Some((&pulse, &durable)), started_ms: 0, now_ms: 0 };
        assert!(vitals.live().unwrap_err().contains("failed") && vitals.ready().is_err());
    }
}
