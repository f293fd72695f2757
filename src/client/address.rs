//! What the URL of a coordinator looks like: judged in one place and before anything is tried, since a bad port would otherwise
//! be taken for none, and a bad host for one that is merely away.

use tokio_tungstenite::tungstenite::http::Uri;

use super::ClientError;

/// The port of a URL that names none, as of all of its kind.
const PORT_DEFAULT: u16 = 80;

/// The port that was probably meant where there is no URL.
const PORT_MEANT: u16 = 8_700;

/// `HOST:PORT` of a coordinator's URL.
///
/// # Errors
/// [`ClientError::BadAddress`] when there can be no coordinator.
pub(crate) fn host_and_port(url: &str) -> Result<String, ClientError> {
    judge(url).map_err(|cause| ClientError::BadAddress { url: url.to_owned(), cause })
}

/// Whether a text is the host of a URL and nothing more.
pub(crate) fn is_host(text: &str) -> bool {
    matches!(parts(&format!("ws://{text}")), Ok((host, None)) if host == text)
}

fn judge(url: &str) -> Result<String, String> {
    const EXAMPLE: &str = "one looks like ws://localhost:8700";
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    match scheme {
        "ws" => match parts(url) {
            Ok((host, port)) => Ok(format!("{host}:{}", port.unwrap_or(PORT_DEFAULT))),
            Err(cause) => Err(format!("{cause}; {EXAMPLE}")),
        },
        "wss" => Err("TLS is not supported yet, so write ws:// instead of wss://".to_owned()),
        _ => {
            let step = match parts(&format!("ws://{rest}")) {
                Ok((host, port)) => format!("did you mean ws://{host}:{}?", port.unwrap_or(PORT_MEANT)),
                Err(_) => EXAMPLE.to_owned(),
            };
            Err(format!("it does not begin with ws://; {step}"))
        }
    }
}

/// The host of a URL, and the port if it names one.
fn parts(url: &str) -> Result<(String, Option<u16>), String> {
    let uri: Uri = url.parse().map_err(|error| format!("{error}"))?;
    let authority = uri.authority().ok_or("it names no host")?;
    if authority.as_str().contains('@') {
        return Err("it names a user, and nobody is asked who they are".to_owned());
    }
    let host = authority.host();
    if host.is_empty() {
        return Err("it names no host".to_owned());
    }
    let port = match authority.as_str()[host.len()..].strip_prefix(':') {
        None => None,
        Some("") => return Err("there is no port behind its colon".to_owned()),
        Some(port) => match port.parse() {
            Ok(0) | Err(_) => return Err(format!("its port is `{port}`, not a number from 1 to 65535")),
            Ok(port) => Some(port),
        },
    };
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_and_a_port_are_what_it_takes() {
        for (url, expected) in [
            ("ws://localhost:8700", "localhost:8700"),
            ("ws://localhost:8700/behind/a/proxy?a@b:c", "localhost:8700"),
            ("ws://[::1]:8700", "[::1]:8700"),
            ("ws://[::1]", "[::1]:80"),
            ("ws://there", "there:80"),
        ] {
            assert_eq!(judge(url).as_deref(), Ok(expected), "{url}");
        }
    }

    #[test]
    fn what_is_no_address_is_told_with_what_to_write() {
        const PORT: &str = "not a number from 1 to 65535; one looks like";
        for (url, words) in [
            ("ws://localhost:99999", PORT),
            ("ws://localhost:abc", PORT),
            ("ws://localhost:", "there is no port behind its colon; one looks like"),
            ("ws://localhost:0", PORT),
            ("ws://[::1]:0", PORT),
            ("ws://:18931", "it names no host"),
            ("ws://", "one looks like"),
            ("ws:///path", "one looks like"),
            ("ws://user@there", "it names a user"),
            ("ws://user:8700@there:1", "it names a user"),
            ("ws://lo cal:1", "invalid uri character; one looks like"),
            ("wss://localhost:8700", "write ws:// instead of wss://"),
            ("http://localhost:8700", "it does not begin with ws://; did you mean ws://localhost:8700?"),
            ("localhost:18931", "it does not begin with ws://; did you mean ws://localhost:18931?"),
            ("localhost", "did you mean ws://localhost:8700?"),
            ("http://[::1]/path", "did you mean ws://[::1]:8700?"),
            ("localhost:abc", "it does not begin with ws://; one looks like"),
            ("", "it does not begin with ws://; one looks like"),
        ] {
            let told = host_and_port(url).expect_err(url).to_string();
            assert!(told.contains(words), "{url}: {told}");
        }
    }
}
