//! The binary as a process: its lines, its end, and that it never panics.

use super::deadline::Deadline;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// How long the pipes of a process that has ended may stay open, should something that it started still hold them.
const PIPES_CLOSE: Duration = Duration::from_secs(2);

/// The binary under test, with nothing of this machine's configuration.
pub(crate) fn everlog<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_everlog"));
    command.args(args);
    let settings =
        ["MCP_", "MONITORING_", "ALERT_", "METRICS_", "MAX_", "EVERLOG_", "RUST_LOG", "NO_COLOR", "CLICOLOR"];
    for (name, _) in std::env::vars_os() {
        if settings.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    // Not even the user's own file; the directory is not there.
    command.env("XDG_CONFIG_HOME", "no-configuration");
    command
}

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code, or 128 + the signal.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// That it ended as it should, with what it said otherwise.
    #[track_caller]
    pub(crate) fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "exit code; stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// That it told a person what is wrong: all of these words, wrapped over lines or not.
    #[track_caller]
    pub(crate) fn expect_told(&self, words: &[&str]) -> &Self {
        let told: String = self.stderr.split_whitespace().filter(|word| !matches!(*word, "│" | "×")).collect();
        for part in words {
            let part_bare: String = part.split_whitespace().collect();
            assert!(told.contains(&part_bare), "stderr lacks {part:?}:\n{}", self.stderr);
        }
        self
    }
}

/// A running process; it is killed when dropped.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
    seen: String,
    stderr: Option<Receiver<String>>,
    told: String,
}

impl Process {
    pub(crate) fn start(mut command: Command) -> Self {
        // A group of its own, so that nothing that it starts outlives the test.
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self { lines: follow(stdout), stderr: Some(follow(stderr)), child, seen: String::new(), told: String::new() }
    }

    /// Waits until stderr has a line with these words.
    pub(crate) fn until_told(&mut self, words: &str) {
        let deadline = Deadline::usual();
        while !self.told.contains(words) {
            let lines = self.stderr.as_ref().expect("it runs");
            match lines.recv_timeout(deadline.left().unwrap_or_default()) {
                Ok(line) => self.told.extend([line.as_str(), "\n"]),
                Err(_) => panic!("stderr never said {words:?}: {}", self.told),
            }
        }
    }

    /// What stderr has had, once the process has ended.
    fn rest_of_stderr(&mut self) -> String {
        let deadline = Deadline::after(PIPES_CLOSE);
        if let Some(lines) = self.stderr.take() {
            while let Ok(line) = lines.recv_timeout(deadline.left().unwrap_or_default()) {
                self.told.extend([line.as_str(), "\n"]);
            }
        }
        std::mem::take(&mut self.told)
    }

    fn kill_group(&self) {
        let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let _ = group.map(|group| kill_process_group(group, Signal::KILL));
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// The next line of stdout, or how it ended without one.
    pub(crate) fn line(&mut self) -> Result<String, Ended> {
        let left = Deadline::usual().left().unwrap_or_default();
        match self.lines.recv_timeout(left) {
            Ok(line) => {
                self.seen.push_str(&line);
                self.seen.push('\n');
                Ok(line)
            }
            Err(RecvTimeoutError::Timeout) => {
                self.kill_group();
                panic!("no further line on stdout in time: {:?}", self.end());
            }
            Err(RecvTimeoutError::Disconnected) => Err(self.end()),
        }
    }

    /// Waits for the end. Whoever is late is killed and fails the test.
    pub(crate) fn end(&mut self) -> Ended {
        self.end_within(Deadline::usual())
    }

    pub(crate) fn end_within(&mut self, deadline: Deadline) -> Ended {
        let mut late = false;
        loop {
            match self.lines.recv_timeout(deadline.left().unwrap_or_default()) {
                Ok(line) => {
                    self.seen.push_str(&line);
                    self.seen.push('\n');
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) if late => break,
                Err(RecvTimeoutError::Timeout) => {
                    late = true;
                    self.kill_group();
                }
            }
        }
        let status = self.child.wait().unwrap();
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
        let stderr = self.rest_of_stderr();
        let ended = Ended { code, stdout: std::mem::take(&mut self.seen), stderr };
        assert!(!late, "it did not end in time: {ended:#?}");
        assert!(!ended.stderr.contains("panicked"), "it panicked: {ended:#?}");
        ended
    }
}

/// The lines of a pipe as they come; the channel ends with the pipe.
fn follow(mut pipe: impl BufRead + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        while pipe.read_until(b'\n', &mut bytes).is_ok_and(|length| length > 0) {
            let line = String::from_utf8_lossy(&bytes).trim_end_matches('\n').to_owned();
            bytes.clear();
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    lines
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.stderr.is_none() {
            return;
        }
        self.kill_group();
        let _ = self.child.wait();
        let stderr = self.rest_of_stderr();
        if std::thread::panicking() {
            eprintln!("--- stderr of process {}:\n{stderr}", self.child.id());
        } else {
            assert!(!stderr.contains("panicked"), "it panicked:\n{stderr}");
        }
    }
}
