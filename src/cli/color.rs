//! Colours: whether there are any, and what they mean.

use std::io::IsTerminal;
use std::sync::OnceLock;

use clap::ValueEnum;
use clap::builder::styling::{AnsiColor, Effects, Style};

/// When to use colours: on a terminal unless `NO_COLOR` is set, also into files and pipes, or nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    Auto,
    Always,
    Never,
}

/// What was asked for; fixed once, before anything is said.
static CHOICE: OnceLock<Color> = OnceLock::new();

/// Fixes the choice for this process.
pub(super) fn choose(color: Color) {
    // A second choice would come from a test; the first one stays.
    let _ = CHOICE.set(color);
}

fn wanted(stream: &impl IsTerminal) -> bool {
    match CHOICE.get().unwrap_or(&Color::Auto) {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
            stream.is_terminal() && set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb")
        }
    }
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

    pub(super) fn style(self) -> Style {
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
}
