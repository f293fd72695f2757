//! The ends of the coordinator's process, what happens to its disk meanwhile, and its coming back.

use super::blow::{Blow, CLOSE, START};
use super::faults::Fault;
use super::marks::Phase;
use super::node::Node;
use super::world::World;
use crate::coordinator::Parts;
use everlog_replay::{Envelope, Event, Seq};
use everlog_storage::CrashPlan;

/// How the name of a file of the disk begins.
const PLACE: &str = "memory:/";

impl World {
    /// The last turn is committed: everybody is told, the log is closed, a snapshot makes the next start quick.
    pub(super) fn close(&mut self) {
        let Some(node) = self.node.take() else { return };
        let Node { core, sessions, .. } = node;
        let aim = self.around.aim(&self.disk, &CLOSE);
        core.committer.finish();
        sessions.poll(self.around.now, &mut self.around.random);
        let parts = Parts { store: core.store, snapshots: Some(core.snapshots) };
        let closed = parts.close(&core.shared.state.read());
        let blow = self.around.fallen(&self.disk, aim);
        assert!(blow.is_some() || closed.is_ok(), "a coordinator that ends in order can not: {closed:?}");
        sessions.die();
        if !self.suffer(blow) {
            self.fall("it ended in order");
        }
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
        if self.around.draws(Fault::SnapshotsDeleted) && super::rot::delete_snapshots(&self.disk) {
            self.around.struck(Fault::SnapshotsDeleted);
        }
        if self.around.draws(Fault::RotSnapshot) && super::rot::flip(&self.disk, "snapshots/", &mut self.around.random)
        {
            self.around.struck(Fault::RotSnapshot);
        }
    }

    pub(super) fn start_when_due(&mut self) {
        if self.start_at > self.around.now {
            return;
        }
        if self.around.draws(Fault::RotLog) {
            self.start_on_a_damaged_log();
        }
        self.around.audit.disk_failed = false;
        let aim = self.around.aim(&self.disk, &START);
        let started = Node::start(self.disk_of(&self.disk), &self.swarm, &self.outside);
        let blow = self.around.fallen(&self.disk, aim);
        if self.suffer(blow) {
            return;
        }
        if blow == Some(Blow::Unread) {
            let refused = started.as_ref().err();
            assert!(refused.is_none_or(|fault| fault.contains(PLACE)), "no place is named: {refused:?}");
            self.around.marks.hit(if refused.is_some() { "unread refused" } else { "unread passed over" });
        }
        match started {
            Ok(node) => self.rise(node),
            Err(fault) => {
                let may = blow.is_some() || self.full_until != 0 && is_full(&fault);
                assert!(may, "the coordinator always comes back, and now it says: {fault}");
                self.fall("it could not start");
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
        self.around.audit.forget_after(same as Seq);
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
        // Not that of the page cache: a sync that failed may have dropped what was to be written.
        let anchored = super::rot::anchored(&damaged);
        if !super::rot::flip_log(&damaged, &mut self.around.random) {
            return;
        }
        self.around.struck(Fault::RotLog);
        let before = damaged.files();
        match Node::start(self.disk_of(&damaged), &self.swarm, &self.outside) {
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
