//! The log of an undisturbed session: what every other disk is compared with.

use everlog_replay::{State, apply, codec};
use everlog_storage::{DataDir, Frame, LogReader, Seq, Snapshots};
use std::collections::BTreeMap;
use std::path::Path;

/// Every record, and the state after every frame.
pub(super) struct Reference {
    records: Vec<Vec<u8>>,
    /// Ends of frames, with the hash of the state there.
    pub(super) hashes: BTreeMap<Seq, [u8; 32]>,
    /// First event of each request, by its id.
    pub(super) requests: BTreeMap<String, Seq>,
}

impl Reference {
    pub(super) fn of(data: &Path) -> Self {
        let mut known = Self {
            records: Vec::new(),
            hashes: BTreeMap::from([(0, State::default().hash())]),
            requests: BTreeMap::new(),
        };
        let mut state = State::default();
        for frame in DataDir::open_read_only(data).unwrap().log.frames(1) {
            let frame = frame.unwrap();
            for (seq, record) in frame.records() {
                let envelope = codec::decode(record).unwrap();
                apply(&mut state, &envelope).unwrap();
                known.requests.extend(envelope.request.map(|request| (request.id, seq)));
                known.records.push(record.to_vec());
            }
            known.hashes.insert(state.seq, state.hash());
        }
        known
    }

    /// The last record.
    pub(super) fn last(&self) -> Seq {
        self.records.len() as Seq
    }

    fn record(&self, seq: Seq) -> Option<&[u8]> {
        self.records.get(usize::try_from(seq).unwrap() - 1).map(Vec::as_slice)
    }

    /// That these frames hold the records from 1 on, as they were; how far. What a later life added is not ours to judge.
    pub(super) fn check_frames<E: std::fmt::Debug>(&self, frames: impl Iterator<Item = Result<Frame, E>>) -> Seq {
        let mut last = 0;
        for frame in frames {
            for (seq, record) in frame.unwrap().records() {
                assert_eq!(seq, last + 1, "no gap");
                if self.record(seq) != Some(record) {
                    return last;
                }
                last = seq;
            }
        }
        last
    }

    /// That the newest snapshot and the log after it come to the state that the whole log comes to (law 7).
    pub(super) fn check_state(&self, log: &LogReader, snapshots: &Snapshots) {
        let state = folded(log, newest(snapshots, log.durable()));
        assert_eq!(self.hashes.get(&state.seq), Some(&state.hash()), "the state after record {}", state.seq);
    }
}

/// The state of the newest snapshot that reads.
fn newest(snapshots: &Snapshots, to: Seq) -> State {
    let newest = snapshots.at_or_before(to).unwrap();
    // In front of the state stands which log it is of, as a SHA-256.
    newest.map_or_else(State::default, |(_, bytes)| State::load(&bytes[32..]).unwrap())
}

/// The state at the end of the log.
fn folded(log: &LogReader, mut state: State) -> State {
    for frame in log.frames(state.seq + 1) {
        let frame = frame.unwrap();
        for (_, record) in frame.records_from(state.seq + 1) {
            apply(&mut state, &codec::decode(record).unwrap()).unwrap();
        }
    }
    state
}

/// That the newest snapshot, which the binary has just written, is what the whole log comes to.
pub(super) fn check_newest(log: &LogReader, snapshots: &Snapshots) {
    let state = newest(snapshots, Seq::MAX);
    assert_eq!(state.seq, log.durable(), "a snapshot at the end");
    assert!(state.hash() == folded(log, State::default()).hash(), "the newest snapshot is not what the log amounts to");
}
