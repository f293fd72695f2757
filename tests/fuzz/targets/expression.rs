//! Any text with expressions, and any `--set`, in a pipeline file that is right otherwise; against a second reading of the rules.

use super::scratch::with_file;
use crate::pipeline_file::{Setting, load};
use serde_json::Value;
use std::fmt::Write;

/// The lines before the first empty one are given with `--set`; what follows is the argument of a command.
pub fn expression(bytes: &[u8]) {
    let input = String::from_utf8_lossy(bytes);
    let (given, text) = input.split_once("\n\n").unwrap_or(("", &input));
    let Ok(settings) = given.lines().map(str::parse).collect::<Result<Vec<Setting>, _>>() else { return };
    let file = format!("name: f\nparams: {{p: '', n: 1}}\ntasks:\n- name: t\n  command: [run, {}]\n", quoted(text));
    let found = with_file(file.as_bytes(), |path| load(path, &settings));
    let found = found.map(|file| {
        let task: Value = serde_json::from_str(file.submission.tasks()[0].json.get()).expect("a task is JSON");
        task["config"]["command"][1].as_str().expect("an argument is a text").to_owned()
    });
    // No program can be given an argument with a NUL in it.
    let expected = expected(given, text).filter(|argument| !argument.contains('\0'));
    assert_eq!(found.as_ref().ok(), expected.as_ref(), "{file}{found:?}");
}

/// A text as YAML of ASCII characters.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for unit in text.encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii_alphanumeric() || b" .,:;=${}[]()<>/+-_".contains(&byte) => {
                quoted.push(byte.into())
            }
            _ => write!(quoted, "\\u{unit:04x}").expect("a string takes every character"),
        }
    }
    quoted + "\""
}

/// What comes of the text, where nothing is wrong.
fn expected(given: &str, text: &str) -> Option<String> {
    let (mut p, mut n) = ("", "1");
    for (name, value) in given.lines().filter_map(|line| line.split_once('=')) {
        match name.trim() {
            "p" => p = value,
            "n" => n = value,
            _ => return None,
        }
    }
    let in_number = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    if !n.bytes().all(in_number) || !n.parse::<f64>().is_ok_and(f64::is_finite) {
        return None;
    }
    let value = |name: &str| match name.trim() {
        "params.p" => Some(p),
        "params.n" => Some(n),
        _ => None,
    };
    // An expression that is the whole text loses the space around it.
    match text.trim().strip_prefix("${{").and_then(|rest| rest.split_once("}}")) {
        Some((name, "")) => value(name).map(str::to_owned),
        _ => expand(text, &value),
    }
}

fn expand<'v>(text: &str, value: &impl Fn(&str) -> Option<&'v str>) -> Option<String> {
    let Some((before, after)) = text.split_once("${{") else { return Some(text.to_owned()) };
    if let Some(before) = before.strip_suffix('$') {
        return Some(format!("{before}${{{{{}", expand(after, value)?));
    }
    let (name, after) = after.split_once("}}")?;
    Some(format!("{before}{}{}", value(name)?, expand(after, value)?))
}
