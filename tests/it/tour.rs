//! `docs/tour.md`, typed again: what stands below each `$` is what comes, ids, times and widths aside.
//! `EVERLOG_BLESS=1 cargo test --test it tour` writes the answers anew.

use crate::harness::{Deadline, Process, Server, everlog};
use serde_json::json;
use std::path::Path;
use std::process::Command;

/// A line of the page: a command with the answer below it, or anything else.
enum Part {
    Text(String),
    Typed { command: String, answer: Vec<String> },
}

fn parts(page: &str) -> Vec<Part> {
    let (mut parts, mut console) = (Vec::new(), false);
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            console = line == "```console";
        } else if let Some(typed) = line.strip_prefix("$ ").filter(|_| console) {
            let mut command = typed.to_owned();
            if typed.ends_with("<<'END'") {
                for line in lines.by_ref() {
                    command = format!("{command}\n{line}");
                    if line == "END" {
                        break;
                    }
                }
            }
            parts.push(Part::Typed { command, answer: Vec::new() });
            continue;
        } else if let Some(Part::Typed { answer, .. }) = parts.last_mut().filter(|_| console) {
            answer.push(line.to_owned());
            continue;
        }
        parts.push(Part::Text(line.to_owned()));
    }
    parts
}

/// Who answers: a shell in a directory of its own, and what runs in the background.
struct Stage {
    server: Option<Server>,
    agents: Vec<Process>,
    home: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("examples"),
            home.path().join("examples"),
        )
        .unwrap();
        Self { server: None, agents: Vec::new(), home }
    }

    /// Nothing listens on port 1.
    fn port(&self) -> &str {
        self.server.as_ref().map_or("1", |server| server.address().rsplit(':').next().unwrap())
    }

    fn answer(&mut self, typed: &str) -> String {
        if typed == "everlog serve &" {
            self.server = Some(Server::start());
            return "ready ws://127.0.0.1:8700\n".to_owned();
        }
        if let Some(agent) = typed.strip_suffix(" &") {
            let mut command = everlog(agent.split(' ').skip(1));
            command.env("MCP_SERVER_PORT", self.port()).current_dir(self.home.path());
            self.agents.push(Process::start(command));
            let mut peer = self.server.as_ref().expect("it serves").peer();
            let deadline = Deadline::usual();
            while peer.request("agent/list", json!({"status": "active"}))["total"] != self.agents.len() {
                assert!(deadline.left().is_some(), "the agent does not come");
            }
            return String::new();
        }
        let program = Path::new(env!("CARGO_BIN_EXE_everlog")).parent().unwrap().display().to_string();
        // The environment without this machine's settings is that of the harness.
        let mut shell = Command::new("sh");
        for (name, _) in everlog([""]).get_envs().filter(|(_, value)| value.is_none()) {
            shell.env_remove(name);
        }
        shell.env("PATH", format!("{program}:{}", std::env::var("PATH").unwrap()));
        shell.env("MCP_SERVER_PORT", self.port()).env("MCP_SERVER_HOST", "localhost").current_dir(self.home.path());
        shell.args(["-c", &format!("exec 2>&1\n{typed}")]);
        let mut shell = Process::start(shell);
        let ended = shell.end();
        let real = format!("localhost:{}", self.port());
        ended.stdout.replace(&real, "localhost:8700").replace(&*self.home.path().to_string_lossy(), "~")
    }
}

/// What of a line does not change from one run to the next.
fn lasting(line: &str) -> Vec<String> {
    let is_hex = |word: &str| word.len() >= 8 && word.chars().all(|letter| letter.is_ascii_hexdigit() || letter == '-');
    let is_time = |word: &str| {
        let digits = word.trim_end_matches(|letter: char| letter.is_ascii_lowercase());
        !digits.is_empty() && digits != word && digits.chars().all(|letter| letter.is_ascii_digit() || letter == '.')
    };
    let words = line.split_whitespace().map(|word| word.trim_matches(|letter: char| "():,".contains(letter)));
    let words = words.filter(|word| is_hex(word) || !is_time(word) && !matches!(*word, "now" | "ago" | "│"));
    words.map(|word| if is_hex(word) { "ID".to_owned() } else { word.to_owned() }).collect()
}

#[test]
fn the_tour_goes_as_it_is_told() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/tour.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let mut stage = Stage::new();
    let (mut told, mut news) = (String::new(), Vec::new());
    for part in parts(&page) {
        match part {
            Part::Text(line) => told.extend([&line, "\n"]),
            Part::Typed { command, answer } => {
                let found = stage.answer(&command);
                let found: Vec<&str> = found.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
                let words = |lines: &[&str]| lines.iter().flat_map(|line| lasting(line)).collect::<Vec<_>>();
                let expected: Vec<&str> = answer.iter().map(String::as_str).collect();
                let same = words(&expected) == words(&found);
                told.extend(["$ ", &command, "\n"]);
                for line in if same { expected } else { found.clone() } {
                    told.extend([line, "\n"]);
                }
                if !same {
                    news.push(format!("$ {command}\n{}", found.join("\n")));
                }
            }
        }
    }
    if std::env::var_os("EVERLOG_BLESS").is_some() {
        std::fs::write(&path, told).unwrap();
        return;
    }
    assert!(news.is_empty(), "docs/tour.md tells it otherwise:\n{}", news.join("\n"));
}
