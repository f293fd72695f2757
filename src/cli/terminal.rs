//! Text from clients on its way to a terminal: nothing in it may act there.

use std::borrow::Cow;
use std::fmt::Write;
use std::io::IsTerminal;
use std::os::fd::AsFd;

use console::{measure_text_width, truncate_str};
use rustix::termios::tcgetwinsize;

/// Whether this is a terminal that does what it is told: moves its cursor, shows colours.
pub(super) fn obeys(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Rows and columns of a terminal; `None` of what is none, and where it does not know them and says 0.
pub(super) fn size(of: impl AsFd) -> (Option<usize>, Option<usize>) {
    let known = |count: u16| (count > 0).then_some(count.into());
    tcgetwinsize(of).map_or((None, None), |size| (known(size.ws_row), known(size.ws_col)))
}

/// Columns of a terminal, where they are known.
pub(super) fn width(of: impl AsFd) -> Option<usize> {
    size(of).1
}

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

/// One line of at most so many columns of the terminal, with an ellipsis where something is missing.
pub(super) fn shortened(text: &str, columns: usize) -> String {
    truncate_str(&one_line(text), columns, "…").into_owned()
}

/// A message in lines of at most so many columns, broken between words. What is to be typed stays whole, so that it can be
/// copied: a command at the end of a line, and whatever is in backquotes.
pub(super) fn wrapped(text: &str, columns: usize) -> String {
    text.split('\n').map(|line| wrapped_line(line, columns)).collect::<Vec<_>>().join("\n")
}

fn wrapped_line(line: &str, columns: usize) -> String {
    let (mut wrapped, mut used) = (String::new(), 0);
    for unit in units(line) {
        if used > 0 && used + measure_text_width(unit.trim_end()) > columns {
            wrapped.truncate(wrapped.trim_end().len());
            wrapped.push('\n');
            used = 0;
        }
        wrapped.push_str(unit);
        used += measure_text_width(unit);
    }
    wrapped
}

/// The parts of a line that stay whole, each with the blank behind it.
fn units(line: &str) -> Vec<&str> {
    let command = line.rfind(": everlog ").map_or(line.len(), |colon| colon + ": ".len());
    let (mut units, mut start, mut quoted) = (Vec::new(), 0, false);
    for (place, character) in line.char_indices().take_while(|(place, _)| *place < command) {
        quoted ^= character == '`';
        if character == ' ' && !quoted {
            units.push(&line[start..=place]);
            start = place + 1;
        }
    }
    units.push(&line[start..]);
    units
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
    fn what_is_to_be_typed_is_not_broken() {
        let told = "it is 日本語; start one with `everlog serve`, or see what there is: everlog tasks nightly\nshort";
        assert_eq!(
            wrapped(told, 20).lines().collect::<Vec<_>>(),
            [
                "it is 日本語; start",
                "one with",
                "`everlog serve`, or",
                "see what there is:",
                "everlog tasks nightly",
                "short"
            ]
        );
        assert_eq!(wrapped(told, 200), told);
        assert_eq!(wrapped("a-word-that-is-too-long for it", 8), "a-word-that-is-too-long\nfor it");
    }

    #[test]
    fn shortened_text_says_so() {
        assert_eq!(shortened("abcdef", 4), "abc…");
        assert_eq!(shortened("abcd", 4), "abcd");
        let wide: Vec<String> = [7, 6, 5, 4, 1].map(|columns| shortened("日本語!", columns)).into();
        assert_eq!(wide, ["日本語!", "日本…", "日本…", "日…", "…"]);
        assert_eq!(shortened("🙂🙂", 3), "🙂…");
    }
}
