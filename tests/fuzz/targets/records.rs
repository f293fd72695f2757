//! Any bytes as a log: records that are read, written again, hashed and folded.

use super::feed::Feed;
use everlog_replay::leaf::{Hash, RunChain};
use everlog_replay::{Envelope, State, apply, codec};

/// Any key.
const KEY: Hash = [0x42; 32];

/// The input is a list of records, each behind its length in two bytes. What is read is written in one form alone, which is read as
/// the same; a log that folds is the same state from a snapshot, and one that does not is refused without a panic.
pub fn records(bytes: &[u8]) {
    let mut feed = Feed(bytes);
    let mut chain = RunChain::new(KEY);
    let mut state = Some(State::default());
    if let Some(state) = &mut state {
        state.begin_recovery();
    }
    while !feed.is_empty() {
        let length = feed.number();
        let record = feed.take(length);
        let leaf = chain.next(record);
        let Ok(envelope) = codec::decode(record) else {
            assert!(leaf.is_err(), "what can not be read has no leaf");
            continue;
        };
        written(record, &envelope);
        state = state.and_then(|mut state| apply(&mut state, &envelope).is_ok().then_some(state));
    }
    if let Some(mut state) = state {
        state.end_recovery();
        let mut snapshot = Vec::new();
        state.save(&mut snapshot).expect("a vector takes every byte");
        let loaded = State::load(&snapshot).expect("a snapshot just written can be read");
        assert_eq!(loaded.hash(), state.hash(), "law 7");
    }
}

/// bincode reads integers that are longer than they need to be, so other bytes may mean the same.
fn written(record: &[u8], envelope: &Envelope) {
    let raw = codec::split(record).expect("what is read as a whole is read in part");
    assert!(record.ends_with(raw.body));
    assert_eq!((raw.kind, raw.seq, raw.run_seq), (envelope.event.kind(), envelope.seq, envelope.run_seq));
    assert_eq!(codec::kind_of(record), Some(raw.kind));
    let mut bytes = Vec::new();
    codec::encode(envelope, &mut bytes).expect("what was read can be written");
    assert!(bytes.len() <= record.len(), "it is written in its shortest form");
    let mut again = Vec::new();
    codec::encode(&codec::decode(&bytes).expect("it was just written"), &mut again).expect("twice as well");
    assert_eq!(bytes, again, "what is read is what was written");
}
