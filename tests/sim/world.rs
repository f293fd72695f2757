//! The world of one seed: a coordinator that dies and comes back, agents, hosts, and what befalls them all.

use super::agent::Agent;
use super::audit::Audit;
use super::blow::{ANSWERS, COMMIT, SCRUB, SNAPSHOT};
use super::clock::Hands;
use super::disk::{SimDisk, with_meanwhile};
use super::faults::{Fault, Rates};
use super::host::Host;
use super::ledger::Ledger;
use super::marks::{Marks, Phase};
use super::node::{Node, Outside};
use super::peer::{Around, Peer};
use super::random::Random;
use super::swarm::Swarm;
use super::trace::Trace;
use crate::exchange::Message;
use everlog_replay::spec::Settings;
use everlog_replay::{Event, Seq, State};
use everlog_storage::MemoryDisk;
use parking_lot::Mutex;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Turns between two comparisons of the whole state with its replay; what a turn touched is compared at once.
const WHOLE_EVERY: u64 = 50;
/// Events between two replays from the first event on, beside those at every start.
const REPLAY_EVERY: Seq = 1_000;
/// Milliseconds between two syncs of the anchor, as the product's keeper has it.
const ANCHOR_EVERY_MS: u64 = 250;
/// How often a full disk is looked at for space.
const SPACE_EVERY_MS: u64 = 1_000;

/// See the module.
pub(super) struct World {
    pub(super) around: Around,
    pub(super) swarm: Swarm,
    pub(super) outside: Outside,
    pub(super) disk: MemoryDisk,
    /// The disk lies about its syncs.
    pub(super) canary: bool,
    pub(super) node: Option<Node>,
    pub(super) ledger: Ledger,
    /// The state that follows from the records, one by one.
    pub(super) shadow: State,
    pub(super) agents: Vec<Agent>,
    pub(super) hosts: Vec<Host>,
    /// When the coordinator is started again, while it is down.
    pub(super) start_at: u64,
    writer_stalls_until: u64,
    committer_stalls_until: u64,
    pub(super) full_until: u64,
    anchor_at: u64,
    space_at: u64,
    turns: u64,
    pub(super) starts: u64,
    pub(super) crashes: u64,
}

impl World {
    pub(super) fn new(seed: u64, without: &BTreeSet<Fault>, aloud: bool) -> Self {
        let mut random = Random::new(seed);
        let swarm = Swarm::draw(seed, without);
        let ids = Arc::new(Mutex::new(Random::new(random.next())));
        let mut around = Around {
            random,
            rates: swarm.rates.clone(),
            marks: Marks::default(),
            trace: Trace::new(aloud),
            audit: Audit::default(),
            reads: Default::default(),
            phase: Phase::Down,
            now: 0,
            overheard: Default::default(),
        };
        let agents = (0..swarm.agents).map(|nth| Agent::new(nth, &mut around)).collect();
        let hosts = (0..swarm.hosts).map(|_| Host::new(&mut around)).collect();
        let outside = Outside { hands: Hands::new(), ids, now: Rc::new(Cell::new(0)), durable: Rc::new(Cell::new(0)) };
        Self {
            around,
            swarm,
            outside,
            disk: MemoryDisk::new(),
            canary: false,
            node: None,
            ledger: Ledger::default(),
            shadow: State::default(),
            agents,
            hosts,
            start_at: 0,
            writer_stalls_until: 0,
            committer_stalls_until: 0,
            full_until: 0,
            anchor_at: 0,
            space_at: 0,
            turns: 0,
            starts: 0,
            crashes: 0,
        }
    }

    /// A world that has a bug: its disk lies about its syncs.
    pub(super) fn with_canary(seed: u64) -> Self {
        Self { canary: true, ..Self::new(seed, &BTreeSet::new(), false) }
    }

    /// The disk, as the process sees it.
    pub(super) fn disk_of(&self, disk: &MemoryDisk) -> SimDisk {
        SimDisk { disk: disk.clone(), reads: self.around.reads.clone(), lies: self.canary }
    }

    /// The whole story: first everything goes wrong, then everything heals and all work has to end.
    pub(super) async fn run(&mut self) {
        for step in 0..self.swarm.steps {
            if step == self.swarm.steps / 2 && self.crashes == 0 {
                self.around.struck(Fault::PowerCut);
                self.power_cut();
            }
            self.step().await;
        }
        self.heal().await;
    }

    async fn step(&mut self) {
        let random = &mut self.around.random;
        let pace = self.swarm.pace_ms;
        let passed = match random.below(100) {
            0 => random.between(pace, pace * 50),
            1..=49 => random.between(0, 3),
            _ => random.between(0, pace),
        };
        self.pass(passed).await;
        let mut parts: [fn(&mut Self); 6] =
            [Self::agents, Self::hosts, Self::poll, Self::write, Self::commit, Self::chores];
        self.around.random.shuffle(&mut parts);
        for part in parts {
            part(self);
        }
        if self.around.phase != Phase::Healing {
            self.misfortunes();
        }
    }

    async fn pass(&mut self, ms: u64) {
        self.outside.hands.advance(ms);
        tokio::time::advance(Duration::from_millis(ms)).await;
        self.look_at_the_clock();
    }

    fn look_at_the_clock(&mut self) {
        let now = self.outside.hands.now();
        (self.around.now, self.around.trace.now) = (now, now);
        self.outside.now.set(now);
    }

    fn agents(&mut self) {
        let mut order: Vec<usize> = (0..self.agents.len()).collect();
        self.around.random.shuffle(&mut order);
        for nth in order {
            if !self.around.random.percent(40) {
                continue;
            }
            let agent = &mut self.agents[nth];
            admit(&mut agent.peer, &mut self.node, &self.outside, self.around.now);
            agent.act(&mut self.around);
        }
    }

    fn hosts(&mut self) {
        let wanted: u64 = self.hosts.iter().map(|host| host.wanted).sum();
        let more = wanted < self.swarm.tasks && self.around.phase != Phase::Healing;
        for host in &mut self.hosts {
            admit(&mut host.peer, &mut self.node, &self.outside, self.around.now);
            if self.around.phase == Phase::Healing {
                host.attend(&mut self.around);
            } else {
                host.act(more, &mut self.around);
            }
        }
    }

    /// The sessions go on, and what they wrote is looked at before it goes on its way.
    fn poll(&mut self) {
        let Some(node) = &self.node else { return };
        let aim = self.around.aim(&self.disk, &ANSWERS);
        node.sessions.poll(self.around.now, &mut self.around.random);
        self.around.fallen(&self.disk, aim);
        self.inspect();
    }

    fn inspect(&mut self) {
        let Some(node) = &self.node else { return };
        let around = &mut self.around;
        for (connection, line) in node.sessions.lines() {
            let mut wire = line.borrow_mut();
            for (said, durable) in std::mem::take(&mut wire.fresh) {
                around.audit.left(&mut wire, &said, durable, &self.ledger.book, &mut around.marks);
                if let super::wire::Said::Frame(frame) = &said {
                    let text = |value: &serde_json::Value| value.as_str().unwrap_or("").to_owned();
                    let (method, code, id) = (text(&frame["method"]), &frame["error"]["code"], text(&frame["id"]));
                    let task = text(&frame["params"]["task_id"]);
                    around.trace.note(&format!("to {connection}: {method}{code} {id}{task}"));
                }
                let due = around.now + around.random.between(0, 5);
                wire.forward(due, said);
            }
        }
    }

    fn write(&mut self) {
        let now = self.around.now;
        let Some(node) = self.node.as_mut().filter(|_| self.writer_stalls_until <= now) else { return };
        let records = node.decide(now, self.swarm.batch);
        let envelopes = if records.is_empty() { Vec::new() } else { self.ledger.enter(records) };
        self.around.audit.refused(node.refused(), &envelopes, &self.ledger);
        if envelopes.is_empty() {
            return;
        }
        let waiting = node.waiting();
        let state = node.core.shared.state.read();
        for envelope in &envelopes {
            self.around.marks.event(&envelope.event);
            self.around.audit.follows(envelope);
            self.around.trace.event(envelope);
            if let Event::AgentLost(lost) = &envelope.event
                && let Ok(agent) = state.agent(&lost.agent)
            {
                let silent_ms = node.sessions.silent_ms(agent.connection, now);
                super::check::silence(agent, waiting.contains(&agent.connection), silent_ms, state.settings.lease_ms);
            }
        }
        super::check::follow(&mut self.shadow, &state, &envelopes);
        // On a full disk nothing new is begun.
        let laws = if node.core.writer.full { super::check::standing } else { super::check::laws };
        laws(&state);
        self.turns += 1;
        let is_replayed = envelopes.iter().any(|envelope| envelope.seq.is_multiple_of(REPLAY_EVERY));
        if is_replayed {
            self.shadow = self.ledger.replay();
        }
        if is_replayed || self.turns.is_multiple_of(WHOLE_EVERY) {
            super::check::whole(&self.ledger, &self.shadow, &state);
        }
    }

    fn commit(&mut self) {
        let now = self.around.now;
        let Some(node) = self.node.as_mut().filter(|_| self.committer_stalls_until <= now) else { return };
        let Some(turn) = node.decided.take() else { return };
        let (last, frame_last) = (turn.last, turn.frame.last());
        let aim = self.around.aim(&self.disk, &COMMIT);
        let (sessions, mut random) = (node.sessions.clone(), Random::new(self.around.random.next()));
        let committer = &mut node.core.committer;
        let done = with_meanwhile(move || sessions.poll(now, &mut random), || committer.take(turn));
        let blow = self.around.fallen(&self.disk, aim);
        self.inspect();
        match done {
            Ok(()) => {
                self.outside.durable.set(self.outside.durable.get().max(frame_last));
                self.around.note(&format!("durable {frame_last}"));
                if !self.suffer(blow) && last {
                    self.close();
                }
            }
            Err(failure) => {
                self.around.note(&format!("the coordinator ends: {failure}"));
                if super::life::is_full(&failure.to_string()) {
                    // Nothing of it was written; the log may say why it ends.
                    self.ledger.cut(self.outside.durable.get());
                }
                if !self.suffer(blow) {
                    self.kill();
                }
            }
        }
    }

    /// What is done beside the log: the anchor, snapshots, a look for space, the scrub.
    fn chores(&mut self) {
        let Some(node) = &mut self.node else { return };
        if self.anchor_at <= self.around.now {
            self.anchor_at = self.around.now + ANCHOR_EVERY_MS;
            node.core.committer.log.sync_anchor().unwrap_or_else(|fault| panic!("{fault}"));
        }
        if self.space_at <= self.around.now {
            self.space_at = self.around.now + SPACE_EVERY_MS;
            node.core.committer.look_for_space().unwrap_or_else(|fault| panic!("{fault}"));
            let (aim, waiting) = (self.around.aim(&self.disk, &SCRUB), node.core.messages.len());
            node.core.follower.scrub();
            let told = node.core.messages.len() > waiting;
            let blow = self.around.fallen(&self.disk, aim);
            assert!(told || blow.is_none(), "law 15: the scrub can not read the log, and nobody is told");
        }
        if self.around.random.percent(20) {
            let aim = self.around.aim(&self.disk, &SNAPSHOT);
            node.core.follower.look(self.outside.durable.get());
            let blow = self.around.fallen(&self.disk, aim);
            self.suffer(blow);
        }
    }

    fn misfortunes(&mut self) {
        let now = self.around.now;
        if self.around.strike(Fault::ClockJump) {
            let far = if self.around.random.percent(10) { 400_000_000_000 } else { 100_000 };
            let jump = self.around.random.between(0, 2 * far) as i64 - far as i64;
            self.outside.hands.jump(jump);
        }
        if self.around.strike(Fault::Suspend) {
            let ms = self.around.random.between(1_000, 900_000);
            self.outside.hands.advance(ms);
            self.look_at_the_clock();
        }
        if self.full_until != 0 && self.full_until <= now {
            self.full_until = 0;
            self.disk.set_capacity(None);
        }
        if self.node.is_none() {
            return self.start_when_due();
        }
        if self.around.strike(Fault::WriterStalls) {
            self.writer_stalls_until = now + self.around.random.between(10, 20_000);
        }
        if self.around.strike(Fault::CommitterStalls) {
            self.committer_stalls_until = now + self.around.random.between(10, 5_000);
        }
        if self.around.random.percent(1) {
            let (cpu, memory) = (self.around.random.between(0, 20_000) as u32, self.around.random.between(0, 4 << 20));
            self.hand_in(Message::Load { cpu, memory });
        }
        if self.around.random.below(500) == 0 {
            // The term of a lease is settled at a start.
            let lease_ms = self.swarm.settings.lease_ms;
            self.swarm.settings = Settings { lease_ms, ..super::swarm::settings(&mut self.around.random) };
            self.hand_in(Message::Configure { settings: self.swarm.settings.clone() });
        }
        if self.around.strike(Fault::DiskFull) {
            self.disk.set_capacity(Some(self.disk.used() + self.around.random.between(0, 40_000) as usize));
            self.full_until = now + self.around.random.between(100, 10_000);
        }
        if self.around.strike(Fault::Drain) {
            self.hand_in(Message::Drain { reason: "it was asked to".to_owned() });
        }
        if self.around.strike(Fault::Kill) {
            self.kill();
        } else if self.around.strike(Fault::PowerCut) {
            self.power_cut();
        }
    }

    fn hand_in(&self, message: Message) {
        if let Some(node) = &self.node {
            node.hand_in(message);
        }
    }

    /// Nothing goes wrong any more, and everybody wants an end.
    async fn heal(&mut self) {
        self.around.note("healing");
        self.around.rates = Rates::none();
        self.disk.set_capacity(None);
        self.full_until = 0;
        (self.writer_stalls_until, self.committer_stalls_until) = (0, 0);
        if self.node.is_none() {
            self.start_at = 0;
            self.start_when_due();
        }
        self.around.phase = Phase::Healing;
        self.hand_in(Message::Load { cpu: 0, memory: 0 });
        super::healing::heal(self).await;
        // Once more from the log alone.
        self.around.struck(Fault::Kill);
        self.kill();
        if super::rot::delete_snapshots(&self.disk) {
            self.around.struck(Fault::SnapshotsDeleted);
        }
        self.start_at = 0;
        self.start_when_due();
    }

    /// Time passes, and everybody does what is to be done.
    pub(super) async fn quiet_step(&mut self, ms: u64) {
        self.pass(ms).await;
        if self.node.is_none() {
            self.start_when_due();
        }
        for part in [Self::agents, Self::hosts, Self::poll, Self::write, Self::commit, Self::chores, Self::poll] {
            part(self);
        }
    }
}

/// Whoever wants to connect does, while the coordinator lets anybody in.
fn admit(peer: &mut Peer, node: &mut Option<Node>, outside: &Outside, now: u64) {
    if peer.line.is_none()
        && peer.connect_at <= now
        && let Some(node) = node.as_mut().filter(|node| !node.is_last)
    {
        node.connect(&peer.connect(now), outside);
    }
}
