//! Colours: whether there are any, and what they mean.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::sync::OnceLock;

use clap::ValueEnum;
use clap::builder::styling::{AnsiColor, Effects, Style, Styles};

use super::terminal;

/// When to use colours: on a terminal unless `NO_COLOR` is set, also into files and pipes, or nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    Auto,
    Always,
    Never,
}

/// The help and the mistakes of the command line, in the tones of everything else.
pub(super) const HELP: Styles = Styles::styled()
    .literal(Style::new().bold())
    .valid(Tone::Good.style())
    .invalid(Tone::Held.style())
    .error(Tone::Bad.style().bold());

/// What was asked for; fixed once, before anything is said.
static CHOICE: OnceLock<Color> = OnceLock::new();

/// Fixes the choice for this process.
pub(super) fn choose(color: Color) {
    // A second choice would come from a test; the first one stays.
    let _ = CHOICE.set(color);
}

/// As no-color.org and bixense.com/clicolors have it.
fn wanted(stream: &impl IsTerminal) -> bool {
    let says = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    match CHOICE.get().unwrap_or(&Color::Auto) {
        Color::Always => true,
        Color::Never => false,
        Color::Auto if says("NO_COLOR").is_some() => false,
        Color::Auto if says("CLICOLOR_FORCE").is_some() => true,
        Color::Auto => says("CLICOLOR").is_none_or(|value| value != "0") && terminal::obeys(stream),
    }
}

/// What a command line asks for, before it is understood: its help and its mistakes have colours too.
pub(super) fn asked(args: impl IntoIterator<Item = OsString>) -> Color {
    let args = args.into_iter().map_while(|arg| arg.into_string().ok()).take_while(|arg| arg != "--");
    let args: Vec<String> = args.collect();
    let word = args.iter().enumerate().find_map(|(n, arg)| match arg.strip_prefix("--color")? {
        "" => args.get(n + 1).map(String::as_str),
        word => word.strip_prefix('='),
    });
    word.and_then(|word| Color::from_str(word, false).ok()).unwrap_or(Color::Auto)
}

pub(super) fn on_stdout() -> bool {
    wanted(&std::io::stdout())
}

pub(super) fn on_stderr() -> bool {
    wanted(&std::io::stderr())
}

/// What a word says about its thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Good,
    Bad,
    Busy,
    Held,
    Quiet,
}

impl Tone {
    /// The tone of a status of protocol §5; what is not known is plain.
    pub(super) fn of(status: &str) -> Self {
        match status {
            "completed" | "active" | "recovered" => Self::Good,
            "failed" | "error" | "lost" => Self::Bad,
            "running" | "assigned" => Self::Busy,
            "paused" | "stopping" | "stopped" | "cancelled" | "disconnected" => Self::Held,
            "pending" | "idle" => Self::Quiet,
            _ => Self::Plain,
        }
    }

    pub(super) const fn style(self) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Bad => AnsiColor::Red.on_default(),
            Self::Busy => AnsiColor::Cyan.on_default(),
            Self::Held => AnsiColor::Yellow.on_default(),
            Self::Quiet => Style::new().effects(Effects::DIMMED),
        }
    }

    /// `text` in this tone, where `colors` are wanted.
    pub(super) fn paint(self, text: &str, colors: bool) -> String {
        let style = if colors { self.style() } else { Style::new() };
        format!("{style}{text}{style:#}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_added_around_the_text_or_not_at_all() {
        assert_eq!(Tone::of("failed").paint("x", true), "\u{1b}[31mx\u{1b}[0m");
        assert_eq!(Tone::of("failed").paint("x", false), "x");
        assert_eq!(Tone::of("new word").paint("x", true), "x");
    }

    #[test]
    fn the_wish_is_seen_wherever_it_stands() {
        let asked = |line: &str| asked(line.split(' ').map(OsString::from));
        assert_eq!(asked("everlog --color never ps"), Color::Never);
        assert_eq!(asked("everlog stauts --color=always"), Color::Always);
        for none in ["everlog ps", "everlog --color", "everlog --color sometimes", "everlog run -- --color never"] {
            assert_eq!(asked(none), Color::Auto, "{none}");
        }
    }
}
