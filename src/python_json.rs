//! JSON as Python writes it, read by an agent: bare `NaN` and `Infinity` are null (protocol §1), since a loss that diverged must
//! not cost the whole result. The scan is the server's own.

use std::borrow::Cow;

use serde_json::{Deserializer, Error, Value};

use crate::protocol::json;

/// Reads one value.
///
/// # Errors
/// If the text is not JSON even so.
pub(crate) fn parse(text: &str) -> Result<Value, Error> {
    serde_json::from_str(&cleaned(text))
}

/// Reads values that follow each other, for example one a line, up to the first mistake.
pub(crate) fn parse_many(text: &str) -> (Vec<Value>, Option<Error>) {
    let text = cleaned(text);
    let mut values = Vec::new();
    for value in Deserializer::from_str(&text).into_iter() {
        match value {
            Ok(value) => values.push(value),
            Err(error) => return (values, Some(error)),
        }
    }
    (values, None)
}

/// The text without what is no number; as it is where it is nested too deeply for the scan, and so for the parser.
fn cleaned(text: &str) -> Cow<'_, str> {
    json::clean(text).map_or(Cow::Borrowed(text), |cleaned| cleaned.text)
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
