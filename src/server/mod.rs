//! The door: how clients get in over WebSocket (protocol §1), and how each of them is served.
//!
//! It binds loopback only. There is no authentication yet, so other machines get in only where somebody has named that risk.

mod audience;
mod descriptors;
pub(crate) mod door;
mod entrance;
mod envelope;
mod handshake;
pub(crate) mod limits;
mod outbound;
pub(crate) mod places;
pub(crate) mod session;
mod turns;

use everlog_replay::ConnectionNo;
use limits::{CONNECTIONS_MAX, FRAME_BYTES_MAX};

/// Gives numbers to connections.
pub(crate) type NextConnection = Box<dyn Fn() -> ConnectionNo + Send + Sync>;

/// Where clients come in, and how many.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DoorConfig {
    /// A name or an address to listen on.
    pub host: String,
    /// The port; 0 takes a free one.
    pub port: u16,
    /// Listen on other than loopback addresses although nobody is asked who they are.
    pub allow_remote: bool,
    /// Connections at a time.
    pub max_connections: u32,
    /// Bytes of the longest inbound frame.
    pub max_frame_bytes: usize,
}

impl Default for DoorConfig {
    /// The defaults of protocol §6.
    fn default() -> Self {
        Self {
            host: "localhost".to_owned(),
            port: 8_700,
            allow_remote: false,
            max_connections: CONNECTIONS_MAX,
            max_frame_bytes: FRAME_BYTES_MAX,
        }
    }
}

/// Why nobody can come in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DoorError {
    /// The host has no address.
    #[error(
        "cannot find an address of '{host}': {source}; give a name of this machine, or an address such as 127.0.0.1"
    )]
    Resolve {
        /// The host.
        host: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Other machines could connect.
    #[error(
        "'{host}' is not a loopback address, and whoever reaches it could do everything, since there is no authentication yet; \
         listen on localhost"
    )]
    NotLoopback {
        /// The host.
        host: String,
    },
    /// Somebody listens there already.
    #[error("port {port} of {host} is in use; stop the other process, or choose another port (0 takes a free one)")]
    PortInUse {
        /// The host.
        host: String,
        /// The port.
        port: u16,
    },
    /// It can not be listened there.
    #[error("cannot listen on {host}, port {port}: {source}; choose another address")]
    Bind {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// What the operating system said.
        source: std::io::Error,
    },
}

#[cfg(test)]
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test fails on whatever it does not expect, new variants included"
)]
mod tests;
