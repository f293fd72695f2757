//! Who answers what a page types: a shell in a directory of its own, and what runs in the background.

use crate::harness::{Deadline, Peer, Process, everlog};
use rustix::process::Signal;
use serde_json::json;
use std::path::Path;
use std::process::Command;

/// Where nobody listens.
const NOBODY: &str = "1";

pub(super) struct Stage {
    server: Option<Process>,
    /// Of the server, once it has run; its later lives listen there too.
    port: String,
    agents: Vec<Process>,
    home: tempfile::TempDir,
}

impl Stage {
    pub(super) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
        std::os::unix::fs::symlink(examples, home.path().join("examples")).unwrap();
        Self { server: None, port: NOBODY.to_owned(), agents: Vec::new(), home }
    }

    pub(super) fn save(&self, name: &str, text: &str) {
        let path = self.home.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// What comes when this is typed, both streams as one.
    pub(super) fn answer(&mut self, typed: &str) -> String {
        let real = format!("localhost:{}", self.port);
        // What cargo builds is there already.
        let typed = typed.replace("cargo run --release -- ", "everlog ").replace("localhost:8700", &real);
        let answer = match typed.strip_suffix(" &") {
            Some("everlog serve") => self.serve(),
            Some(agent) => self.employ(agent),
            None if typed == "kill -9 %1" => self.kill(),
            None => Process::start(self.shell(&format!("exec 2>&1\n{typed}"))).end().stdout,
        };
        let answer = answer.replace(&format!("localhost:{}", self.port), "localhost:8700");
        let answer = answer.replace(&format!("127.0.0.1:{}", self.port), "127.0.0.1:8700");
        answer.replace(&*self.home.path().to_string_lossy(), "~")
    }

    fn serve(&mut self) -> String {
        let mut command = self.shell("exec everlog serve");
        if self.port == NOBODY {
            command.env("MCP_SERVER_PORT", "0");
        }
        let mut server = Process::start(command);
        let line = server.line().unwrap_or_else(|ended| panic!("it did not start: {ended:#?}"));
        line.rsplit(':').next().unwrap().clone_into(&mut self.port);
        self.server = Some(server);
        format!("{line}\n")
    }

    fn kill(&mut self) -> String {
        let mut server = self.server.take().expect("it serves");
        server.signal(Signal::KILL);
        server.end().expect_code(137);
        String::new()
    }

    /// Returns when one more agent is there.
    fn employ(&mut self, agent: &str) -> String {
        self.agents.push(Process::start(self.shell(&format!("exec {agent}"))));
        let mut peer = Peer::connect(&format!("localhost:{}", self.port));
        let deadline = Deadline::usual();
        while peer.request("agent/list", json!({"status": "active"}))["total"] != self.agents.len() {
            assert!(deadline.left().is_some(), "the agent does not come");
        }
        String::new()
    }

    /// A shell that finds the binary under test, and nothing of this machine's settings.
    fn shell(&self, script: &str) -> Command {
        let mut shell = Command::new("sh");
        for (name, value) in everlog([""]).get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        let program = Path::new(env!("CARGO_BIN_EXE_everlog")).parent().unwrap().display();
        shell.env("PATH", format!("{program}:{}", std::env::var("PATH").unwrap()));
        shell.env("MCP_SERVER_PORT", &self.port);
        shell.args(["-c", script]).current_dir(self.home.path());
        shell
    }
}
