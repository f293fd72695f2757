//! Where the coordinator is, for the verbs that talk to one.

use clap::Args;

/// Where a coordinator serves unless it is told otherwise.
const HOST: &str = "localhost";
const PORT: u16 = 8_700;

/// `--server`, or what the environment says.
#[derive(Debug, Args)]
pub(super) struct ServerUrl {
    /// The coordinator's address [default: from MCP_SERVER_HOST and MCP_SERVER_PORT, else
    /// ws://localhost:8700]
    #[arg(long = "server", value_name = "URL")]
    url: Option<String>,
    #[arg(long, env = "MCP_SERVER_HOST", default_value = HOST, hide = true)]
    server_host: String,
    #[arg(long, env = "MCP_SERVER_PORT", default_value_t = PORT, value_parser = port, hide = true)]
    server_port: u16,
}

/// A port. An empty variable counts as unset: that is how many tools unset one.
fn port(text: &str) -> Result<u16, std::num::ParseIntError> {
    if text.trim().is_empty() { Ok(PORT) } else { text.parse() }
}

impl ServerUrl {
    pub(super) fn get(&self) -> String {
        let Self { url, server_host, server_port } = self;
        url.clone().unwrap_or_else(|| {
            let server_host = if server_host.trim().is_empty() { HOST } else { server_host };
            // An IPv6 address needs brackets before a port.
            let bare_v6 = server_host.contains(':') && !server_host.starts_with('[');
            let host = if bare_v6 { format!("[{server_host}]") } else { server_host.to_owned() };
            format!("ws://{host}:{server_port}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_counts_as_unset() {
        let url = |host: &str, text| {
            ServerUrl { url: None, server_host: host.to_owned(), server_port: port(text).expect("a port") }.get()
        };
        assert_eq!(url("", ""), "ws://localhost:8700");
        assert_eq!(url("::1", "9000"), "ws://[::1]:9000");
        assert!(port("many").is_err());
    }
}
