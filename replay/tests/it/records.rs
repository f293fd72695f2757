//! The log format: every kind of event survives its record, and no damage makes the decoder panic.

use everlog_replay::event::{self, AfterFailure, CancelReason, Choice, Event, FailureKind, ModelFigures};
use everlog_replay::event::{PauseRunning, RequeueReason};
use everlog_replay::spec::{
    Declared, OnFailure, PipelineOptions, Resources, RetryPolicy, Settings, Strategy, TaskSpec,
};
use everlog_replay::state::Counts;
use everlog_replay::{
    Actor, AgentId, Envelope, ErrorId, Json, PipelineId, RequestKey, State, TaskId, Timestamp, apply, codec,
};
use proptest::prelude::*;
use uuid::Uuid;

/// Arbitrary values from a seed (SplitMix64); the ends of every range come often.
struct Any(u64);

impl Any {
    fn u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let number = mixed ^ (mixed >> 31);
        // A third are small, a few are the ends.
        match number % 6 {
            0 | 1 => number >> 56,
            2 if number & 64 == 0 => u64::MAX,
            2 => 0,
            _ => number,
        }
    }

    fn u32(&mut self) -> u32 {
        self.u64() as u32
    }

    fn bool(&mut self) -> bool {
        self.u64() & 1 == 1
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.u64() as usize % of.len()]
    }

    fn maybe<T>(&mut self, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.bool().then(|| value(self))
    }

    fn many<T>(&mut self, value: impl Fn(&mut Self) -> T) -> Vec<T> {
        (0..self.u64() % 4).map(|_| value(self)).collect()
    }

    fn text(&mut self) -> String {
        let length = self.u64() % 40;
        (0..length).map(|_| char::from_u32(self.u32() % 0x1_1000).unwrap_or('ß')).collect()
    }

    fn json(&mut self) -> Json {
        Json::from(self.text())
    }

    fn uuid(&mut self) -> Uuid {
        Uuid::from_u64_pair(self.u64(), self.u64())
    }

    fn task(&mut self) -> TaskId {
        TaskId(self.uuid())
    }

    fn pipeline(&mut self) -> PipelineId {
        PipelineId(self.uuid())
    }

    fn agent(&mut self) -> AgentId {
        AgentId::from(self.text().as_str())
    }

    fn time(&mut self) -> Timestamp {
        Timestamp(self.u64() as i64)
    }

    fn strategy(&mut self) -> Strategy {
        self.one(&Strategy::ALL)
    }

    fn on_failure(&mut self) -> OnFailure {
        self.one(&[OnFailure::Fail, OnFailure::Continue, OnFailure::SkipDownstream])
    }

    fn resources(&mut self) -> Resources {
        Resources { cpu: self.u32(), memory: self.u64(), gpu: self.u32() }
    }

    fn retry(&mut self) -> RetryPolicy {
        RetryPolicy {
            attempts: self.u32(),
            backoff_ms: self.u64(),
            factor_milli: self.u32(),
            backoff_max_ms: self.u64(),
            not_on: self.many(Self::text),
        }
    }

    fn spec(&mut self) -> TaskSpec {
        TaskSpec {
            capabilities: self.many(Self::text).into(),
            priority: self.u32() as i32,
            demand: self.resources(),
            weight_milli: self.u32(),
            estimate_ms: self.maybe(Self::u64),
            timeout_ms: self.maybe(Self::u64),
            retry: self.retry(),
            on_failure: self.on_failure(),
        }
    }

    fn options(&mut self) -> PipelineOptions {
        PipelineOptions {
            strategy: self.strategy(),
            concurrent_max: self.u32(),
            timeout_ms: self.maybe(Self::u64),
            retry: self.retry(),
            on_failure: self.on_failure(),
        }
    }

    fn settings(&mut self) -> Settings {
        Settings {
            strategy: self.strategy(),
            concurrent_max: self.u32(),
            timeout_ms: self.maybe(Self::u64),
            retry_attempts: self.u32(),
            limits: self.resources(),
            lease_ms: self.u64(),
            ended_kept: self.u32(),
        }
    }

    fn then(&mut self) -> AfterFailure {
        let not_before = self.time();
        self.one(&[AfterFailure::Retry { not_before }, AfterFailure::Final, AfterFailure::Quarantined])
    }

    fn cancel_reason(&mut self) -> CancelReason {
        let upstream = self.task();
        self.one(&[
            CancelReason::Requested,
            CancelReason::PipelineStopped,
            CancelReason::PipelineFailed,
            CancelReason::Skipped { upstream },
        ])
    }

    fn envelope(&mut self, event: Event) -> Envelope {
        let connection = Actor::Connection(self.u64());
        Envelope {
            seq: self.u64(),
            at: self.time(),
            actor: self.one(&[Actor::Coordinator, Actor::Scheduler, connection]),
            cause: self.u64(),
            run_seq: self.u64(),
            request: self.maybe(|any| RequestKey { id: any.text(), body: [any.u64() as u8; 16] }),
            altered: self.bool(),
            event,
        }
    }

    /// An event of each kind, in the order of [`Event::KINDS`].
    fn of_every_kind(&mut self) -> Vec<Event> {
        let mut events = self.of_coordinator_and_pipelines();
        events.extend(self.of_tasks());
        events.extend(self.of_agents_and_registers());
        events
    }

    fn of_coordinator_and_pipelines(&mut self) -> Vec<Event> {
        vec![
            event::CoordinatorStarted { version: self.text(), settings: self.settings() }.into(),
            event::CoordinatorStopped { reason: self.text() }.into(),
            event::ConnectionOpened { connection: self.u64(), peer: self.text() }.into(),
            event::OperationsObserved {
                bucket: self.time(),
                connection: self.u64(),
                method: self.text(),
                count: self.u64(),
                refused: self.u64(),
            }
            .into(),
            event::OperationRefused { method: self.text(), code: self.u32() as i32, message: self.text() }.into(),
            event::MachineLoadObserved {
                cpu: self.u32(),
                memory: self.u64(),
                over_cpu: self.bool(),
                over_memory: self.bool(),
            }
            .into(),
            event::CoordinatorConfigured { settings: self.settings() }.into(),
            event::PipelineCreated {
                pipeline: self.pipeline(),
                name: self.text(),
                options: self.options(),
                config: self.json(),
            }
            .into(),
            event::PipelineStarted { pipeline: self.pipeline(), mode: self.strategy() }.into(),
            event::PipelinePaused {
                pipeline: self.pipeline(),
                running: self.one(&[PauseRunning::Finish, PauseRunning::Cancel]),
            }
            .into(),
            event::PipelineResumed { pipeline: self.pipeline() }.into(),
            event::PipelineStopped {
                pipeline: self.pipeline(),
                reason: self.text(),
                counts: Counts([self.u64(), self.u64(), self.u64(), self.u64(), self.u64(), self.u64()]),
                ended_it: self.bool(),
            }
            .into(),
            event::PipelineCompleted { pipeline: self.pipeline() }.into(),
            event::PipelineFailed { pipeline: self.pipeline(), error: self.text() }.into(),
            event::PipelineDeleted { pipeline: self.pipeline(), name: self.text() }.into(),
            event::ModeChosen {
                pipeline: self.pipeline(),
                mode: self.strategy(),
                ready: self.u32(),
                over_limit: self.bool(),
            }
            .into(),
            event::TasksExpected { pipeline: self.pipeline(), tasks: self.u32() }.into(),
        ]
    }

    fn of_tasks(&mut self) -> Vec<Event> {
        vec![
            event::TaskCreated {
                task: self.task(),
                pipeline: self.maybe(Self::pipeline),
                name: self.text(),
                spec: self.spec().into(),
                depends_on: self.many(Self::task),
                config: self.json(),
                retry_of: self.maybe(Self::task),
            }
            .into(),
            event::TaskAssigned {
                task: self.task(),
                agent: self.agent(),
                attempt: self.u32(),
                lease_until: self.time(),
                timeout_at: self.maybe(Self::time),
                mode: self.strategy(),
                choice: self.one(&[
                    Choice::Requested,
                    Choice::OnlyCandidate,
                    Choice::HighestScore,
                    Choice::LeastLoaded,
                ]),
                score_milli: self.u32(),
                candidates: self.u32(),
            }
            .into(),
            event::TaskStarted { task: self.task(), attempt: self.u32() }.into(),
            event::TaskCompleted {
                task: self.task(),
                attempt: self.u32(),
                result: self.json(),
                output: self.maybe(Self::json),
            }
            .into(),
            event::TaskFailed {
                task: self.task(),
                agent: self.agent(),
                attempt: self.u32(),
                failure: self.one(&[FailureKind::Reported, FailureKind::Timeout, FailureKind::AgentLost]),
                message: self.text(),
                result: self.json(),
                then: self.then(),
            }
            .into(),
            event::TaskRequeued {
                task: self.task(),
                agent: self.agent(),
                attempt: self.u32(),
                reason: self.one(&[RequeueReason::NotNamed, RequeueReason::Unregistered, RequeueReason::Paused]),
            }
            .into(),
            event::TaskReleased { task: self.task() }.into(),
            event::TaskCancelled {
                task: self.task(),
                agent: self.maybe(Self::agent),
                reason: self.cancel_reason(),
                message: self.text(),
            }
            .into(),
            event::AssignmentConfirmed { task: self.task(), agent: self.agent(), attempt: self.u32() }.into(),
        ]
    }

    fn of_agents_and_registers(&mut self) -> Vec<Event> {
        let mut figures = ModelFigures::default();
        figures.bits.fill_with(|| self.maybe(Self::u64));
        vec![
            event::AgentRegistered {
                agent: self.agent(),
                name: self.text(),
                kind: self.text(),
                capabilities: self.many(Self::text),
                resources: Declared {
                    cpu: self.maybe(Self::u32),
                    memory: self.maybe(Self::u64),
                    gpu: self.maybe(Self::u32),
                },
                slots: self.u32(),
                connection: self.u64(),
                pid: self.maybe(Self::u32),
                stale: self.many(|any| (any.task(), any.u32())),
            }
            .into(),
            event::AgentDisconnected { agent: self.agent() }.into(),
            event::AgentLost { agent: self.agent(), silent_ms: self.u64() }.into(),
            event::AgentUnregistered { agent: self.agent() }.into(),
            event::MemorySet { key: self.text(), value: self.json() }.into(),
            event::MemoryDeleted { key: self.text(), existed: self.bool() }.into(),
            event::ErrorReported {
                error: ErrorId(self.uuid()),
                component: self.text(),
                error_type: self.text(),
                message: self.text(),
                task: self.maybe(Self::task),
                details: self.json(),
            }
            .into(),
            event::ErrorRecovered { error: ErrorId(self.uuid()), action: self.text(), retried: self.maybe(Self::task) }
                .into(),
            event::ModelReported { model: self.text(), figures: Box::new(figures), extra: self.json() }.into(),
            event::HookRecorded { task: self.maybe(Self::task), agent: self.maybe(Self::agent), body: self.json() }
                .into(),
        ]
    }
}

fn record(envelope: &Envelope) -> Vec<u8> {
    let mut record = Vec::new();
    codec::encode(envelope, &mut record).expect("it is short");
    record
}

#[test]
fn the_arbitrary_events_are_of_every_kind() {
    let found: Vec<(u16, &str)> = Any(1).of_every_kind().iter().map(|event| (event.kind(), event.name())).collect();
    let kinds: Vec<(u16, &str)> = Event::KINDS.iter().map(|(kind, _, name)| (*kind, *name)).collect();
    assert_eq!(found, kinds);
}

#[test]
fn a_record_of_a_newer_release_is_refused_by_name() {
    let mut bytes = record(&Any(1).envelope(event::CoordinatorStopped { reason: String::new() }.into()));
    bytes[2] = 9;
    let refused = codec::decode(&bytes).expect_err("schema 9 does not exist").to_string();
    assert!(refused.starts_with("event kind 2 with schema 9 is not known to this release"), "{refused}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_kind_survives_its_record(seed: u64) {
        let mut any = Any(seed);
        for event in any.of_every_kind() {
            let envelope = any.envelope(event);
            let bytes = record(&envelope);
            prop_assert_eq!(&codec::decode(&bytes).expect("it was just encoded"), &envelope);
            let raw = codec::split(&bytes).expect("it was just encoded");
            prop_assert_eq!((raw.kind, raw.seq, raw.run_seq), (envelope.event.kind(), envelope.seq, envelope.run_seq));
            prop_assert!(bytes.ends_with(raw.body));
        }
    }

    /// Cut and flipped records are errors or other events, never a panic; and so is folding what came out of them.
    #[test]
    fn damage_is_never_a_panic(seed: u64, at: prop::sample::Index, bit in 0..8u8) {
        let mut any = Any(seed);
        for event in any.of_every_kind() {
            let mut bytes = record(&any.envelope(event));
            let at = at.index(bytes.len());
            prop_assert!(codec::decode(&bytes[..at]).is_err(), "a record that lacks its end is none");
            bytes[at] ^= 1 << bit;
            let _ = codec::split(&bytes);
            if let Ok(envelope) = codec::decode(&bytes) {
                let _ = apply(&mut State::default(), &Envelope { seq: 1, ..envelope });
            }
        }
    }

    /// A log of arbitrary events is rejected somewhere, or folded; it does not bring the fold down.
    #[test]
    fn an_arbitrary_log_is_never_a_panic(seed: u64) {
        let mut any = Any(seed);
        let mut state = State::default();
        for event in any.of_every_kind() {
            let seq = state.seq + 1;
            let envelope = Envelope { seq, at: Timestamp(0), run_seq: u64::from(any.bool()), ..any.envelope(event) };
            if apply(&mut state, &envelope).is_err() {
                state = State::default();
            }
        }
    }

    #[test]
    fn arbitrary_bytes_are_no_snapshot(bytes: Vec<u8>) {
        prop_assert!(State::load(&bytes).is_err());
    }
}
