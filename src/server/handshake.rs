//! Who may shake hands. A web page that somebody on this machine visits can reach loopback as well: its `Origin` gives it away,
//! and where it was lured to a name that points here, the `Host` does.

use std::net::IpAddr;

/// What handshakes are checked against.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// The host that the server was told to bind, in small letters.
    bound: String,
    /// Other machines may come as well.
    allow_remote: bool,
}

impl Names {
    pub(super) fn new(bound: &str, allow_remote: bool) -> Self {
        Self { bound: bound.trim_matches(['[', ']']).to_ascii_lowercase(), allow_remote }
    }

    /// Checks a handshake.
    ///
    /// # Errors
    /// A sentence for the client.
    pub(super) fn check(&self, host: Option<&str>, origin: Option<&str>) -> Result<(), String> {
        let quoted = |text: Option<&str>| text.unwrap_or("(none)").chars().take(QUOTE_CHARS_MAX).collect::<String>();
        if !host.and_then(host_of).is_some_and(|host| self.is_own(host)) {
            let host = quoted(host);
            return Err(format!(
                "the Host '{host}' is not this server; connect to localhost, or to the host it was bound to"
            ));
        }
        let Some(origin) = origin else { return Ok(()) };
        let from = origin.split_once("://").and_then(|(_, host)| host_of(host));
        if !from.is_some_and(|host| self.is_own(host)) {
            let origin = quoted(Some(origin));
            return Err(format!("the Origin '{origin}' may not connect; only pages of this machine may"));
        }
        Ok(())
    }

    fn is_own(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        if host == "localhost" || host == self.bound {
            return true;
        }
        // A page can be lured by name only: an address is what the visitor typed.
        host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback() || self.allow_remote)
    }
}

/// Characters of a header that a refusal quotes.
const QUOTE_CHARS_MAX: usize = 80;

/// The host of `host[:port]`, without the brackets of an IPv6 address.
fn host_of(authority: &str) -> Option<&str> {
    let is_port = |port: &str| port.is_empty() || port.parse::<u16>().is_ok();
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        return (after.is_empty() || after.strip_prefix(':').is_some_and(is_port)).then_some(host);
    }
    match authority.split_once(':') {
        None => Some(authority),
        Some((host, port)) => is_port(port).then_some(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_hosts_may_and_foreign_ones_may_not() {
        let names = Names::new("Ml-Box", false);
        for host in ["localhost", "LOCALHOST:8700", "127.0.0.1:1", "127.0.0.9", "[::1]:8700", "[::1]", "ml-box:8700"] {
            assert_eq!(names.check(Some(host), None), Ok(()), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:8700",
            "localhost.evil.example",
            "10.0.0.1:8700",
            "[::2]",
            "localhost:x",
            "[::1",
        ] {
            assert!(names.check(Some(host), None).is_err(), "{host}");
        }
        assert!(names.check(None, None).unwrap_err().contains("(none)"));
    }

    #[test]
    fn foreign_origins_may_not() {
        let names = Names::new("localhost", false);
        for origin in ["http://localhost:3000", "https://127.0.0.1", "http://[::1]:8"] {
            assert_eq!(names.check(Some("localhost"), Some(origin)), Ok(()), "{origin}");
        }
        for origin in
            ["null", "", "https://evil.example", "http://localhost@evil.example", "http://10.0.0.1", "localhost"]
        {
            let sentence = names.check(Some("localhost"), Some(origin)).unwrap_err();
            assert!(sentence.contains("Origin"), "{sentence}");
        }
    }

    #[test]
    fn with_remote_access_addresses_may_and_names_may_not() {
        let names = Names::new("0.0.0.0", true);
        assert_eq!(names.check(Some("10.0.0.1:8700"), None), Ok(()));
        assert!(names.check(Some("evil.example"), None).is_err());
    }
}
