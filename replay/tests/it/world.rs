//! A coordinator without a shell: what it does in a turn, and nothing else.

use everlog_replay::spec::Settings;
use everlog_replay::state::Repeat;
use everlog_replay::{
    Actor, Command, Envelope, Refusal, RequestKey, Seq, Stamp, State, Timestamp, apply, decide, plan,
};
use std::ops::Range;

/// Where log time begins in tests: 2026-01-01T00:00:00Z.
pub(crate) const EPOCH: Timestamp = Timestamp(1_767_225_600_000_000);

/// The live state and the log that it came from.
pub(crate) struct World {
    pub state: State,
    pub log: Vec<Envelope>,
    pub now: Timestamp,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Done(Range<usize>),
    Repeated(Repeat),
    Refused { refusal: Refusal, recorded: bool },
}

impl World {
    pub(crate) fn empty() -> Self {
        Self { state: State::default(), log: Vec::new(), now: EPOCH }
    }

    pub(crate) fn new(settings: Settings) -> Self {
        let mut world = Self::empty();
        let start = Command::StartCoordinator { version: "0.1.0".to_owned(), settings };
        world.turn(Actor::Coordinator, None, &start);
        world
    }

    /// One turn: a command, then the plan to its fixed point.
    pub(crate) fn turn(&mut self, actor: Actor, request: Option<RequestKey>, command: &Command) -> Answer {
        let answer = self.give(actor, request, command);
        self.settle();
        answer
    }

    fn give(&mut self, actor: Actor, request: Option<RequestKey>, command: &Command) -> Answer {
        let stamp = Stamp { at: self.now, actor, cause: 0, request, altered: false };
        match self.state.answered(&stamp) {
            Ok(Some(repeat)) => return Answer::Repeated(repeat),
            Ok(None) => {}
            Err(refusal) => return self.refuse(refusal, actor),
        }
        match decide(&self.state, command, &stamp) {
            Ok(events) => Answer::Done(self.append(events, &stamp)),
            Err(refusal) => self.refuse(refusal, actor),
        }
    }

    /// A refused operation is on record as well, as far as its actor's bucket has room.
    fn refuse(&mut self, refusal: Refusal, actor: Actor) -> Answer {
        let record =
            Command::RecordRefusal { method: "test".to_owned(), code: refusal.code(), message: refusal.to_string() };
        let stamp = Stamp { at: self.now, actor, cause: 0, request: None, altered: false };
        let events = decide(&self.state, &record, &stamp).expect("a refusal can be recorded");
        let recorded = !self.append(events, &stamp).is_empty();
        Answer::Refused { refusal, recorded }
    }

    fn append(&mut self, events: Vec<everlog_replay::Event>, stamp: &Stamp) -> Range<usize> {
        let begin = self.log.len();
        let mut first: Option<Seq> = None;
        for event in events {
            let envelope = self.state.seal(event, stamp, first);
            first = first.or(Some(envelope.seq));
            apply(&mut self.state, &envelope).unwrap_or_else(|illegal| panic!("{illegal}: {:?}", envelope.event));
            self.log.push(envelope);
        }
        begin..self.log.len()
    }

    /// The scheduler's part of a turn. It may not refuse itself, and it comes to an end.
    pub(crate) fn settle(&mut self) {
        let rounds_max = 16 + 8 * self.state.tasks.len() + self.state.pipelines.len();
        for _ in 0..rounds_max {
            let wanted = plan(&self.state, self.now);
            if wanted.is_empty() {
                return;
            }
            for command in wanted {
                let stamp = Stamp {
                    at: self.now,
                    actor: Actor::Scheduler,
                    cause: self.state.seq,
                    request: None,
                    altered: false,
                };
                let events = decide(&self.state, &command, &stamp);
                let events = events.unwrap_or_else(|refusal| panic!("the scheduler is refused {command:?}: {refusal}"));
                self.append(events, &stamp);
            }
        }
        panic!("the plan has no fixed point: it still wants {:?}", plan(&self.state, self.now));
    }

    /// The same world after a restart from a snapshot.
    pub(crate) fn reload(&mut self) {
        let mut bytes = Vec::new();
        self.state.save(&mut bytes).expect("a vector takes every byte");
        self.state = State::load(&bytes).expect("a snapshot just written can be read");
    }

    /// The state as the log alone gives it.
    pub(crate) fn replayed(&self) -> State {
        let mut state = State::default();
        state.begin_recovery();
        for envelope in &self.log {
            apply(&mut state, envelope).expect("what was live is legal");
        }
        state.end_recovery();
        state
    }
}
