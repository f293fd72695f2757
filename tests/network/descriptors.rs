//! More connections than the system allows files: who comes too late is told so, and the log has the files that it needs.

use crate::harness::{Peer, Process, everlog};
use serde_json::json;
use std::net::TcpStream;
use std::process::Command;

/// What the process may open, and what of that is left for connections when the entrance and the log have theirs.
const FILES: &str = "640";
const CONNECTIONS: usize = 128;
/// Some more than fit into the entrance.
const SILENT: usize = 300;
/// Values that need another segment of the log (1 MiB at first), and files of the store.
const VALUES: usize = 8;

#[test]
fn connections_leave_the_log_its_files() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("config")).unwrap();
    std::fs::write(home.path().join("config/mcp.yaml"), "server:\n  max_connections: 5000\n").unwrap();
    let inner = everlog(["serve", "--host", "127.0.0.1", "--port", "0", "--data"]);
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n $0 && exec \"$@\"", FILES]).arg(inner.get_program()).args(inner.get_args());
    command.arg(home.path().join("data")).current_dir(home.path());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let mut process = Process::start(command);
    let line = process.line().unwrap_or_else(|ended| panic!("it does not start: {ended:#?}"));
    let address = line.trim_start_matches("ready ws://");
    process.until_told(&format!("{CONNECTIONS} connections are let in"));
    let mut peers: Vec<Peer> = (0..CONNECTIONS).map(|_| Peer::connect(address)).collect();
    let refused = Peer::try_connect(address).err().expect("one more").to_string();
    assert!(refused.contains("503"), "{refused}");
    let silent: Vec<TcpStream> = (0..SILENT).map(|_| TcpStream::connect(address).unwrap()).collect();
    for (nth, peer) in peers.iter_mut().enumerate().take(VALUES) {
        peer.request("memory/set", json!({"key": format!("k{nth}"), "value": "x".repeat(1_000_000)}));
    }
    drop(silent);
    process.signal(rustix::process::Signal::TERM);
    process.end().expect_code(0);
}
