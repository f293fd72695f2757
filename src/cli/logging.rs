//! What the process says on stderr: how much, and in which form. Both may change while it runs.

use clap::ValueEnum;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use super::color;
use crate::config::{LogFormat, LogLevel};

type Filtered = tracing_subscriber::layer::Layered<reload::Layer<EnvFilter, Registry>, Registry>;
type Lines = Box<dyn Layer<Filtered> + Send + Sync>;

/// The way to change what is said.
pub(super) struct Logging {
    filter: reload::Handle<EnvFilter, Registry>,
    lines: reload::Handle<Lines, Filtered>,
}

impl Logging {
    /// Begins to log, with this level unless `RUST_LOG` says otherwise.
    pub(super) fn start(level: LogLevel, format: LogFormat) -> Self {
        let (filter, filter_handle) = reload::Layer::new(filter(level));
        let (lines, lines_handle) = reload::Layer::new(lines(format));
        tracing_subscriber::registry().with(filter).with(lines).init();
        Self { filter: filter_handle, lines: lines_handle }
    }

    /// Changes what is said from here on.
    pub(super) fn set(&self, level: LogLevel, format: LogFormat) {
        // Errors mean that nobody logs any more.
        drop(self.filter.reload(filter(level)));
        drop(self.lines.reload(lines(format)));
    }
}

fn filter(level: LogLevel) -> EnvFilter {
    EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(directives(level)))
}

/// What a level means to `EnvFilter`. sled is not heard: every page that it writes is a line to it, and what it can not read the
/// store does without, and tells in its own words.
fn directives(level: LogLevel) -> String {
    let word = level.to_possible_value().map_or_else(String::new, |word| word.get_name().to_owned());
    format!("{word},sled=off")
}

fn lines(format: LogFormat) -> Lines {
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(color::on_stderr()).with_target(false);
    match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_level_asks_for_the_pages_of_the_store() {
        let filter = EnvFilter::new(directives(LogLevel::Debug));
        assert_eq!(filter.to_string(), "sled=off,debug");
    }
}
