//! JSON as Python writes it: bare `NaN` and `Infinity` are read as null (protocol §1), since a loss
//! that diverged must not cost the whole result.

use serde_json::{Deserializer, Error, Value};

/// The words of Python's `json` that are not JSON; the longer first where one begins another.
const NOT_NUMBERS: [&str; 3] = ["-Infinity", "Infinity", "NaN"];

/// Reads one value.
///
/// # Errors
/// If the text is not JSON even so.
pub(crate) fn parse(text: &str) -> Result<Value, Error> {
    // Nearly all text is JSON, and then there is nothing to replace.
    serde_json::from_str(text).or_else(|_| serde_json::from_str(&without_nan(text)))
}

/// Reads values that follow each other, for example one a line, up to the first mistake.
pub(crate) fn parse_many(text: &str) -> (Vec<Value>, Option<Error>) {
    let text = without_nan(text);
    let mut values = Vec::new();
    for value in Deserializer::from_str(&text).into_iter() {
        match value {
            Ok(value) => values.push(value),
            Err(error) => return (values, Some(error)),
        }
    }
    (values, None)
}

/// The text with the words of [`NOT_NUMBERS`] outside strings replaced by `null`.
fn without_nan(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let (mut in_string, mut escaped) = (false, false);
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let word = NOT_NUMBERS.into_iter().find(|word| !in_string && rest.starts_with(word));
        if let Some(word) = word {
            clean.push_str("null");
            rest = &rest[word.len()..];
            continue;
        }
        in_string ^= next == '"' && !escaped;
        escaped = in_string && next == '\\' && !escaped;
        clean.push(next);
        rest = &rest[next.len_utf8()..];
    }
    clean
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_a_number_becomes_null_outside_strings_only() {
        let parsed = |text| parse(text).expect(text);
        assert_eq!(parsed(r#"{"a": NaN, "b": [-Infinity, Infinity, -1]}"#), json!({"a": null, "b": [null, null, -1]}));
        assert_eq!(parsed(r#"["say \"NaN\"", NaN]"#), json!(["say \"NaN\"", null]));
        assert_eq!(parsed(r#"["ends in \\", NaN]"#), json!(["ends in \\", null]));
        assert!(parse("NaNcy").is_err());
        assert!(parse("hello").is_err());
    }

    #[test]
    fn values_are_read_up_to_the_first_mistake() {
        let (values, trouble) = parse_many("{\"a\": 1}\n{\n \"a\": NaN\n}\n");
        assert_eq!((values, trouble.is_none()), (vec![json!({"a": 1}), json!({"a": null})], true));
        let (values, trouble) = parse_many("1 oops 2");
        assert_eq!((values, trouble.is_some()), (vec![json!(1)], true));
        assert!(parse_many("").0.is_empty());
    }
}
