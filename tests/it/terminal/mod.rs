//! What a new user sees: the real binary on real terminals of 40, 80 and 120 columns. `40.txt`, `80.txt` and `120.txt` beside this
//! file are what stood on them; a row that ends in `↩` was too long, and the terminal broke it.
//! `EVERLOG_BLESS=1 cargo test --test it terminal` writes them anew; ids, times and ports are not compared.

mod colors;
mod completion;
mod others;
mod screen;
mod tour;

use crate::docs::{fits, lasting};
use crate::harness::{Server, everlog};
use screen::{Screen, unbroken};
use std::path::{Path, PathBuf};

/// A terminal, where commands are typed one after the other.
struct Terminal {
    columns: u16,
    port: String,
    home: tempfile::TempDir,
    /// What was typed, and what came.
    transcript: Vec<(String, String)>,
}

impl Terminal {
    fn new(columns: u16) -> Self {
        let home = tempfile::tempdir().unwrap();
        // Nobody listens there.
        Self { columns, port: "1".to_owned(), home, transcript: Vec::new() }
    }

    fn save(&self, name: &str, text: &str) {
        std::fs::write(self.home.path().join(name), text).unwrap();
    }

    /// From here on commands mean this coordinator.
    fn turn_to(&mut self, server: &Server) {
        server.address().rsplit(':').next().unwrap().clone_into(&mut self.port);
    }

    /// Types a command.
    fn start(&self, typed: &str) -> Screen {
        let mut command = everlog(typed.split(' ').skip(1));
        command.env("LC_ALL", "C.UTF-8").env("MCP_SERVER_PORT", &self.port).current_dir(self.home.path());
        Screen::start(command, self.columns)
    }

    /// Types a command, and waits for its end.
    #[track_caller]
    fn enter(&mut self, typed: &str) {
        let screen = self.start(typed);
        self.end(typed, screen);
    }

    /// Keeps what stands there.
    fn keep(&mut self, heading: &str, screen: &Screen) {
        let text = screen.text().replace(&format!(":{}", self.port), ":8700");
        let text = text.replace(&*self.home.path().to_string_lossy(), "~");
        self.transcript.push((heading.to_owned(), text));
    }

    /// Waits for the end, and keeps what stands there.
    #[track_caller]
    fn end(&mut self, heading: &str, mut screen: Screen) {
        let code = screen.end();
        self.keep(heading, &screen);
        if let (Some((_, text)), 1..) = (self.transcript.last_mut(), code) {
            text.push_str(&format!("exit code {code}\n"));
        }
    }

    /// Compares it all with the file, or writes that anew.
    #[track_caller]
    fn compare(self) {
        let path = file(self.columns);
        if std::env::var_os("EVERLOG_BLESS").is_some() {
            let part = |(heading, text): &(String, String)| format!("$ {heading}\n{text}\n");
            std::fs::write(&path, self.transcript.iter().map(part).collect::<String>()).unwrap();
        }
        let told = parts(&std::fs::read_to_string(&path).unwrap());
        for ((known, before), (heading, text)) in told.iter().zip(&self.transcript) {
            let same = known == heading && fits(&words(before), &words(text));
            assert!(same, "{} tells it otherwise:\n$ {heading}\n{text}", path.display());
        }
        assert_eq!(told.len(), self.transcript.len(), "{} does not tell it all", path.display());
    }
}

fn file(columns: u16) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/terminal/{columns}.txt"))
}

/// What was typed, and what came.
fn parts(transcript: &str) -> Vec<(String, String)> {
    let parts = transcript.strip_prefix("$ ").unwrap_or_default().split("\n$ ");
    parts.filter_map(|part| part.split_once('\n')).map(|(head, text)| (head.to_owned(), text.to_owned())).collect()
}

fn words(text: &str) -> Vec<String> {
    unbroken(text).lines().flat_map(lasting).collect()
}
