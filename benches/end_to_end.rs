//! End to end over WebSocket: no-op tasks, every state change synced before it is acknowledged or acted upon.
//!
//! The coordinator is the real binary in a process of its own on a fresh data directory; four agents in this process answer each
//! assignment with a completion. Measured from `pipeline/start` to `pipeline/completed`, history and all laws on.

#![expect(clippy::expect_used, reason = "a benchmark that can not go on has nothing better to do than to say where")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// Tasks of one measured run.
const TASKS: usize = 50_000;
/// Tasks of one `task/create`: about 150 KB.
const BATCH: usize = 2_000;
/// Agents, as in the peers' measurements.
const AGENTS: usize = 4;
/// Frames an agent answers with one flush at most.
const FRAMES_A_FLUSH: usize = 256;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The coordinator; killed when dropped.
struct Coordinator {
    process: Child,
    url: String,
    _data: tempfile::TempDir,
}

impl Coordinator {
    fn start() -> Self {
        let data = tempfile::tempdir().expect("a directory for the log");
        let mut process = Command::new(env!("CARGO_BIN_EXE_everlog"))
            .args(["serve", "--host", "127.0.0.1", "--port", "0", "--data"])
            .arg(data.path())
            .env("RUST_LOG", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the coordinator starts");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("stdout is piped");
        BufReader::new(stdout).read_line(&mut line).expect("the coordinator speaks");
        let url = line.trim().strip_prefix("ready ").expect("the coordinator is ready").to_owned();
        Self { process, url, _data: data }
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        self.process.kill().expect("the coordinator can be killed");
        self.process.wait().expect("the coordinator ends");
    }
}

fn request(id: usize, method: &str, params: &Value) -> Message {
    let frame = json!({
        "id": id.to_string(), "type": "request", "method": method,
        "timestamp": "2026-01-01T00:00:00", "params": params, "result": null, "error": null,
    });
    Message::text(frame.to_string())
}

async fn call(socket: &mut Socket, id: usize, method: &str, params: Value) -> Value {
    socket.send(request(id, method, &params)).await.expect("a request is sent");
    loop {
        let message = socket.next().await.expect("an answer comes").expect("a frame comes");
        let Message::Text(text) = message else { continue };
        let frame: Value = serde_json::from_str(&text).expect("a frame is JSON");
        if frame["type"] == "response" && frame["id"].as_str() == Some(&id.to_string()) {
            assert!(frame["error"].is_null(), "{method}: {}", frame["error"]);
            return frame["result"].clone();
        }
    }
}

/// The text between `before` and the next quote or comma.
fn field<'a>(frame: &'a str, before: &str) -> Option<&'a str> {
    let rest = &frame[frame.find(before)? + before.len()..];
    rest.find(['"', ',', '}']).map(|end| &rest[..end])
}

/// Answers assignments for ever; everything that has arrived at once is answered with one flush.
async fn agent(url: String, name: String, slots: usize) {
    let (mut socket, _) = connect_async(url).await.expect("an agent connects");
    call(&mut socket, 0, "agent/register", json!({ "id": name, "name": name, "slots": slots, "ready": true })).await;
    let (mut sink, stream) = socket.split();
    let mut chunks = stream.ready_chunks(FRAMES_A_FLUSH);
    while let Some(frames) = chunks.next().await {
        for frame in frames {
            let Ok(Message::Text(text)) = frame else { continue };
            if !text.contains(r#""task/assigned""#) {
                continue;
            }
            let task = field(&text, r#""task_id":""#).expect("an assignment names its task");
            let attempt = field(&text, r#""attempt":"#).expect("an assignment names its attempt");
            let done = format!(
                r#"{{"id":"","type":"notification","method":"task/completed","timestamp":"2026-01-01T00:00:00","params":{{"task_id":"{task}","agent_id":"{name}","attempt":{attempt},"result":null,"success":true}},"result":null,"error":null}}"#
            );
            if sink.feed(Message::text(done)).await.is_err() {
                return;
            }
        }
        if sink.flush().await.is_err() {
            return;
        }
    }
}

async fn run(url: &str, tasks: usize) -> Duration {
    let (mut host, _) = connect_async(url).await.expect("the host connects");
    let config = json!({ "strategy": "parallel", "max_concurrent_tasks": 1_000_000 });
    let created = call(&mut host, 1, "pipeline/create", json!({ "name": "no-op", "config": config })).await;
    let pipeline = created["pipeline_id"].clone();
    for batch in 0..tasks.div_ceil(BATCH) {
        let count = BATCH.min(tasks - batch * BATCH);
        let tasks: Vec<Value> = (0..count).map(|n| json!({ "name": format!("t{n}") })).collect();
        call(&mut host, 10 + batch, "task/create", json!({ "pipeline_id": pipeline, "tasks": tasks })).await;
    }
    let begun = clock();
    call(&mut host, 2, "pipeline/start", json!({ "pipeline_id": pipeline })).await;
    loop {
        let message = host.next().await.expect("the end is told").expect("a frame comes");
        let Message::Text(text) = message else { continue };
        if text.contains(r#""pipeline/completed""#) {
            return clock() - begun;
        }
    }
}

/// Monotonic time of a benchmark.
fn clock() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

fn end_to_end(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut group = criterion.benchmark_group("end to end, 4 agents, fsync before every ack");
    group.sample_size(10).throughput(Throughput::Elements(TASKS as u64));
    for slots in [1, 16, 64] {
        let tasks = if slots == 1 { TASKS / 10 } else { TASKS };
        group.throughput(Throughput::Elements(tasks as u64));
        group.bench_function(format!("{slots} slots"), |bencher| {
            let coordinator = Coordinator::start();
            bencher.iter_custom(|runs| {
                runtime.block_on(async {
                    let agents: Vec<_> = (0..AGENTS)
                        .map(|n| tokio::spawn(agent(coordinator.url.clone(), format!("agent-{n}"), slots)))
                        .collect();
                    let mut spent = Duration::ZERO;
                    for _ in 0..runs {
                        spent += run(&coordinator.url, tasks).await;
                    }
                    for agent in agents {
                        agent.abort();
                    }
                    spent
                })
            });
        });
    }
    group.finish();
}

criterion_group!(benches, end_to_end);
criterion_main!(benches);
