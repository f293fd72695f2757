//! Who an agent is and where it works.

use std::time::Duration;

use serde_json::{Map, Value};
use uuid::Uuid;

use super::told::{AttemptKey, Registration};
use crate::client::{ClientError, ClientOptions, Endpoint};

/// The largest frame an agent takes, in bytes: room for the inputs of a wide join.
const FRAME_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How long handlers may take to end when their agent leaves: twice what a command has between SIGTERM and SIGKILL.
const LEAVE_GRACE: Duration = Duration::from_secs(10);

/// Who an agent is and where it works.
///
/// ```
/// use everlog::AgentConfig;
///
/// let config = AgentConfig::new("ws://localhost:8700", "trainer").capabilities(["gpu"]).resource("gpu", 1.0).slots(2);
/// # assert_eq!(config.slots, 2);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AgentConfig {
    /// The coordinator, for example at `ws://localhost:8700`.
    pub server: Endpoint,
    /// The agent's id; registering again under the same id takes over from the last one. Default: a new UUID.
    pub id: String,
    /// The name people see.
    pub name: String,
    /// The agent's type. Default: `generic`.
    pub kind: String,
    /// What this agent can do; a task runs only where all it requires is. Default: nothing.
    pub capabilities: Vec<String>,
    /// What this agent has, by name: `cpu` in cores, `memory_mb`, `gpu` in devices. What is not named is not limited.
    pub resources: Map<String, Value>,
    /// How many tasks run at once; at least one. Default: 1.
    pub slots: usize,
    /// The largest frame to take, in bytes. Default: 16 MiB.
    pub frame_bytes_max: usize,
    /// How long a request of the agent waits for its response; `None` for as long as the environment says
    /// ([`ClientOptions::from_env`]). Default: `None`.
    pub request_timeout: Option<Duration>,
    /// How long handlers may take to end when the agent is to leave. What has not ended then is dropped where it waits, and the
    /// coordinator gives the task to somebody else. Default: 10 s.
    pub leave_grace: Duration,
}

impl AgentConfig {
    /// An agent with one slot, no capabilities and a new id.
    pub fn new(server: impl Into<Endpoint>, name: impl Into<String>) -> Self {
        Self {
            server: server.into(),
            id: Uuid::new_v4().to_string(),
            name: name.into(),
            kind: "generic".to_owned(),
            capabilities: Vec::new(),
            resources: Map::new(),
            slots: 1,
            frame_bytes_max: FRAME_BYTES_MAX,
            request_timeout: None,
            leave_grace: LEAVE_GRACE,
        }
    }

    /// Sets [`AgentConfig::id`].
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// Sets [`AgentConfig::kind`].
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.kind = kind.into();
        self
    }

    /// Adds to [`AgentConfig::capabilities`].
    pub fn capabilities<T: Into<String>>(mut self, capabilities: impl IntoIterator<Item = T>) -> Self {
        self.capabilities.extend(capabilities.into_iter().map(Into::into));
        self
    }

    /// Adds to [`AgentConfig::resources`].
    pub fn resource(mut self, name: impl Into<String>, amount: f64) -> Self {
        self.resources.insert(name.into(), amount.into());
        self
    }

    /// Sets [`AgentConfig::slots`].
    pub fn slots(mut self, slots: usize) -> Self {
        self.slots = slots;
        self
    }

    /// Sets [`AgentConfig::frame_bytes_max`].
    pub fn frame_bytes_max(mut self, bytes: usize) -> Self {
        self.frame_bytes_max = bytes;
        self
    }

    /// Sets [`AgentConfig::request_timeout`].
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = Some(timeout);
        self
    }

    /// Sets [`AgentConfig::leave_grace`].
    pub fn leave_grace(mut self, grace: Duration) -> Self {
        self.leave_grace = grace;
        self
    }

    /// How the agent connects: as the environment says where this does not. Its patience has no end, so retries mean nothing here.
    pub(super) fn options(&self) -> Result<ClientOptions, ClientError> {
        let options = match self.request_timeout {
            Some(timeout) => ClientOptions::default().request_timeout(timeout),
            None => ClientOptions::from_env()?,
        };
        Ok(options.inbound_frame_bytes_max(self.frame_bytes_max))
    }

    pub(super) fn registration(&self, running: Vec<AttemptKey>) -> Registration {
        Registration {
            id: Some(self.id.clone()),
            name: self.name.clone(),
            kind: Some(self.kind.clone()),
            capabilities: self.capabilities.clone(),
            resources: self.resources.clone(),
            slots: Some(self.slots),
            ready: true,
            running,
            max_frame_bytes: Some(self.frame_bytes_max),
            pid: Some(std::process::id()),
        }
    }
}
