//! The processes of a measurement: this binary, started again. None outlives its handle.

use super::{BenchError, Plan};
use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::ChildStdout;
use tokio::time::timeout;

/// How long a process may take to be ready: 10 million events are replayed in a few seconds.
const READY_WITHIN: Duration = Duration::from_secs(600);
/// How long a coordinator may take to end in order; it gives up before that itself.
const STOPPED_WITHIN: Duration = Duration::from_secs(60);
/// Connections of a coordinator beside those of its agents: the host's.
const OTHER_CONNECTIONS: u32 = 8;
/// Bytes of a KiB and KiB of a MiB.
const KIB: f64 = 1_024.0;

/// A process that runs; it is killed, and waited for, when this is dropped.
pub(super) struct Process {
    who: &'static str,
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// What it said when it was ready: its URL, if it has one.
    pub told: String,
}

impl Process {
    /// A coordinator with the settings that it has without any, on `data`.
    pub(super) async fn coordinator(plan: &Plan, data: &Path) -> Result<Self, BenchError> {
        let args = ["serve", "--host", "127.0.0.1", "--port", "0", "--data"].map(OsStr::new);
        let connections = (plan.agents + OTHER_CONNECTIONS).to_string();
        let settings = [("RUST_LOG", "warn"), ("EVERLOG__SERVER__MAX_CONNECTIONS", &connections)];
        Self::start("coordinator", data, args.into_iter().chain([data.as_os_str()]), &settings).await
    }

    /// Agents that complete whatever they are given.
    pub(super) async fn agents(plan: &Plan, data: &Path, url: &str) -> Result<Self, BenchError> {
        let (agents, slots) = (plan.agents.to_string(), plan.slots.to_string());
        let args = ["bench-peer", "agents", url, "--agents", &agents, "--slots", &slots].map(OsStr::new);
        Self::start("agents", data, args, &[]).await
    }

    /// Where the coordinator would be, something that only answers.
    pub(super) async fn echo(data: &Path) -> Result<Self, BenchError> {
        Self::start("echo", data, ["bench-peer", "echo"].map(OsStr::new), &[]).await
    }

    /// Starts this binary beside `data`, with nothing of the user's settings, and waits until it is ready.
    async fn start<'a>(
        who: &'static str,
        data: &Path,
        args: impl IntoIterator<Item = &'a OsStr>,
        settings: &[(&str, &str)],
    ) -> Result<Self, BenchError> {
        let failed = |source| BenchError::Start { who, source };
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        command.args(args).env_clear().envs(settings.iter().copied()).stdin(Stdio::null()).stdout(Stdio::piped());
        // A signal from the terminal is for this process, which ends the others.
        command.current_dir(data.parent().unwrap_or(data)).process_group(0);
        let mut child = command.spawn().map_err(failed)?;
        let stdout = child.stdout.take().ok_or_else(|| failed(std::io::ErrorKind::BrokenPipe.into()))?;
        let lines = BufReader::new(ChildStdout::from_std(stdout).map_err(failed)?).lines();
        let mut process = Self { who, child, lines, told: String::new() };
        let silent = |_| BenchError::Silent { what: "`ready` of a process", within: READY_WITHIN };
        let line = timeout(READY_WITHIN, process.line()).await.map_err(silent)??;
        line.trim_start_matches("ready").trim().clone_into(&mut process.told);
        Ok(process)
    }

    /// The next line that it says; an error once it has ended.
    pub(super) async fn line(&mut self) -> Result<String, BenchError> {
        if let Ok(Some(line)) = self.lines.next_line().await {
            return Ok(line);
        }
        let how = self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        Err(BenchError::Died { who: self.who, how })
    }

    /// Asks it to end, and waits for that.
    pub(super) async fn stop(mut self) -> Result<(), BenchError> {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            // It has ended already: the wait tells.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let ended = async {
            loop {
                if let Err(died) = self.line().await {
                    return died;
                }
            }
        };
        let silent = |_| BenchError::Silent { what: "the end of the coordinator", within: STOPPED_WITHIN };
        let died = timeout(STOPPED_WITHIN, ended).await.map_err(silent)?;
        match self.child.wait() {
            Ok(status) if status.success() => Ok(()),
            Ok(_) | Err(_) => Err(died),
        }
    }

    /// Processor time that it has had; `None` where the system does not tell.
    pub(super) fn cpu(&self) -> Option<Duration> {
        cpu(&self.child.id().to_string())
    }

    /// A size in `/proc/PID/status`, in MiB.
    pub(super) fn memory_mib(&self, name: &str) -> Option<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let size = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        Some(size.trim().trim_end_matches("kB").trim().parse::<f64>().ok()? / KIB)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Errors mean that it has ended and was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processor time of all threads that a process has now, to the nanosecond: the ticks of `/proc/PID/stat` are 10 ms.
pub(super) fn cpu(pid: &str) -> Option<Duration> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let spent = threads.filter_map(|thread| {
        let told = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        told.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
    });
    Some(spent.sum())
}
