//! How a client connects and how patient it is.

use std::time::Duration;

use crate::backoff::Backoff;

use super::{ClientError, INBOUND_FRAME_BYTES_MAX};

const CLIENT_TIMEOUT: &str = "MCP_CLIENT_TIMEOUT";
const MAX_RETRIES_VARIABLE: &str = "MCP_MAX_RETRIES";

/// The variables of the environment that clients read.
pub(crate) const CLIENT_VARIABLES: [&str; 2] = [CLIENT_TIMEOUT, MAX_RETRIES_VARIABLE];

/// How long a call waits for its answer unless `MCP_CLIENT_TIMEOUT` says otherwise (protocol §6).
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// How often a call tries again unless `MCP_MAX_RETRIES` says otherwise (protocol §6).
const MAX_RETRIES: u32 = 3;

/// The longest pause before the first retry of a call. It doubles, so that three of them bear a restart of the coordinator.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// The longest pause of all.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How a client connects and how patient it is.
///
/// ```
/// use everlog::ClientOptions;
///
/// let tireless = ClientOptions::default().max_retries(u32::MAX);
/// # assert_eq!(tireless.max_retries, u32::MAX);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClientOptions {
    /// How long a call waits for its answer, from the moment when it may be sent. The time without a connection does
    /// not count, and when the call is sent again over a new connection, it waits for so long anew. Default: 30 s.
    pub request_timeout: Duration,
    /// How persistent a call is. Its retries are worth 2 s, 4 s, 8 s, 16 s, and from then on 30 s each. Without a connection it
    /// waits for as long as all of them together; it is sent again at most so often, after lost connections at once, and after
    /// such a pause (or half of it) while the coordinator is overloaded. Default: 3, so a call bears a coordinator that is away
    /// for 14 s. 0 tries nothing twice and waits for nothing, [`u32::MAX`] never gives up.
    ///
    /// The client itself goes on connecting in any case, at least every 5 s.
    pub max_retries: u32,
    /// The largest frame to read, in bytes. More than the default of 1 MiB helps only a peer that says so when it
    /// registers, as an agent does.
    pub inbound_frame_bytes_max: usize,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            request_timeout: REQUEST_TIMEOUT,
            max_retries: MAX_RETRIES,
            inbound_frame_bytes_max: INBOUND_FRAME_BYTES_MAX,
        }
    }
}

impl ClientOptions {
    /// The options that the environment of this process asks for: `MCP_CLIENT_TIMEOUT` in seconds, and `MCP_MAX_RETRIES`. What
    /// is not set, or empty, is as in [`ClientOptions::default`].
    ///
    /// # Errors
    /// [`ClientError::BadSetting`] when a variable makes no sense.
    pub fn from_env() -> Result<Self, ClientError> {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    fn from_variables(value_of: impl Fn(&str) -> Option<String>) -> Result<Self, ClientError> {
        let seconds = |value: &str| {
            let seconds = value.parse::<f64>().ok().filter(|seconds| *seconds > 0.0)?;
            Duration::try_from_secs_f64(seconds).ok()
        };
        let mut options = Self::default();
        if let Some(timeout) = read(&value_of, CLIENT_TIMEOUT, "a number of seconds above 0", seconds)? {
            options.request_timeout = timeout;
        }
        if let Some(retries) = read(&value_of, MAX_RETRIES_VARIABLE, "a whole number", |value| value.parse().ok())? {
            options.max_retries = retries;
        }
        Ok(options)
    }

    /// Sets [`ClientOptions::request_timeout`].
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// Sets [`ClientOptions::max_retries`].
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.max_retries = retries;
        self
    }

    /// Sets [`ClientOptions::inbound_frame_bytes_max`].
    pub fn inbound_frame_bytes_max(mut self, bytes: usize) -> Self {
        self.inbound_frame_bytes_max = bytes;
        self
    }

    /// The pauses of one call.
    pub(super) fn pauses() -> Backoff {
        Backoff::new(FIRST_PAUSE, LONGEST_PAUSE)
    }

    /// How long a call waits for a connection.
    pub(super) fn patience(&self) -> Duration {
        Self::pauses().longest_total(self.max_retries)
    }
}

fn read<T>(
    value_of: impl Fn(&str) -> Option<String>,
    name: &'static str,
    expected: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, ClientError> {
    // An empty one counts as unset: that is how many tools unset one.
    let Some(value) = value_of(name).filter(|value| !value.trim().is_empty()) else { return Ok(None) };
    match parse(&value) {
        Some(parsed) => Ok(Some(parsed)),
        None => Err(ClientError::BadSetting { name: name.to_owned(), value, expected }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_retries_bear_a_restart_of_the_coordinator() {
        let patience = |retries| ClientOptions::default().max_retries(retries).patience();
        assert_eq!(ClientOptions::default().patience(), Duration::from_secs(14));
        assert_eq!((patience(0), patience(1), patience(6)), (Duration::ZERO, FIRST_PAUSE, Duration::from_secs(90)));
        assert!(patience(u32::MAX) > Duration::from_secs(3_155_760_000), "a hundred years");
    }

    #[test]
    fn the_environment_is_read_and_nonsense_in_it_is_named() {
        let set = |name: &'static str, value: &'static str| {
            ClientOptions::from_variables(move |asked| (asked == name).then(|| value.to_owned()))
        };
        assert_eq!(set("MCP_CLIENT_TIMEOUT", "1.5").expect("good").request_timeout, Duration::from_millis(1500));
        assert_eq!(set("MCP_MAX_RETRIES", "0").expect("good").max_retries, 0);
        assert_eq!(set("MCP_MAX_RETRIES", "").expect("unset").max_retries, ClientOptions::default().max_retries);
        assert_eq!(
            set("MCP_CLIENT_TIMEOUT", " ").expect("unset").request_timeout,
            ClientOptions::default().request_timeout
        );
        let untouched = set("MCP_OTHER", "x").expect("good");
        assert_eq!((untouched.request_timeout, untouched.max_retries), (Duration::from_secs(30), 3));
        for (name, value) in [("MCP_CLIENT_TIMEOUT", "0"), ("MCP_CLIENT_TIMEOUT", "soon"), ("MCP_MAX_RETRIES", "-1")] {
            let said = set(name, value).expect_err(value).to_string();
            assert!(said.contains(name) && said.contains(value), "{said}");
        }
    }
}
