//! The ends of the coordinator's process, what happens to its disk meanwhile, and its coming back.

use super::disk::SimDisk;
use super::faults::Fault;
use super::marks::Phase;
use super::node::Node;
use super::world::{EIO, World};
use everlog_replay::{Envelope, Event, Seq};
use everlog_storage::{CrashPlan, FailPlan};

impl World {
    /// The last turn is committed: everybody is told, the log is closed, a snapshot makes the next start quick.
    pub(super) fn close(&mut self) {
        let Some(node) = self.node.take() else { return };
        let Node { core, sessions, .. } = node;
        core.committer.finish();
        sessions.poll(self.around.now, &mut self.around.random);
        let state = core.shared.state.read();
        // Without it the next start only takes longer.
        drop(core.snapshots.write(state.seq, |out| state.save(out)));
        drop(state);
        core.store.close();
        sessions.die();
        self.fall("it ended in order");
    }

    pub(super) fn kill(&mut self) {
        self.crashes += 1;
        self.node.take().inspect(|node| node.sessions.die());
        self.fall("killed");
    }

    pub(super) fn power_cut(&mut self) {
        self.crashes += 1;
        self.node.take().inspect(|node| node.sessions.die());
        self.lose_what_is_not_synced();
        self.fall("the power went");
    }

    fn lose_what_is_not_synced(&mut self) {
        let plan = match self.around.random.below(4) {
            0 => CrashPlan::Nothing,
            1 => CrashPlan::Subset((0..self.disk.pending()).map(|_| self.around.random.percent(50)).collect()),
            _ => CrashPlan::Torn(self.around.random.next()),
        };
        self.disk = self.disk.crash_image(&plan);
    }

    fn fall(&mut self, how: &str) {
        self.around.note(&format!("down: {how}, {} events decided", self.ledger.last()));
        self.start_at = self.around.now + self.around.random.between(0, 3_000);
        if self.around.phase != Phase::Healing {
            self.around.phase = Phase::Down;
            self.damage();
        }
    }

    /// What happens to files while nobody uses them, as far as it has to be harmless.
    fn damage(&mut self) {
        if self.around.strike(Fault::SnapshotsDeleted) {
            super::rot::delete_snapshots(&self.disk);
        }
        if self.around.strike(Fault::RotSnapshot) {
            super::rot::flip(&self.disk, "snapshots/", &mut self.around.random);
        }
    }

    pub(super) fn start_when_due(&mut self) {
        if self.start_at > self.around.now {
            return;
        }
        if self.around.strike(Fault::RotLog) {
            self.start_on_a_damaged_log();
        }
        let cut = self.around.phase != Phase::Healing && self.around.strike(Fault::CutInStart);
        if cut {
            let after = self.around.random.between(0, 30);
            self.disk.fail(Some(FailPlan { after, errno: EIO, forever: true }));
        }
        let started = Node::start(SimDisk(self.disk.clone()), &self.swarm, &self.outside);
        self.disk.fail(None);
        match started {
            Ok(node) if !cut => self.rise(node),
            Ok(_) => self.power_cut(),
            Err(_) if cut => self.power_cut(),
            Err(fault) => {
                let full = self.full_until != 0 && is_full(&fault);
                assert!(full, "the coordinator always comes back, and now it says: {fault}");
                self.fall("the disk is full");
            }
        }
    }

    /// It is back: everything that was acknowledged is there, and nothing that was never decided.
    fn rise(&mut self, node: Node) {
        let durable = self.outside.durable.get();
        let found = super::rot::records(&node);
        let state = node.core.shared.state.read();
        // The newest record says that it started.
        let (start, kept) = found.split_last().expect("a start is on record");
        let last = kept.len() as Seq;
        assert!(last >= durable, "law 1: {durable} events were durable, {last} are back");
        assert!(last >= self.around.audit.acknowledged, "law 1: an acknowledged event is lost");
        let same = kept.iter().zip(&self.ledger.records).take_while(|(found, known)| found == known).count();
        assert!(same as Seq >= durable, "law 1: event {} has changed, and {durable} were durable", same + 1);
        self.ledger.cut(same as Seq);
        for note in &kept[same..] {
            // Of a start that failed later on, or that the disk was full: nobody was told.
            let note = self.ledger.enter(vec![note.clone()]);
            let own = matches!(note[0].event, Event::CoordinatorStarted(_) | Event::CoordinatorStopped(_));
            assert!(own, "law 1: event {} is back, and nobody decided it", note[0].seq);
        }
        let envelopes: Vec<Envelope> = self.ledger.enter(vec![start.clone()]);
        envelopes.iter().for_each(|envelope| self.around.marks.event(&envelope.event));
        self.shadow = self.ledger.replay();
        super::check::whole(&self.ledger, &self.shadow, &state);
        super::check::laws(&state);
        self.outside.durable.set(self.ledger.last());
        drop(state);
        self.starts += 1;
        self.around.note(&format!("up: {} events", self.ledger.last()));
        if self.around.phase == Phase::Down {
            self.around.phase = Phase::Serving;
        }
        self.node = Some(node);
    }

    /// Either the damage is harmless, or it is refused and nothing is changed (law 15). Then the copy is put back.
    fn start_on_a_damaged_log(&mut self) {
        let damaged = self.disk.crash_image(&CrashPlan::Everything);
        super::rot::flip_log(&damaged, &mut self.around.random);
        let before = damaged.files();
        let anchored = super::rot::anchored(&self.disk);
        match Node::start(SimDisk(damaged.clone()), &self.swarm, &self.outside) {
            Err(refused) => {
                assert!(damaged.files() == before, "law 15: a refused opening changed the disk: {refused}");
                self.around.marks.hit("rot refused");
            }
            Ok(node) => {
                let durable = self.outside.durable.get();
                super::rot::harmless(&node, &self.ledger, durable, anchored, &mut self.around.marks);
            }
        }
    }
}

/// Whether a failure says that there was no room.
pub(super) fn is_full(fault: &str) -> bool {
    fault.contains("the disk is full")
}
