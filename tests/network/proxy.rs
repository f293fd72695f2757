//! A line that fails: a proxy between clients and the real binary, which does to bytes what networks do.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Bytes that are taken at a time.
const PIECE: usize = 16 << 10;
/// Pieces a second of a slow line.
const PIECES_A_SECOND: u32 = 20;

/// What happens to everything that is on its way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fault {
    /// It arrives.
    None,
    /// It arrives later.
    Delay(Duration),
    /// So many bytes a second arrive, each way of each connection.
    Throttle(u32),
    /// Nothing arrives until this is over; nobody is told.
    Stall,
    /// So many bytes arrive, and then the connection breaks.
    CutAfter(usize),
}

/// One connection through the proxy.
struct Line {
    client: TcpStream,
    server: TcpStream,
    /// Nothing arrives any more, for ever; nobody is told.
    dead: AtomicBool,
}

impl Line {
    fn cut(&self) {
        for end in [&self.client, &self.server] {
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}

struct State {
    fault: Fault,
    lines: Vec<Arc<Line>>,
    closed: bool,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    /// What happens to a piece of this line now; waits while nothing gets through. `None`: it never will.
    fn fate(&self, line: &Line) -> Option<Fault> {
        let stuck =
            |state: &mut State| !state.closed && (state.fault == Fault::Stall || line.dead.load(Ordering::SeqCst));
        let state = self.changed.wait_while(self.state.lock().unwrap(), stuck).unwrap();
        (!state.closed).then_some(state.fault)
    }

    /// Carries what comes from one end to the other, until the line breaks.
    fn carry(&self, line: &Line, mut from: &TcpStream, mut to: &TcpStream) {
        let mut piece = [0; PIECE];
        let mut carried = 0;
        loop {
            let most = match self.state.lock().unwrap().fault {
                Fault::Throttle(rate) => (rate / PIECES_A_SECOND).max(1) as usize,
                Fault::None | Fault::Delay(_) | Fault::Stall | Fault::CutAfter(_) => PIECE,
            };
            let read = match from.read(&mut piece[..most]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => 0,
                Ok(read) => read,
            };
            let Some(fate) = self.fate(line) else { break };
            let mut through = read;
            match fate {
                Fault::None | Fault::Stall => {}
                Fault::Delay(wait) => std::thread::sleep(wait),
                Fault::Throttle(_) => std::thread::sleep(Duration::from_secs(1) / PIECES_A_SECOND),
                Fault::CutAfter(limit) => through = read.min(limit.saturating_sub(carried)),
            }
            carried += through;
            if to.write_all(&piece[..through]).is_err() || through < read || read == 0 {
                break;
            }
        }
        line.cut();
    }
}

/// The proxy. What it carries breaks when it is dropped.
pub(super) struct Proxy {
    address: String,
    shared: Arc<Shared>,
}

impl Proxy {
    /// A way to the server at this address.
    pub(super) fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = State { fault: Fault::None, lines: Vec::new(), closed: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let (server, accepting) = (server.to_owned(), shared.clone());
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if accepting.state.lock().unwrap().closed {
                    return;
                }
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(&server)) else { continue };
                let line = Arc::new(Line { client, server, dead: AtomicBool::new(false) });
                accepting.state.lock().unwrap().lines.push(line.clone());
                for upwards in [true, false] {
                    let (shared, line) = (accepting.clone(), line.clone());
                    std::thread::spawn(move || {
                        let (from, to) =
                            if upwards { (&line.client, &line.server) } else { (&line.server, &line.client) };
                        shared.carry(&line, from, to);
                    });
                }
            }
        });
        Self { address, shared }
    }

    /// `HOST:PORT` for clients.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.shared.state.lock().unwrap());
        self.shared.changed.notify_all();
    }

    /// From now on this happens, on lines that are there and on new ones.
    pub(super) fn set(&self, fault: Fault) {
        self.change(|state| state.fault = fault);
    }

    /// Every line that is there breaks.
    pub(super) fn cut(&self) {
        self.change(|state| state.lines.drain(..).for_each(|line| line.cut()));
    }

    /// Every line that is there goes dead: neither end is told, now or when the other one leaves.
    pub(super) fn forget(&self) {
        self.change(|state| state.lines.iter().for_each(|line| line.dead.store(true, Ordering::SeqCst)));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.change(|state| state.closed = true);
        self.cut();
        // Nobody waits for another client.
        let _ = TcpStream::connect(&self.address);
    }
}
