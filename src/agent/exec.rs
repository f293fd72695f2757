//! Runs one command in a process group of its own and leaves nothing of it behind.
//!
//! The group is what makes cancelling mean something: a shell's children and their children all die
//! with it. Whatever is still alive when the command itself has ended is killed too: an attempt is
//! over when its command is.

use std::convert::Infallible;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::process::{Child, Command};

use super::cancel::CancelToken;
use super::output::Output;

/// Between SIGTERM and SIGKILL: time to write a checkpoint.
pub(super) const KILL_GRACE: Duration = Duration::from_secs(5);

/// How long to read on after the command has ended and its group was killed. Only a process that
/// left the group can still hold the pipes, and it may hold them for ever.
const DRAIN_MAX: Duration = Duration::from_millis(500);

/// How often to look whether a group that was told to end is gone.
const GONE_POLL: Duration = Duration::from_millis(10);

/// How a command ended.
#[derive(Debug)]
pub(super) struct Exited {
    pub(super) status: ExitStatus,
    pub(super) output: Output,
}

/// Runs `command` until it ends or `cancel` is raised. `beside` runs along with it and is dropped
/// when the command ends. `None` means that it was cancelled.
///
/// # Errors
/// If the command cannot be started or waited for.
pub(super) async fn execute(
    command: &mut Command,
    cancel: &CancelToken,
    beside: impl Future<Output = Infallible>,
) -> io::Result<Option<Exited>> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.process_group(0).kill_on_drop(true).spawn()?;
    let mut group = Group::led_by(&child);
    let mut output = Output::new(child.stdout.take(), child.stderr.take());
    let status = tokio::select! {
        status = follow(&mut child, &mut output) => Some(status?),
        never = beside => match never {},
        () = cancel.cancelled() => None,
    };
    let Some(status) = status else {
        group.stop(&mut child).await;
        return Ok(None);
    };
    group.kill();
    // Running out of time is fine: what came so far is kept.
    let _ = tokio::time::timeout(DRAIN_MAX, output.pump()).await;
    Ok(Some(Exited { status, output }))
}

async fn follow(child: &mut Child, output: &mut Output) -> io::Result<ExitStatus> {
    let pump = async {
        output.pump().await;
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        status = child.wait() => status,
        never = pump => match never {},
    }
}

/// A process group, killed when dropped: also when the future that waits for it is.
struct Group(Option<Pid>);

impl Group {
    fn led_by(child: &Child) -> Self {
        let raw = child.id().and_then(|id| i32::try_from(id).ok());
        Self(raw.and_then(Pid::from_raw))
    }

    /// Asks the group to end, and kills it after [`KILL_GRACE`].
    async fn stop(&mut self, child: &mut Child) {
        self.signal(Signal::TERM);
        let gone = async {
            let _ = child.wait().await;
            while self.exists() {
                tokio::time::sleep(GONE_POLL).await;
            }
        };
        let _ = tokio::time::timeout(KILL_GRACE, gone).await;
        self.kill();
        // Reaps it, if the grace ran out before.
        let _ = child.wait().await;
    }

    /// Kills the group for good. Called once: a later process may get the same number.
    fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.0 = None;
    }

    fn signal(&self, signal: Signal) {
        if let Some(leader) = self.0 {
            // "No such group" is what we want to hear.
            let _ = kill_process_group(leader, signal);
        }
    }

    fn exists(&self) -> bool {
        self.0.is_some_and(|leader| test_kill_process_group(leader).is_ok())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}
