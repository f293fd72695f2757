//! `everlog serve` on a directory of its own.

use super::peer::Peer;
use super::process::{Ended, Process, everlog};
use rustix::process::Signal;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A coordinator that runs, or can be started again on the same directory.
pub(crate) struct Server {
    process: Option<Process>,
    url: String,
    home: TempDir,
}

impl Server {
    /// On an empty directory and a free port.
    pub(crate) fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut server = Self { process: None, url: String::new(), home };
        server.restart();
        server
    }

    /// On an empty directory and a free port, configured by this YAML.
    pub(crate) fn configured(yaml: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("config")).unwrap();
        std::fs::write(home.path().join("config/mcp.yaml"), yaml).unwrap();
        let mut server = Self { process: None, url: String::new(), home };
        server.restart();
        server
    }

    /// On an empty directory and a free port, with what is done to its command line and environment.
    pub(crate) fn tuned(tune: impl FnOnce(&mut Command) -> &mut Command) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut server = Self { process: None, url: String::new(), home };
        server.launch("0", tune);
        server
    }

    /// Writes the configuration anew, and has it read.
    pub(crate) fn reconfigure(&mut self, yaml: &str) {
        std::fs::write(self.home.path().join("config/mcp.yaml"), yaml).unwrap();
        self.process().signal(Signal::HUP);
    }

    /// Starts it on what is there. It must not run.
    pub(crate) fn restart(&mut self) {
        self.restart_on("0");
    }

    /// Starts it on what is there and this port.
    pub(crate) fn restart_on(&mut self, port: &str) {
        self.launch(port, |command| command);
    }

    fn launch(&mut self, port: &str, tune: impl FnOnce(&mut Command) -> &mut Command) {
        assert!(self.process.is_none(), "it runs already");
        let mut command = everlog(["serve", "--host", "127.0.0.1", "--port", port, "--data"]);
        command.arg(self.data()).current_dir(self.home.path());
        tune(&mut command);
        let mut process = Process::start(command);
        let line = process.line().unwrap_or_else(|ended| panic!("it did not start: {ended:#?}"));
        let url = line.strip_prefix("ready ").unwrap_or_else(|| panic!("the first line is {line:?}"));
        assert!(url.starts_with("ws://127.0.0.1:") && !url.ends_with(":0"), "the first line is {line:?}");
        url.clone_into(&mut self.url);
        self.process = Some(process);
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// `HOST:PORT`.
    pub(crate) fn address(&self) -> &str {
        self.url.trim_start_matches("ws://")
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    pub(crate) fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("it runs")
    }

    /// A new connection.
    pub(crate) fn peer(&self) -> Peer {
        Peer::connect(self.address())
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.signal(Signal::KILL);
        process.end().expect_code(137);
    }

    /// SIGTERM, and how it ended.
    pub(crate) fn terminate(&mut self) -> Ended {
        self.process().signal(Signal::TERM);
        self.ended()
    }

    /// How it ended after a signal.
    pub(crate) fn ended(&mut self) -> Ended {
        self.process.take().expect("it runs").end()
    }
}
