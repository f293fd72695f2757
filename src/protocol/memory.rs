//! `memory/*`: values under keys.

use super::ids::Ids;
use super::operation::{Operation, Query, Reply};
use super::params::Params;
use everlog_replay::{Command, Refusal};

pub(super) fn get(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    Ok(Operation::Read(Query::MemoryGet { key: params.name("key")? }))
}

pub(super) fn set(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    let key = params.name("key")?;
    let value = params.present("value").ok_or_else(|| {
        Refusal::InvalidParams("value is missing; give any JSON (null is a value), or use memory/delete".to_owned())
    })?;
    Ok(Operation::Change { command: Command::SetMemory { key, value: value.json() }, reply: Reply::MemoryStored })
}

pub(super) fn delete(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    let command = Command::DeleteMemory { key: params.name("key")? };
    Ok(Operation::Change { command, reply: Reply::MemoryDeleted })
}

pub(super) fn list(params: &Params<'_>, _: &mut Ids<'_>) -> Result<Operation, Refusal> {
    let prefix = params.opt_string("prefix")?.unwrap_or_default().into_owned();
    Ok(Operation::Read(Query::MemoryList { prefix, page: params.page()? }))
}

#[cfg(test)]
mod tests {
    use super::super::operation::Page;
    use super::super::testing::{change, refused, request};
    use super::*;
    use everlog_replay::{Json, limits};

    #[test]
    fn values_are_kept_as_they_came() {
        for (given, kept) in
            [("null", "null"), ("{\"b\": 1,  \"a\": [1.50]}", "{\"b\": 1,  \"a\": [1.50]}"), ("NaN", "null")]
        {
            let command = Command::SetMemory { key: "k".into(), value: Json::from(kept) };
            assert_eq!(
                change("memory/set", &format!(r#"{{"key": "k", "value": {given}}}"#)),
                (command, Reply::MemoryStored)
            );
        }
        let command = Command::DeleteMemory { key: "k".into() };
        assert_eq!(change("memory/delete", r#"{"key": "k"}"#), (command, Reply::MemoryDeleted));
    }

    #[test]
    fn reads_are_queries() {
        for (method, params, query) in [
            ("memory/get", r#"{"key": "k/ü"}"#, Query::MemoryGet { key: "k/ü".into() }),
            ("memory/list", "{}", Query::MemoryList { prefix: String::new(), page: Page::default() }),
            (
                "memory/list",
                r#"{"prefix": "a/", "limit": 3.0, "offset": 6}"#,
                Query::MemoryList { prefix: "a/".into(), page: Page { limit: Some(3), offset: 6 } },
            ),
        ] {
            assert_eq!(request(method, params), Ok(Operation::Read(query)), "{method} {params}");
        }
    }

    #[test]
    fn keys_and_values_are_needed() {
        for method in ["memory/get", "memory/set", "memory/delete"] {
            let long = format!(r#"{{"key": "{}"}}"#, "k".repeat(limits::NAME_CHARS_MAX + 1));
            refused(
                method,
                &[
                    ("{}", -32_602, "key is missing; give a name"),
                    (r#"{"key": ""}"#, -32_602, "key is empty; give it at least one character"),
                    (r#"{"key": 1}"#, -32_602, "key must be a string, not the number 1"),
                    (&long, -32_602, "key has more than 512 characters; shorten it"),
                ],
            );
        }
        let sentence = "value is missing; give any JSON (null is a value), or use memory/delete";
        refused("memory/set", &[(r#"{"key": "k"}"#, -32_602, sentence)]);
        refused(
            "memory/list",
            &[
                (r#"{"limit": -1}"#, -32_602, "limit must be a whole number of at least 0, not the number -1"),
                (r#"{"limit": 1.5}"#, -32_602, "limit must be a whole number of at least 0, not the number 1.5"),
                (r#"{"prefix": []}"#, -32_602, "prefix must be a string, not a list"),
            ],
        );
    }
}
