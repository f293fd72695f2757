//! The server: a coordinator behind a WebSocket door (protocol §1).
//!
//! It binds loopback only. There is no authentication yet, so other machines get in only where somebody has named that risk.

mod audience;
mod door;
mod envelope;
mod handshake;
pub(crate) mod limits;
mod outbound;
mod places;
mod session;
mod turns;

use crate::coordinator::{Coordinator, Failed, Options};
use crate::exchange::{Inbound, Message, Outgoing, Sample};
use crate::failure::Failure;
use crate::machine::{Load, Machine, SystemSample, Watch};
use crate::shared::Shared;
use door::{Door, LocalConnections};
use everlog_replay::Json;
use everlog_replay::spec::Settings;
use limits::{CONNECTIONS_MAX, FRAME_BYTES_MAX, GOODBYE_WITHIN, HEARTBEAT_EVERY};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval_at};

/// How to serve.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ServerConfig {
    /// The data directory.
    pub data: PathBuf,
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
    /// Time between two samples of the machine.
    pub system_interval: Duration,
    /// What decisions rest on.
    pub settings: Settings,
}

impl Default for ServerConfig {
    /// The defaults of protocol §6.
    fn default() -> Self {
        Self {
            data: PathBuf::from(".everlog"),
            host: "localhost".to_owned(),
            port: 8_700,
            allow_remote: false,
            max_connections: CONNECTIONS_MAX,
            max_frame_bytes: FRAME_BYTES_MAX,
            system_interval: Duration::from_secs(5),
            settings: Settings::default(),
        }
    }
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum StartError {
    /// The data directory can not be used, or its log does not fold.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// The coordinator ended, and not because it was asked to.
    #[error(transparent)]
    Failed(#[from] Failed),
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
         use --host localhost, or accept that risk with --allow-unauthenticated-remote-access"
    )]
    NotLoopback {
        /// The host.
        host: String,
    },
    /// Somebody listens there already.
    #[error(
        "port {port} of {host} is in use; stop the other process, or choose another port with --port (0 takes a free one)"
    )]
    PortInUse {
        /// The host.
        host: String,
        /// The port.
        port: u16,
    },
    /// It can not be listened there.
    #[error("cannot listen on {host}, port {port}: {source}; choose another address with --host and --port")]
    Bind {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The operating system gave no thread.
    #[error("cannot start a thread: {0}; raise the limit of processes of this user (ulimit -u)")]
    Thread(std::io::Error),
    /// The coordinator broke off while it opened the log.
    #[error("opening the log broke off: {0}; this is a bug, please report it (nothing acknowledged is lost)")]
    Broken(tokio::task::JoinError),
}

/// A running server.
pub(crate) struct Server {
    coordinator: Arc<Coordinator>,
    shared: Arc<Shared>,
    door: Door,
    machine: Machine,
    heartbeat: JoinHandle<()>,
}

impl Server {
    /// Recovers the log, and serves.
    ///
    /// # Errors
    /// When the address or the data directory can not be used; nothing runs then.
    pub(crate) async fn start(config: ServerConfig) -> Result<Self, StartError> {
        let doorway = door::bind(&config).await?;
        let options = Options { settings: of_this_machine(config.settings.clone()), data: config.data.clone() };
        let local = LocalConnections::default();
        let door = doorway.serve(&config, Arc::clone(&local));
        let opened = tokio::task::spawn_blocking(move || Coordinator::open(options)).await;
        let coordinator = Arc::new(opened.map_err(StartError::Broken)??);
        let shared = coordinator.shared();
        let machine = watch_machine(&config, &coordinator, &shared, &local).map_err(StartError::Thread)?;
        let numbers = Arc::clone(&coordinator);
        door.open(Arc::clone(&shared), Box::new(move || numbers.next_connection()));
        let heartbeat = tokio::spawn(beat(Arc::clone(&shared)));
        Ok(Self { coordinator, shared, door, machine, heartbeat })
    }

    /// Where it listens.
    #[must_use]
    pub(crate) fn addr(&self) -> SocketAddr {
        self.door.addr()
    }

    /// What a client connects to.
    #[must_use]
    pub(crate) fn url(&self) -> String {
        format!("ws://{}", self.addr())
    }

    /// Tells whether the process does its work, as often as it is asked.
    pub(crate) fn watch(&self) -> impl Fn() -> Result<(), String> + Send + 'static {
        let hall = self.door.hall();
        move || hall.examine(|vitals| vitals.live())
    }

    /// Takes over what of a configuration can change at run time.
    pub(crate) async fn configure(&self, config: &ServerConfig) {
        self.door.set_connections_max(config.max_connections);
        self.machine.set_interval(config.system_interval);
        let message = Message::Configure { settings: of_this_machine(config.settings.clone()) };
        let inbox = self.shared.inbox.clone();
        // It may be full, and it is closed once the writer has ended, which is told elsewhere.
        let send = move || drop(inbox.send(Inbound { connection: 0, bytes: 0, message }));
        drop(tokio::task::spawn_blocking(send).await);
    }

    /// Resolves when the coordinator has died: the process has to end then, and a restart replays.
    pub(crate) async fn failed(&self) -> Failed {
        self.coordinator.failed().await
    }

    /// Lets nobody in any more, lets the replies out, and ends.
    ///
    /// # Errors
    /// When the coordinator could not end in order; nothing acknowledged is lost.
    pub(crate) async fn drain(self) -> Result<(), Failed> {
        let Self { coordinator, shared, door, machine, heartbeat } = self;
        let guests = door.close();
        heartbeat.abort();
        machine.stop().await;
        let Some(coordinator) = Arc::into_inner(coordinator) else {
            unreachable!("the door and the machine's watch have let go of the coordinator")
        };
        let ended = coordinator.drain("the server was asked to end").await;
        shared.directory.broadcast(&Outgoing::Close, |_| true);
        if !guests.left(GOODBYE_WITHIN).await {
            tracing::warn!("some clients took too long to be told goodbye");
        }
        ended
    }
}

/// A limit in percent of the machine is one in percent of a core, times its cores: what tasks are measured in.
fn of_this_machine(mut settings: Settings) -> Settings {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    settings.limits.cpu = settings.limits.cpu.saturating_mul(u32::try_from(cores).unwrap_or(u32::MAX));
    settings
}

/// Tells everybody every now and then that the server is there (protocol §4).
async fn beat(shared: Arc<Shared>) {
    let mut ticks = interval_at(tokio::time::Instant::now() + HEARTBEAT_EVERY, HEARTBEAT_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let params = format!(r#"{{"timestamp":"{}","server_status":"running"}}"#, shared.clock.now());
        tell_all(&shared, "server/heartbeat", params);
    }
}

fn watch_machine(
    config: &ServerConfig,
    coordinator: &Arc<Coordinator>,
    shared: &Arc<Shared>,
    local: &LocalConnections,
) -> std::io::Result<Machine> {
    let (coordinator, shared, agents, local) =
        (Arc::clone(coordinator), Arc::clone(shared), Arc::clone(shared), Arc::clone(local));
    Machine::start(Watch {
        data: config.data.clone(),
        interval: config.system_interval,
        clock: Arc::clone(&shared.clock),
        local_agents: Box::new(move || local_agents(&agents, &local)),
        observe: Box::new(move |sample: &SystemSample, load: Option<Load>| {
            if let Ok(params) = serde_json::to_string(sample) {
                tell_all(&shared, "monitoring/system_metrics", params);
            }
            if let Some(load) = load {
                coordinator.observe_load(load.cpu_hundredths, load.memory_kib);
            }
        }),
    })
}

/// The processes of the registered agents that run on this machine.
fn local_agents(shared: &Shared, local: &LocalConnections) -> Vec<u32> {
    let connections = local.lock().clone();
    let state = shared.state.read();
    let here = state.agents.iter().filter(|(_, agent)| connections.contains(&agent.connection));
    here.filter_map(|(_, agent)| agent.pid).collect()
}

fn tell_all(shared: &Shared, method: &'static str, params: String) {
    if !shared.directory.is_empty() {
        let sample = Sample { method, params: Json::from(params), pipeline: None };
        shared.directory.broadcast(&Outgoing::Sample(Arc::new(sample)), |_| true);
    }
}

#[cfg(test)]
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test fails on whatever it does not expect, new variants included"
)]
mod tests;
