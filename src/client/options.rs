//! How a client connects and how patient it is.

use std::time::Duration;

use super::{ClientError, INBOUND_FRAME_BYTES_MAX};

/// How long a call waits for its answer unless `MCP_CLIENT_TIMEOUT` says otherwise (protocol §6).
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// How often a call tries again unless `MCP_MAX_RETRIES` says otherwise (protocol §6).
const MAX_RETRIES: u32 = 3;

/// How a client connects and how patient it is.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// How long a call waits for its answer, from the moment when it may be sent. The time without a connection does
    /// not count, and when the call is sent again over a new connection, it waits for so long anew. Default: 30 s.
    pub request_timeout: Duration,
    /// How persistent a call is: it fails once so many attempts to connect have failed since it began to wait for a
    /// connection, and it is sent again at most so often, after lost connections and while the coordinator is
    /// overloaded. 0 tries nothing twice, [`u32::MAX`] never gives up. Default: 3.
    ///
    /// The client itself goes on connecting in any case.
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
    /// The options that the environment asks for: `MCP_CLIENT_TIMEOUT` in seconds, and `MCP_MAX_RETRIES`.
    ///
    /// # Errors
    /// [`ClientError::BadSetting`] when a variable makes no sense.
    pub fn from_env(env: impl Fn(&str) -> Option<String>) -> Result<Self, ClientError> {
        let seconds = |value: &str| {
            let seconds = value.parse::<f64>().ok().filter(|seconds| *seconds > 0.0)?;
            Duration::try_from_secs_f64(seconds).ok()
        };
        let mut options = Self::default();
        if let Some(timeout) = read(&env, "MCP_CLIENT_TIMEOUT", "a number of seconds above 0", seconds)? {
            options.request_timeout = timeout;
        }
        if let Some(retries) = read(&env, "MCP_MAX_RETRIES", "a whole number", |value| value.parse().ok())? {
            options.max_retries = retries;
        }
        Ok(options)
    }
}

fn read<T>(
    env: impl Fn(&str) -> Option<String>,
    name: &'static str,
    expected: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, ClientError> {
    // An empty one counts as unset: that is how many tools unset one.
    let Some(value) = env(name).filter(|value| !value.trim().is_empty()) else { return Ok(None) };
    match parse(&value) {
        Some(parsed) => Ok(Some(parsed)),
        None => Err(ClientError::BadSetting { name, value, expected }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_read_and_nonsense_in_it_is_named() {
        let set = |name: &'static str, value: &'static str| {
            ClientOptions::from_env(move |asked| (asked == name).then(|| value.to_owned()))
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
