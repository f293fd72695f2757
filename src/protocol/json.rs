//! One scan over the text of a frame, before any parser sees it. Python writes what JSON does not know (`NaN`), serde_json accepts
//! what others choke on (lone surrogates, 1e999, 100,000 nested lists), and a completion must not be lost over either.
//!
//! The scan does not check the grammar; it leaves broken text broken, and serde_json refuses it afterwards.

use serde::de::IgnoredAny;
use std::borrow::Cow;

/// Levels of lists and objects in a frame, its own object included (protocol §1). Deep enough for people, shallow enough for
/// every recursive parser that later reads the log.
pub(crate) const DEPTH_MAX: usize = 64;

/// Bytes of a number below which it can not exceed f64 without an exponent: f64 holds every integer of 308 digits.
const PLAIN_NUMBER_BYTES: usize = 308;

/// A text that is safe to hand to a JSON parser and to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cleaned<'a> {
    /// The text; borrowed when nothing had to be replaced.
    pub text: Cow<'a, str>,
    /// Whether something was replaced: a number that JSON can not hold (now null) or a lone surrogate (now U+FFFD).
    pub replaced: bool,
}

/// The text nests too deep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the frame nests lists and objects deeper than {DEPTH_MAX} levels (at byte {at}); flatten it or send parts of it as text"
)]
pub(crate) struct JsonProblem {
    /// Byte of the first bracket that is too deep.
    pub at: usize,
}

/// Checks the depth and replaces what no JSON parser should meet. Linear, without recursion, and without allocation unless
/// something must be replaced.
///
/// # Errors
/// When the text nests deeper than [`DEPTH_MAX`].
pub(crate) fn clean(text: &str) -> Result<Cleaned<'_>, JsonProblem> {
    let bytes = text.as_bytes();
    let mut output = Output { text, buffer: String::new(), copied: 0 };
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => at = string_end(bytes, at + 1, &mut output),
            b'{' | b'[' => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return Err(JsonProblem { at });
                }
                at += 1;
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            b'-' | b'+' | b'.' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                let end = word_end(bytes, at);
                if is_no_json_number(&text[at..end]) {
                    output.replace(at, end, "null");
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    Ok(output.finish())
}

/// The text so far: nothing is copied before the first replacement.
struct Output<'a> {
    text: &'a str,
    buffer: String,
    copied: usize,
}

impl<'a> Output<'a> {
    fn replace(&mut self, start: usize, end: usize, by: &str) {
        self.buffer.push_str(&self.text[self.copied..start]);
        self.buffer.push_str(by);
        self.copied = end;
    }

    fn finish(mut self) -> Cleaned<'a> {
        if self.copied == 0 {
            return Cleaned { text: Cow::Borrowed(self.text), replaced: false };
        }
        self.buffer.push_str(&self.text[self.copied..]);
        Cleaned { text: Cow::Owned(self.buffer), replaced: true }
    }
}

/// The end of the word (number, name) that begins at `start`.
fn word_end(bytes: &[u8], start: usize) -> usize {
    let in_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.' | b'_');
    bytes[start..].iter().position(|byte| !in_word(byte)).map_or(bytes.len(), |length| start + length)
}

/// Whether `word` is what Python writes for a number that JSON can not hold, or a JSON number beyond f64.
fn is_no_json_number(word: &str) -> bool {
    match word.as_bytes() {
        b"NaN" | b"Infinity" | b"-Infinity" => true,
        [b'-' | b'0'..=b'9', rest @ ..]
            if rest.len() >= PLAIN_NUMBER_BYTES || rest.iter().any(|b| matches!(b, b'e' | b'E')) =>
        {
            word.parse::<f64>().is_ok_and(f64::is_infinite) && is_json(word)
        }
        _ => false,
    }
}

/// Rust's number parser accepts more than JSON (`01`, `1.`, `-inf`); such a word stays, to be refused.
fn is_json(word: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(word).is_ok()
}

/// Walks a string from behind its opening quote; the place behind its closing quote, or the end of the text.
fn string_end(bytes: &[u8], start: usize, output: &mut Output<'_>) -> usize {
    let mut at = start;
    while let Some(length) = bytes.get(at..).and_then(|rest| rest.iter().position(|byte| matches!(byte, b'"' | b'\\')))
    {
        at += length;
        if bytes[at] == b'"' {
            return at + 1;
        }
        match (code_unit(bytes, at), code_unit(bytes, at + 6)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => at += 12,
            (Some(0xD800..=0xDFFF), _) => {
                output.replace(at, at + 6, "\\ufffd");
                at += 6;
            }
            // What is escaped is skipped with its backslash, so that an escaped quote ends nothing.
            _ => at += 2,
        }
    }
    bytes.len()
}

/// The UTF-16 code unit of an escape `\uXXXX` at `at`, if one stands there.
fn code_unit(bytes: &[u8], at: usize) -> Option<u16> {
    let [b'\\', b'u', digits @ ..] = bytes.get(at..at + 6)? else { return None };
    digits.iter().try_fold(0, |unit, &digit| {
        let value = char::from(digit).to_digit(16)?;
        Some(unit << 4 | u16::try_from(value).ok()?)
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn cleaned(text: &str) -> String {
        clean(text).unwrap().text.into_owned()
    }

    #[test]
    fn what_json_can_not_hold_is_replaced_and_flagged() {
        for (text, expected) in [
            (r#"{"a": NaN}"#, r#"{"a": null}"#),
            ("[Infinity,-Infinity,NaN]", "[null,null,null]"),
            ("NaN", "null"),
            ("[1e999, -1e999, 1E+400]", "[null, null, null]"),
            (&format!("[{}]", "9".repeat(400)), "[null]"),
            (r#""\ud800""#, r#""\ufffd""#),
            (r#""\ud800x\uDC00""#, r#""\ufffdx\ufffd""#),
            (r#""\ud800\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#""\ud83d\u0041""#, r#""\ufffd\u0041""#),
            (r#"{"é": NaN, "ü": "\udfff"}"#, r#"{"é": null, "ü": "\ufffd"}"#),
        ] {
            let result = clean(text).unwrap();
            assert_eq!(result.text, expected, "{text}");
            assert!(result.replaced, "{text}");
            assert!(serde_json::from_str::<Value>(&result.text).is_ok(), "{text}");
        }
    }

    #[test]
    fn everything_else_stays_as_it_is_without_a_copy() {
        for text in [
            "",
            r#"{"a": "NaN", "b": "Infinity", "c": "\"NaN", "d": "\\"}"#,
            r#"["\ud83d\ude00", "\\ud800", "\u00e9"]"#,
            "[1e308, 1e-999, 0.1, -12, 123456789012345678901234567890]",
            // Not JSON at all: left for the parser to refuse.
            "[01e999, -inf, +1e999, 1.e999, NaNs, nan, xNaN, Infinity2]",
            r#"{"open": "text"#,
            r#""\u12"#,
            "\\",
            "]]]]",
        ] {
            let result = clean(text).unwrap();
            assert_eq!(result.text, text);
            assert!(matches!(result.text, Cow::Borrowed(_)), "{text}");
            assert!(!result.replaced, "{text}");
        }
    }

    #[test]
    fn depth_64_passes_and_65_is_named() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert_eq!(cleaned(&nested(64)), nested(64));
        assert_eq!(clean(&nested(65)), Err(JsonProblem { at: 64 }));
        assert_eq!(
            clean(&nested(65)).unwrap_err().to_string(),
            "the frame nests lists and objects deeper than 64 levels (at byte 64); flatten it or send parts of it as text"
        );
        assert_eq!(clean(&nested(100_000)), Err(JsonProblem { at: 64 }));
        assert_eq!(cleaned(&"[]".repeat(1_000)), "[]".repeat(1_000), "brackets side by side are not deep");
        assert_eq!(cleaned(&format!("\"{}\"", "[".repeat(100))), format!("\"{}\"", "[".repeat(100)), "nor in a text");
    }

    /// Any JSON value, not too large.
    pub(in crate::protocol) fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((any::<String>(), inner), 0..6).prop_map(|fields| fields.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in any::<String>(), odd in r#"[\\"u{}\[\]dDcC80-9NaInfity.eE+-]{0,60}"#) {
            let brackets = text.matches(['[', '{']).count();
            prop_assert!(clean(&text).is_ok() || brackets > DEPTH_MAX, "only brackets are refused");
            if let Ok(first) = clean(&odd) {
                prop_assert!(!clean(&first.text).unwrap().replaced, "cleaning is done at once");
            }
        }

        #[test]
        fn what_is_json_already_is_borrowed(value in any_json()) {
            let text = value.to_string();
            let result = clean(&text).unwrap();
            prop_assert!(matches!(result.text, Cow::Borrowed(_)));
            prop_assert_eq!(&result.text, &text);
        }
    }
}
