//! A coordinator inside a program: the engine, what it says unasked, and the ways in.
//!
//! The daemon is the same thing with its door open, so what holds for one holds for the other.

mod builder;
mod error;
mod pipe;
mod pulse;
#[cfg(test)]
mod tests;

pub use builder::CoordinatorBuilder;
pub use error::StartError;

use crate::client::{Client, ClientError, Endpoint};
use crate::coordinator::{Engine, Failed, Options, Place};
use crate::exchange::{Inbound, Message, Outgoing};
use crate::machine::Machine;
use crate::server::DoorConfig;
use crate::server::door::{self, Door, LocalConnections};
use crate::server::limits::{FRAME_BYTES_MAX, GOODBYE_WITHIN};
use everlog_replay::spec::Settings;
use pipe::Hatch;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How a coordinator is set up.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Setup {
    /// Where its log is.
    pub place: Place,
    /// Where clients of other processes come in, if they may.
    pub door: Option<DoorConfig>,
    /// Time between two samples of the machine.
    pub system_interval: Duration,
    /// What decisions rest on.
    pub settings: Settings,
}

impl Default for Setup {
    /// In memory, behind a closed door; otherwise the defaults of protocol §6.
    fn default() -> Self {
        let system_interval = Duration::from_secs(5);
        Self { place: Place::Memory, door: None, system_interval, settings: Settings::default() }
    }
}

/// A coordinator in this process: agents and clients connect to it as they would to a daemon, through a socket or without one.
///
/// Everything that it acknowledges is in its log first; what it was at when the process ended, it goes on with when it is opened
/// again on the same data directory.
///
/// ```
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use everlog::Coordinator;
///
/// let coordinator = Coordinator::in_memory().await?;
/// let client = coordinator.client().await?;
/// client.call("memory/set", serde_json::json!({"key": "greeting", "value": "hello"})).await?;
/// coordinator.close().await?;
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
/// ```
///
/// It needs a tokio runtime with timers; its engine runs on threads of its own. Dropping it ends it as well, without waiting.
pub struct Coordinator {
    engine: Arc<Engine>,
    hatch: Arc<Hatch>,
    door: Option<Door>,
    /// `None` once it is stopped.
    machine: Option<Machine>,
    heartbeat: JoinHandle<()>,
}

impl Coordinator {
    /// Opens the data directory at `path` and recovers what it holds; one that is not there is made. Nobody can connect from
    /// outside of this process.
    ///
    /// # Errors
    /// [`StartError::Log`] when the directory can not be used, or another process uses it.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self, StartError> {
        Self::builder().data(path).open().await
    }

    /// A coordinator without a data directory: everything is as usual, and gone with the process.
    ///
    /// # Errors
    /// [`StartError::Thread`] when the operating system gives no thread.
    pub async fn in_memory() -> Result<Self, StartError> {
        Self::builder().open().await
    }

    /// Settings to choose before a coordinator is opened.
    pub fn builder() -> CoordinatorBuilder {
        CoordinatorBuilder::default()
    }

    /// Recovers the log, and starts.
    pub(crate) async fn start(setup: Setup) -> Result<Self, StartError> {
        // Bound before the log is touched, so that a taken port leaves no trace there.
        let local = LocalConnections::default();
        let door = match &setup.door {
            Some(config) => Some(door::bind(config).await?.serve(config, Arc::clone(&local))),
            None => None,
        };
        let options = Options { settings: of_this_machine(setup.settings.clone()), place: setup.place.clone() };
        let opened = tokio::task::spawn_blocking(move || Engine::open(options)).await;
        let engine = Arc::new(opened.map_err(|error| StartError::Broken(error.to_string()))??);
        let data = setup.place.directory().cloned();
        let machine = pulse::watch(&engine, data, setup.system_interval, Arc::clone(&local));
        let machine = machine.map_err(StartError::Thread)?;
        let heartbeat = tokio::spawn(pulse::beat(engine.shared()));
        let hatch = Arc::new(Hatch::open(&engine, setup.door.as_ref().map_or(FRAME_BYTES_MAX, |d| d.max_frame_bytes)));
        if let Some(door) = &door {
            let numbers = Arc::clone(&engine);
            door.open(engine.shared(), Box::new(move || numbers.next_connection()));
        }
        Ok(Self { engine, hatch, door, machine: Some(machine), heartbeat })
    }

    /// Where clients and agents of this process connect: `Client::connect(coordinator.endpoint())`.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        Endpoint::local(Arc::clone(&self.hatch) as _)
    }

    /// A client of this process, as patient as the environment says ([`ClientOptions::from_env`](crate::ClientOptions::from_env));
    /// [`Client::connect_with`] takes other options.
    ///
    /// # Errors
    /// [`ClientError::Ended`] when the coordinator has ended, [`ClientError::BadSetting`] when a variable makes no sense.
    pub async fn client(&self) -> Result<Client, ClientError> {
        Client::connect(self.endpoint()).await
    }

    /// Where it listens, if it does.
    #[must_use]
    pub fn addr(&self) -> Option<SocketAddr> {
        self.door.as_ref().map(Door::addr)
    }

    /// What clients of other processes connect to, if they can: `ws://127.0.0.1:8700`.
    #[must_use]
    pub fn url(&self) -> Option<String> {
        self.addr().map(|addr| format!("ws://{addr}"))
    }

    /// Tells whether the process does its work, as often as it is asked.
    pub(crate) fn watch(&self) -> impl Fn() -> Result<(), String> + Send + 'static {
        let hall = self.door.as_ref().map(Door::hall);
        move || hall.as_ref().map_or(Ok(()), |hall| hall.examine(|vitals| vitals.live()))
    }

    /// Takes over what of a configuration can change at run time.
    pub(crate) async fn configure(&self, setup: &Setup) {
        if let (Some(door), Some(config)) = (&self.door, &setup.door) {
            door.set_connections_max(config.max_connections);
        }
        if let Some(machine) = &self.machine {
            machine.set_interval(setup.system_interval);
        }
        let message = Message::Configure { settings: of_this_machine(setup.settings.clone()) };
        let inbox = self.engine.shared().inbox.clone();
        // It may be full, and it is closed once the writer has ended, which is told elsewhere.
        let send = move || drop(inbox.send(Inbound { connection: 0, bytes: 0, message }));
        drop(tokio::task::spawn_blocking(send).await);
    }

    /// Resolves when the coordinator has died, for example of a full disk: nothing more is acknowledged then, and opening it
    /// again replays what was. Never resolves otherwise.
    pub async fn failed(&self) -> Failed {
        self.engine.failed().await
    }

    /// Lets nobody in any more, answers what was asked, tells everybody goodbye, and closes the log. Leases go on: agents that
    /// come back in time keep their work.
    ///
    /// # Errors
    /// When the coordinator could not end in order; nothing acknowledged is lost.
    pub async fn close(mut self) -> Result<(), Failed> {
        self.shut();
        if let Some(machine) = self.machine.take() {
            machine.stop().await;
        }
        let ended = Arc::clone(&self.engine).drain("it was asked to end").await;
        self.engine.shared().directory.broadcast(&Outgoing::Close, |_| true);
        let from_outside = async {
            match &self.door {
                Some(door) => door.left(GOODBYE_WITHIN).await,
                None => true,
            }
        };
        if !matches!(tokio::join!(self.hatch.left(GOODBYE_WITHIN), from_outside), (true, true)) {
            tracing::warn!("some clients took too long to be told goodbye");
        }
        ended
    }
}

impl Coordinator {
    /// Lets nobody in any more; who is inside stays.
    fn shut(&self) {
        self.heartbeat.abort();
        self.hatch.close();
        if let Some(door) = &self.door {
            door.close();
        }
    }
}

/// What is left of it ends by itself: who is inside is told goodbye, and the log is closed.
impl Drop for Coordinator {
    fn drop(&mut self) {
        self.shut();
    }
}

impl From<&Coordinator> for Endpoint {
    fn from(coordinator: &Coordinator) -> Self {
        coordinator.endpoint()
    }
}

impl std::fmt::Debug for Coordinator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Coordinator").field("addr", &self.addr()).finish_non_exhaustive()
    }
}

/// A limit in percent of the machine is one in percent of a core, times its cores: what tasks are measured in.
fn of_this_machine(mut settings: Settings) -> Settings {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    settings.limits.cpu = settings.limits.cpu.saturating_mul(u32::try_from(cores).unwrap_or(u32::MAX));
    settings
}
