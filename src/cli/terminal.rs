//! Text from clients on its way to a terminal: nothing in it may act there.

use std::borrow::Cow;
use std::fmt::Write;

/// Characters that a terminal obeys instead of showing, or that reorder what is shown.
fn acts(character: char) -> bool {
    let reorders = matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    character.is_control() || reorders
}

fn escape<'a>(text: &'a str, keep: impl Fn(char) -> bool) -> Cow<'a, str> {
    let unsafe_here = |character: char| acts(character) && !keep(character);
    if !text.contains(unsafe_here) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if unsafe_here(character) {
            // Of the characters that act all are below U+10000, so JSON reads the same.
            let _ = write!(shown, "\\u{:04x}", u32::from(character));
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// Text for one line: line breaks are shown as spaces, everything else that acts as `\u001b`.
pub(super) fn one_line(text: &str) -> String {
    let text = text.replace("\r\n", " ").replace(['\n', '\t'], " ");
    escape(&text, |_| false).into_owned()
}

/// Text of several lines.
pub(super) fn lines(text: &str) -> Cow<'_, str> {
    escape(text, |character| matches!(character, '\n' | '\t'))
}

/// Lines of a file, each character as long in bytes as it was, so that places in them stay where they are.
pub(super) fn same_bytes(text: &str) -> String {
    // Of the characters that act, those of ASCII have one byte, the other controls two, and those that reorder three.
    let stand_in = |character: char| match character.len_utf8() {
        1 => '?',
        2 => '·',
        _ => '\u{fffd}',
    };
    let mut rest = text.chars().peekable();
    let mut shown = String::with_capacity(text.len());
    while let Some(character) = rest.next() {
        let breaks = matches!(character, '\n' | '\t') || (character == '\r' && rest.peek() == Some(&'\n'));
        shown.push(if acts(character) && !breaks { stand_in(character) } else { character });
    }
    shown
}

/// At most `chars` characters of one line, with an ellipsis where some are missing.
pub(super) fn shortened(text: &str, chars: usize) -> String {
    let text = one_line(text);
    if text.chars().count() <= chars {
        return text;
    }
    text.chars().take(chars.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_is_shown_instead() {
        assert_eq!(one_line("a\u{1b}[2Jb\u{7f}\u{9b}\n\u{202e}c"), "a\\u001b[2Jb\\u007f\\u009b \\u202ec");
        assert_eq!(lines("one\n\ttwo\r"), "one\n\ttwo\\u000d");
        assert_eq!(one_line("süß 🙂"), "süß 🙂");
    }

    #[test]
    fn escaped_json_is_the_same_json() {
        let text = serde_json::to_string("a\u{9b}\u{202e}").expect("json");
        let read: String = serde_json::from_str(&lines(&text)).expect("still json");
        assert_eq!(read, "a\u{9b}\u{202e}");
    }

    #[test]
    fn places_in_a_file_stay_where_they_are() {
        let text = "a\u{1b}\u{9b}\u{202e}\r\n\tb\rü🙂";
        assert_eq!(same_bytes(text), "a?·\u{fffd}\r\n\tb?ü🙂");
        assert_eq!(same_bytes(text).len(), text.len());
    }

    #[test]
    fn shortened_text_says_so() {
        assert_eq!(shortened("abcdef", 4), "abc…");
        assert_eq!(shortened("abcd", 4), "abcd");
    }
}
