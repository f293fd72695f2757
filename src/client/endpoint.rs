//! Where a coordinator is, and how frames get there and back.
//!
//! Everything above this room speaks in frames and does not know what carries them: a socket to another machine, or a
//! queue to a coordinator in the same process.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{Sink, StreamExt};
use tokio_tungstenite::connect_async_with_config;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use super::address::host_and_port;
use super::{CLOSE_TIMEOUT, ClientError, ClientOptions, INBOUND_FRAME_BYTES_MAX};

/// Where frames to the coordinator go.
pub(crate) type FrameSink = Pin<Box<dyn Sink<Message, Error = WsError> + Send>>;

/// Where frames of the coordinator come from.
pub(crate) type FrameStream = BoxStream<'static, Result<Message, WsError>>;

/// A coordinator that can be connected to, again and again. Its text names it in messages.
pub(crate) trait Dial: fmt::Debug + fmt::Display + Send + Sync {
    /// Makes a new connection.
    fn dial<'a>(&'a self, options: &'a ClientOptions) -> BoxFuture<'a, Result<(FrameSink, FrameStream), ClientError>>;
}

/// Where a coordinator is: behind a URL such as `ws://localhost:8700`, or in this process.
///
/// A URL is looked at when it is connected to, not before, so making an endpoint cannot fail.
#[derive(Clone, Debug)]
pub struct Endpoint(Arc<dyn Dial>);

impl Endpoint {
    /// A coordinator that `dial` leads to.
    pub(crate) fn local(dial: Arc<dyn Dial>) -> Self {
        Self(dial)
    }

    pub(super) async fn dial(&self, options: &ClientOptions) -> Result<(FrameSink, FrameStream), ClientError> {
        self.0.dial(options).await
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<String> for Endpoint {
    fn from(url: String) -> Self {
        Self(Arc::new(Url(url)))
    }
}

impl From<&str> for Endpoint {
    fn from(url: &str) -> Self {
        url.to_owned().into()
    }
}

impl From<&String> for Endpoint {
    fn from(url: &String) -> Self {
        url.to_owned().into()
    }
}

/// A coordinator behind a WebSocket.
#[derive(Debug)]
struct Url(String);

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Dial for Url {
    fn dial<'a>(&'a self, options: &'a ClientOptions) -> BoxFuture<'a, Result<(FrameSink, FrameStream), ClientError>> {
        Box::pin(self.open(options))
    }
}

impl Url {
    async fn open(&self, options: &ClientOptions) -> Result<(FrameSink, FrameStream), ClientError> {
        host_and_port(&self.0)?;
        let largest = options.inbound_frame_bytes_max.max(INBOUND_FRAME_BYTES_MAX);
        let config = WebSocketConfig::default().max_message_size(Some(largest)).max_frame_size(Some(largest));
        // Frames are flushed in batches already: Nagle would only add its delay.
        let disable_nagle = true;
        let connecting = connect_async_with_config(&self.0, Some(config), disable_nagle);
        match tokio::time::timeout(CLOSE_TIMEOUT, connecting).await {
            Ok(Ok((socket, _response))) => {
                let (sink, stream) = socket.split();
                Ok((Box::pin(sink), stream.boxed()))
            }
            Ok(Err(error)) => Err(self.refused(error)),
            Err(_elapsed) => Err(self.unreachable(format!("no answer within {} s", CLOSE_TIMEOUT.as_secs()))),
        }
    }

    fn refused(&self, error: WsError) -> ClientError {
        // The causes in their own words: which layer they come from helps nobody.
        if let WsError::Io(error) = &error {
            return self.unreachable(error.to_string());
        }
        if let WsError::Protocol(error) = &error {
            // Something else speaks there: another protocol, or HTTP without an upgrade.
            return self.unreachable(format!("what answers there is no coordinator ({error})"));
        }
        let WsError::Http(response) = error else { return self.unreachable(error.to_string()) };
        let (status, body) = (response.status(), response.body().as_deref().unwrap_or_default());
        let message = String::from_utf8_lossy(body).trim().to_owned();
        // These are how a coordinator refuses; whatever answers otherwise is none.
        if matches!(status.as_u16(), 403 | 503) && !message.is_empty() {
            return ClientError::TurnedAway { url: self.0.clone(), status: status.as_u16(), message };
        }
        self.unreachable(format!("what answers there is no coordinator (HTTP {status})"))
    }

    fn unreachable(&self, cause: String) -> ClientError {
        ClientError::Unreachable { url: self.0.clone(), cause }
    }
}
