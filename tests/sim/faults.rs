//! What can go wrong, by name: the swarm draws how often, the command line can leave one out, the totals count each.

use super::marks::Phase;
use super::random::Random;
use std::collections::BTreeSet;

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident $word:literal $often:literal [$($phase:ident),+]),+ $(,)?) => {
        /// A fault. How often it happens is in 100,000 of the occasions that it has: a step, an act of a peer, a frame.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum Fault {
            $($(#[$doc])* $name,)+
        }

        impl Fault {
            pub(super) const ALL: &'static [Self] = &[$(Self::$name,)+];

            pub(super) fn name(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            fn often(self) -> u64 {
                match self { $(Self::$name => $often,)+ }
            }

            /// When it has to have struck, over many runs.
            pub(super) fn phases(self) -> &'static [Phase] {
                match self { $(Self::$name => &[$(Phase::$phase),+],)+ }
            }
        }
    };
}

faults! {
    /// The process is killed; the page cache stays.
    Kill "kill" 60 [Serving, Healing],
    /// The power goes; what was not synced is there, torn, or not, sector by sector.
    PowerCut "power-cut" 60 [Serving],
    /// An operation of the disk fails once during a commit: a write gets half way, a sync loses what it was to keep.
    ErrorInCommit "error-in-commit" 200 [Serving],
    /// The process is killed at some operation of the disk during a commit.
    KillInCommit "kill-in-commit" 60 [Serving],
    /// The power goes at some operation of the disk during a commit.
    CutInCommit "cut-in-commit" 60 [Serving],
    /// An operation of the disk fails once during a start.
    ErrorInStart "error-in-start" 10_000 [Down],
    /// The process is killed at some operation of the disk during a start.
    KillInStart "kill-in-start" 10_000 [Down],
    /// The power goes at some operation of the disk during a start.
    CutInStart "cut-in-start" 12_000 [Down],
    /// An operation of the disk fails once during a snapshot.
    ErrorInSnapshot "error-in-snapshot" 10_000 [Serving],
    /// The process is killed at some operation of the disk during a snapshot.
    KillInSnapshot "kill-in-snapshot" 10_000 [Serving],
    /// The power goes at some operation of the disk during a snapshot.
    CutInSnapshot "cut-in-snapshot" 10_000 [Serving],
    /// An operation of the disk fails once while the log is closed.
    ErrorInClose "error-in-close" 20_000 [Serving],
    /// The process is killed at some operation of the disk while the log is closed.
    KillInClose "kill-in-close" 20_000 [Serving],
    /// The power goes at some operation of the disk while the log is closed.
    CutInClose "cut-in-close" 20_000 [Serving],
    /// Something can not be read during a start, once or until it gives up.
    UnreadInStart "unread-in-start" 20_000 [Down],
    /// What an answer shows can not be read.
    UnreadInAnswer "unread-in-answer" 1_000 [Serving],
    /// The scrub can not read a piece of the log.
    UnreadInScrub "unread-in-scrub" 20_000 [Serving],
    /// The disk is full for a while.
    DiskFull "disk-full" 25 [Serving],
    /// Bits of a snapshot flip while the coordinator is down.
    RotSnapshot "rot-snapshot" 20_000 [Down],
    /// Bits of the log or of its anchor flip while the coordinator is down.
    RotLog "rot-log" 20_000 [Down],
    /// All snapshots are deleted while the coordinator is down.
    SnapshotsDeleted "snapshots-deleted" 15_000 [Down, Healing],
    /// The wall clock jumps, by seconds or by years, in either direction.
    ClockJump "clock-jump" 200 [Serving, Down],
    /// The machine sleeps.
    Suspend "suspend" 40 [Serving, Down],
    /// The writer gets no processor for a while.
    WriterStalls "writer-stalls" 150 [Serving],
    /// The disk takes long.
    CommitterStalls "committer-stalls" 150 [Serving],
    /// The coordinator is asked to end, and started again.
    Drain "drain" 40 [Serving],
    /// A connection is reset.
    Reset "reset" 150 [Serving, Down],
    /// A connection goes dead without either side being told.
    HalfOpen "half-open" 60 [Serving, Down],
    /// Nothing gets through a connection for a while.
    Partition "partition" 80 [Serving, Down],
    /// A peer does not read for a while.
    SlowReader "slow-reader" 60 [Serving, Down],
    /// A peer sends what is no message.
    Garbage "garbage" 300 [Serving],
    /// A peer sends a frame that is too long, and is hung up on.
    FrameTooLong "frame-too-long" 100 [Serving],
    /// An agent dies with all it knew, and comes back.
    AgentCrash "agent-crash" 150 [Serving, Down],
    /// An agent does nothing for a while, not even answer pings.
    AgentHang "agent-hang" 100 [Serving, Down, Healing],
    /// An agent takes long over a task.
    AgentSlow "agent-slow" 3_000 [Serving],
    /// An agent names tasks, attempts or agents that are not its own.
    AgentLies "agent-lies" 500 [Serving],
    /// An agent sends a message twice.
    AgentDuplicates "agent-duplicates" 3_000 [Serving],
    /// An agent sends messages in another order.
    AgentReorders "agent-reorders" 3_000 [Serving],
    /// An agent reports what it finished before it was thought dead.
    AgentLate "agent-late" 30_000 [Serving, Down],
    /// An agent says good-bye in the midst of its work.
    AgentLeaves "agent-leaves" 60 [Serving],
    /// An agent registers again on the same connection.
    AgentRegistersAgain "agent-registers-again" 100 [Serving],
    /// A client repeats a request that was answered.
    RequestRepeated "request-repeated" 4_000 [Serving],
    /// A client uses the id of a request again, for something else.
    RequestReused "request-reused" 1_000 [Serving],
}

/// How often each fault happens in one run, and the chance that it draws from. That is its own: a fault that is new, or left out,
/// moves no other, so that a seed that is kept stays the world that it was.
#[derive(Clone, Debug)]
pub(super) struct Rates(Vec<(u64, Random)>);

impl Rates {
    /// Some faults not at all, some rarely, some often: what no single mix of rates would find, some mix does.
    pub(super) fn draw(seed: u64, without: &BTreeSet<Fault>) -> Self {
        let rate = |fault: &Fault| {
            let mut random = Random::named(seed, fault.name());
            let often = match random.below(6) {
                0 | 1 => 0,
                2 => fault.often() / 4,
                3 | 4 => fault.often(),
                _ => fault.often() * 4,
            };
            (if without.contains(fault) { 0 } else { often.min(90_000) }, random)
        };
        Self(Fault::ALL.iter().map(rate).collect())
    }

    pub(super) fn none() -> Self {
        Self(Vec::new())
    }

    /// Whether the fault happens now.
    pub(super) fn strike(&mut self, fault: Fault) -> bool {
        self.0.get_mut(fault as usize).is_some_and(|(often, random)| random.next() % 100_000 < *often)
    }
}
