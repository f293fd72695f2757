//! Why a coordinator does not start, or ends.

use crate::api::Strategy;
use crate::failure::Failure;
use crate::server::DoorError;

/// Why a coordinator did not start: nothing of it runs then, and nothing that was acknowledged before is lost.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The data directory can not be used, is used by another process, or its log does not fold.
    #[error(transparent)]
    Log(Box<dyn std::error::Error + Send + Sync>),
    /// Nobody could come in.
    #[error(transparent)]
    Door(#[from] DoorError),
    /// Tasks can not be scheduled this way.
    #[error("there is no strategy '{0}'; use one of the named ones")]
    UnknownStrategy(Strategy),
    /// The operating system gave no thread.
    #[error("cannot start a thread: {0}; raise the limit of processes of this user (ulimit -u)")]
    Thread(std::io::Error),
    /// The coordinator broke off while it opened the log.
    #[error("opening the log broke off: {0}; this is a bug, please report it (nothing acknowledged is lost)")]
    Broken(String),
}

impl From<Failure> for StartError {
    fn from(failure: Failure) -> Self {
        Self::Log(Box::new(failure))
    }
}
