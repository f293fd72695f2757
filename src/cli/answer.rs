//! What the answers of a coordinator must have for verbs to rest on them. What lacks it is malformed, and is told so: shown as
//! it is, it would look like an empty list or an unknown name.

use serde_json::Value;

/// A kind of value.
struct Kind {
    word: &'static str,
    is: fn(&Value) -> bool,
}

const TEXT: Kind = Kind { word: "a text", is: Value::is_string };
const NUMBER: Kind = Kind { word: "a whole number", is: Value::is_u64 };
const FLAG: Kind = Kind { word: "true or false", is: Value::is_boolean };
const LIST: Kind = Kind { word: "a list", is: Value::is_array };

/// Fields with their kinds.
type Fields = &'static [(&'static str, Kind)];

/// What pipelines, tasks and agents have alike (protocol §5).
const INFO: Fields = &[("id", TEXT), ("name", TEXT), ("status", TEXT)];
const STATUS: Fields = &[("status", TEXT)];

/// Methods with what their answers have (protocol §3).
const ANSWERS: [(&str, Fields); 16] = [
    ("pipeline/create", &[("pipeline_id", TEXT)]),
    ("pipeline/status", INFO),
    ("task/status", INFO),
    ("agent/status", INFO),
    ("pipeline/list", &[("pipelines", LIST), ("total", NUMBER)]),
    ("task/list", &[("tasks", LIST), ("total", NUMBER)]),
    ("agent/list", &[("agents", LIST), ("total", NUMBER)]),
    ("error/list", &[("errors", LIST), ("total", NUMBER)]),
    ("memory/list", &[("keys", LIST), ("total", NUMBER)]),
    ("memory/get", &[("exists", FLAG)]),
    ("memory/set", STATUS),
    ("memory/delete", STATUS),
    ("pipeline/retry", STATUS),
    ("task/retry", STATUS),
    ("task/result", STATUS),
    ("task/cancel", STATUS),
];

/// Lists with what their records have.
const RECORDS: [(&str, Fields); 4] =
    [("pipelines", INFO), ("tasks", INFO), ("agents", INFO), ("errors", &[("error_id", TEXT)])];

/// What an answer lacks of what `method` promises, in words.
pub(super) fn lack(method: &str, answer: &Value) -> Option<String> {
    let (_, fields) = ANSWERS.iter().find(|(known, _)| *known == method)?;
    lack_of(fields, answer).or_else(|| {
        let listed = |(list, fields): &(&str, Fields)| {
            let lack = answer[*list].as_array()?.iter().find_map(|record| lack_of(fields, record))?;
            Some(format!("{lack}, in a record of `{list}`"))
        };
        RECORDS.iter().filter(|(list, _)| fields.iter().any(|(field, _)| field == list)).find_map(listed)
    })
}

fn lack_of(fields: Fields, record: &Value) -> Option<String> {
    let (field, kind) = fields.iter().find(|(field, kind)| !(kind.is)(&record[*field]))?;
    Some(format!("`{field}`, {}", kind.word))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_lacks_something_is_told_apart() {
        let info = json!({"id": "1", "name": "a", "status": "idle"});
        for (method, answer, lacks) in [
            ("pipeline/list", json!({"pipelines": [info], "total": 1}), None),
            ("pipeline/list", json!({"pipelines": [info]}), Some("`total`, a whole number")),
            ("pipeline/list", json!({"pipelines": [info], "total": "1"}), Some("`total`, a whole number")),
            ("pipeline/list", json!({"pipelines": {}, "total": 1}), Some("`pipelines`, a list")),
            ("task/list", json!({"tasks": [info, {}], "total": 1}), Some("`id`, a text, in a record of `tasks`")),
            ("agent/list", json!([]), Some("`agents`, a list")),
            ("memory/list", json!({"keys": ["k"], "total": 1}), None),
            ("memory/get", json!({"value": 1}), Some("`exists`, true or false")),
            ("pipeline/create", json!({"pipeline_id": null}), Some("`pipeline_id`, a text")),
            ("pipeline/status", Value::Null, Some("`id`, a text")),
            ("task/result", info.clone(), None),
            ("monitoring/current", Value::Null, None),
        ] {
            assert_eq!(lack(method, &answer).as_deref(), lacks, "{method} {answer}");
        }
    }
}
