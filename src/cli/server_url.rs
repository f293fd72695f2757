//! Where the coordinator is, for the verbs that talk to one.

use std::net::Ipv6Addr;

use clap::Args;

use super::exit::Trouble;
use crate::client::ClientError;
use crate::client::address::is_host;
use crate::config::{Environment, KEYS, Loaded, Origin};

/// `--server`, or what the environment says.
#[derive(Debug, Args)]
pub(super) struct ServerUrl {
    /// The coordinator's address [default: from MCP_SERVER_HOST and MCP_SERVER_PORT, else
    /// ws://localhost:8700]
    #[arg(long = "server", value_name = "URL")]
    url: Option<String>,
}

impl ServerUrl {
    pub(super) fn get(&self) -> Result<String, Trouble> {
        match &self.url {
            Some(url) => Ok(url.clone()),
            None => of_environment(&Environment::of_process()),
        }
    }
}

/// Where a coordinator with this environment, and no file, would listen.
fn of_environment(environment: &Environment) -> Result<String, Trouble> {
    let loaded = environment.section("server")?;
    loaded.warn();
    let server = &loaded.config.server;
    // An IPv6 address needs brackets before a port.
    let bare_v6 = server.host.parse::<Ipv6Addr>().is_ok();
    let host = if bare_v6 { format!("[{}]", server.host) } else { server.host.clone() };
    if !is_host(&host) {
        return Err(bad(&loaded, "server.host", &server.host, "the name or the address of a machine"));
    }
    if server.port == 0 {
        return Err(bad(&loaded, "server.port", "0", "the port that the coordinator took"));
    }
    Ok(format!("ws://{host}:{}", server.port))
}

/// A setting with which a server may start, and a client goes nowhere.
fn bad(loaded: &Loaded, path: &str, value: &str, expected: &'static str) -> Trouble {
    let origin = KEYS.iter().zip(&loaded.origins).find(|(key, _)| key.path() == path).map(|(_, origin)| origin);
    let name = match origin {
        Some(Origin::Variable(name)) => name.clone(),
        Some(Origin::Default | Origin::File(..) | Origin::Flag(_)) | None => path.to_owned(),
    };
    ClientError::BadSetting { name, value: value.to_owned(), expected }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(variables: &[(&str, &str)]) -> Result<String, String> {
        let environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        of_environment(&environment).map_err(|error| error.to_string())
    }

    #[test]
    fn the_environment_names_the_coordinator_by_all_names_that_a_server_knows() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "77\n").expect("written");
        let file = file.path().to_str().expect("a path");
        for (variables, expected) in [
            (&[("MCP_SERVER_HOST", ""), ("MCP_SERVER_PORT", "")][..], "ws://localhost:8700"),
            (&[("MCP_SERVER_HOST", "::1"), ("MCP_SERVER_PORT", "9000")], "ws://[::1]:9000"),
            (&[("MCP_SERVER_HOST", "[::1]")], "ws://[::1]:8700"),
            (&[("EVERLOG__SERVER__HOST", "there"), ("EVERLOG__SERVER__PORT", "9")], "ws://there:9"),
            (&[("MCP_SERVER_PORT_FILE", file)], "ws://localhost:77"),
            (&[("MAX_MEMORY_MB", "much")], "ws://localhost:8700"),
        ] {
            assert_eq!(url(variables).as_deref(), Ok(expected), "{variables:?}");
        }
    }

    #[test]
    fn what_names_no_coordinator_is_told_by_the_name_of_the_variable() {
        for (name, value, words) in [
            ("MCP_SERVER_PORT", "many", "in the environment variable MCP_SERVER_PORT"),
            ("MCP_SERVER_PORT", "0", "MCP_SERVER_PORT is `0`; set it to the port that the coordinator took"),
            ("EVERLOG__SERVER__PORT", "0", "EVERLOG__SERVER__PORT is `0`"),
            ("MCP_SERVER_HOST", "a/b", "MCP_SERVER_HOST is `a/b`; set it to the name or the address of a machine"),
            ("MCP_SERVER_HOST", "user@host", "MCP_SERVER_HOST is `user@host`"),
            ("MCP_SERVER_HOST", "host:80", "MCP_SERVER_HOST is `host:80`"),
            ("MCP_SERVER_HOST", "ws://host", "MCP_SERVER_HOST is `ws://host`"),
        ] {
            let told = url(&[(name, value)]).expect_err(value);
            assert!(told.contains(words), "{name}={value}: {told}");
        }
    }
}
