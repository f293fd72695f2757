//! The door: a listener, probes, the handshake, and a session for everybody who is let in.

use super::limits::READ_BUFFER_BYTES;
use super::places::Places;
use super::{DoorConfig, DoorError, NextConnection, descriptors, entrance, handshake::Names, session};
use crate::clock::mono_ms;
use crate::health::{Phase, Vitals};
use crate::shared::Shared;
use axum::Router;
use axum::extract::ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::ListenerExt;
use everlog_replay::ConnectionNo;
use futures_util::StreamExt;
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// The connections whose peers are on this machine.
pub(crate) type LocalConnections = Arc<Mutex<BTreeSet<ConnectionNo>>>;

/// An address that is bound and not served yet.
pub(crate) struct Doorway {
    listener: TcpListener,
    addr: SocketAddr,
}

/// A door: probes are answered from the beginning, clients wait in front of it until it is open.
pub(crate) struct Door {
    addr: SocketAddr,
    hall: Arc<Hall>,
    stop: watch::Sender<bool>,
}

/// What every handshake and every probe needs.
pub(crate) struct Hall {
    phase: watch::Sender<Phase>,
    /// `None` before the door opens, and after everybody has left: nothing may hold on to the data directory then.
    shared: RwLock<Option<Arc<Shared>>>,
    /// `None` while the door is closed.
    next: RwLock<Option<NextConnection>>,
    names: Names,
    places: Arc<Places>,
    frame_bytes_max: usize,
    local: LocalConnections,
    /// Monotonic, in milliseconds.
    started_ms: i64,
}

impl Hall {
    /// Looks at what tells whether the coordinator is well.
    pub(crate) fn examine<T>(&self, look: impl FnOnce(Vitals<'_>) -> T) -> T {
        let (phase, shared) = (*self.phase.borrow(), self.shared.read());
        let signs = shared.as_ref().map(|shared| (&shared.pulse, &shared.durable));
        look(Vitals { phase, signs, started_ms: self.started_ms, now_ms: mono_ms() })
    }

    /// What somebody is told who was lured here (see [`Names`]).
    fn refusal(&self, headers: &HeaderMap) -> Option<Response> {
        let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
        let checked = self.names.check(text(header::HOST), text(header::ORIGIN));
        checked.err().map(|sentence| refuse(StatusCode::FORBIDDEN, &sentence))
    }
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
    /// Answers probes, and lets clients wait.
    pub(crate) fn serve(self, config: &DoorConfig, local: LocalConnections) -> Door {
        let hall = Arc::new(Hall {
            phase: watch::Sender::new(Phase::Starting),
            shared: RwLock::new(None),
            next: RwLock::new(None),
            names: Names::new(&config.host, config.allow_remote),
            places: Places::new(descriptors::connections_max(config.max_connections)),
            frame_bytes_max: config.max_frame_bytes,
            local,
            started_ms: mono_ms(),
        });
        let router = Router::new()
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .fallback(enter)
            .with_state(Arc::clone(&hall));
        let listener = self.listener.tap_io(|stream| {
            // A small frame must not wait for the acknowledgement of the one before; where that can not be set, it is only slower.
            let _ = stream.set_nodelay(true);
        });
        let (stop, mut stopped) = watch::channel(false);
        tokio::spawn(async move {
            tokio::select! {
                // An error means that the door is gone.
                _ = stopped.wait_for(|stop| *stop) => {}
                never = entrance::accept(listener, router) => match never {},
            }
        });
        Door { addr: self.addr, hall, stop }
    }
}

impl Door {
    /// Lets clients in.
    pub(crate) fn open(&self, shared: Arc<Shared>, next: NextConnection) {
        *self.hall.next.write() = Some(next);
        *self.hall.shared.write() = Some(shared);
        self.hall.phase.send_replace(Phase::Open);
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn hall(&self) -> Arc<Hall> {
        Arc::clone(&self.hall)
    }

    /// Changes how many may be inside at a time; who is, stays.
    pub(crate) fn set_connections_max(&self, most: u32) {
        self.hall.places.set_most(descriptors::connections_max(most));
    }

    /// Lets nobody in any more, and lets go of the way to connection numbers. Who is inside stays.
    pub(crate) fn close(&self) {
        self.hall.next.write().take();
        self.hall.phase.send_replace(Phase::Draining);
    }

    /// Resolves when all have left, or after `within`; whether all have left.
    pub(crate) async fn left(&self, within: Duration) -> bool {
        self.hall.places.all_free(within).await
    }
}

/// Probes are told that the door is closed as long as there is one.
impl Drop for Door {
    fn drop(&mut self) {
        self.close();
        self.hall.shared.write().take();
        self.stop.send_replace(true);
    }
}

async fn healthz(State(hall): State<Arc<Hall>>, headers: HeaderMap) -> Response {
    answer(&hall, &headers, |vitals| vitals.live())
}

async fn readyz(State(hall): State<Arc<Hall>>, headers: HeaderMap) -> Response {
    answer(&hall, &headers, |vitals| vitals.ready())
}

fn answer(hall: &Hall, headers: &HeaderMap, question: fn(Vitals<'_>) -> Result<(), String>) -> Response {
    if let Some(refused) = hall.refusal(headers) {
        return refused;
    }
    let health = hall.examine(|vitals| vitals.health(question(vitals)));
    let status = if health.reason.is_none() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = serde_json::to_string(&health).unwrap_or_default();
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn enter(
    State(hall): State<Arc<Hall>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    if let Some(refused) = hall.refusal(&headers) {
        return refused;
    }
    let Ok(upgrade) = upgrade else {
        return refuse(
            StatusCode::UPGRADE_REQUIRED,
            "this is a WebSocket server; connect with ws:// and a WebSocket client",
        );
    };
    let Some(place) = hall.places.take() else {
        let most = hall.places.most();
        let sentence =
            format!("{most} connections are open, the most allowed; close one, or raise server.max_connections");
        return refuse(StatusCode::SERVICE_UNAVAILABLE, &sentence);
    };
    // An error would mean that the sender is gone, and the hall holds it.
    let _ = hall.phase.subscribe().wait_for(|phase| *phase != Phase::Starting).await;
    let connection = hall.next.read().as_ref().map(|next| next());
    let (Some(connection), Some(shared)) = (connection, hall.shared.read().clone()) else {
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
        session::run(sink, stream, peer.to_string(), shared, connection, hall.frame_bytes_max).await;
        hall.local.lock().remove(&connection);
        drop(place);
    })
}

fn refuse(status: StatusCode, sentence: &str) -> Response {
    (status, format!("{sentence}\n")).into_response()
}
