//! A terminal of a given width: a real pseudo-terminal, and an emulator that knows what stands on it.

use crate::harness::Deadline;
use pty_process::{Size, blocking};
use std::io::{Read, Write};
use std::process::Child;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

/// Higher than anything that is shown, so that nothing scrolls away.
const ROWS: u16 = 300;

/// The width of a terminal that does not tell it.
const UNKNOWN: u16 = 200;

/// What stands at the end of a row that the terminal had to break.
const BROKEN: char = '↩';

/// The binary on a terminal of its own; it is killed when dropped.
pub(super) struct Screen {
    child: Child,
    pty: Arc<blocking::Pty>,
    output: Receiver<Vec<u8>>,
    emulator: vt100::Parser,
}

impl Screen {
    pub(super) fn start(command: std::process::Command, columns: u16) -> Self {
        let (pty, pts) = blocking::open().unwrap();
        pty.resize(Size::new(ROWS, columns)).unwrap();
        let child = blocking::Command::from(command).env("TERM", "xterm-256color").spawn(pts).unwrap();
        let pty = Arc::new(pty);
        Self { child, output: follow(Arc::clone(&pty)), pty, emulator: emulator(columns) }
    }

    /// Waits until this stands on it.
    #[track_caller]
    pub(super) fn until(&mut self, words: &str) {
        self.until_it(words, |screen| screen.rows().concat().contains(words));
    }

    /// Waits until it is so.
    #[track_caller]
    pub(super) fn until_it(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let deadline = Deadline::usual();
        while !is_so(self) {
            match self.output.recv_timeout(deadline.left().unwrap_or_default()) {
                Ok(bytes) => self.emulator.process(&bytes),
                Err(_) => panic!("{what:?} never came:\n{}", self.text()),
            }
        }
    }

    /// Waits for the end of the process; its exit code.
    #[track_caller]
    pub(super) fn end(&mut self) -> i32 {
        let deadline = Deadline::usual();
        while let Ok(bytes) = self.output.recv_timeout(deadline.left().unwrap_or_default()) {
            self.emulator.process(&bytes);
        }
        assert!(deadline.left().is_some(), "it does not end:\n{}", self.text());
        let status = self.child.wait().unwrap();
        assert!(!self.text().contains("panicked"), "it panicked:\n{}", self.text());
        status.code().expect("an exit code")
    }

    /// Types something.
    pub(super) fn press(&self, keys: &str) {
        (&*self.pty).write_all(keys.as_bytes()).unwrap();
    }

    /// Makes it wider or narrower; as on most terminals, what stands on it is wrapped anew.
    pub(super) fn resize(&mut self, columns: u16) {
        self.pty.resize(Size::new(ROWS, columns)).unwrap();
        let before = std::mem::replace(&mut self.emulator, emulator(columns));
        let cursor_is_below = before.screen().cursor_position().1 == 0;
        let text = before.screen().contents().replace('\n', "\r\n");
        self.emulator.process(text.as_bytes());
        self.emulator.process(if cursor_is_below { b"\r\n" } else { b"" });
    }

    /// The rows that stand on it.
    pub(super) fn rows(&self) -> Vec<String> {
        let screen = self.emulator.screen();
        let mut rows: Vec<String> = screen.rows(0, screen.size().1.get()).collect();
        rows.truncate(rows.iter().rposition(|row| !row.is_empty()).map_or(0, |last| last + 1));
        rows
    }

    /// The same as text, that shows which rows the terminal had to break.
    pub(super) fn text(&self) -> String {
        let wrapped = |row: usize| self.emulator.screen().row_wrapped(u16::try_from(row).unwrap());
        let row = |(n, row): (usize, &String)| if wrapped(n) { format!("{row}{BROKEN}\n") } else { format!("{row}\n") };
        self.rows().iter().enumerate().map(row).collect()
    }
}

/// Rows that the terminal has broken, as the lines that they were.
pub(super) fn unbroken(text: &str) -> String {
    text.replace("↩\n", "")
}

fn emulator(columns: u16) -> vt100::Parser {
    let columns = if columns == 0 { UNKNOWN } else { columns };
    vt100::Parser::new(ROWS.try_into().unwrap(), columns.try_into().unwrap(), 0)
}

/// What comes; the channel ends when nobody has the terminal open any more.
fn follow(pty: Arc<blocking::Pty>) -> Receiver<Vec<u8>> {
    let (sender, output) = channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = (&*pty).read(&mut buffer) {
            if sender.send(buffer[..length].to_vec()).is_err() {
                break;
            }
        }
    });
    output
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
