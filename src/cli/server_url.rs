//! Where the coordinator is, for the verbs that talk to one.

use clap::Args;

/// `--server`, or what the environment says.
#[derive(Debug, Args)]
pub(super) struct ServerUrl {
    /// The coordinator's address [default: ws://$MCP_SERVER_HOST:$MCP_SERVER_PORT, else ws://localhost:8700]
    #[arg(long = "server", value_name = "URL")]
    url: Option<String>,
    #[arg(long, env = "MCP_SERVER_HOST", default_value = "localhost", hide = true)]
    server_host: String,
    #[arg(long, env = "MCP_SERVER_PORT", default_value_t = 8700, hide = true)]
    server_port: u16,
}

impl ServerUrl {
    pub(super) fn get(&self) -> String {
        let Self { url, server_host, server_port } = self;
        url.clone().unwrap_or_else(|| {
            // An IPv6 address needs brackets before a port.
            let bare_v6 = server_host.contains(':') && !server_host.starts_with('[');
            let host = if bare_v6 { format!("[{server_host}]") } else { server_host.clone() };
            format!("ws://{host}:{server_port}")
        })
    }
}
