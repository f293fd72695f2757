//! What the tests of this module share: a message of a client in, an operation or a refusal out.

use super::{Operation, Reply, frame, interpret, json};
use everlog_replay::{Command, Refusal};
use uuid::Uuid;

/// An id that a client may name.
pub(super) const ID: &str = "018f0000-0000-7000-8000-00000000000a";

/// [`ID`] as an identity.
pub(super) fn id() -> Uuid {
    Uuid::try_parse(ID).unwrap()
}

/// The `n`th identity that the door makes in a test.
pub(super) fn made(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

/// The whole way of a text frame.
pub(super) fn read(text: &str) -> Result<Operation, Refusal> {
    let clean = json::clean(text).map_err(|problem| frame::BadFrame::unclean(text, problem).refusal)?;
    let frame = frame::parse(&clean.text).map_err(|bad| bad.refusal)?;
    let mut count = 0;
    interpret(&frame, &mut || {
        count += 1;
        made(count)
    })
}

/// A request.
pub(super) fn request(method: &str, params: &str) -> Result<Operation, Refusal> {
    let params = params.replace("$ID", ID);
    read(&format!(r#"{{"id":"1","type":"request","method":"{method}","params":{params}}}"#))
}

/// A notification.
pub(super) fn notification(method: &str, params: &str) -> Result<Operation, Refusal> {
    let params = params.replace("$ID", ID);
    read(&format!(r#"{{"id":"1","type":"notification","method":"{method}","params":{params}}}"#))
}

/// The command and the reply of a request that changes the state.
pub(super) fn change(method: &str, params: &str) -> (Command, Reply) {
    match request(method, params) {
        Ok(Operation::Change { command, reply }) => (command, reply),
        other => panic!("{method} {params} gave {other:?}"),
    }
}

/// Checks the code and the sentence of refused requests.
#[track_caller]
pub(super) fn refused(method: &str, rows: &[(&str, i32, &str)]) {
    for (params, code, sentence) in rows {
        match request(method, params) {
            Err(refusal) => assert_eq!((refusal.code(), refusal.to_string().as_str()), (*code, *sentence), "{params}"),
            Ok(operation) => panic!("{method} {params} gave {operation:?}"),
        }
    }
}
