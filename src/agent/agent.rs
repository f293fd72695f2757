//! The agent's life: connect, register, serve, and again, until told to leave.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::cancel::CancelToken;
use super::config::AgentConfig;
use super::handler::Handler;
use super::report;
use super::session::{Session, SessionEnd};
use super::work::Work;
use crate::backoff::Backoff;
use crate::client::{ClientError, Connection, code};

/// A session that lasted so long was a good one: the next attempt begins with the shortest wait.
const SESSION_THAT_LASTED: Duration = Duration::from_secs(5);

/// How long an agent that is to leave waits for a registration under way.
const REGISTRATION_PATIENCE: Duration = Duration::from_secs(2);

/// Why an agent gave up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The coordinator will not have it, and would not the next time either.
    #[error("agent `{name}` cannot work for the coordinator: {cause}")]
    Rejected {
        /// The agent's name.
        name: String,
        /// What was wrong.
        #[source]
        cause: ClientError,
    },
}

/// Runs tasks for a coordinator.
#[derive(Debug)]
pub struct Agent<H> {
    config: AgentConfig,
    handler: H,
}

impl<H: Handler> Agent<H> {
    /// An agent that does tasks with `handler`.
    pub fn new(config: AgentConfig, handler: H) -> Self {
        Self { config, handler }
    }

    /// Works until `leave` is raised; then running attempts are cancelled, what is finished is delivered, and the coordinator is
    /// told, which gives the cancelled tasks to somebody else. A handler that has not returned within
    /// [`AgentConfig::leave_grace`] is dropped where it waits (one that blocks its thread goes on until it returns, and nobody
    /// hears of it). Reconnects for as long as it takes.
    ///
    /// # Errors
    /// [`AgentError::Rejected`] if trying again would not help, for example a bad address or a bad setting in the environment.
    pub async fn run(self, leave: CancelToken) -> Result<(), AgentError> {
        let Self { config, handler } = self;
        let (news_in, mut news) = report::channel();
        let (link, linked) = watch::channel(None::<Connection>);
        let mut work = Work::new(handler, &config, news_in, linked);
        let mut backoff = Backoff::default();
        while let Some(session) = connect(&config, &mut work, &mut backoff, &leave).await? {
            tracing::info!(agent = config.name, id = config.id, server = %config.server, "registered");
            link.send_replace(Some(session.connection().clone()));
            let began = Instant::now();
            let end = session.serve(&mut work, &mut news, &leave).await;
            link.send_replace(None);
            match end {
                SessionEnd::Left => return Ok(()),
                SessionEnd::Lost => {
                    // One that lets an agent in and drops it at once must not be hammered.
                    if began.elapsed() >= SESSION_THAT_LASTED {
                        backoff.reset();
                    }
                    tracing::warn!(server = %config.server, "the coordinator went away; connecting again");
                    wait(backoff.next(), &leave).await;
                }
                // No reset: an agent that is disowned again and again must not hammer.
                SessionEnd::Disowned(error) => {
                    tracing::warn!(%error, "registering again");
                    wait(backoff.next(), &leave).await;
                }
            }
        }
        stop(&mut work).await;
        Ok(())
    }
}

/// Tries until there is a session; `None` when the agent is to leave.
async fn connect<'a, H: Handler>(
    config: &'a AgentConfig,
    work: &mut Work<H>,
    backoff: &mut Backoff,
    leave: &CancelToken,
) -> Result<Option<Session<'a>>, AgentError> {
    let mut told = false;
    while !leave.is_cancelled() {
        // Attempts go on ending meanwhile, which frees slots for what waits.
        let opened = {
            let opening = Session::open(config, work.names());
            // A registration that is under way is waited for: the coordinator may have it already,
            // and is then told that this agent leaves.
            let given_up = async {
                leave.cancelled().await;
                tokio::time::sleep(REGISTRATION_PATIENCE).await;
            };
            tokio::pin!(opening, given_up);
            loop {
                tokio::select! {
                    opened = &mut opening => break opened,
                    _ended = work.next_ended() => {}
                    () = &mut given_up => return Ok(None),
                }
            }
        };
        match opened {
            Ok(session) => return Ok(Some(session)),
            Err(cause) if is_final(&cause) => {
                return Err(AgentError::Rejected { name: config.name.clone(), cause });
            }
            Err(cause) => {
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(%cause, "not connected; trying again");
                }
                wait(backoff.next(), leave).await;
            }
        }
    }
    Ok(None)
}

/// Whether the same registration would fail again.
fn is_final(error: &ClientError) -> bool {
    match error {
        ClientError::Refused { code, .. } => !matches!(*code, code::OVERLOADED | code::INTERNAL),
        ClientError::TurnedAway { .. } => !error.is_transient(),
        ClientError::Ended
        | ClientError::BadAddress { .. }
        | ClientError::BadSetting { .. }
        | ClientError::TooLarge { .. } => true,
        ClientError::Unreachable { .. }
        | ClientError::Closed { .. }
        | ClientError::TimedOut { .. }
        | ClientError::Malformed { .. } => false,
    }
}

async fn wait(duration: Duration, leave: &CancelToken) {
    // Either way the caller looks at `leave` next.
    let _ = tokio::time::timeout(duration, leave.cancelled()).await;
}

/// Stops everything without a coordinator to tell.
async fn stop<H: Handler>(work: &mut Work<H>) {
    work.leave();
    while work.is_running() {
        work.next_ended().await;
    }
    let undelivered = work.undelivered().len();
    if undelivered > 0 {
        tracing::warn!(undelivered, "leaving with completions that no coordinator took; those tasks will run again");
    }
}
