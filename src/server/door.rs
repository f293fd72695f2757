//! The door: a listener, the handshake, and a session for everybody who is let in.

use super::limits::READ_BUFFER_BYTES;
use super::{DoorConfig, DoorError, NextConnection, handshake::Names, session};
use crate::shared::Shared;
use axum::Router;
use axum::extract::ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use everlog_replay::ConnectionNo;
use futures_util::StreamExt;
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

/// The connections whose peers are on this machine.
pub(crate) type LocalConnections = Arc<Mutex<BTreeSet<ConnectionNo>>>;

/// An address that is bound and not served yet.
pub(crate) struct Doorway {
    listener: TcpListener,
    addr: SocketAddr,
}

/// A door that stands open.
pub(crate) struct Door {
    addr: SocketAddr,
    hall: Arc<Hall>,
    stop: watch::Sender<bool>,
}

/// What every handshake needs.
struct Hall {
    shared: Arc<Shared>,
    /// `None` once the door is closed.
    next: RwLock<Option<NextConnection>>,
    names: Names,
    places: Arc<Semaphore>,
    connections_max: u32,
    frame_bytes_max: usize,
    local: LocalConnections,
}

/// Finds an address to listen on, and binds it: before the log is touched, so that a taken port leaves no trace there.
pub(crate) async fn bind(config: &DoorConfig) -> Result<Doorway, DoorError> {
    let host = config.host.trim_matches(['[', ']']);
    let resolved = tokio::net::lookup_host((host, config.port)).await;
    let resolved = resolved.map_err(|source| DoorError::Resolve { host: config.host.clone(), source })?;
    let mut addresses: Vec<SocketAddr> = resolved.collect();
    if !config.allow_remote && addresses.iter().any(|address| !address.ip().is_loopback()) {
        return Err(DoorError::NotLoopback { host: config.host.clone() });
    }
    // What most clients try first when they are told `localhost`.
    addresses.sort_by_key(SocketAddr::is_ipv6);
    let bound = TcpListener::bind(&*addresses).await.and_then(|listener| Ok((listener.local_addr()?, listener)));
    match bound {
        Ok((addr, listener)) => Ok(Doorway { listener, addr }),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            Err(DoorError::PortInUse { host: config.host.clone(), port: config.port })
        }
        Err(source) => Err(DoorError::Bind { host: config.host.clone(), port: config.port, source }),
    }
}

impl Doorway {
    /// Lets clients in.
    pub(crate) fn open(
        self,
        config: &DoorConfig,
        shared: Arc<Shared>,
        next: NextConnection,
        local: LocalConnections,
    ) -> Door {
        let connections_max = u32::try_from(config.max_connections).unwrap_or(u32::MAX);
        let hall = Arc::new(Hall {
            shared,
            next: RwLock::new(Some(next)),
            names: Names::new(&config.host, config.allow_remote),
            places: Arc::new(Semaphore::new(connections_max as usize)),
            connections_max,
            frame_bytes_max: config.max_frame_bytes,
            local,
        });
        let router = Router::new().fallback(enter).with_state(Arc::clone(&hall));
        let listener = self.listener.tap_io(|stream| {
            // A small frame must not wait for the acknowledgement of the one before; where that can not be set, it is only slower.
            let _ = stream.set_nodelay(true);
        });
        let (stop, mut stopped) = watch::channel(false);
        let serving = axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>())
            .with_graceful_shutdown(async move {
                // An error means that the door is gone.
                let _ = stopped.wait_for(|stop| *stop).await;
            });
        tokio::spawn(async move { serving.await });
        Door { addr: self.addr, hall, stop }
    }
}

impl Door {
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Lets nobody in any more, and lets go of the way to connection numbers. Who is inside stays.
    pub(crate) fn close(&self) -> Guests {
        self.hall.next.write().take();
        self.stop.send_replace(true);
        Guests::new(Arc::clone(&self.hall.places), self.hall.connections_max)
    }
}

/// The sessions that are still open behind a closed door.
pub(crate) struct Guests {
    places: Arc<Semaphore>,
    connections_max: u32,
}

impl Guests {
    /// Who holds a permit of `places`, of which there are so many.
    pub(crate) fn new(places: Arc<Semaphore>, connections_max: u32) -> Self {
        Self { places, connections_max }
    }

    /// Resolves when all have left, or after `within`; whether all have left.
    pub(crate) async fn left(self, within: Duration) -> bool {
        timeout(within, self.places.acquire_many(self.connections_max)).await.is_ok()
    }
}

async fn enter(
    State(hall): State<Arc<Hall>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    if let Err(sentence) = hall.names.check(text(header::HOST), text(header::ORIGIN)) {
        return refuse(StatusCode::FORBIDDEN, &sentence);
    }
    let Ok(upgrade) = upgrade else {
        return refuse(
            StatusCode::UPGRADE_REQUIRED,
            "this is a WebSocket server; connect with ws:// and a WebSocket client",
        );
    };
    let Ok(place) = Arc::clone(&hall.places).try_acquire_owned() else {
        let most = hall.connections_max;
        let sentence =
            format!("{most} connections are open, the most allowed; close one, or raise server.max_connections");
        return refuse(StatusCode::SERVICE_UNAVAILABLE, &sentence);
    };
    let Some(connection) = hall.next.read().as_ref().map(|next| next()) else {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "the server is about to end; connect again when it is back");
    };
    let upgrade = upgrade
        .max_message_size(hall.frame_bytes_max)
        .max_frame_size(hall.frame_bytes_max)
        .read_buffer_size(READ_BUFFER_BYTES);
    upgrade.on_upgrade(async move |socket| {
        if peer.ip().to_canonical().is_loopback() {
            hall.local.lock().insert(connection);
        }
        let (sink, stream) = socket.split();
        session::run(sink, stream, peer.to_string(), Arc::clone(&hall.shared), connection, hall.frame_bytes_max).await;
        hall.local.lock().remove(&connection);
        drop(place);
    })
}

fn refuse(status: StatusCode, sentence: &str) -> Response {
    (status, format!("{sentence}\n")).into_response()
}
