//! Why something could not be measured, as sentences.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why something could not be measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// This machine refuses a process.
    #[error("the {who} cannot be started: {source}; free memory or processes, and try again")]
    Start {
        /// Which process.
        who: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A process ended, and what it said stands on stderr.
    #[error("the {who} ended while it was measured ({how}); above stands what it said: mend that, or report it")]
    Died {
        /// Which process.
        who: &'static str,
        /// Its exit status.
        how: String,
    },
    /// Nothing happens any more.
    #[error("{what} did not come within {} s; try fewer tasks, or report it", .within.as_secs())]
    Silent {
        /// What was waited for.
        what: &'static str,
        /// How long.
        within: Duration,
    },
    /// The coordinator said no.
    #[error("the coordinator refused {method} ({message}); try fewer tasks or agents")]
    Refused {
        /// What was asked.
        method: String,
        /// Its words.
        message: String,
    },
    /// A connection ended, or could not be made.
    #[error("a connection to {url} failed: {cause}; try fewer agents, or report it")]
    Cut {
        /// Where it led.
        url: String,
        /// In the words of whoever noticed.
        cause: String,
    },
    /// The directory of the measurement.
    #[error("{} cannot be used for what is measured: {source}; name another directory with --data", .path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The data directory cannot be read back.
    #[error(transparent)]
    Storage(#[from] everlog_storage::Fault),
    /// An answer without what the protocol promises.
    #[error("the coordinator's answer to {0} is not what the protocol promises; this is a bug: report it")]
    Answer(&'static str),
}
