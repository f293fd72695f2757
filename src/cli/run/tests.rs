//! `run` from the file to the exit code, with real agents and processes, against the smallest
//! coordinator that can serve it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tokio::task::{JoinHandle, JoinSet};

use super::*;
use crate::client::testing::{Coordinator, Peer};

/// One pipeline, in memory: starts what it can, and forgets everything with the test.
#[derive(Default)]
struct Pipeline {
    status: String,
    tasks: Vec<Task>,
    models: Vec<Value>,
}

struct Task {
    name: String,
    config: Value,
    status: &'static str,
    result: Value,
    error: Value,
}

impl Pipeline {
    fn create(params: &Value, status: &str) -> Self {
        let tasks = params["config"]["tasks"].as_array().expect("tasks").iter().map(|task| Task {
            name: task["name"].as_str().expect("a name").to_owned(),
            config: task["config"].clone(),
            status: "pending",
            result: Value::Null,
            error: Value::Null,
        });
        Self { status: status.to_owned(), tasks: tasks.collect(), models: Vec::new() }
    }

    /// Assigns every task whose dependencies are completed.
    fn ready(&mut self) -> Vec<Value> {
        let done = self.tasks.iter().filter(|task| task.status == "completed");
        let done: BTreeMap<String, Value> = done.map(|task| (task.name.clone(), task.result.clone())).collect();
        let mut assignments = Vec::new();
        let running = self.status == "running";
        for task in self.tasks.iter_mut().filter(|task| running && task.status == "pending") {
            let wanted = task.config["depends_on"].as_array().cloned().unwrap_or_default();
            let inputs: Option<Map<String, Value>> = wanted
                .iter()
                .map(|name| name.as_str().expect("a name").to_owned())
                .map(|name| Some((name.clone(), done.get(&name)?.clone())))
                .collect();
            if let Some(inputs) = inputs {
                task.status = "running";
                let Task { name, config, .. } = task;
                assignments.push(json!({
                    "task_id": name, "name": name, "attempt": 1, "pipeline_id": "p1",
                    "config": config, "inputs": inputs,
                }));
            }
        }
        assignments
    }

    fn complete(&mut self, completion: &Value) {
        let id = completion["task_id"].as_str().expect("an id");
        let task = self.tasks.iter_mut().find(|task| task.name == id).expect("a known task");
        let success = completion["success"] == true;
        task.status = if success { "completed" } else { "failed" };
        task.result = completion["result"].clone();
        task.error = completion["error"].clone();
        if !success {
            self.status = "failed".to_owned();
        } else if self.tasks.iter().all(|task| task.status == "completed") {
            self.status = "completed".to_owned();
        }
    }

    fn info(&self) -> Value {
        let number = |status: &str| self.tasks.iter().filter(|task| task.status == status).count();
        json!({
            "id": "p1", "name": "demo", "status": self.status,
            "metrics": {
                "tasks_pending": number("pending"), "tasks_running": number("running"),
                "tasks_completed": number("completed"), "tasks_failed": number("failed"),
            },
            "created_at": "2020-01-01T00:00:00.000000+00:00",
        })
    }

    fn answer(&mut self, method: &str, params: &Value) -> Value {
        match method {
            "pipeline/create" => {
                *self = Self::create(params, "idle");
                json!({"pipeline_id": "p1"})
            }
            "pipeline/start" | "pipeline/resume" => {
                self.status = "running".to_owned();
                json!({"status": "started"})
            }
            "pipeline/status" => self.info(),
            "pipeline/list" => {
                let found = params["status"] == self.status;
                let page = if found && params["offset"] == 0 { vec![self.info()] } else { Vec::new() };
                json!({"pipelines": page, "total": u64::from(found)})
            }
            "task/list" => self.list(params),
            "task/completed" => {
                self.complete(params);
                json!({"status": "recorded"})
            }
            "model/metrics" if params.get("model_id").is_some() => {
                self.models.push(params.clone());
                json!({"status": "recorded"})
            }
            "model/metrics" => json!({"metrics": self.models, "models": []}),
            "subscribe" | "unsubscribe" | "agent/register" | "agent/unregister" => json!({}),
            other => panic!("{other} is not part of a run"),
        }
    }

    fn list(&self, params: &Value) -> Value {
        let meant = |task: &&Task| params.get("status").is_none_or(|status| *status == task.status);
        let number = |field: &str| params[field].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        let matching = self.tasks.iter().filter(meant);
        let page = matching.clone().skip(number("offset")).take(number("limit")).map(|task| {
            json!({
                "id": task.name, "name": task.name, "status": task.status, "config": task.config,
                "result": task.result, "error_info": task.error,
            })
        });
        json!({"tasks": page.collect::<Vec<_>>(), "total": matching.count()})
    }
}

/// Serves a run: its client connects first, then its agent. Returns the registration and the end.
async fn serve(coordinator: Coordinator, mut pipeline: Pipeline) -> (Value, Pipeline) {
    let mut client = coordinator.accept().await;
    let mut agent: Option<Peer> = None;
    let mut registration = Value::Null;
    let accepting = coordinator.accept();
    tokio::pin!(accepting);
    loop {
        let no_agent_yet = agent.is_none() && registration.is_null();
        let from_agent = async {
            match &mut agent {
                Some(agent) => agent.receive().await,
                None => std::future::pending().await,
            }
        };
        let (frame, is_client) = tokio::select! {
            frame = client.receive() => match frame {
                Some(frame) => (frame, true),
                None => return (registration, pipeline),
            },
            frame = from_agent => match frame {
                Some(frame) => (frame, false),
                None => { agent = None; continue }
            },
            peer = &mut accepting, if no_agent_yet => {
                agent = Some(peer);
                continue;
            }
        };
        let method = frame["method"].as_str().expect("a method").to_owned();
        if frame["type"] == "request" {
            let result = pipeline.answer(&method, &frame["params"]);
            let peer = if is_client { Some(&mut client) } else { agent.as_mut() };
            peer.expect("who asked").reply(&frame, result).await;
        }
        if method == "agent/register" {
            registration = frame["params"].clone();
        }
        if let Some(agent) = &mut agent {
            for assignment in pipeline.ready() {
                agent.notify("task/assigned", assignment).await;
            }
        }
    }
}

fn args(resume: bool) -> Args {
    Args {
        pipeline: None,
        set: Vec::new(),
        resume,
        config: None,
        data: PathBuf::from("data"),
        slots: Some(2),
        output: Output::Table,
    }
}

async fn start(pipeline: Pipeline) -> (String, JoinHandle<(Value, Pipeline)>) {
    let coordinator = Coordinator::start().await;
    (coordinator.url(), tokio::spawn(serve(coordinator, pipeline)))
}

/// Runs a file to its end; what it printed, and what the coordinator saw.
async fn run_file(path: &Path) -> (Ended, String, Value, Pipeline) {
    let (url, served) = start(Pipeline::default()).await;
    let submission = pipeline_file::load(path, &[]).expect("a good file");
    let mut printed = Vec::new();
    let never = CancelToken::new();
    let ended = work(url.as_str().into(), &args(false), Some(submission), &never, &mut printed).await;
    let (registration, pipeline) = served.await.expect("served");
    let printed = String::from_utf8(printed).expect("text");
    (ended.expect("an end"), printed, registration, pipeline)
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("pipeline.yaml");
    std::fs::write(&path, text).expect("written");
    (directory, path)
}

#[tokio::test]
async fn the_iris_example_trains_a_model_that_is_worth_something() {
    let (ended, printed, _registration, pipeline) = run_file(&example("iris/pipeline.yaml")).await;
    assert_eq!(ended, Ended::AllWell);
    let [model] = pipeline.models.as_slice() else { panic!("{:?}", pipeline.models) };
    assert_eq!(model["model_id"], "iris");
    let accuracy = model["accuracy"].as_f64().expect("a number");
    assert!((0.9..=1.0).contains(&accuracy), "{accuracy}");
    assert!(printed.contains(&format!("{accuracy:.4}")), "{printed}");
    let confusion = &pipeline.tasks[2].result["confusion"];
    let seen: u64 = confusion
        .as_array()
        .expect("rows")
        .iter()
        .flat_map(|row| row.as_array().expect("cells"))
        .filter_map(Value::as_u64)
        .sum();
    assert_eq!(seen, 45);
}

#[tokio::test]
async fn a_wide_pipeline_is_joined() {
    let text = std::fs::read_to_string(example("fanout.yaml")).expect("the example");
    let (_directory, path) = file(&text.replace("500", "40"));
    let (ended, printed, _registration, pipeline) = run_file(&path).await;
    assert_eq!(ended, Ended::AllWell);
    assert_eq!(pipeline.tasks.len(), 41);
    for shown in ["square-1 ", "… 21 more …", "22140", "41 of 41 completed"] {
        assert!(printed.contains(shown), "{shown} is not in {printed}");
    }
    assert_eq!(pipeline.tasks[40].result, 40 * 41 * 81 / 6);
}

#[tokio::test]
async fn a_failed_task_fails_the_run_and_the_agent_can_do_what_the_file_requires() {
    let (_directory, path) =
        file("name: d\ntasks:\n- {name: a, command: [sh, -c, 'echo no >&2; exit 7'], required_capabilities: [gpu]}\n");
    let (ended, printed, registration, pipeline) = run_file(&path).await;
    assert_eq!(ended, Ended::SomeFailed);
    assert_eq!((&registration["capabilities"], &registration["slots"]), (&json!(["gpu"]), &json!(2)));
    assert!(printed.contains("0 of 1 completed, 1 failed"), "{printed}");
    assert!(pipeline.tasks[0].error.as_str().expect("a sentence").contains("exit code 7"));
}

#[tokio::test]
async fn resuming_goes_on_with_what_is_unfinished() {
    for status in ["idle", "running", "paused"] {
        let (_directory, path) =
            file("name: d\ntasks:\n- {name: a, command: [echo, '1'], required_capabilities: [x]}\n");
        let file = pipeline_file::load(&path, &[]).expect("a good file");
        let (url, served) = start(Pipeline::create(&file.submission.whole(), status)).await;
        let ended = work(url.as_str().into(), &args(true), None, &CancelToken::new(), &mut std::io::sink())
            .await
            .expect("an end");
        let (registration, pipeline) = served.await.expect("served");
        assert_eq!((ended, pipeline.status.as_str()), (Ended::AllWell, "completed"), "{status}");
        assert_eq!(registration["capabilities"], json!(["x"]));
    }
}

#[tokio::test]
async fn with_nothing_to_resume_all_is_well() {
    let (url, served) = start(Pipeline::default()).await;
    let ended =
        work(url.as_str().into(), &args(true), None, &CancelToken::new(), &mut std::io::sink()).await.expect("an end");
    assert_eq!(ended, Ended::AllWell);
    assert_eq!(served.await.expect("served").0, Value::Null);
}

#[tokio::test]
async fn an_interrupted_run_stops_its_tasks_and_says_so() {
    let directory = tempfile::tempdir().expect("a directory");
    let fifo = directory.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().expect("mkfifo").success());
    let script = format!("exec 3>'{}'; echo alive >&3; sleep 1000", fifo.display());
    let (_directory, path) = file(&format!("name: d\ntasks:\n- name: a\n  command: [sh, -c, \"{script}\"]\n"));
    let (url, served) = start(Pipeline::default()).await;
    let submission = pipeline_file::load(&path, &[]).expect("a good file");
    let interrupted = CancelToken::new();
    let mut reading = JoinSet::new();
    let begun = interrupted.clone();
    reading.spawn_blocking(move || {
        use std::io::{BufRead, BufReader, Read};
        let mut pipe = BufReader::new(std::fs::File::open(fifo).expect("opened"));
        let mut said = String::new();
        pipe.read_line(&mut said).expect("a line");
        begun.cancel();
        pipe.read_to_string(&mut said).expect("its end: the task is dead");
    });
    let ended = work(url.as_str().into(), &args(false), Some(submission), &interrupted, &mut std::io::sink())
        .await
        .expect("an end");
    assert_eq!(ended, Ended::Interrupted);
    reading.join_next().await.expect("one").expect("read");
    assert_eq!(served.await.expect("served").1.status, "running");
}

#[test]
fn a_path_with_a_space_is_quoted() {
    assert_eq!(shell_word(Path::new(".everlog")), ".everlog");
    assert_eq!(shell_word(Path::new("my data")), "'my data'");
    assert_eq!(shell_word(Path::new("it's")), r"'it'\''s'");
}
