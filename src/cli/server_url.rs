//! Where the coordinator is, for the verbs that talk to one.

use clap::Args;

use crate::client::ClientError;

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
}

impl ServerUrl {
    pub(super) fn get(&self) -> Result<String, ClientError> {
        match &self.url {
            Some(url) => Ok(url.clone()),
            None => of_environment(|name| std::env::var(name).ok()),
        }
    }
}

fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Result<String, ClientError> {
    // An empty variable counts as unset: that is how many tools unset one.
    let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
    let host = set("MCP_SERVER_HOST").unwrap_or_else(|| HOST.to_owned());
    let port = set("MCP_SERVER_PORT").map_or(Ok(PORT), |value| {
        let expected = "a port, a number from 0 to 65535";
        value.parse().map_err(|_| ClientError::BadSetting { name: "MCP_SERVER_PORT", value, expected })
    })?;
    // An IPv6 address needs brackets before a port.
    let bare_v6 = host.contains(':') && !host.starts_with('[');
    Ok(if bare_v6 { format!("ws://[{host}]:{port}") } else { format!("ws://{host}:{port}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_names_the_coordinator() {
        let url = |host: &'static str, port: &'static str| {
            of_environment(|name| Some(if name == "MCP_SERVER_HOST" { host } else { port }.to_owned()))
        };
        assert_eq!(url("", "").expect("an address"), "ws://localhost:8700", "an empty variable counts as unset");
        assert_eq!(url("::1", "9000").expect("an address"), "ws://[::1]:9000");
        let told = url("there", "many").expect_err("no port").to_string();
        assert!(told.contains("MCP_SERVER_PORT is `many`"), "{told}");
    }
}
