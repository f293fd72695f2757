//! The log of this release, kept for ever (law 13): `tests/logs/v1.log` holds the records, one a line in hexadecimal digits;
//! `v1.txt` says what each of them means, and the hash of the state that they lead to.
//!
//! `EVERLOG_BLESS=1 cargo test -p everlog-replay golden` writes them from `v1.script`. A released log is never written again: a
//! new form of an event gets a new schema number, and the next log a new file.

use crate::script::transcript;
use everlog_replay::leaf::{self, RunChain};
use everlog_replay::{Envelope, Event, State, apply, codec};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/logs").join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes every digit");
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("two hexadecimal digits");
    (0..text.len()).step_by(2).map(digits).collect()
}

fn encode(envelope: &Envelope) -> Vec<u8> {
    let mut record = Vec::new();
    codec::encode(envelope, &mut record).expect("it is short");
    record
}

fn decode(record: &[u8]) -> Envelope {
    codec::decode(record).expect("a released record is readable")
}

/// The instance key under the leaves of the golden log.
const KEY: leaf::Hash = [0x42; 32];

/// What each record means, with its leaf, a line each; and the hash of the state in the end.
fn meaning(records: &[Vec<u8>]) -> String {
    let (mut text, mut state, mut chain) = (String::new(), State::default(), RunChain::new(KEY));
    for record in records {
        let envelope = decode(record);
        let leaf = chain.next(record).expect("every run is complete");
        writeln!(text, "{} {envelope:?}", hex(&leaf)).expect("a string takes every line");
        apply(&mut state, &envelope).expect("the golden log is a legal history");
    }
    writeln!(text, "{} state", hex(&state.hash())).expect("a string takes every line");
    text
}

fn bless() {
    let (_, world) = transcript(&read("v1.script"));
    let records: Vec<Vec<u8>> = world.log.iter().map(encode).collect();
    let lines: String = records.iter().map(|record| hex(record) + "\n").collect();
    std::fs::write(file("v1.log"), lines).expect("the log can be written");
    std::fs::write(file("v1.txt"), meaning(&records)).expect("the meaning can be written");
}

#[test]
fn the_first_log_format_reads_as_it_did() {
    if std::env::var_os("EVERLOG_BLESS").is_some() {
        bless();
    }
    let records: Vec<Vec<u8>> = read("v1.log").lines().map(unhex).collect();
    let log: Vec<Envelope> = records.iter().map(|record| decode(record)).collect();
    for (found, expected) in meaning(&records).lines().zip(read("v1.txt").lines()) {
        assert_eq!(found, expected);
    }
    assert_eq!(meaning(&records), read("v1.txt"));
    // While there is one schema of each kind, writing gives the bytes that were read.
    assert_eq!(log.iter().map(encode).collect::<Vec<_>>(), records);
    let kinds: BTreeSet<u16> = log.iter().map(|envelope| envelope.event.kind()).collect();
    assert_eq!(kinds, Event::KINDS.iter().map(|(kind, ..)| *kind).collect(), "every kind is in the golden log");
}
